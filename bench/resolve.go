package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	zones "github.com/rhumb-dns/rhumb/table"
)

// benchResolve measures one answer, without sockets.
func benchResolve(_ context.Context, s *settings) ([]table, error) {
	out := table{Title: "resolve.Append: one answer of one record, without sockets", Head: []string{"steering", "endpoints", "ns", "allocations"}}
	steerings, sizes := []string{"weighted", "round-robin", "failover"}, []int{1, 8, 256}
	if s.quick {
		steerings, sizes = steerings[:1], sizes[1:2]
	}
	for _, steer := range steerings {
		for _, n := range sizes {
			view, err := snapshot(pool(n, steer, 1))
			if err != nil {
				return nil, err
			}
			name, err := dnswire.ParseName(serviceName(0))
			if err != nil {
				return nil, err
			}
			pkt := dnswire.AppendQuery(nil, name, dnswire.TypeA, netip.Prefix{})
			c := resolve.NewScratch(1, 2)
			buf := make([]byte, 0, 4096)
			var q dnswire.Query
			q.Parse(pkt)
			r := testing.Benchmark(func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					buf = view.Append(buf[:0], &q, c)
				}
			})
			out.Rows = append(out.Rows, []string{steer, fmt.Sprint(n), fmt.Sprintf("%.0f", float64(r.T.Nanoseconds())/float64(r.N)), fmt.Sprint(r.AllocsPerOp())})
		}
	}
	return []table{out}, nil
}

// pool is a configuration of services that share one pool.
func pool(endpoints int, steer string, services int) string {
	var b strings.Builder
	b.WriteString("pools:\n  p:\n    endpoints:\n")
	for i := range endpoints {
		fmt.Fprintf(&b, "      - {address: 10.1.%d.%d, weight: %d}\n", i/250, i%250+1, 50+i%100)
	}
	fmt.Fprintf(&b, "zones:\n  %s:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n", zoneName)
	for i := range services {
		fmt.Fprintf(&b, "      n%07d: {pools: [p], steer: %s}\n", i, steer)
	}
	return b.String()
}

func snapshot(text string) (*resolve.Snapshot, error) {
	s, err := spec.Parse("bench.yaml", []byte(text))
	if err != nil {
		return nil, err
	}
	t, err := zones.Compile(nil, s)
	if err != nil {
		return nil, err
	}
	return &resolve.Snapshot{Table: t, Health: health.Fixed(len(t.Targets), nil)}, nil
}
