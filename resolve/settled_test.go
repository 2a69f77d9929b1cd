package resolve_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// steering makes random configurations with every filter, nesting and conduct.
type steering struct {
	*rand.Rand
	chains []string // of services
	inner  []string // of the composed pool
}

func (w *steering) one(of ...string) string { return of[w.IntN(len(of))] }

const steeringHead = `
node: {name: n, data_dir: /tmp}
checks: {c: {type: tcp, port: 1}}
`

var chains = []string{
	"weighted", "sticky", "failover", "geo", "nearest", "latency", "round-robin",
	"[geofence: country, weighted]",
	"[geofence: [country, continent], sticky]",
	"[{geofence: {levels: country, strict: true}}, shuffle]",
	"[{geofence: {levels: [country, continent], strict: true}}, tags: [a], rotate]",
	"[nearest, tier, weighted]",
	"[shed, weighted]",
	"[geofence: continent, shed, rotate]",
	"[nearest, shed, limit: 2, sticky]",
	"[geofence: continent, latency, weighted]",
	"[schedule: [{pools: [p0], days: [mon], zone: UTC}, {pools: [p1], days: [tue], zone: UTC}], geofence: country, rotate]",
	"[first: [[{geofence: {levels: country, strict: true}}, weighted], [nearest, sticky]]]",
	"[first: [[{geofence: {levels: country, strict: true}}, sticky], [shuffle]]]",
	"[tags: [a], first: [[{geofence: {levels: [country], strict: true}}, tier], [nearest, rotate]], limit: 3]",
	"[tier: {min_healthy: 75%}, nearest, weighted]",
	"[shuffle, limit: 3, geofence: country]",
	"[geofence: continent, shuffle, limit: 1, tags: [a]]",
	"[tier]", "[nearest]", "[geofence: continent, tier]", "[nearest]",
}

func (w *steering) config() string {
	var b strings.Builder
	b.WriteString(steeringHead + "pools:\n")
	for p := range 5 {
		fmt.Fprintf(&b, "  p%d:\n    checks: [c]\n    place: {country: %s}\n    min_healthy: %d\n", p, w.one("IE", "DE", "FR", "US", "SG"), 1+w.IntN(2))
		if w.IntN(3) == 0 {
			fmt.Fprintf(&b, "    failover_delay: %s\n    failback: %s\n    slow_start: %s\n    max_ejected: %s\n",
				w.one("0s", "1h"), w.one("manual", "automatic"), w.one("0s", "1h"), w.one("100%", "50%"))
		}
		b.WriteString("    endpoints:\n")
		for i := range 2 + w.IntN(3) {
			fmt.Fprintf(&b, "      - {address: 192.0.%d.%d, weight: %d, priority: %d, tags: %s, soft_limit: 5, hard_limit: 10}\n",
				p, i+1, w.IntN(4)*50+10, w.IntN(2), w.one("[]", "[a]", "[a, b]"))
		}
		for i := range 2 {
			fmt.Fprintf(&b, "      - {address: \"2001:db8:ffff:%d::%d\", weight: %d, tags: %s}\n", p, i+1, w.IntN(3)*50+10, w.one("[a]", "[a, b]"))
		}
	}
	fmt.Fprintf(&b, "  c0: {pools: [p0, p1], steer: %s, min_healthy: %d}\n", w.one(w.inner...), 1+w.IntN(2))
	b.WriteString("zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n")
	const services = 8
	for i := range services {
		var members []string
		for p := range 5 {
			if w.IntN(3) == 0 {
				members = append(members, fmt.Sprintf("p%d", p))
			}
		}
		if w.IntN(4) == 0 {
			members = append(members, "c0")
		}
		for k := i + 1; k < services; k++ {
			if w.IntN(6) == 0 {
				members = append(members, fmt.Sprintf("{service: s%d}", k))
			}
		}
		if len(members) == 0 {
			members = []string{"p0", "p1"}
		}
		w.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		fmt.Fprintf(&b, "      s%d: {pools: [%s], steer: %s, answers: %d, ttl: %d, panic: %s%s%s}\n", i, strings.Join(members, ", "),
			w.one(w.chains...), w.IntN(4), 30+i, w.one("0", "0", "0.4"),
			w.one("", ", all_down: nodata", ", all_down: last-healthy", ", all_down: serve-every", ", all_down: servfail", ", all_down: p4"),
			w.one("", "", ", https: {alpn: [h2]}", ", srv: {port: 80}"))
	}
	return b.String()
}

// facts are what a snapshot is made of besides its table.
type facts struct {
	states  map[int]health.Detail
	figures health.Figures
	open    []bool
}

