package elchi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	_ "github.com/coredns/coredns/plugin/dnssec"
	_ "github.com/coredns/coredns/plugin/file"
	_ "github.com/coredns/coredns/plugin/forward"
	_ "github.com/coredns/coredns/plugin/ready"
	_ "github.com/coredns/coredns/plugin/reload"
	_ "github.com/coredns/coredns/plugin/root"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/coredns/rig"
)

func TestMain(m *testing.M) {
	rig.Main(m, "root", "reload", "bind", "ready", "prometheus", "errors", "log", "cache", "dnssec", "elchi", "file", "forward", "view")
}

// controller is one that is not ours: it does what the document says, and no more.
type controller struct {
	*httptest.Server
	mu      sync.Mutex
	hash    string
	records string // JSON
	asked   []string
	fails   bool
	shuns   string // the node_ip of those who get nothing
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
	case c.fails, c.shuns != "" && q.Get("node_ip") == c.shuns:
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
