package resolve_test

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// nestedZone is a configuration of pools p0, p1, ... with so many endpoints each,
// 192.0.P.1 and on, and of services.
func nestedZone(sizes []int, services ...string) string {
	var b strings.Builder
	b.WriteString("pools:\n")
	for p, n := range sizes {
		fmt.Fprintf(&b, "  p%d: {endpoints: [", p)
		for i := range n {
			fmt.Fprintf(&b, "192.0.%d.%d, ", p, i+1)
		}
		b.WriteString("]}\n")
	}
	b.WriteString("zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n")
	for _, s := range services {
		b.WriteString("      " + s + "\n")
	}
	return b.String()
}

// tally counts the answers to A of a service by what they are, in order.
func tally(t testing.TB, s *resolve.Snapshot, name string, answers int) map[string]int {
	t.Helper()
	c := resolve.NewScratch(1, 2)
	q := parsed(query(t, name, dns.TypeA), dnswire.UDP)
	counts := map[string]int{}
	var buf []byte
	for range answers {
		buf = s.Append(buf[:0], q, c)
		var m dns.Msg
		if err := m.Unpack(buf); err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, rr := range m.Answer {
			all = append(all, rr.(*dns.A).A.String())
		}
		counts[strings.Join(all, " ")]++
	}
	return counts
}

// even is whether so many different things were counted, each as often as any
// other.
func even(counts map[string]int, kinds int) bool {
	all := slices.Collect(maps.Values(counts))
	return len(all) == kinds && slices.Min(all) == slices.Max(all)
}

// TestNestedTurns has rotations in rotations: however many endpoints there are
// inside and outside, each place of the outer list has its turn as often as any
// other, and at it each endpoint that takes turns inside.
func TestNestedTurns(t *testing.T) {
	if raced {
		t.Skip("one goroutine counts its answers")
	}
	for n := 1; n <= 4; n++ {
		for m := 1; m <= 4; m++ {
			for k := 1; k <= 5; k++ {
				s := compile(t, nestedZone([]int{n, m, k},
					"a: {pools: [p0]}", "b: {pools: [p1]}",
					"two: {pools: [{service: a}, {service: b}]}",
					"plain: {pools: [{service: a}, p2]}",
					"deep: {pools: [{service: two}, p2]}",
					"tiers: {pools: [{service: a}, {service: b}], steer: failover}"))
				round := 2 * 12 * 6 * 12 // a multiple of all that there is below
				counts := tally(t, s, "two.x.test", round)
				for p, size := range []int{n, m} {
					for i := range size {
						if got := counts[fmt.Sprintf("192.0.%d.%d", p, i+1)]; got != round/2/size {
							t.Errorf("two of %d and %d: %v", n, m, counts)
						}
					}
				}
				round = (1 + k) * 12
				counts = tally(t, s, "plain.x.test", round)
				for i := range n {
					if got := counts[fmt.Sprintf("192.0.0.%d", i+1)]; got != 12/n {
						t.Errorf("plain of %d and %d: %v", n, k, counts)
					}
				}
				for i := range k {
					if got := counts[fmt.Sprintf("192.0.2.%d", i+1)]; got != 12 {
						t.Errorf("plain of %d and %d: %v", n, k, counts)
					}
				}
				round = (1 + k) * 2 * 12
				counts = tally(t, s, "deep.x.test", round)
				for p, size := range []int{n, m} {
					for i := range size {
						if got := counts[fmt.Sprintf("192.0.%d.%d", p, i+1)]; got != 12/size {
							t.Errorf("deep of %d, %d and %d: %v", n, m, k, counts)
						}
					}
				}
				// Where one alone takes turns outside, each answer has the next one inside.
				c := resolve.NewScratch(1, 2)
				for i := range 2 * n {
					got, _ := askFor(t, &resolve.Snapshot{Table: s.Table, Health: s.Health}, c, "tiers.x.test", dns.TypeA, whole4)
					if want := fmt.Sprintf("[192.0.0.%d]0", i%n+1); strings.ReplaceAll(got, " ", "") != want {
						t.Errorf("answer %d of %d in turn is %s", i, n, got)
					}
				}
			}
		}
	}
}

