package resolve_test

import (
	"math"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// left is the detail of an endpoint that its checks leave a share of its traffic.
func left(share uint16) health.Detail {
	return health.Detail{State: health.Up, Authority: health.Validation, Share: share, Cause: health.ByCheck, Reason: "degraded"}
}

// TestDegradedShares: what checks leave an endpoint multiplies with its weight, and
// is its weight where nothing else goes by weights.
func TestDegradedShares(t *testing.T) {
	if raced {
		t.Skip("one goroutine counts its answers")
	}
	const answers = 60_000
	for _, c := range []struct {
		steer   string
		weights []int
		want    []float64 // in parts of 1
	}{
		{"weighted", []int{100, 100, 200}, []float64{50. / 275, 25. / 275, 200. / 275}},
		{"random", []int{100, 300, 100}, []float64{.5 / 1.75, .25 / 1.75, 1 / 1.75}}, // whatever the weights
	} {
		s := compile(t, dual(c.steer, c.weights...))
		st := states{
			"192.0.2.1": left(health.Whole / 2), "192.0.2.2": left(health.Whole / 4),
			"2001:db8::1": left(health.Whole / 2), "2001:db8::2": left(health.Whole / 4),
		}
		s.Health = st.view(s.Table)
		counts := ask(t, s, answers)
		for f := range counts {
			for i, want := range c.want {
				if got := float64(counts[f][i+1]) / answers; math.Abs(got-want) > 0.01 {
					t.Errorf("%s: endpoint %d of family %d has %.4f, want %.4f", c.steer, i+1, f, got, want)
				}
			}
		}
	}
}

// What is degraded may stay so: it has no say in the TTL.
func TestDegradedTTL(t *testing.T) {
	s := compile(t, dual("weighted", 100, 100))
	s.Health = states{"192.0.2.1": left(health.Whole / 2)}.view(s.Table)
	q := parsed(query(t, "www.x.test", dns.TypeA), dnswire.UDP)
	m := sound(t, q, s.Append(nil, q, resolve.NewScratch(1, 2)))
	if ttl := m.Answer[0].Header().Ttl; ttl != 30 {
		t.Errorf("TTL %d, want that of the service, 30", ttl)
	}
}

// A decision by place that was made before follows a share that changes while the
// state does not.
func TestDegradedSettles(t *testing.T) {
	where := view(t, geo.Config{Networks: []geo.Network{
		{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Place: geo.Place{Country: "IE"}},
		{Prefix: netip.MustParsePrefix("10.128.0.0/9"), Place: geo.Place{Country: "DE"}},
	}})
	s := compile(t, places)
	s.Geo = where
	s.Settle(nil)
	next := *s
	next.Health = states{"192.0.2.1": left(1)}.view(s.Table)
	next.Settle(s)
	first := func(s *resolve.Snapshot) (n int) {
		c := resolve.NewScratch(1, 2)
		q := parsed(query(t, "geo.x.test", dns.TypeA, ecs(netip.MustParsePrefix("10.1.0.0/16"))), dnswire.UDP)
		for range 1000 {
			m := sound(t, q, s.Append(nil, q, c))
			for _, rr := range m.Answer {
				if rr.(*dns.A).A.String() == "192.0.2.1" {
					n++
				}
			}
		}
		return n
	}
	if n := first(s); n != 1000 {
		t.Errorf("well, it is in %d of 1000 answers", n)
	}
	if n := first(&next); n > 20 {
		t.Errorf("with a share of a thousandth it is in %d of 1000 answers", n)
	}
	well := next
	well.Health = states{}.view(s.Table)
	well.Settle(&next)
	if n := first(&well); n != 1000 {
		t.Errorf("well again, it is in %d of 1000 answers", n)
	}
}