func (w *steering) move(tab *table.Table, f *facts) {
	states, figures, words := true, true, true
	if len(f.open) == len(tab.Schedules) && f.open != nil { // later only some of it changes
		states, figures, words = w.IntN(3) == 0, w.IntN(3) == 0, w.IntN(2) == 0
	}
	for i := range tab.Targets {
		if states && w.IntN(5) == 0 {
			f.states[i] = health.Detail{State: []health.State{health.Up, health.Up, health.Up, health.Down, health.Unknown}[w.IntN(5)], Authority: health.Validation}
		}
	}
	g := health.Figures{
		Latency: make([]uint32, len(tab.Targets)), Load: make([]uint32, len(tab.Targets)),
		Shares: map[dnswire.Name]map[int]uint16{}, Words: map[dnswire.Name]map[int]health.State{},
	}
	if !figures {
		g.Latency, g.Load = f.figures.Latency, f.figures.Load
	}
	for i := range tab.Targets {
		if !figures {
			break
		}
		if w.IntN(4) > 0 {
			g.Latency[i] = uint32(1000 + w.IntN(100_000))
		}
		g.Load[i] = health.NoLoad
		if w.IntN(3) > 0 {
			g.Load[i] = uint32(w.IntN(12_000))
		}
	}
	if !words {
		g.Words, g.Shares = f.figures.Words, f.figures.Shares
	} else if w.IntN(3) > 0 {
		tab.EachService(func(n *table.Node, p *table.Plan) bool {
			name := tab.Name(n)
			for fam := range p.Members {
				for _, e := range p.Members[fam].Endpoints {
					for _, at := range tab.Locate(name, e.String()) {
						switch w.IntN(30) {
						case 0, 1:
							if g.Words[name] == nil {
								g.Words[name] = map[int]health.State{}
							}
							g.Words[name][at] = []health.State{health.Up, health.Down}[w.IntN(2)]
						case 2, 3:
							if g.Shares[name] == nil {
								g.Shares[name] = map[int]uint16{}
							}
							g.Shares[name][at] = uint16(1 + w.IntN(1000))
						}
					}
				}
			}
			return true
		})
	}
	f.figures = g
	if f.open != nil && w.IntN(3) > 0 {
		return
	}
	f.open = make([]bool, len(tab.Schedules))
	for i := range f.open {
		f.open[i] = w.IntN(2) == 0
	}
}

// TestSettledAgrees plays what may happen to a node, and asks it: what was decided
// before anybody asked, of which much is taken over from the snapshot before, is
// what Explain finds when it goes by every rule, with the same random numbers, to
// the octet.
func TestSettledAgrees(t *testing.T) {
	where, nets := geography(t, rand.New(rand.NewPCG(2, 9)), 60)
	for seed := range rounds(uint64(30)) {
		w := &steering{rand.New(rand.NewPCG(seed, 9)), chains, []string{"weighted", "failover", "[nearest]", "[tier]", "geo", "sticky"}}
		text := w.config()
		sp, err := spec.Parse("random.yaml", []byte(text))
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, text)
		}
		tab, err := table.Compile(nil, sp)
		if err != nil {
			t.Fatal(err)
		}
		director, err := conduct.New(conduct.Options{})
		if err != nil {
			t.Fatal(err)
		}
		f := &facts{states: map[int]health.Detail{}}
		var prev *resolve.Snapshot
		c := resolve.NewScratch(1, 2)
		var hours *resolve.Hours
		for step := range 6 {
			if step != 3 { // all but the conduct stays as it is once
				w.move(tab, f)
			}
			view := health.Fixed(len(tab.Targets), f.states)
			if step == 0 {
				director.Apply(tab.Courses, view)
			} else {
				director.Follow(view)
			}
			if hours == nil || len(f.open) > 0 && &hours.Open[0] != &f.open[0] {
				hours = &resolve.Hours{Open: f.open}
			}
			s := &resolve.Snapshot{Table: tab, Health: view.With(f.figures), Geo: where, Conduct: director.View(), Hours: hours}
			s.Settle(prev)
			prev = s
			for range 60 {
				n := nets[w.IntN(len(nets))]
				name := fmt.Sprintf("s%d.x.test", w.IntN(8))
				words := []string{name, w.one("A", "A", "AAAA", "AAAA", "HTTPS", "SRV")}
				if w.IntN(3) > 0 {
					bits := min(n.Bits()+w.IntN(8), n.Addr().BitLen())
					p, _ := n.Addr().Prefix(bits)
					words = append(words, "ecs="+p.String())
				}
				q := asked(t, words)
				q.Client = netip.AddrPortFrom(n.Addr(), 53)
				a, b := w.Uint64(), w.Uint64()
				trace := s.Explain(q, a, b)
				c.Seed(a, b)
				out := s.Append(nil, q, c)
				sound(t, q, out)
				if string(out) != string(trace.Message) {
					t.Fatalf("seed %d step %d %v:\nanswered  %s\nexplained %s scope %d\n%v\n%s", seed, step, words,
						sound(t, q, out), trace.Answers, trace.ECSScope, trace.Steps, text)
				}
			}
		}
	}
}

