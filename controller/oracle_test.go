package controller_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
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

// amendedWorld has a zone with services, and another one below it, both of which are fed.
const amendedWorld = `
pools: {a: {place: {region: r0}, endpoints: [192.0.2.1, 192.0.2.2]}, b: {place: {region: r1}, endpoints: [192.0.2.3]}}
zones:
  gslb.test: {nameservers: {ns1: 192.0.2.53}, services: {s: {pools: [a, b], steer: geo}, s.w: {pools: [b]}, t.b.a: {pools: [a]}}}
  child.gslb.test: {nameservers: {ns1.gslb.test.: []}}
controller: {secret: shared-with-edges, zones: [gslb.test], failover: {s.gslb.test: www.backup.test}}
`

// ofFed is the statement with its zones fed: beside services that is for programs that have the
// engine as a library.
func ofFed(t testing.TB, config string) *spec.Spec {
	t.Helper()
	s := parsed(t, config)
	for _, z := range s.Zones {
		z.Fed = true
	}
	return s
}

// amendedNames are the names that change, in the zone.
var amendedNames = []string{
	"", "a.", "b.a.", "c.b.a.", "d.c.b.a.", "t.b.a.", "x.t.b.a.", "s.", "x.s.", "*.", "*.w.", "w.", "v.w.", "s.w.", "*.v.w.", "u.*.w.", "y.z.", "x.y.z.",
	"ns1.", "child.", "x.child.", "y.x.child.", "childless.", "UPPER.", `dot\.ted.`,
}

// TestAmended: whatever was amended in whatever order, what is told is what a controller that
// begins anew finds, and who follows the changes has it.
func TestAmended(t *testing.T) {
	for seed := range rounds(uint64(40)) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			many := 0
			if seed%10 == 1 {
				many = 700 // which are several stretches
			}
			synctest.Test(t, func(t *testing.T) { amended(t, rand.New(rand.NewPCG(seed, 11)), many, seed%3 == 0) })
		})
	}
}

