package simulate_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/simulate"
)

func TestShares(t *testing.T) {
	for _, c := range []struct {
		service     string
		what        func(t *testing.T) []simulate.Supposition
		before      [3]float64 // 192.0.2.10, 192.0.2.11, 198.51.100.10
		after       [3]float64
		moved       float64
		unanswered  simulate.Change
		toDown      simulate.Change
		moves, note string
	}{
		{
			service: "www", before: [3]float64{0.2, 0.6, 0.2}, after: [3]float64{0, 0, 1}, moved: 0.8, moves: "eu>us",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Down, "pool=eu")}
			},
		},
		{
			service: "www", before: [3]float64{0.2, 0.6, 0.2}, after: [3]float64{0.5, 0, 0.5}, moved: 0.6, moves: "eu>eu eu>us",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Drain, "endpoint=192.0.2.11")}
			},
		},
		{
			service: "www", before: [3]float64{0.2, 0.6, 0.2}, after: [3]float64{0.5, 0.25, 0.25}, moved: 0.35, moves: "eu>eu eu>us",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{
					suppose(t, simulate.Weight, "endpoint=192.0.2.10=200"), suppose(t, simulate.Weight, "endpoint=192.0.2.11=100"),
				}
			},
		},
		{
			service: "api", before: [3]float64{0.5, 0.5, 0}, after: [3]float64{0, 1, 0}, moved: 0.5, moves: "eu>eu",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Down, "endpoint=192.0.2.10")}
			},
		},
		{
			service: "api", before: [3]float64{0.5, 0.5, 0}, after: [3]float64{0, 0, 1}, moved: 1, moves: "eu>us",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Down, "region=eu-west")}
			},
		},
		{ // each answer has both
			service: "two", before: [3]float64{0.5, 0.5, 0}, after: [3]float64{0, 1, 0}, moved: 0.5, moves: "eu>eu",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Down, "endpoint=192.0.2.10")}
			},
		},
		{ // serve-all
			service: "two", before: [3]float64{0.5, 0.5, 0}, after: [3]float64{0.5, 0.5, 0}, toDown: simulate.Change{After: 1},
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Down, "pool=eu")}
			},
		},
		{
			service: "no", before: [3]float64{0, 0, 1}, moved: 1, unanswered: simulate.Change{After: 1}, moves: "us>",
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Down, "pool=us")}
			},
		},
		{
			service: "www", before: [3]float64{0.2, 0.6, 0.2}, after: [3]float64{0.2, 0.6, 0.2},
			what: func(t *testing.T) []simulate.Supposition {
				return []simulate.Supposition{suppose(t, simulate.Weight, "pool=us=100")} // as it is
			},
		},
	} {
		what := c.what(t)
		t.Run(fmt.Sprint(c.service, " ", what), func(t *testing.T) {
			r := run(t, simulate.Options{
				Before: world(t, two), After: world(t, two, what...), Seed: 7,
				Services: []dnswire.Name{name(t, c.service+".a.test")},
			})
			for i, e := range []string{"192.0.2.10", "192.0.2.11", "198.51.100.10"} {
				pool := "eu"
				if i == 2 {
					pool = "us"
				}
				if c.before[i]+c.after[i] == 0 {
					continue
				}
				if s := share(t, r, pool, e); !near(s.Before, c.before[i]) || !near(s.After, c.after[i]) {
					t.Errorf("%s: %+v, expected %v and %v", e, s, c.before[i], c.after[i])
				}
			}
			if !near(r.Moved, c.moved) || c.moved == 0 && r.Moved != 0 {
				t.Errorf("%v move, expected %v", r.Moved, c.moved)
			}
			if r.Unanswered != c.unanswered || !near(r.ToDown.After, c.toDown.After) || r.ToDown.Before != 0 {
				t.Errorf("unanswered %+v, to endpoints that are down %+v", r.Unanswered, r.ToDown)
			}
			moves, sum := map[string]bool{}, 0.0
			for _, m := range r.Moves {
				moves[m.From+">"+m.To] = true
				sum += m.Share
			}
			if len(moves) != len(strings.Fields(c.moves)) || math.Abs(sum-r.Moved) > 1e-9 {
				t.Errorf("the moves %+v, of %v in all", r.Moves, sum)
			}
			for _, m := range strings.Fields(c.moves) {
				if !moves[m] {
					t.Errorf("no move %s: %+v", m, r.Moves)
				}
			}
			if r.Queries != queries {
				t.Errorf("%d queries", r.Queries)
			}
		})
	}
}

