package gslb

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/rig"
)

// TestWildcard has a wildcard beside a zone file: it is for names that the file does not
// have, whatever their types (RFC 4592), and its answers are counted.
func TestWildcard(t *testing.T) {
	dir := t.TempDir()
	text := fmt.Sprintf("example.net:0 {\n bind 127.0.0.1\n gslb {\n  zone example.net. %s\n }\n", put(t, dir, "db.yml", `
records:
  "*.example.net.": {backends: [{address: 192.0.2.1}, {address: "2001:db8::1"}]}
  web.example.net.: {backends: [{address: 192.0.2.2}]}
`))
	file := " file " + put(t, dir, "db", `$ORIGIN example.net.
@ 3600 SOA ns1.example.org. admin 7 7200 3600 1209600 3600
@ 3600 NS ns1.example.org.
static 60 A 203.0.113.2
away 60 NS ns1.example.org.
`) + "\n"
	counted := func() [3]float64 {
		return [3]float64{
			rig.Metric(t, "gslb_record_resolution_total", "name=*.example.net."),
			rig.Metric(t, "gslb_backend_selected_total", "name=*.example.net.", "address=192.0.2.1"),
			rig.Metric(t, "gslb_backend_selected_total", "name=*.example.net.", "address=2001:db8::1"),
		}
	}
	for _, beside := range []string{"", file} {
		i := rig.Start(t, text+beside+"}\n")
		before := counted()
		for _, q := range []struct {
			name        string
			typ         uint16
			alone, with string // with the file beside
		}{
			{"any.example.net.", dns.TypeA, "NOERROR A/30/192.0.2.1", ""},
			{"any.other.example.net.", dns.TypeAAAA, "NOERROR AAAA/30/2001:db8::1", ""},
			{"any.example.net.", dns.TypeMX, "NOERROR +SOA", ""},
			{"web.example.net.", dns.TypeAAAA, "NOERROR +SOA", ""},
			{"below.web.example.net.", dns.TypeA, "NXDOMAIN +SOA", ""},
			{"static.example.net.", dns.TypeA, "NOERROR A/30/192.0.2.1", "NOERROR A/60/203.0.113.2 +NS"},
			{"static.example.net.", dns.TypeAAAA, "NOERROR AAAA/30/2001:db8::1", "NOERROR +SOA"},
			{"host.away.example.net.", dns.TypeA, "NOERROR A/30/192.0.2.1", "NOERROR +NS not authoritative"},
		} {
			want := q.alone
			if beside != "" && q.with != "" {
				want = q.with
			}
			if s := rig.Short(i.Ask(q.name, q.typ)); s != want {
				t.Errorf("%s %s: %s, want %s", q.name, dns.TypeToString[q.typ], s, want)
			}
		}
		if txt := i.Ask("static.example.net.", dns.TypeTXT); (len(txt.Answer) == 2) != (beside == "") {
			t.Errorf("TXT: %v", txt.Answer)
		}
		got, want := counted(), [3]float64{6, 3, 2} // of A, AAAA and TXT
		if beside != "" {
			want = [3]float64{2, 1, 1}
		}
		for k := range got {
			got[k] -= before[k]
		}
		if got != want {
			t.Errorf("counted are %v, want %v", got, want)
		}
		i.Stop()
	}
}

// TestWildcardBesideAlias has a wildcard beside a zone file with an alias below it: the alias
// is there, be its target or not.
func TestWildcardBesideAlias(t *testing.T) {
	dir := t.TempDir()
	i := rig.Start(t, fmt.Sprintf("example.net:0 {\n bind 127.0.0.1\n gslb {\n  zone example.net. %s\n }\n file %s\n}\n",
		put(t, dir, "db.yml", "records:\n  \"*.web.example.net.\": {backends: [{address: 192.0.2.1}]}\n"),
		put(t, dir, "db", `$ORIGIN example.net.
@ 3600 SOA ns1.example.org. admin 7 7200 3600 1209600 3600
@ 3600 NS ns1.example.org.
static 60 A 203.0.113.2
here.web 60 CNAME static
gone.web 60 CNAME nowhere
`)))
	for name, want := range map[string]string{
		"any.web.example.net.":  "NOERROR A/30/192.0.2.1",
		"here.web.example.net.": "NOERROR CNAME/60/static.example.net. A/60/203.0.113.2 +NS",
		"gone.web.example.net.": "NXDOMAIN CNAME/60/nowhere.example.net.",
	} {
		if s := rig.Short(i.Ask(name, dns.TypeA)); !strings.HasPrefix(s, want) {
			t.Errorf("%s: %s, want %s", name, s, want)
		}
	}
}
