package elchi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/root"
	_ "github.com/coredns/coredns/plugin/view"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/api"
)

func TestMain(m *testing.M) {
	dnsserver.Quiet, caddy.Quiet = true, true
	if err := dnsserver.SetDirectives([]string{
		"root", "reload", "bind", "ready", "prometheus", "errors", "log", "cache", "dnssec", "elchi", "file", "forward", "view",
	}); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// controller is one that is not ours: it does what the document says, and no more.
type controller struct {
	*httptest.Server
	mu      sync.Mutex
	hash    string
	records string // JSON
	asked   []string
	fails   bool
}

const secret = "test-secret-key"

func newController(t *testing.T, records string) *controller {
	t.Helper()
	c := &controller{hash: "h1", records: records}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

func (c *controller) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	q := r.URL.Query()
	zone := q.Get("zone")
	switch {
	case c.fails:
		http.Error(w, "no", http.StatusInternalServerError)
		return
	case r.Header.Get("X-Elchi-Secret") != secret:
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	case r.URL.Path == api.SnapshotPath || r.URL.Path == api.ChangesPath:
		c.asked = append(c.asked, r.URL.Path+"?"+r.URL.RawQuery)
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if r.URL.Path == api.ChangesPath && q.Get("since") == c.hash {
		fmt.Fprint(w, `{"unchanged": true}`)
		return
	}
	fmt.Fprintf(w, `{"unchanged": false, "zone": %q, "version_hash": %q, "records": %s}`, zone, c.hash, strings.ReplaceAll(c.records, "ZONE", zone))
}

func (c *controller) requests() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.asked...)
}

const records = `[
  {"name": "listener1.ZONE", "type": "A", "ttl": 300, "ips": ["192.168.1.10", "192.168.1.11"]},
  {"name": "listener3.ZONE", "type": "AAAA", "ttl": 600, "ips": ["2001:db8::1", "2001:db8::2"]},
  {"name": "default.ZONE", "type": "A", "ttl": 0, "ips": ["192.168.1.12"]},
  {"name": "asia.ZONE", "type": "A", "ttl": 20, "ips": [], "failover": "europe.ZONE"},
  {"name": "off.ZONE", "type": "A", "ttl": 20, "ips": ["10.10.1.20"], "enabled": false, "failover": "europe.ZONE"},
  {"name": "dark.ZONE", "type": "A", "ttl": 20, "ips": ["10.10.1.20"], "enabled": false},
  {"name": "europe.ZONE", "type": "A", "ttl": 20, "ips": ["10.20.1.30", "10.20.1.31"]}
]`

type corefile string

func (c corefile) Body() []byte       { return []byte(c) }
func (c corefile) Path() string       { return "Corefile" }
func (c corefile) ServerType() string { return "dns" }

// instance is a CoreDNS that ends with the test.
type instance struct{ *caddy.Instance }

func start(t *testing.T, text string) *instance {
	t.Helper()
	i, err := caddy.Start(corefile(text))
	if err != nil {
		t.Fatal(err)
	}
	in := &instance{i}
	t.Cleanup(in.stop)
	return in
}

func (i *instance) stop() {
	if i.Instance != nil {
		i.ShutdownCallbacks()
		_ = i.Stop()
		i.Instance = nil
	}
}

func (i *instance) restart(t *testing.T, text string) error {
	t.Helper()
	next, err := i.Restart(corefile(text))
	i.Instance = next
	return err
}

// ask asks over UDP.
func (i *instance) ask(t *testing.T, name string, typ uint16, with ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	return i.askOver(t, "udp", name, typ, with...)
}

func (i *instance) askOver(t *testing.T, network, name string, typ uint16, with ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	for _, f := range with {
		f(m)
	}
	s := i.Servers()[0]
	addr := s.LocalAddr()
	if network == "tcp" {
		addr = s.Addr()
	}
	got, _, err := (&dns.Client{Net: network}).Exchange(m, addr.String())
	if err != nil {
		t.Fatalf("%s %s: %v", name, dns.TypeToString[typ], err)
	}
	return got
}

// webhook is where the webhook of the first block listens.
func webhook(t *testing.T) string {
	t.Helper()
	addr := ""
	doors.Each(func(a string) { addr = a })
	if addr == "" {
		t.Fatal("there is no webhook")
	}
	return "http://" + addr
}

func decode[T any](t *testing.T, resp *http.Response, err error) (int, T) {
	t.Helper()
	var v T
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(resp.Body).Decode(&v); err != nil {
			t.Fatal(err)
		}
	}
	return resp.StatusCode, v
}
