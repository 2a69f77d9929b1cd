package resolve_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// sixteen are as many pools of one place each, with n endpoints in all, and a
// service www.x.test of them.
func sixteen(n int, steer string) string {
	countries := strings.Fields("IE DE FR GB US CA MX BR AR ZA NG IN SG JP AU NZ")
	var b strings.Builder
	b.WriteString("checks: {web: {type: tcp, port: 80}}\npools:\n")
	for p, country := range countries {
		fmt.Fprintf(&b, "  p%d:\n    place: {country: %s}\n    soft_limit: 0.5\n    hard_limit: 0.9\n    checks: [web]\n    endpoints:\n", p, country)
		for i := p; i < n; i += len(countries) {
			fmt.Fprintf(&b, "      - {address: 10.0.%d.%d, weight: %d}\n", i/250, i%250+1, 50+i)
		}
		if p >= n {
			fmt.Fprintf(&b, "      - 2001:db8::%d\n", p)
		}
	}
	var names []string
	for p := range min(n, len(countries)) {
		names = append(names, fmt.Sprintf("p%d", p))
	}
	b.WriteString("zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n")
	b.WriteString("      inner: {pools: [p0, p1], steer: weighted}\n")
	fmt.Fprintf(&b, "      www: {pools: [%s], steer: %s}\n", strings.Join(names, ", "), steer)
	return b.String()
}

// BenchmarkAppendSteered are answers by every filter and preset, to clients all
// over the world that their resolver names (ECS), with the built-in database.
func BenchmarkAppendSteered(b *testing.B) {
	world := view(b, geo.Config{})
	for _, c := range []struct{ name, steer string }{
		{"round-robin", "round-robin"},
		{"random", "random"},
		{"weighted", "weighted"},
		{"failover", "failover"},
		{"spill", "[tier: {min_healthy: 75%}, weighted]"},
		{"geo", "geo"},
		{"nearest", "nearest"},
		{"latency", "latency"},
		{"sticky", "sticky"},
		{"shed", "[shed, weighted]"},
		{"schedule", `[schedule: [{pools: [p0], from: "00:00", to: "06:00"}], weighted]`},
		{"fence-nearest-weighted", "[geofence: country, nearest, weighted]"},
		{"fence-sticky", "[geofence: [country, continent], sticky]"},
		{"first", "[first: [[{geofence: {levels: country, strict: true}}, sticky], [nearest, weighted]]]"},
		{"fence-latency", "[geofence: continent, latency, weighted]"},
	} {
		for _, n := range []int{8, 256} {
			b.Run(fmt.Sprintf("%s-%d", c.name, n), func(b *testing.B) {
				s := compile(b, sixteen(n, c.steer))
				benchSteered(b, s, world)
			})
		}
	}
	b.Run("nested", func(b *testing.B) {
		text := strings.Replace(sixteen(256, "failover"), "www: {pools: [", "www: {pools: [{service: inner}, ", 1)
		benchSteered(b, compile(b, text), world)
	})
}

func benchSteered(b *testing.B, s *resolve.Snapshot, world *geo.View) {
	lat, load := make([]uint32, len(s.Table.Targets)), make([]uint32, len(s.Table.Targets))
	for i := range lat {
		lat[i], load[i] = uint32(1000+i*37%500), uint32(i*13%health.LoadUnit)
	}
	s.Health = s.Health.With(health.Figures{Latency: lat, Load: load})
	s.Hours = &resolve.Hours{Open: make([]bool, len(s.Table.Schedules))}
	s.Geo = world
	s.Settle(nil)
	q := parsed(query(b, "www.x.test", dns.TypeA, ecs(netip.MustParsePrefix("10.0.0.0/24"))), dnswire.UDP)
	c := resolve.NewScratch(1, 2)
	buf := make([]byte, 0, 4096)
	r := rand.NewPCG(1, 2)
	b.ReportAllocs()
	for b.Loop() {
		binary.BigEndian.PutUint32(q.ECS.Addr[:], uint32(r.Uint64())&^0xff)
		buf = s.Append(buf[:0], q, c)
	}
}