// TestSame holds that a seed decides everything, and another seed nothing but
// chance.
func TestSame(t *testing.T) {
	simulated := func(seed uint64) *simulate.Result {
		m, err := simulate.Population(nil, 1000, seed)
		if err != nil {
			t.Fatal(err)
		}
		return run(t, simulate.Options{Before: world(t, two), Mix: m, Seed: seed})
	}
	a, b, c := simulated(1), simulated(1), simulated(2)
	if !reflect.DeepEqual(a, b) {
		t.Errorf("one seed, two results:\n%+v\n%+v", a, b)
	}
	if reflect.DeepEqual(a, c) {
		t.Error("two seeds gave one result")
	}
}

// TestCompare compares two configurations with other endpoints.
func TestCompare(t *testing.T) {
	other := strings.Replace(two, "endpoints: [198.51.100.10]", "endpoints: [198.51.100.10, 198.51.100.11]", 1)
	r := run(t, simulate.Options{
		Before: world(t, two), After: world(t, other), Services: []dnswire.Name{name(t, "www.a.test")},
	})
	for e, want := range map[string]simulate.Change{
		"198.51.100.10": {Before: 0.2, After: 100. / 600}, "198.51.100.11": {After: 100. / 600},
	} {
		if s := share(t, r, "us", e); !near(s.Before, want.Before) || !near(s.After, want.After) {
			t.Errorf("%s: %+v, expected %+v", e, s, want)
		}
	}
	if !near(r.Moved, 100./600) {
		t.Errorf("%v move", r.Moved)
	}
	// A service that only one of them has.
	other = strings.Replace(two, "      api:", "      new:", 1)
	r = run(t, simulate.Options{Before: world(t, two), After: world(t, other), Services: []dnswire.Name{name(t, "new.a.test")}})
	if r.Unanswered != (simulate.Change{Before: 1}) || r.Moved != 1 {
		t.Errorf("a new service: unanswered %+v, %v move", r.Unanswered, r.Moved)
	}
}

// TestTypes holds what is asked when nothing is said: what services have.
func TestTypes(t *testing.T) {
	const text = `
pools:
  four: {endpoints: [192.0.2.1]}
  six: {endpoints: ["2001:db8::1"]}
  host: {endpoints: [www.example.net]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {four: {pools: [four]}, six: {pools: [six]}, host: {pools: [host]}, "*.wild": {pools: [four]}}}
`
	r := run(t, simulate.Options{Before: world(t, text)})
	if r.Unanswered.Before != 0 || r.Services != 4 || strings.Join(r.Types, " ") != "A AAAA" {
		t.Errorf("%+v", r)
	}
	for pool, want := range map[string]float64{"four": 0.5, "six": 0.25, "host": 0.25} {
		if s := share(t, r, pool, ""); !near(s.Before, want) {
			t.Errorf("%s has %v", pool, s.Before)
		}
	}
	r = run(t, simulate.Options{Before: world(t, text), Types: []dnswire.Type{dnswire.TypeAAAA}, Services: []dnswire.Name{name(t, "four.a.test"), name(t, "six.a.test")}})
	if !near(r.Unanswered.Before, 0.5) || len(r.Reasons) != 1 || r.Reasons[0].Text != "no data" {
		t.Errorf("AAAA of both: %+v", r.Reasons)
	}
}

