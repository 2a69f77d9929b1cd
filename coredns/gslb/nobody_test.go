package gslb

import (
	"fmt"
	"net/http"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestWithoutBackends has the document's example of defaults, whose records have no
// backends, with a zone file beside that does not know them: they are there, and have no
// data. NXDOMAIN would be remembered for the hour that the file says.
func TestWithoutBackends(t *testing.T) {
	dir := t.TempDir()
	i := rig.Start(t, fmt.Sprintf("example.org:0 {\n bind 127.0.0.1\n gslb {\n  zone example.org. %s\n  api_enable\n  api_listen_port 0\n }\n file %s\n}\n",
		put(t, dir, "db.yml", `
defaults:
  owner: admin
  record_ttl: 30
records:
  web1.example.org.:
    mode: failover
  web2.example.org.:
    mode: weighted
    owner: alice
    record_ttl: 60
`), put(t, dir, "db", besides+"web2 60 MX 10 static\n")))
	for _, q := range []struct {
		name string
		typ  uint16
		want string
	}{
		{"web1.example.org.", dns.TypeA, "NOERROR +SOA"},
		{"web2.example.org.", dns.TypeAAAA, "NOERROR +SOA"},
		{"web1.example.org.", dns.TypeTXT, "NOERROR +SOA"},
		{"web1.example.org.", dns.TypeMX, "NOERROR +SOA"},
		{"web2.example.org.", dns.TypeMX, "NOERROR MX/60/10 static.example.org. +NS"},
		{"web3.example.org.", dns.TypeA, "NXDOMAIN +SOA"},
	} {
		if s := rig.Short(i.Ask(q.name, q.typ)); s != q.want {
			t.Errorf("%s %s: %s, want %s", q.name, dns.TypeToString[q.typ], s, q.want)
		}
	}
	c := client{t: t, base: rig.Door(t, doors.Each)}
	want := `[{"record":"web1.example.org.","status":"unhealthy","backends":[]},{"record":"web2.example.org.","status":"unhealthy","backends":[]}]`
	if code, raw := c.do(http.MethodGet, "/api/overview/example.org.", ""); code != http.StatusOK || string(raw) != want {
		t.Errorf("%d %s", code, raw)
	}
	for _, want := range []string{
		"gslb_records_total{} 2", "gslb_backends_total{} 0",
		"gslb_record_health_status{name=web1.example.org.} 0", "gslb_backend_active{name=web1.example.org.} 0",
	} {
		if !slices.Contains(gathered(t), want) {
			t.Errorf("%s is not told", want)
		}
	}
}
