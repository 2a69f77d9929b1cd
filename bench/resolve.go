package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	zones "github.com/rhumb-dns/rhumb/table"
)

// benchResolve measures one answer, without sockets.
func benchResolve(_ context.Context, s *settings) ([]table, error) {
	out := table{
		Title: "resolve.Append: one answer of one record, without sockets",
		Notes: []string{"With a client subnet: of a random network of all of IPv4 for each query, the endpoints in 8 places, with the country database that is built in. The budgets are 250 ns for weighted over 8, and 600 ns for 256 by place."},
		Head:  []string{"steering", "endpoints", "ns", "allocations"},
	}
	world, err := viewOf(geo.Config{})
	if err != nil {
		return nil, err
	}
	for _, c := range []struct {
		steer  string
		sizes  []int
		placed bool
	}{
		{"weighted", []int{1, 8, 256}, false},
		{"round-robin", []int{1, 8, 256}, false},
		{"failover", []int{1, 8, 256}, false},
		{"sticky", []int{8, 256}, false},
		{"geo", []int{8, 256}, true},
		{"[geofence: country, nearest, weighted]", []int{8, 256}, true},
		{"sticky", []int{8, 256}, true},
	} {
		if s.quick && c.steer != "weighted" && !c.placed {
			continue
		}
		for _, n := range c.sizes {
			if s.quick && n != 8 {
				continue
			}
			name, text := c.steer, pool(n, c.steer, 1)
			if c.placed {
				name, text = strings.Trim(name, "[]")+", with a client subnet", placedPools(n, c.steer)
			}
			r, err := appended(text, world, c.placed)
			if err != nil {
				return nil, err
			}
			out.Rows = append(out.Rows, []string{name, fmt.Sprint(n), fmt.Sprintf("%.0f", float64(r.T.Nanoseconds())/float64(r.N)), fmt.Sprint(r.AllocsPerOp())})
		}
	}
	return []table{out}, nil
}

// appended measures the answers of the first service of a configuration.
func appended(text string, world *geo.View, placed bool) (testing.BenchmarkResult, error) {
	view, err := snapshot(text)
	if err != nil {
		return testing.BenchmarkResult{}, err
	}
	view.Geo = world
	view.Settle(nil)
	name, err := dnswire.ParseName(serviceName(0))
	if err != nil {
		return testing.BenchmarkResult{}, err
	}
	subnet := netip.Prefix{}
	if placed {
		subnet = netip.MustParsePrefix("10.0.0.0/24")
	}
	c := resolve.NewScratch(1, 2)
	buf := make([]byte, 0, 4096)
	var q dnswire.Query
	q.Parse(dnswire.AppendQuery(nil, name, dnswire.TypeA, subnet))
	q.Client = netip.MustParseAddrPort("192.0.2.1:53")
	random := rand.NewPCG(1, 2)
	return testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if placed {
				binary.BigEndian.PutUint32(q.ECS.Addr[:], uint32(random.Uint64())&^0xff)
			}
			buf = view.Append(buf[:0], &q, c)
		}
	}), nil
}

// placedPools is a service of so many endpoints in the places of sites.
func placedPools(endpoints int, steer string) string {
	var b strings.Builder
	b.WriteString("pools:\n")
	for i, country := range sites {
		fmt.Fprintf(&b, "  p%d: {place: {country: %s}, endpoints: [%s]}\n", i, country, joined(endpoints/len(sites), ", ", func(k int) string { return endpoint(i, k) }))
	}
	fmt.Fprintf(&b, "zones:\n  %s:\n    nameservers: {ns1: 127.0.0.1}\n    services:\n      n%0*d: {pools: [%s], steer: %s}\n", zoneName, digits, 0, siteNames(), steer)
	return b.String()
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