// TestScopeOfNested asks all around clients of services that choose by place and
// by subnet, and by what others that do so have chosen: within the scope of an
// answer everybody is given the same.
func TestScopeOfNested(t *testing.T) {
	steady := []string{
		"sticky", "[tier]", "[nearest]", "[geofence: [country, continent]]", "[geofence: continent, sticky]", "[nearest, sticky]",
		"[first: [[{geofence: {levels: country, strict: true}}, sticky], [nearest]]]",
		"[first: [[{geofence: {levels: country, strict: true}}, tags: [a]], [sticky]]]",
	}
	where, nets := geography(t, rand.New(rand.NewPCG(1, 11)), 200)
	for seed := range rounds(uint64(30)) {
		w := &steering{rand.New(rand.NewPCG(seed, 10)), steady, []string{"sticky", "[nearest]", "[geofence: country, sticky]"}}
		text := w.config()
		s := compile(t, text, "192.0.0.1", "2001:db8:ffff:1::1")
		s.Geo, s.Conduct = where, conduct.Begun(s.Table.Courses, s.Health)
		s.Settle(nil)
		c := resolve.NewScratch(1, 2)
		for range 120 {
			n := nets[w.IntN(len(nets))]
			name, typ := fmt.Sprintf("s%d.x.test", w.IntN(8)), []uint16{dns.TypeA, dns.TypeAAAA}[w.IntN(2)]
			bits := min(n.Bits()+w.IntN(12), n.Addr().BitLen())
			p, _ := n.Addr().Prefix(bits)
			got, scope := askFor(t, s, c, name, typ, p)
			if scope == 0 {
				continue
			}
			for range 12 {
				b := n.Addr().AsSlice()
				for i := scope; i < 8*len(b); i++ {
					b[i/8] ^= byte(w.IntN(2)) << (7 - i%8)
				}
				a, _ := netip.AddrFromSlice(b)
				if also, _ := askFor(t, s, c, name, typ, netip.PrefixFrom(a, a.BitLen())); also != got {
					t.Fatalf("seed %d %s %d: %s has %s with scope %d, and %s has %s\n%s", seed, name, typ, p, got, scope, a, also, text)
				}
			}
		}
	}
}

// TestSettleFollowsNested: decisions by place follow what operators say of the
// endpoints of a nested service, and its conduct, though the outer service and
// the health of all endpoints are as they were.
func TestSettleFollowsNested(t *testing.T) {
	s := compile(t, `
pools:
  ie: {place: {country: IE}, slow_start: 1h, endpoints: [192.0.2.1, 192.0.2.2]}
  us: {place: {country: US}, endpoints: [192.0.2.3]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      in: {pools: [ie], steer: [tier], answers: 0, ttl: 60, transition_ttl: 7, all_down: nodata}
      out: {pools: [{service: in}, us], steer: [nearest], answers: 0, ttl: 60}
`)
	s.Geo = view(t, geo.Config{Networks: []geo.Network{{Prefix: whole4, Place: geo.Place{Country: "IE"}}}})
	director, err := conduct.New(conduct.Options{})
	if err != nil {
		t.Fatal(err)
	}
	calm := conduct.Begun(s.Table.Courses, s.Health)
	director.Apply(s.Table.Courses, health.Fixed(3, map[int]health.Detail{0: {State: health.Down}, 1: {State: health.Down}}))
	director.Follow(s.Health) // both come up and start slowly
	in := s.Table.Name(s.Table.Lookup([]byte("\x02in\x01x\x04test\x00")))
	step := func(prev *resolve.Snapshot, change func(*resolve.Snapshot), want string) *resolve.Snapshot {
		t.Helper()
		next := *prev
		change(&next)
		next.Settle(prev)
		c := resolve.NewScratch(1, 2)
		seen := map[string]bool{}
		for range 100 {
			q := asked(t, []string{"out.x.test", "A", "ecs=10.0.0.0/24"})
			for _, rr := range sound(t, q, next.Append(nil, q, c)).Answer {
				seen[fmt.Sprint(rr.(*dns.A).A, " ", rr.Header().Ttl)] = true
			}
		}
		if got := strings.Join(slices.Sorted(maps.Keys(seen)), ", "); got != want {
			t.Errorf("%s, want %s", got, want)
		}
		return &next
	}
	first := step(s, func(n *resolve.Snapshot) { n.Conduct = calm }, "192.0.2.1 60, 192.0.2.2 60")
	said := step(first, func(n *resolve.Snapshot) {
		n.Health = n.Health.With(health.Figures{Words: map[dnswire.Name]map[int]health.State{in: {0: health.Down}}})
	}, "192.0.2.2 60")
	step(said, func(n *resolve.Snapshot) { n.Health = s.Health }, "192.0.2.1 60, 192.0.2.2 60")
	step(said, func(n *resolve.Snapshot) {
		n.Health = s.Health.With(health.Figures{Shares: map[dnswire.Name]map[int]uint16{in: {0: health.Whole / 2}}})
	}, "192.0.2.1 10, 192.0.2.2 10")
	slow := step(first, func(n *resolve.Snapshot) { n.Conduct = director.View() }, "192.0.2.1 7, 192.0.2.2 7")
	step(slow, func(n *resolve.Snapshot) { n.Conduct = calm }, "192.0.2.1 60, 192.0.2.2 60")
	// What is nested is explained as well.
	trace := slow.Explain(asked(t, []string{"out.x.test", "A"}), 1, 2)
	if why := trace.Endpoints[0].Reason; !strings.Contains(why, "of its traffic and all of it at") {
		t.Errorf("the first endpoint is explained by %q", why)
	}
	if !slices.ContainsFunc(trace.Steps, func(s resolve.Step) bool { return s.What == "conduct" }) {
		t.Errorf("no conduct in %+v", trace.Steps)
	}
}