// TestFlatten holds that host names that become addresses count as endpoints.
func TestFlatten(t *testing.T) {
	const text = `
pools:
  hosts: {endpoints: [a.example.net, {address: b.example.net, weight: 300}, 192.0.2.1]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [hosts], steer: weighted}}}
`
	r := run(t, simulate.Options{Before: world(t, text), Types: []dnswire.Type{dnswire.TypeA}})
	for e, want := range map[string]float64{"a.example.net": 0.2, "b.example.net": 0.6, "192.0.2.1": 0.2} {
		if s := share(t, r, "hosts", e); !near(s.Before, want) {
			t.Errorf("%s: %v, expected %v", e, s.Before, want)
		}
	}
}

// TestNested holds that the endpoints of what is nested count for their own pools.
func TestNested(t *testing.T) {
	const text = `
pools:
  eu: {endpoints: [192.0.2.1, 192.0.2.2]}
  us: {endpoints: [198.51.100.1]}
  asia: {endpoints: [203.0.113.1]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {west: {pools: [eu, us], steer: failover}, www: {pools: [{service: west}, asia], steer: random}}}
`
	r := run(t, simulate.Options{
		Before: world(t, text), After: world(t, text, suppose(t, simulate.Down, "pool=eu")), Services: []dnswire.Name{name(t, "www.a.test")},
	})
	asia, eu, us := share(t, r, "asia", ""), share(t, r, "eu", ""), share(t, r, "us", "")
	if len(r.Pools) != 3 || us.Before != 0 || eu.After != 0 || !near(eu.Before+asia.Before, 1) || !near(us.After+asia.After, 1) {
		t.Errorf("%+v", r.Pools)
	}
}

// TestSupposedOfComposed holds that what is supposed of a composed pool goes for the
// pools in it, and what is supposed of a region for the endpoints that are there.
func TestSupposedOfComposed(t *testing.T) {
	const text = `
pools:
  eu: {place: {region: eu}, endpoints: [192.0.2.1, {address: 192.0.2.2, place: {region: us}}]}
  us: {place: {region: us}, endpoints: [198.51.100.1]}
  all: {pools: [eu, us], steer: weighted}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [all, eu], steer: weighted}}}
`
	r := run(t, simulate.Options{Before: world(t, text), After: world(t, text, suppose(t, simulate.Down, "region=us"))})
	if s := share(t, r, "eu", "192.0.2.1"); s.After != 1 {
		t.Errorf("without the region us %+v", r.Pools)
	}
	heavy := []simulate.Supposition{suppose(t, simulate.Weight, "pool=all=0"), suppose(t, simulate.Weight, "endpoint=192.0.2.2=5")}
	r = run(t, simulate.Options{Before: world(t, text), After: world(t, text, heavy...)})
	if s := share(t, r, "eu", "192.0.2.2"); s.After != 1 {
		t.Errorf("with all of the weight on one %+v", r.Pools)
	}
}