// TestNestedCombinations has all orders of an outer rotation with all those inside.
func TestNestedCombinations(t *testing.T) {
	s := compile(t, nestedZone([]int{2, 3, 1},
		"a: {pools: [p0], answers: 0}",
		"out: {pools: [{service: a}, {service: b}, p2], answers: 0}", "b: {pools: [p1]}"))
	// Four places outside; two orders of a and three choices of b inside.
	if counts := tally(t, s, "out.x.test", 4*6*5); !even(counts, 4*6) {
		t.Errorf("%d orders: %v", len(counts), counts)
	}
}

// TestNestedShares is weighted steering in weighted steering, with endpoints that
// are to have less than their share: an endpoint has the traffic that would be
// its, times its share, of what all have in that way.
func TestNestedShares(t *testing.T) {
	if raced {
		t.Skip("one goroutine counts its answers")
	}
	const answers = 60_000
	config := func(inner, outer string) string {
		return fmt.Sprintf(`
pools:
  a: {endpoints: [{address: 192.0.2.1, weight: 300}, {address: 192.0.2.2, weight: 100}]}
  b: {endpoints: [{address: 192.0.2.3, weight: 200}]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in: {pools: [a], %s}
      out: {pools: [{service: in}, b], steer: %s}
      only: {pools: [{service: in}], steer: %s}
`[1:], inner, outer, outer)
	}
	for _, c := range []struct {
		inner, outer string
		shares       []uint16 // of 192.0.2.1 and 192.0.2.2, of 1024
		out, only    []float64
	}{
		// Inside 3 of 4 are .1, which has a weight of 300 outside as well.
		{"steer: weighted", "weighted", []uint16{1024, 1024}, []float64{.75 * .6, .25 / 3, .75*.4 + .25*2/3}, []float64{.75, .25}},
		{"steer: weighted", "random", []uint16{1024, 1024}, []float64{.375, .125, .5}, []float64{.75, .25}},
		// All of it is slow: half of what it had, when somebody else is there.
		{"steer: weighted", "random", []uint16{512, 512}, []float64{.75 / 3, .25 / 3, 2. / 3}, []float64{.75, .25}},
		{"steer: weighted", "random", []uint16{256, 1024}, []float64{.375 * .25 / .71875, .125 / .71875, .5 / .71875}, []float64{.75 * .25 / .4375, .25 / .4375}},
		{"steer: random", "random", []uint16{256, 1024}, []float64{.0625 / .8125, .25 / .8125, .5 / .8125}, []float64{.2, .8}},
		{"steer: random, answers: 0", "random", []uint16{256, 1024}, []float64{.25 / 2.25, 1 / 2.25, 1 / 2.25}, []float64{.2, .8}},
		{"steer: [tier]", "random", []uint16{1, 1024}, []float64{0, 1. / 3, 2. / 3}, []float64{0, 1}},
		{"steer: weighted, answers: 0", "weighted", []uint16{256, 1024}, []float64{75. / 375, 100. / 375, 200. / 375}, []float64{75. / 175, 100. / 175}},
	} {
		s := compile(t, config(c.inner, c.outer))
		shares := map[int]uint16{}
		for i := range s.Table.Targets {
			switch s.Table.Targets[i].String() {
			case "192.0.2.1":
				shares[i] = c.shares[0]
			case "192.0.2.2":
				shares[i] = c.shares[1]
			}
		}
		s.Health = s.Health.With(health.Figures{Shares: map[dnswire.Name]map[int]uint16{wire(t, "in.x.test"): shares}})
		for name, want := range map[string][]float64{"out.x.test": c.out, "only.x.test": c.only} {
			counts := tally(t, s, name, answers)
			chi, free := 0.0, -1
			for i, p := range want {
				got := float64(counts[fmt.Sprintf("192.0.2.%d", i+1)])
				if p == 0 {
					if got > answers/500 {
						t.Errorf("%s %s, %s, %v: %v", c.inner, c.outer, name, c.shares, counts)
					}
					continue
				}
				free++
				chi += (got - p*answers) * (got - p*answers) / (p * answers)
			}
			// Six standard deviations, and what shares of 1/1024 round away.
			if most := float64(free) + 6*math.Sqrt(2*float64(max(free, 1))) + 4; chi > most {
				t.Errorf("%s in %s, %s, shares %v: %v, want %v of %d (chi-square %.1f)", c.inner, c.outer, name, c.shares, counts, want, answers, chi)
			}
		}
	}
}