// TestSettleSpares holds that services with plans of their own, as they have when
// a check asks for their own host, share what the places come to: a map of all
// addresses for each of them would be megabytes.
func TestSettleSpares(t *testing.T) {
	where := view(t, geo.Config{})
	const services = 50
	made := func(n int) (first, next uint64) {
		var b strings.Builder
		b.WriteString("checks: {w: {type: http}}\npools:\n")
		for i, c := range []string{"IE", "US", "JP"} {
			fmt.Fprintf(&b, "  p%d: {checks: [w], place: {country: %s}, endpoints: [192.0.2.%d, '2001:db8::%d']}\n", i, c, i+1, i+1)
		}
		b.WriteString("zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    services:\n")
		for i := range n {
			fmt.Fprintf(&b, "      s%d: {steer: [geofence: continent, nearest, rotate], pools: [%s]}\n", i, []string{"p0, p1, p2", "p1, p2, p0"}[i%2])
		}
		s := compile(t, b.String())
		if got := len(s.Table.Plans); got != n {
			t.Fatalf("%d plans", got)
		}
		s.Geo = where
		octets := func(f func()) uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			f()
			runtime.ReadMemStats(&after)
			return after.TotalAlloc - before.TotalAlloc
		}
		first = octets(func() { s.Settle(nil) })
		down := *s
		down.Health = states{"192.0.2.1": {State: health.Down}}.view(s.Table)
		return first, octets(func() { down.Settle(s) })
	}
	one, oneDown := made(1)
	many, manyDown := made(services)
	const each = 64 << 10
	if many > 2*one+services*each || manyDown > 2*oneDown+services*each {
		t.Errorf("one service takes %d octets, and %d when an endpoint goes down; %d take %d, and %d", one, oneDown, services, many, manyDown)
	}
}

// TestSettleServesEvery asks for a service that goes by places while nothing of it is up:
// what was decided before anybody asked is cut by answers no more than what is decided then.
func TestSettleServesEvery(t *testing.T) {
	where, _ := geography(t, rand.New(rand.NewPCG(3, 9)), 10)
	sp, err := spec.Parse("every.yaml", []byte(`
checks: {up: {type: tcp, port: 80}}
pools:
  ie: {place: {country: IE}, checks: [up], endpoints: [192.0.2.1, 192.0.2.2]}
  us: {place: {country: US}, checks: [up], endpoints: [192.0.2.3]}
zones:
  x.test:
    nameservers: {ns: 192.0.2.53}
    services:
      s: {pools: [ie, us], steer: [geofence: country, rotate], answers: 1, all_down: serve-every}
`))
	if err != nil {
		t.Fatal(err)
	}
	tab, err := table.Compile(nil, sp)
	if err != nil {
		t.Fatal(err)
	}
	down := map[int]health.Detail{}
	for i := range tab.Targets {
		down[i] = health.Detail{State: health.Down, Authority: health.Validation}
	}
	s := &resolve.Snapshot{Table: tab, Health: health.Fixed(len(tab.Targets), down), Geo: where}
	for _, settled := range []bool{false, true} {
		if settled {
			s.Settle(nil)
		}
		q := asked(t, []string{"s.x.test", "A"})
		q.Client = netip.MustParseAddrPort("192.0.2.200:53")
		out := s.Append(nil, q, resolve.NewScratch(1, 2))
		if got := strings.Count(render(t, q, out), "IN A 192.0.2."); got != 3 {
			t.Errorf("settled %t: %d records", settled, got)
		}
	}
}