// TestPlaced holds that clients move by where they are, and that those of a sticky
// service move only when they have lost their endpoint.
func TestPlaced(t *testing.T) {
	const text = `
pools:
  eu: {place: {country: IE, continent: EU}, endpoints: [192.0.2.1, 192.0.2.2]}
  us: {place: {country: US, continent: NA}, endpoints: [198.51.100.1, 198.51.100.2, 198.51.100.3]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {fence: {pools: [eu, us], steer: [geofence: continent, weighted]}, pairs: {pools: [eu, us], steer: [geofence: continent, weighted], answers: 2}, sticky: {pools: [eu, us], steer: sticky}}}
`
	v := places(t)
	m, err := simulate.Population(v, 2000, 1)
	if err != nil {
		t.Fatal(err)
	}
	before, after := world(t, text), world(t, text, suppose(t, simulate.Down, "endpoint=192.0.2.1"))
	r := run(t, simulate.Options{Before: before, After: after, Mix: m, Services: []dnswire.Name{name(t, "fence.a.test")}})
	moved := map[string]float64{}
	for _, c := range r.Countries {
		moved[c.Code] = c.Moved / c.Share
	}
	// Of Europe half goes to the other one; of America nobody, though chance decides
	// there too; and of the others, who had one of five, those of one.
	if math.Abs(moved["DE"]-0.5) > 0.05 || moved["US"] != 0 || math.Abs(moved["CN"]-1./5) > 0.05 {
		t.Errorf("DE %v, US %v, CN %v", moved["DE"], moved["US"], moved["CN"])
	}
	// Where one takes fewer random numbers than the other, those of the next client
	// are the same again.
	r = run(t, simulate.Options{Before: before, After: after, Mix: m, Services: []dnswire.Name{name(t, "pairs.a.test")}})
	for _, c := range r.Countries {
		if c.Code == "US" && c.Moved != 0 {
			t.Errorf("%v of the US move", c.Moved)
		}
	}
	r = run(t, simulate.Options{Before: before, After: after, Mix: m, Services: []dnswire.Name{name(t, "sticky.a.test")}})
	if lost := share(t, r, "eu", "192.0.2.1").Before; math.Abs(r.Moved-lost) > 1e-9 || lost < 0.1 || lost > 0.3 {
		t.Errorf("%v move, %v had the endpoint that is gone", r.Moved, lost)
	}
	m, err = simulate.Prefixes("x", strings.NewReader(strings.Join(slash24s("81.2", 50), "\n")), 1)
	if err != nil {
		t.Fatal(err)
	}
	r = run(t, simulate.Options{Before: before, After: after, Mix: m, Services: []dnswire.Name{name(t, "sticky.a.test")}})
	for _, n := range r.Networks {
		if n.Moved != 0 && n.Moved != n.Share {
			t.Errorf("of %s, which always has one endpoint, %v of %v move", n.Prefix, n.Moved, n.Share)
		}
	}
}

// slash24s are so many networks below one of 16 bits.
func slash24s(in string, n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("%s.%d.0/24", in, 64+i))
	}
	return all
}

// TestTurns holds that what goes in turn does not go in step with the order of the
// clients: every other one would have the same endpoint each time.
func TestTurns(t *testing.T) {
	const text = `
pools:
  eu: {place: {continent: EU}, endpoints: [192.0.2.1, 192.0.2.2]}
  na: {place: {continent: NA}, endpoints: [198.51.100.1, 198.51.100.2]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [eu, na], steer: [geofence: continent, round-robin]}}}
`
	const n = 60
	eu, na := slash24s("81.2", n), slash24s("4.4", n)
	var file strings.Builder
	for i := range n {
		fmt.Fprintf(&file, "%s\n%s\n", eu[i], na[i])
	}
	m, err := simulate.Prefixes("x", strings.NewReader(file.String()), 1)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, simulate.Options{Before: world(t, text), Mix: m, Queries: 2 * n})
	for _, p := range r.Pools {
		for _, e := range p.Endpoints {
			if math.Abs(p.Share.Before-0.5) > 1e-9 || e.Share.Before < 0.1 {
				t.Errorf("%s has %v of %v", e.Name, e.Share.Before, p.Share.Before)
			}
		}
	}
}

// TestConduct holds that what a pool keeps in is considered, and delays are over.
func TestConduct(t *testing.T) {
	const text = `
pools:
  eu: {endpoints: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4], max_ejected: 50%}
  us: {endpoints: [198.51.100.1], failover_delay: 1h}
  sg: {endpoints: [203.0.113.1]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {cap: {pools: [eu, us], steer: failover}, delay: {pools: [us, sg], steer: failover}}}
`
	after := world(t, text, suppose(t, simulate.Down, "pool=eu"), suppose(t, simulate.Down, "pool=us"))
	r := run(t, simulate.Options{Before: world(t, text), After: after, Services: []dnswire.Name{name(t, "cap.a.test")}})
	if s := share(t, r, "eu", ""); !near(s.After, 1) || !near(r.Moved, 0.5) {
		t.Errorf("eu has %+v, %v move", s, r.Moved)
	}
	r = run(t, simulate.Options{Before: world(t, text), After: after, Services: []dnswire.Name{name(t, "delay.a.test")}})
	if s := share(t, r, "sg", ""); s.After != 1 || s.Before != 0 {
		t.Errorf("sg has %+v", s)
	}
}

