package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// pools is a service www.x.test of n endpoints.
func pools(n int, steer string) string {
	var b strings.Builder
	b.WriteString("pools:\n  p:\n    endpoints:\n")
	for i := range n {
		fmt.Fprintf(&b, "      - {address: 10.0.%d.%d, weight: %d}\n", i/250, i%250+1, 50+i)
	}
	fmt.Fprintf(&b, "zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n      www: {pools: [p], steer: %s}\n", steer)
	return b.String()
}

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{1, 8, 256} {
		for _, steer := range []string{"weighted", "round-robin", "failover", "random"} {
			b.Run(fmt.Sprintf("%s-%d", steer, n), func(b *testing.B) {
				s := compile(b, pools(n, steer))
				pkt := query(b, "www.x.test", dns.TypeA, edns(1232))
				var q dnswire.Query
				q.Parse(pkt)
				c := resolve.NewScratch(1, 2)
				buf := make([]byte, 0, 4096)
				b.ReportAllocs()
				for b.Loop() {
					buf = s.Append(buf[:0], &q, c)
				}
			})
		}
	}
	b.Run("nxdomain", func(b *testing.B) {
		s := compile(b, pools(1, "weighted"))
		pkt := query(b, "nope.x.test", dns.TypeA, edns(1232))
		var q dnswire.Query
		q.Parse(pkt)
		c := resolve.NewScratch(1, 2)
		buf := make([]byte, 0, 4096)
		b.ReportAllocs()
		for b.Loop() {
			buf = s.Append(buf[:0], &q, c)
		}
	})
}

// BenchmarkAppendStatic are answers from static records.
func BenchmarkAppendStatic(b *testing.B) {
	for _, c := range []struct{ name, question string }{
		{"a", "www.s.test A edns"},
		{"wildcard", "any.wild.s.test A edns"},
		{"nxdomain", "nope.s.test A edns"},
		{"referral", "www.sub.s.test A edns"},
		{"cname", "c2.s.test A edns"},
		{"dname", "www.d.s.test A edns"},
		{"mx", "mail.s.test MX edns"},
		{"srv-100", "_x._tcp.s.test SRV edns tcp"},
	} {
		b.Run(c.name, func(b *testing.B) {
			s := compile(b, statics)
			q := asked(b, strings.Fields(c.question))
			scratch := resolve.NewScratch(1, 2)
			buf := make([]byte, 0, dnswire.MaxTCP)
			b.ReportAllocs()
			for b.Loop() {
				buf = s.Append(buf[:0], q, scratch)
			}
		})
	}
}

// statics is a zone of static records for the above.
var statics = `
zones:
  s.test:
    nameservers: {ns1: [192.0.2.53, "2001:db8::53"]}
    records:
      - www A 192.0.2.1
      - "*.wild A 192.0.2.1"
      - sub NS ns1.sub
      - sub NS ns2.sub
      - ns1.sub A 192.0.2.1
      - ns2.sub AAAA 2001:db8::2
      - c2 CNAME c1
      - c1 CNAME www
      - d DNAME e
      - www.e A 192.0.2.1
      - mail MX 10 m1
      - mail MX 20 m2
      - m1 A 192.0.2.1
      - m2 A 192.0.2.2
` + srvs(100)

// srvs are SRV records with as many targets, each with two addresses.
func srvs(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "      - _x._tcp SRV 1 1 1 target%d\n      - target%d A 10.0.0.%d\n      - target%d AAAA 2001:db8::%d\n", i, i, i, i, i)
	}
	return b.String()
}
