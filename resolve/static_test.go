package resolve_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

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

// TestLongChain has CNAME records with signatures so large that the chain ends
// before names would lie where no pointer reaches them.
func TestLongChain(t *testing.T) {
	const steps = 16
	signature := " 13 3 300 20300101000000 20200101000000 1 x.test. " + base64.StdEncoding.EncodeToString(make([]byte, 1200))
	lines := []string{"@ SOA ns1 h 1 2 3 4 5", "@ NS ns1", "ns1 A 192.0.2.1", "@ RRSIG SOA" + signature}
	for i := range steps {
		lines = append(lines, fmt.Sprintf("c%d CNAME c%d", i, i+1), fmt.Sprintf("c%d RRSIG CNAME%s", i, signature))
	}
	lines = append(lines, fmt.Sprintf("c%d A 192.0.2.2", steps))
	s := compile(t, "zones: {x.test: {records: ['"+strings.Join(lines, "', '")+"']}}")
	for first := range steps {
		q := asked(t, []string{fmt.Sprintf("c%d.x.test", first), "A", "tcp", "do"})
		out := s.Append(nil, q, resolve.NewScratch(1, 2))
		m := sound(t, q, out)
		links := 0
		for i, rr := range m.Answer {
			if want := fmt.Sprintf("c%d.x.test.", first+i/2); rr.Header().Name != want {
				t.Fatalf("record %d of the answer to c%d is of %s", i, first, rr.Header().Name)
			}
			if c, ok := rr.(*dns.CNAME); ok {
				if want := fmt.Sprintf("c%d.x.test.", first+i/2+1); c.Target != want {
					t.Fatalf("c%d leads to %s", first+i/2, c.Target)
				}
				links++
			}
		}
		if want := min(steps-first, 7); links != want { // 8 KiB of 1.25 KiB each
			t.Errorf("from c%d on, %d steps, want %d: %d octets", first, links, want, len(out))
		}
	}
}