// TestLimits holds which endpoints are over their limits.
func TestLimits(t *testing.T) {
	const text = `
pools:
  eu:
    endpoints:
      - {address: 192.0.2.1, soft_limit: 400, hard_limit: 600}
      - {address: 192.0.2.2, soft_limit: 200, hard_limit: 300}
      - {address: 192.0.2.3, hard_limit: 260}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [eu], steer: weighted}}}
`
	r := run(t, simulate.Options{
		Before: world(t, text), After: world(t, text, suppose(t, simulate.Down, "endpoint=192.0.2.1")), Load: simulate.Load{Amount: 500},
	})
	want := map[string]string{"192.0.2.1": "", "192.0.2.2": "soft", "192.0.2.3": ""}
	for _, e := range r.Pools[0].Endpoints {
		if e.Over != want[e.Name] || !near(e.Load.After/500, e.Share.After) {
			t.Errorf("%+v", e)
		}
	}
	r = run(t, simulate.Options{Before: world(t, text), Load: simulate.Load{Amount: 1000}})
	want = map[string]string{"192.0.2.1": "", "192.0.2.2": "hard", "192.0.2.3": "hard"}
	for _, e := range r.Pools[0].Endpoints {
		if e.Over != want[e.Name] {
			t.Errorf("%+v", e)
		}
	}
}

// TestLive holds that a node's word on endpoints is taken, the worst of several.
func TestLive(t *testing.T) {
	facts := simulate.Live(&api.Servers{Servers: []api.Server{
		{Address: "192.0.2.10", State: "up"},
		{Address: "192.0.2.11", State: "down"},
		{Address: "192.0.2.11", State: "up"},
		{Address: "198.51.100.10", State: "unknown"},
		{Address: "198.51.100.10", State: "up"},
	}})
	want := map[string]string{"192.0.2.10": "up", "192.0.2.11": "down", "198.51.100.10": "unknown"}
	if !reflect.DeepEqual(facts.States, want) {
		t.Fatalf("%v", facts)
	}
	before, err := simulate.NewWorld(load(t, two), nil, facts)
	if err != nil {
		t.Fatal(err)
	}
	after, err := simulate.NewWorld(load(t, two), []simulate.Supposition{suppose(t, simulate.Drain, "endpoint=192.0.2.10")}, facts)
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, simulate.Options{Before: before, After: after, Services: []dnswire.Name{name(t, "www.a.test")}})
	if a, b := share(t, r, "eu", "192.0.2.10"), share(t, r, "us", ""); a.Before != 1 || b.After != 1 {
		t.Errorf("%+v, %+v", a, b)
	}
	if e := r.Pools[0].Endpoints; e[0].State != "drained" || e[1].State != "down" || r.Pools[1].Endpoints[0].State != "unknown" {
		t.Errorf("%+v", r.Pools)
	}
}

