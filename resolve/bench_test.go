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
