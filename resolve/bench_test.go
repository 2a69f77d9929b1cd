package resolve_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// compile makes a snapshot of a configuration with the stated addresses down.
func compile(t testing.TB, text string, down ...string) *resolve.Snapshot {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tab, err := table.Compile(nil, s)
	if err != nil {
		t.Fatal(err)
	}
	return &resolve.Snapshot{Table: tab, Health: view(tab, down...)}
}

func view(tab *table.Table, down ...string) *health.View {
	states := map[int]health.Detail{}
	for i := range tab.Targets {
		for _, d := range down {
			if tab.Targets[i].String() == d {
				states[i] = health.Detail{State: health.Down, Authority: health.Validation}
			}
		}
	}
	return health.Fixed(len(tab.Targets), states)
}

// query is a packet as a resolver sends it.
func query(t testing.TB, name string, typ uint16, with ...func(*dns.Msg)) []byte {
	t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), typ)
	for _, f := range with {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func edns(size uint16) func(*dns.Msg) {
	return func(m *dns.Msg) { m.SetEdns0(size, false) }
}

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