// TestMeasured holds that latency and load are known when somebody says what they
// are: a supposition, or a node.
func TestMeasured(t *testing.T) {
	const text = `
checks:
  tcp: {type: tcp, port: 80}
pools:
  eu: {checks: [tcp], endpoints: [{address: 192.0.2.10, soft_limit: 100, hard_limit: 200}]}
  us: {checks: [tcp], endpoints: [{address: 198.51.100.10, soft_limit: 100, hard_limit: 200}]}
zones:
  a.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      fast: {pools: [eu, us], steer: [latency, weighted]}
      shed: {pools: [eu, us], steer: [shed, weighted]}
`
	for _, c := range []struct {
		service      string
		suppositions []simulate.Supposition
		facts        simulate.Facts
		eu           float64
	}{
		{service: "fast.a.test", eu: 0.5},
		{"fast.a.test", []simulate.Supposition{
			suppose(t, simulate.Latency, "pool=eu=40ms"), suppose(t, simulate.Latency, "endpoint=198.51.100.10=10ms"),
		}, simulate.Facts{}, 0},
		{
			"fast.a.test",
			[]simulate.Supposition{suppose(t, simulate.Latency, "pool=us=40ms")},
			simulate.Live(&api.Servers{Servers: []api.Server{{Address: "192.0.2.10", State: "up", ConnectMS: 9.5}}}), 1,
		},
		{"shed.a.test", []simulate.Supposition{suppose(t, simulate.Loaded, "pool=eu=150")}, simulate.Facts{}, 1.0 / 3},
		{"shed.a.test", []simulate.Supposition{suppose(t, simulate.Loaded, "endpoint=192.0.2.10=0.2k")}, simulate.Facts{}, 0},
		{
			"shed.a.test",
			[]simulate.Supposition{suppose(t, simulate.Loaded, "service=shed.a.test=1")},
			simulate.Live(&api.Servers{Servers: []api.Server{{Address: "192.0.2.10", Load: new(float64)}}}), 0.5,
		},
	} {
		w, err := simulate.NewWorld(load(t, text), c.suppositions, c.facts)
		if err != nil {
			t.Fatal(err)
		}
		r := run(t, simulate.Options{Before: w, Services: []dnswire.Name{name(t, c.service)}})
		if s := share(t, r, "eu", ""); !near(s.Before, c.eu) {
			t.Errorf("%s with %v: eu has %v", c.service, c.suppositions, s.Before)
		}
	}
}

// TestServiceDown takes the pools of a service away, from one that it is nested in as
// well. The pool for when all are down is none of them.
func TestServiceDown(t *testing.T) {
	const text = `
pools:
  eu: {endpoints: [192.0.2.10]}
  us: {endpoints: [198.51.100.10]}
  spare: {endpoints: [203.0.113.10]}
  both: {pools: [eu, us], steer: weighted}
zones:
  a.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      eu: {pools: [eu], all_down: spare}
      us: {pools: [us]}
      "@": {pools: [{service: eu}, us], steer: failover, all_down: servfail}
      of-both: {pools: [both], all_down: servfail}
`
	for service, want := range map[string]string{"eu.a.test": "spare", "us.a.test.": "eu", "A.test": "spare", "of-both.a.test": "spare"} {
		w := world(t, text, suppose(t, simulate.Down, "service="+service))
		r := run(t, simulate.Options{Before: w, Services: []dnswire.Name{name(t, "a.test")}})
		if share(t, r, want, "").Before != 1 {
			t.Errorf("without %s: %+v", service, r.Pools)
		}
	}
}

// TestChain holds that the service that was asked for has the answer when it leads
// on to another one.
func TestChain(t *testing.T) {
	const text = `
pools:
  host: {endpoints: [www.a.test, www.example.net]}
  four: {endpoints: [192.0.2.1]}
zones:
  a.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [four]}, cdn: {pools: [host], steer: weighted}}}
`
	r := run(t, simulate.Options{Before: world(t, text), Services: []dnswire.Name{name(t, "cdn.a.test")}})
	if s := share(t, r, "host", "www.a.test"); len(r.Pools) != 1 || !near(s.Before, 0.5) {
		t.Errorf("%+v", r.Pools)
	}
}

