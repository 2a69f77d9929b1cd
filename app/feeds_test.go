package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/edge"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/zone"
)

const deciding = `pools:
  eu: {place: {region: eu-west}, endpoints: [192.0.2.10, 192.0.2.11, "2001:db8::10"]}
  us: {place: {region: us-east}, endpoints: [198.51.100.10]}
zones:
  gslb.test:
    nameservers: {ns1: 192.0.2.53}
    records: ["static 60 A 192.0.2.80"]
    services:
      www: {pools: [eu, us], steer: [geofence: region, rotate], ttl: 20}
      only: {pools: [us]}
controller:
  secret: shared-with-edges
  zones: [gslb.test]
  failover: {only.gslb.test: only.backup.test}
`

// answering is the configuration of an edge of a controller.
func answering(url, more string) string {
	return fmt.Sprintf(`zones:
  gslb.test:
    nameservers: {ns9: 192.0.2.99}
sources:
  - controller: {endpoint: %s, secret: shared-with-edges, zone: gslb.test, regions: [eu-west]}
%s`, url, more)
}

// comes asks for addresses after each change of the node's snapshot, until the whole answer
// is what is wanted.
func (n *node) comes(name, want string) {
	n.t.Helper()
	for late := time.After(patience); ; {
		_, changed := n.Engine().Follow()
		got := answer(n.ask(name, dns.TypeA))
		if got == want {
			return
		}
		select {
		case <-changed:
		case <-late:
			n.t.Fatalf("%s: still %q, want %q\n%s", name, got, want, n.log)
		}
	}
}

// answer is the code of an answer, and its addresses and aliases in order.
func answer(r *dns.Msg) string {
	var all []string
	for _, rr := range r.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			all = append(all, rr.A.String())
		case *dns.AAAA:
			all = append(all, rr.AAAA.String())
		case *dns.CNAME:
			all = append(all, rr.Target)
		}
	}
	slices.Sort(all)
	return dns.RcodeToString[r.Rcode] + " " + strings.Join(all, " ")
}

func (n *node) take(service, endpoint string) {
	n.t.Helper()
	if err := n.Engine().Override(health.Overriding{Service: service, Endpoint: endpoint, Source: "test", Since: time.Now()}); err != nil {
		n.t.Fatal(err)
	}
}

// TestEdge: a node answers with what another one decides, follows it as it changes, and
// goes on while it is away, over a restart as well.
func TestEdge(t *testing.T) {
	decides := startText(t, deciding)
	url := "http://" + decides.AdminAddr().String()
	dir := t.TempDir()
	config := filepath.Join(dir, "edge.yaml")
	write(t, config, header+answering(url, "node: {data_dir: "+filepath.Join(dir, "data")+"}\n"))
	edge := start(t, config)
	edge.comes("www.gslb.test", "NOERROR 192.0.2.10 192.0.2.11")
	for _, c := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"www.gslb.test", dns.TypeAAAA, "NOERROR 2001:db8::10"},
		{"only.gslb.test", dns.TypeA, "NOERROR 198.51.100.10"},
		{"only.gslb.test", dns.TypeAAAA, "NOERROR "},
		{"static.gslb.test", dns.TypeA, "NOERROR 192.0.2.80"},
		{"ns9.gslb.test", dns.TypeA, "NOERROR 192.0.2.99"},
		{"none.gslb.test", dns.TypeA, "NXDOMAIN "},
	} {
		r := edge.ask(c.name, c.typ)
		if got := answer(r); got != c.want || !r.Authoritative {
			t.Errorf("%s %s: %q, want %q", c.name, dns.TypeToString[c.typ], got, c.want)
		}
	}

	decides.take("www.gslb.test", "192.0.2.10")
	edge.comes("www.gslb.test", "NOERROR 192.0.2.11")
	decides.take("only.gslb.test", "198.51.100.10")
	edge.comes("only.gslb.test", "NOERROR only.backup.test.")
	if got := answer(edge.ask("only.gslb.test", dns.TypeAAAA)); got != "NOERROR only.backup.test." {
		t.Errorf("AAAA of what is taken out is %q", got)
	}

	// The one that decides dies.
	if err := decides.stop(); err != nil {
		t.Fatal(err)
	}
	edge.comes("www.gslb.test", "NOERROR 192.0.2.11")
	if err := edge.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	edge.comes("www.gslb.test", "NOERROR 192.0.2.11")
	if err := edge.stop(); err != nil {
		t.Fatal(err)
	}
	again := start(t, config)
	again.comes("www.gslb.test", "NOERROR 192.0.2.11")
	again.comes("only.gslb.test", "NOERROR only.backup.test.")
}

