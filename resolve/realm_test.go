package resolve_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// realm is random services that are steered by everything that there is, and what
// happens to them. It lives in a bubble of synctest.
type realm struct {
	*rand.Rand
	t        testing.TB
	pools    string
	services []string // one line each
	conduct  *conduct.Director
	atlas    *geo.Atlas
	health   map[int]health.Detail // by target
	figures  health.Figures
	now      *resolve.Snapshot // not settled
}

func (r *realm) one(of ...string) string { return of[r.IntN(len(of))] }

const realmPools = 6

// newRealm makes the pools. plain leaves out conduct and what is nested.
func newRealm(t testing.TB, seed uint64, plain bool) *realm {
	r := &realm{Rand: rand.New(rand.NewPCG(seed, 8)), t: t}
	var b strings.Builder
	b.WriteString("checks: {c: {type: tcp, port: 1, interval: 10s}}\npools:\n")
	for p := range realmPools {
		fmt.Fprintf(&b, "  p%d:\n    checks: [c]\n    place: {%s}\n", p, []string{
			"country: IE, at: [53.3, -6.2]", "country: DE, at: [50.1, 8.7]", "country: US, subdivision: CA, at: [37.4, -122]",
			"country: US, subdivision: NY, at: [40.7, -74]", "country: SG, at: [1.3, 103.8]", "region: lab",
		}[p])
		n := 1 + r.IntN(5)
		fmt.Fprintf(&b, "    min_healthy: %d\n", 1+r.IntN(min(2, n)))
		if !plain && r.IntN(2) == 0 {
			fmt.Fprintf(&b, "    slow_start: 60s\n    failover_delay: %s\n    failback_delay: %s\n    max_ejected: %s\n", r.one("0s", "20s"), r.one("0s", "40s"), r.one("100%", "50%"))
		}
		b.WriteString("    endpoints:\n")
		for i := range n {
			address := fmt.Sprintf("192.0.%d.%d", p, i+1)
			if i > 0 && r.IntN(4) == 0 {
				address = fmt.Sprintf(`"2001:db8:%d::%d"`, p, i+1)
			}
			weight := 50 * r.IntN(5)
			if i == 0 {
				weight = 100
			}
			fmt.Fprintf(&b, "      - {address: %s, weight: %d, priority: %d, tags: [%s], soft_limit: %d, hard_limit: %d}\n",
				address, weight, r.IntN(2), r.one("a", "b", "a, b"), 40+r.IntN(20), 80+r.IntN(20))
		}
	}
	if !plain {
		fmt.Fprintf(&b, "  c0: {pools: [p0, p1], steer: %s%s}\n", r.chain(0), r.one("", ", min_healthy: 2", ", all_down: p5"))
		fmt.Fprintf(&b, "  c1: {pools: [p2, p3], steer: %s, answers: %d}\n", r.chain(0), r.IntN(3))
	}
	r.pools = b.String()
	r.services = make([]string, 8)
	for i := range r.services {
		r.services[i] = r.service(i, plain)
	}
	return r
}