func wire(t testing.TB, name string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestNestedLastHealthy: the last that were up are looked for in all that there
// is, without what an operator has forced down for the service that it is of.
func TestNestedLastHealthy(t *testing.T) {
	s := compile(t, nestedZone([]int{2, 2}, "in: {pools: [p0], steer: [tier], answers: 0}",
		"out: {pools: [{service: in}, p1], steer: [tier], answers: 0, all_down: last-healthy}"))
	began := time.Unix(1_700_000_000, 0)
	st := states{}
	for a, up := range map[string]int{"192.0.0.1": 100, "192.0.0.2": 300, "192.0.1.1": 200, "192.0.1.2": 0} {
		st[a] = health.Detail{State: health.Down, LastUp: began.Add(time.Duration(up) * time.Second)}
	}
	s.Health = st.view(s.Table)
	if counts := tally(t, s, "out.x.test", 1); counts["192.0.0.2"] != 1 {
		t.Errorf("%v", counts)
	}
	for i := range s.Table.Targets {
		if s.Table.Targets[i].String() == "192.0.0.2" {
			s.Health = s.Health.With(health.Figures{Words: map[dnswire.Name]map[int]health.State{wire(t, "in.x.test"): {i: health.Down}}})
		}
	}
	if counts := tally(t, s, "out.x.test", 1); counts["192.0.1.1"] != 1 {
		t.Errorf("%v", counts)
	}
}

// TestNestedReserve has an all_down pool of the nested service serve: it is not
// counted, and an HTTPS record looks for endpoints of its own first.
func TestNestedReserve(t *testing.T) {
	s := compile(t, `
pools:
  a: {endpoints: [192.0.2.1, "2001:db8::1"]}
  r: {endpoints: [203.0.113.1, "2001:db8::9"]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in: {pools: [a], all_down: r}
      out: {pools: [{service: in}], https: {alpn: [h2]}}
`[1:], "192.0.2.1")
	hints := func() string {
		q := parsed(query(t, "out.x.test", dns.TypeHTTPS), dnswire.UDP)
		m := sound(t, q, s.Append(nil, q, resolve.NewScratch(1, 2)))
		return strings.Join(strings.Fields(m.Answer[0].String())[4:], " ")
	}
	if got, want := hints(), `1 . alpn="h2" ipv6hint="2001:db8::1"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	s.Health = states{"192.0.2.1": {State: health.Down}, "2001:db8::1": {State: health.Down}}.view(s.Table)
	if got, want := hints(), `1 . alpn="h2" ipv4hint="203.0.113.1" ipv6hint="2001:db8::9"`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestNestedTrace: an explanation names what chooses first, and by which chain.
func TestNestedTrace(t *testing.T) {
	s := compile(t, `
pools:
  a: {endpoints: [192.0.2.1, {address: 192.0.2.2, priority: 1}]}
  b: {endpoints: [192.0.2.3]}
  ab: {pools: [a, b], steer: [tier, limit: 2], answers: 0}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in: {pools: [ab], steer: [shuffle, limit: 1], all_down: serve-all}
      out: {pools: [{service: in}, b], steer: failover}
`[1:])
	said := func() string {
		var b strings.Builder
		for _, step := range s.Explain(asked(t, []string{"out.x.test", "A", "edns"}), 1, 2).Steps {
			fmt.Fprintf(&b, "%s: %s %v\n", step.What, step.Why, step.Kept)
		}
		return b.String()
	}
	for _, want := range [][]string{
		{"nested: the service in.x.test. chooses first", "nested: the pool ab chooses first", "tier: ", "[192.0.2.1]", "limit: 2", "shuffle: ", "limit: 1", "rotate: "},
		{"nested: the service in.x.test. chooses first", "nested: the pool ab chooses first", "all_down: nothing healthy is left: the rule is serve-all", "all_down: endpoints whatever their health", "shuffle: ", "limit: 1", "rotate: "},
	} {
		text := said()
		at := 0
		for _, w := range want {
			i := strings.Index(text[at:], w)
			if i < 0 {
				t.Fatalf("%q is not said, or too early:\n%s", w, text)
			}
			at += i
		}
		s.Health = states{"192.0.2.1": {State: health.Down}, "192.0.2.2": {State: health.Down}, "192.0.2.3": {State: health.Down}}.view(s.Table)
	}
}