// TestEdgeReload: another source takes the place of one, and one that is gone leaves a
// zone of which nobody knows what it has.
func TestEdgeReload(t *testing.T) {
	one, two := startText(t, deciding), startText(t, strings.ReplaceAll(deciding, "192.0.2.10", "192.0.2.20"))
	config := filepath.Join(t.TempDir(), "edge.yaml")
	write(t, config, header+answering("http://"+one.AdminAddr().String(), ""))
	edge := start(t, config)
	edge.comes("www.gslb.test", "NOERROR 192.0.2.10 192.0.2.11")
	write(t, config, header+answering("http://"+two.AdminAddr().String(), ""))
	if err := edge.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	edge.comes("www.gslb.test", "NOERROR 192.0.2.11 192.0.2.20")
	one.take("www.gslb.test", "192.0.2.11") // to whom nobody listens any more
	two.take("www.gslb.test", "192.0.2.11")
	edge.comes("www.gslb.test", "NOERROR 192.0.2.20")
	write(t, config, header+"zones: {gslb.test: {nameservers: {ns9: 192.0.2.99}}}\n")
	if err := edge.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	edge.comes("www.gslb.test", "NXDOMAIN ")
}

// TestEdgeAlone: a node starts without its controller, and says of the zone that it does
// not know yet.
func TestEdgeAlone(t *testing.T) {
	none := httptest.NewServer(http.NotFoundHandler())
	defer none.Close()
	edge := startText(t, answering(none.URL, ""))
	edge.comes("www.gslb.test", "SERVFAIL ")
}

// TestEdgePush: an edge that has no stream is told of a change at its webhook, signed, and
// takes it.
func TestEdgePush(t *testing.T) {
	decides := startText(t, deciding)
	// It asks by way of one that knows snapshots alone.
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != api.SnapshotPath {
			http.NotFound(w, r)
			return
		}
		r.URL.Host, r.URL.Scheme = decides.AdminAddr().String(), "http"
		(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.Out.Host = "" }}).ServeHTTP(w, r)
	}))
	defer plain.Close()
	puts := make(chan *zone.Data, 100)
	e, err := edge.New(edge.Options{
		Zone: "\x04gslb\x04test\x00", Endpoints: []string{plain.URL}, Secret: "shared-with-edges", SyncInterval: time.Hour,
		Apex: decides.Engine().Apex("\x04gslb\x04test\x00"),
		Put: func(d *zone.Data) error {
			puts <- d
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	<-e.Tried()
	signed := make(chan bool, 100)
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == api.NotifyPath {
			signed <- r.Header.Get("webhook-signature") != ""
		}
		e.Handler().ServeHTTP(w, r)
	}))
	defer hook.Close()
	write(t, decides.config, header+deciding+"  edges: [{url: \""+hook.URL+"\"}]\n")
	if err := decides.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	decides.take("www.gslb.test", "192.0.2.10")
	end := time.After(patience)
	for {
		select {
		case ok := <-signed:
			if !ok {
				t.Error("a delivery is not signed")
			}
		case <-end:
			t.Fatalf("the edge is not told\n%s", decides.log)
		case has := <-puts:
			n := 0
			has.All(func(owner dnswire.Name, typ dnswire.Type, _ uint32, data [][]byte) bool {
				if owner == "\x03www\x04gslb\x04test\x00" && typ == dnswire.TypeA {
					n = len(data)
				}
				return true
			})
			if n == 2 { // without the one that was taken out
				return
			}
		}
	}
}