// amended does it with so many names besides; cuts is that some hide what is below them.
func amended(t *testing.T, r *rand.Rand, many int, cuts bool) {
	n := start(t, amendedWorld)
	text := amendedWorld
	n.put(ofFed(t, text))
	gslb := name(t, "gslb.test")
	zones := []*fedZone{newFedZone(n, "gslb.test"), newFedZone(n, "child.gslb.test")}
	zones[0].many, zones[0].cuts, zones[1].cuts = many, cuts, cuts
	zones[0].amend(zones[0].lot(n, r, 0, many))
	for _, z := range zones {
		z.feed(n)
	}
	f, err := n.Follow(gslb, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	has, mirror := "", map[api.Key]string{}
	for round := range 40 {
		switch r.IntN(12) {
		case 0:
			_ = n.tryOverride([]string{"s", "s.w", "t.b.a"}[r.IntN(3)]+".gslb.test", fmt.Sprintf("192.0.2.%d", 1+r.IntN(3)), r.IntN(2) == 0)
		case 1:
			if r.IntN(4) == 0 {
				text = strings.Replace(amendedWorld, "services: {", []string{"services: {", "services: {more.a: {pools: [b]}, "}[r.IntN(2)], 1)
				n.put(ofFed(t, text))
			}
		}
		for range r.IntN(4) { // the controller may be late
			zones[min(r.IntN(4), 3)/3].change(n, r)
		}
		got := n.now()
		// Who follows.
		st, steps, ok, _ := f.Since(has)
		if !ok {
			clear(mirror)
			st.Records(func(r api.Record) bool {
				mirror[api.Key{Name: r.Name, Type: r.Type}] = line(r)
				return true
			})
		}
		for _, s := range steps {
			for _, k := range s.Deletes {
				delete(mirror, k)
			}
			for _, r := range s.Records {
				mirror[api.Key{Name: r.Name, Type: r.Type}] = line(r)
			}
		}
		has = st.Hash
		if told, want := strings.Join(slices.Sorted(maps.Values(mirror)), "\n")+"\n", lines(t, got); told != want || has != got.Hash {
			t.Fatalf("round %d: who follows has\n%sand not\n%s", round, told, want)
		}
		regions := [][]string{nil, {"r0"}, {"r1"}}[r.IntN(3)] // some are asked for rarely
		got = n.now(regions...)
		want := anew(n, text, regions)
		if a, b := lines(t, got), lines(t, want); a != b || got.Hash != want.Hash {
			t.Fatalf("round %d: told in %v are\n%sand there are\n%s", round, regions, a, b)
		}
	}
}

// anew is what a controller says that has not seen anything before.
func anew(n *node, config string, regions []string) *controller.State {
	n.t.Helper()
	fresh := &node{t: n.t, engine: n.engine, Controller: controller.New(controller.Options{Engine: n.engine})}
	ch, err := fresh.Prepare(ofFed(n.t, config))
	if err != nil {
		n.t.Fatal(err)
	}
	fresh.Apply(ch)
	ctx, cancel := context.WithCancel(n.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- fresh.Run(ctx) }()
	st := fresh.now(regions...)
	cancel()
	if err := <-ended; err != nil {
		n.t.Error(err)
	}
	return st
}

// fedZone is what a source has of a zone.
type fedZone struct {
	name   dnswire.Name
	data   *zone.Data
	before []*zone.Data
	many   int
	cuts   bool
}

func newFedZone(n *node, zone string) *fedZone {
	z := &fedZone{name: name(n.t, zone)}
	z.data = z.whole(n, nil)
	return z
}

// whole makes data of which nobody knows how they are related to others: with what some have.
func (z *fedZone) whole(n *node, of *zone.Data) *zone.Data {
	n.t.Helper()
	b := zone.NewBuilder(z.name)
	add := func(r text.Record) {
		if err := b.Add(&r); err != nil {
			n.t.Fatal(err)
		}
	}
	if of == nil {
		for _, r := range n.engine.Apex(z.name) {
			add(r)
		}
	} else {
		of.All(func(owner dnswire.Name, t dnswire.Type, ttl uint32, data [][]byte) bool {
			if len(data) == 0 {
				if err := b.AddName(owner); err != nil {
					n.t.Fatal(err)
				}
			}
			for _, d := range data {
				add(text.Record{Owner: owner, Type: t, TTL: ttl, Data: slices.Clone(d)})
			}
			return true
		})
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		n.t.Fatal(faults)
	}
	return d
}

// feed hands the data over; a service may speak against them.
func (z *fedZone) feed(n *node) bool { return n.engine.Feed(z.name, z.data) == nil }

// change makes other data of the zone, and hands them over, unless they are refused.
func (z *fedZone) change(n *node, r *rand.Rand) {
	was := z.data
	switch k := r.IntN(24); {
	case k == 0:
		z.data = z.whole(n, z.data)
	case k == 1 && len(z.before) > 0:
		z.data = z.before[r.IntN(len(z.before))]
	default:
		for range 1 + r.IntN(3) { // several amendments before it is handed over
			var edits []zone.Edit
			for range 1 + r.IntN(3) {
				edits = append(edits, z.edit(n, r, amendedNames[r.IntN(len(amendedNames))]))
			}
			if z.many > 0 {
				at, size := r.IntN(z.many), []int{1, 1, 1, 5, 400}[r.IntN(5)]
				edits = append(edits, z.lot(n, r, at, size)...)
			}
			z.amend(edits)
		}
	}
	if !z.feed(n) {
		z.data = was
		return
	}
	z.before = append(z.before, was)
}

// amend does edits, when the zone can have them.
func (z *fedZone) amend(edits []zone.Edit) {
	if d, err := z.data.Amend(edits); err == nil {
		z.data = d
	}
}

// lot makes something else of names that lie side by side; now and then they all go.
func (z *fedZone) lot(n *node, r *rand.Rand, at, size int) []zone.Edit {
	var edits []zone.Edit
	gone := r.IntN(4) == 0
	for i := at; i < min(at+size, z.many); i++ {
		e := z.edit(n, r, fmt.Sprintf("n%04d.", i))
		if gone {
			e.Exists, e.Records = false, nil
		}
		edits = append(edits, e)
	}
	return edits
}

// edit makes something else of a name.
func (z *fedZone) edit(n *node, r *rand.Rand, label string) zone.Edit {
	owner := name(n.t, label+"gslb.test")
	e := zone.Edit{Owner: owner}
	add := func(t dnswire.Type, data ...byte) {
		e.Records = append(e.Records, text.Record{Owner: owner, Type: t, TTL: uint32(20 * r.IntN(3)), Data: data})
	}
	if owner == z.name {
		for _, r := range n.engine.Apex(z.name) {
			if r.Owner == owner {
				e.Records = append(e.Records, r)
			}
		}
	}
	target := []byte(name(n.t, []string{"b.a.gslb.test", "elsewhere.test", "none.gslb.test", "q.w.gslb.test"}[r.IntN(4)]))
	switch k := r.IntN(20); {
	case k < 4: // it goes, or is as it was
	case k < 6:
		e.Exists = true
	case k < 9:
		add(dnswire.TypeCNAME, target...)
	case k == 9 && z.cuts:
		add(dnswire.TypeNS, target...)
	case k == 10 && z.cuts:
		add(dnswire.TypeDNAME, target...)
	default:
		if k%2 == 0 {
			for range 1 + r.IntN(3) {
				add(dnswire.TypeA, 198, 51, 100, byte(r.IntN(9)))
			}
		}
		if k%3 == 0 {
			add(dnswire.TypeAAAA, append([]byte{0x20, 1, 0xd, 0xb8, 15: 0}[:15], byte(r.IntN(9)))...)
		}
		if k%5 == 0 || len(e.Records) == 0 {
			add(dnswire.TypeTXT, 1, 'x')
		}
	}
	return e
}