func TestRunErrors(t *testing.T) {
	w := world(t, two)
	none := world(t, "zones: {a.test: {nameservers: {ns1: 192.0.2.53}}}")
	for _, c := range []struct {
		o    simulate.Options
		want string
	}{
		{simulate.Options{Before: w, Queries: 1, Services: []dnswire.Name{name(t, "x.a.test")}}, "there is no service x.a.test."},
		{simulate.Options{Before: none, Queries: 1}, "there is nothing to ask: no service has endpoints for these types"},
		{simulate.Options{Before: w}, "simulate: at least one query is to be asked"},
	} {
		c.o.Mix = anywhere(t)
		if _, err := simulate.Run(context.Background(), c.o); err == nil || err.Error() != c.want {
			t.Errorf("the error is %v, not %s", err, c.want)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := simulate.Run(ctx, simulate.Options{Before: w, Queries: 1, Mix: anywhere(t)}); err == nil {
		t.Error("it was not interrupted")
	}
}

func TestSuppositions(t *testing.T) {
	for _, c := range []struct {
		act  simulate.Act
		text string
		want string
	}{
		{simulate.Down, "eu", `"eu": pool=eu, region=eu-west, service=www.example.com or endpoint=192.0.2.10 is expected`},
		{simulate.Down, "zone=a.test", `"zone=a.test": pool=eu, region=eu-west, service=www.example.com or endpoint=192.0.2.10 is expected`},
		{simulate.Down, "service=www", "service www is down: there is no service www: there are api.a.test, no.a.test, two.a.test, www.a.test"},
		{simulate.Latency, "pool=eu", `"pool=eu": pool=eu=40ms or endpoint=192.0.2.10=40ms is expected`},
		{simulate.Latency, "pool=eu=0s", `"pool=eu=0s": a latency is a time from 1us to 1m0s, such as 40ms`},
		{simulate.Latency, "pool=eu=40", `"pool=eu=40": a latency is a time from 1us to 1m0s, such as 40ms`},
		{simulate.Loaded, "pool=eu=-1", `"pool=eu=-1": a load is a number from 0 to 4000000 in the unit of the limits, such as 0.9 or 12k`},
		{simulate.Loaded, "pool=eu=much", `"pool=eu=much": a load is a number from 0 to 4000000 in the unit of the limits, such as 0.9 or 12k`},
		{simulate.Loaded, "pool=asia=1.5", "pool asia has a load of 1.5: there is no pool asia: there are eu, us"},
		{simulate.Drain, "pool=", `"pool=": pool=eu, region=eu-west, service=www.example.com or endpoint=192.0.2.10 is expected`},
		{simulate.Weight, "pool=eu", `"pool=eu": pool=eu=50 or endpoint=192.0.2.10=50 is expected`},
		{simulate.Weight, "pool=eu=-1", `"pool=eu=-1": a weight is a number from 0 to 65535`},
		{simulate.Weight, "pool=eu=65536", `"pool=eu=65536": a weight is a number from 0 to 65535`},
		{simulate.Down, "pool=asia", "pool asia is down: there is no pool asia: there are eu, us"},
		{simulate.Down, "endpoint=192.0.2.99", "endpoint 192.0.2.99 is down: there is no endpoint 192.0.2.99: there are 192.0.2.10, 192.0.2.11, 198.51.100.10"},
		{simulate.Weight, "region=mars=1", "region mars has weight 1: there is no region mars: there are eu-west, us-east"},
	} {
		s, err := simulate.ParseSupposition(c.act, c.text)
		if err == nil {
			_, err = simulate.NewWorld(load(t, two), []simulate.Supposition{s}, simulate.Facts{})
		}
		if err == nil || err.Error() != c.want {
			t.Errorf("%s: the error is %v, not %s", c.text, err, c.want)
		}
	}
	s := suppose(t, simulate.Down, "endpoint=2001:DB8::0:1")
	if s.String() != "endpoint 2001:db8::1 is down" {
		t.Errorf("%v", s)
	}
}

// BenchmarkRun is one query and its counting.
func BenchmarkRun(b *testing.B) {
	m, err := simulate.Population(nil, simulate.DefaultNetworks, 1)
	if err != nil {
		b.Fatal(err)
	}
	w := world(b, two)
	o := simulate.Options{Before: w, Mix: m, Queries: b.N, Services: []dnswire.Name{name(b, "www.a.test")}}
	b.ReportAllocs()
	b.ResetTimer()
	if _, err := simulate.Run(context.Background(), o); err != nil {
		b.Fatal(err)
	}
}