// chain is a random chain that ends in one that chooses, mostly.
func (r *realm) chain(depth int) string {
	var all []string
	for range r.IntN(3) {
		f := r.one("geofence: country", "geofence: [subdivision, country, continent]", "{geofence: {levels: continent, strict: true}}",
			"nearest", "nearest: {tolerance: 0%, within: 2000km}", "tier", "tier: {min_healthy: 75%, spill: 100%}", "shed", "limit: 2", "tags: [a]", "latency",
			`schedule: [{pools: [p0, p1], days: [mon-fri], from: "08:00", to: "20:00", zone: UTC}]`, "first")
		if f == "first" {
			if depth > 1 {
				continue
			}
			f = fmt.Sprintf("first: [[{geofence: {levels: country, strict: true}}, %s], %s]", r.one("shuffle", "sticky", "weighted", "rotate", "tier"), r.chain(depth+1))
		}
		if !slices.Contains(all, f) {
			all = append(all, f)
		}
	}
	if len(all) == 0 || r.IntN(6) > 0 {
		all = append(all, r.one("rotate", "shuffle", "weighted", "sticky"))
	}
	switch last := all[len(all)-1]; {
	case r.IntN(6) > 0:
	case last == "shuffle" || last == "weighted":
		// Behind what uses up random numbers nothing is to leave nothing: the rules for
		// that draw others, and only a settled plan knows beforehand.
		all = append(all, "limit: 1")
	default:
		all = append(all, r.one("limit: 1", "tags: [b]"))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// service is one line. A service nests only those with higher numbers.
func (r *realm) service(i int, plain bool) string {
	var members []string
	for p := range realmPools {
		if r.IntN(3) == 0 {
			members = append(members, fmt.Sprintf("p%d", p))
		}
	}
	if !plain {
		for _, c := range []string{"c0", "c1"} {
			if r.IntN(6) == 0 {
				members = append(members, c)
			}
		}
		for k := i + 1; k < 8; k++ {
			if r.IntN(7) == 0 {
				members = append(members, fmt.Sprintf("{service: s%d}", k))
			}
		}
	}
	if len(members) == 0 {
		members = []string{"p0", "p2"}
	}
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	return fmt.Sprintf("      s%d: {pools: [%s], steer: %s, answers: %d%s%s%s}\n", i, strings.Join(members, ", "), r.chain(0), r.IntN(3),
		r.one("", "", ", all_down: serve-all", ", all_down: last-healthy", ", all_down: serve-every", ", all_down: nodata", ", all_down: servfail", ", all_down: p4"),
		r.one("", "", "", ", panic: 0.4"), r.one("", "", ", https: {alpn: [h2]}"))
}

func (r *realm) text() string {
	return r.pools + "zones:\n  x.test:\n    nameservers: {ns1: 192.0.2.53}\n    soa: {serial: 1}\n    services:\n" + strings.Join(r.services, "")
}

// load compiles the services; false when they are wrong, as random ones may be.
func (r *realm) load() bool {
	r.t.Helper()
	s, err := spec.Parse("realm.yaml", []byte(r.text()))
	if err != nil {
		return false // as random services may be
	}
	var prev *table.Table
	next := &resolve.Snapshot{}
	if r.now != nil {
		*next, prev = *r.now, r.now.Table
	}
	if next.Table, err = table.Compile(prev, s); err != nil {
		r.t.Fatal(err)
	}
	// Targets are others now; endpoints keep what was known of them.
	known := map[string]health.Detail{}
	if prev != nil {
		for i, d := range r.health {
			known[prev.Targets[i].String()] = d
		}
	}
	r.health, r.figures = map[int]health.Detail{}, health.Figures{}
	for i := range next.Table.Targets {
		if d, ok := known[next.Table.Targets[i].String()]; ok {
			r.health[i] = d
		}
	}
	if r.conduct == nil {
		if r.conduct, err = conduct.New(conduct.Options{}); err != nil {
			r.t.Fatal(err)
		}
	}
	r.now = next
	r.now.Health = r.view()
	r.conduct.Apply(next.Table.Courses, r.now.Health)
	r.now.Conduct = r.conduct.View()
	r.now.Hours = r.hours()
	return true
}

func (r *realm) hours() *resolve.Hours {
	open := make([]bool, len(r.now.Table.Schedules))
	for i := range open {
		open[i] = r.IntN(2) == 0
	}
	return &resolve.Hours{Open: open}
}

func (r *realm) view() *health.View {
	return health.Fixed(len(r.now.Table.Targets), r.health).With(r.figures)
}

// next begins the next snapshot.
func (r *realm) next() {
	s := *r.now
	r.now = &s
}

// judge has health say something else of an endpoint.
func (r *realm) judge(target int) {
	was := health.Up
	if d, ok := r.health[target]; ok {
		was = d.State
	}
	d := health.Detail{State: []health.State{health.Up, health.Down, health.Down, health.Unknown}[r.IntN(4)], LastUp: r.health[target].LastUp}
	if was == health.Up || d.State == health.Up {
		d.LastUp = time.Now()
	}
	r.health[target] = d
	r.see()
}

// see takes in what health says.
func (r *realm) see() {
	r.now.Health = r.view()
	r.conduct.Follow(r.now.Health)
	r.now.Conduct = r.conduct.View()
}

// measure has all figures of health be others.
func (r *realm) measure() {
	n := len(r.now.Table.Targets)
	r.figures.Latency, r.figures.Load = make([]uint32, n), make([]uint32, n)
	for i := range n {
		r.figures.Latency[i], r.figures.Load[i] = uint32(r.IntN(4))*20_000, health.LoadUnits(float64(r.IntN(100)))
		if r.IntN(4) == 0 {
			r.figures.Load[i] = health.NoLoad
		}
	}
	r.see()
}

// speak is an operator's word on an endpoint of a service.
func (r *realm) speak() {
	var all []dnswire.Name
	r.now.Table.EachService(func(n *table.Node, _ *table.Plan) bool {
		all = append(all, r.now.Table.Name(n))
		return true
	})
	service := all[r.IntN(len(all))]
	p := r.now.Table.Plans[r.now.Table.Lookup([]byte(service)).Plan]
	ms := &p.Members[table.V4]
	if len(ms.Targets) == 0 {
		return
	}
	target := int(ms.Targets[r.IntN(len(ms.Targets))])
	if r.IntN(2) == 0 {
		if r.figures.Words == nil {
			r.figures.Words = map[dnswire.Name]map[int]health.State{}
		}
		if r.figures.Words[service] == nil {
			r.figures.Words[service] = map[int]health.State{}
		}
		r.figures.Words[service][target] = []health.State{health.Up, health.Down, health.Down}[r.IntN(3)]
	} else {
		if r.figures.Shares == nil {
			r.figures.Shares = map[dnswire.Name]map[int]uint16{}
		}
		if r.figures.Shares[service] == nil {
			r.figures.Shares[service] = map[int]uint16{}
		}
		r.figures.Shares[service][target] = uint16(1 + r.IntN(1023))
	}
	r.see()
}

// question is one that some client asks.
func (r *realm) question(nets []netip.Prefix) *dnswire.Query {
	words := []string{fmt.Sprintf("s%d.x.test", r.IntN(len(r.services))), r.one("A", "A", "A", "AAAA", "HTTPS"), "edns"}
	a := nets[r.IntN(len(nets))]
	client := a.Addr()
	if r.IntN(2) == 0 {
		client = lastOf(a)
	}
	if r.IntN(4) > 0 {
		p, _ := client.Prefix(r.IntN(client.BitLen()-8) + 9)
		words = append(words, "ecs="+p.String())
	}
	q := asked(r.t, words)
	q.Client = netip.AddrPortFrom(client, 53)
	return q
}

// unscoped is an answer without its scope.
func unscoped(t testing.TB, answer []byte) string {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(answer); err != nil {
		t.Fatal(err)
	}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if o, ok := o.(*dns.EDNS0_SUBNET); ok {
				o.SourceScope = 0
			}
		}
	}
	return m.String()
}

// inRealms runs f in random realms, in bubbles with a director that keeps time.
func inRealms(t *testing.T, seeds uint64, plain bool, f func(t *testing.T, r *realm)) (played int) {
	t.Helper()
	for seed := range rounds(seeds) {
		synctest.Test(t, func(t *testing.T) {
			r := newRealm(t, seed, plain)
			if !r.load() {
				return
			}
			played++
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error)
			go func() { ended <- r.conduct.Run(ctx) }()
			f(t, r)
			stop()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			if t.Failed() {
				t.Fatalf("seed %d:\n%s", seed, r.text())
			}
		})
		if t.Failed() {
			return played
		}
	}
	return played
}

// wait lets time pass.
func (r *realm) wait(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
	r.now.Conduct = r.conduct.View()
}

// move has the clients live somewhere else.
func (r *realm) move() []netip.Prefix {
	r.t.Helper()
	if r.atlas == nil {
		r.atlas = geo.New(geo.Options{})
	}
	cfg, nets := territories(r.Rand, 60)
	change, err := r.atlas.Prepare(cfg)
	if err != nil {
		r.t.Fatal(err)
	}
	r.atlas.Apply(change)
	r.now.Geo = r.atlas.View()
	return nets
}
