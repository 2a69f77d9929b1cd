package controller_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// TestOracle: the addresses of a service are those that clients of the region are answered
// with when they ask for long enough, no more and no fewer.
func TestOracle(t *testing.T) {
	steers := []string{
		"round-robin", "random", "weighted", "failover", "geo", "sticky", "[geofence: region, weighted]", "[shuffle, limit: 2]",
		"[tier: {min_healthy: 2, spill: 60%}, rotate]", "[tier: {min_healthy: 3, spill: 60%}]", "[tags: [ssd], shuffle]", "[tier, limit: 1]",
		"[first: [[tags: [ssd], weighted], [geofence: {levels: region, strict: true}, shuffle], rotate]]", "[first: [[tags: [ssd], tier], shuffle]]",
	}
	rules := []string{"serve-all", "nodata", "servfail", "last-healthy", "spare"}
	var services []string
	for seed := range rounds(uint64(8)) {
		r := rand.New(rand.NewPCG(seed, 3))
		var b strings.Builder
		b.WriteString("geo: {networks: {10.0.0.0/16: {region: r0}, 10.1.0.0/16: {region: r1}}}\npools:\n  spare: {endpoints: [203.0.113.1, 203.0.113.2]}\n")
		var endpoints []string
		for p := range 4 {
			fmt.Fprintf(&b, "  p%d: {place: {region: r%d}, min_healthy: %d, endpoints: [", p, p%3, 1+r.IntN(2))
			for e := range 3 {
				address := fmt.Sprintf("192.0.2.%d", 10*p+e)
				endpoints = append(endpoints, address)
				fmt.Fprintf(&b, "{address: %s, weight: %d, priority: %d, tags: [%s]}, ", address, []int{0, 50, 100}[r.IntN(3)], r.IntN(2), []string{"ssd", "hdd"}[r.IntN(2)*min(e, 1)])
			}
			b.WriteString("]}\n")
		}
		b.WriteString("zones:\n  gslb.test:\n    nameservers: {ns1.example.net.: []}\n    services:\n")
		services = services[:0]
		divided := map[string]bool{}
		for i := range 16 {
			pools := r.Perm(4)[:1+r.IntN(4)]
			list := make([]string, 0, 4)
			for _, p := range pools {
				list = append(list, fmt.Sprintf("p%d", p))
			}
			if i > 8 && r.IntN(2) == 0 {
				list[0] = fmt.Sprintf("{service: s%d}", r.IntN(4))
			}
			chain := steers[r.IntN(len(steers))]
			divided[fmt.Sprintf("s%d.gslb.test", i)] = strings.Contains(chain, "spill")
			fmt.Fprintf(&b, "      s%d: {pools: [%s], steer: %s, answers: %d, all_down: %s, panic: %s}\n", i, strings.Join(list, ", "),
				chain, r.IntN(3), rules[r.IntN(len(rules))], []string{"0", "0.4"}[r.IntN(2)])
			services = append(services, fmt.Sprintf("s%d.gslb.test", i))
		}
		b.WriteString("controller: {secret: shared-with-edges, zones: [gslb.test]}\n")
		n := start(t, b.String())
		for range r.IntN(60) {
			_ = n.tryOverride(services[r.IntN(len(services))], endpoints[r.IntN(len(endpoints))], r.IntN(4) == 0)
		}
		for at, region := range []string{"r0", "r1"} {
			has := map[string][]string{}
			n.now(region).Records(func(rec api.Record) bool {
				if rec.Type == "A" {
					has[rec.Name] = append([]string{}, rec.IPs...)
					slices.Sort(has[rec.Name])
				}
				return true
			})
			for _, service := range services {
				got, want := has[service], answered(t, n.engine.Snapshot(), service, at)
				if divided[service] { // each tier has as many as are answered, and of those some are told that are not
					want = slices.Compact(slices.Sorted(slices.Values(append(want, got...))))
				}
				if !slices.Equal(got, want) {
					t.Errorf("seed %d, %s in %s: told are %v, answered %v\n%s", seed, service, region, got, want, b.String())
				}
			}
		}
	}
}

// answered is the addresses that clients of a network are given.
func answered(t *testing.T, s *resolve.Snapshot, service string, network int) []string {
	t.Helper()
	seen := map[netip.Addr]bool{}
	c := resolve.NewScratch(5, 6)
	q := dnswire.Query{Transport: dnswire.TCP}
	q.Parse(dnswire.AppendQuery(nil, name(t, service), dnswire.TypeA, netip.Prefix{}))
	for i := range 3000 {
		q.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(network), byte(i), 1}), 53)
		resolve.Answers(s.Append(nil, &q, c), func(_ dnswire.Name, _ dnswire.Type, _ uint32, data []byte) bool {
			a, _ := netip.AddrFromSlice(data)
			seen[a] = true
			return true
		})
	}
	var out []string
	for a := range seen {
		out = append(out, a.String())
	}
	slices.Sort(out)
	return out
}
