package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/resolve"
)

// TestFarGlue has a delegation with so many name servers that pointers reach
// neither the last of their names nor their addresses: each has its address all
// the same (RFC 9471 section 3).
func TestFarGlue(t *testing.T) {
	const servers = 700
	var b strings.Builder
	b.WriteString("zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    records:\n")
	for i := range servers {
		fmt.Fprintf(&b, "      - sub NS server%d.sub\n      - server%d.sub A 10.0.%d.%d\n      - server%d.sub A 10.1.%d.%d\n", i, i, i/250, i%250, i, i/250, i%250)
	}
	s := compile(t, b.String())
	q := asked(t, []string{"www.sub.x.test", "A", "tcp"})
	out := s.Append(nil, q, resolve.NewScratch(1, 2))
	m := sound(t, q, out)
	if len(m.Ns) != servers || len(m.Extra) != 2*servers || m.Truncated {
		t.Fatalf("%d name servers, %d addresses, TC %t", len(m.Ns), len(m.Extra), m.Truncated)
	}
	if len(out) < 40_000 {
		t.Fatalf("only %d octets", len(out))
	}
	for i, rr := range m.Extra {
		if want := fmt.Sprintf("server%d.sub.x.test. 3600 IN A 10.%d.%d.%d", i/2, i%2, i/2/250, i/2%250); strings.Join(strings.Fields(rr.String()), " ") != want {
			t.Fatalf("record %d is %s, want %s", i, rr, want)
		}
	}
}

// TestTargetsOnce: names that several records lead to have their addresses once,
// whatever their case, and others of the same length have their own.
func TestTargetsOnce(t *testing.T) {
	s := compile(t, `
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    records: ["m MX 1 Aa", "m MX 2 aA", "m MX 3 ab", "m MX 4 ab.x.test.", "m MX 5 ba", "aa A 192.0.2.1", "ab A 192.0.2.2", "ba A 192.0.2.3", "ba AAAA 2001:db8::3"]
`)
	q := asked(t, []string{"m.x.test", "MX"})
	m := sound(t, q, s.Append(nil, q, resolve.NewScratch(1, 2)))
	got := ""
	for _, rr := range m.Extra {
		got += strings.ToLower(strings.Join(strings.Fields(rr.String()), " ")) + "\n"
	}
	const want = "aa.x.test. 3600 in a 192.0.2.1\nab.x.test. 3600 in a 192.0.2.2\nba.x.test. 3600 in a 192.0.2.3\nba.x.test. 3600 in aaaa 2001:db8::3\n"
	if got != want || len(m.Answer) != 5 {
		t.Errorf("%d records, and:\n%s", len(m.Answer), got)
	}
}
