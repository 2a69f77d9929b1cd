package resolve

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// What depends on the client's place is decided before anybody asks: for every
// place there is, with the health of this snapshot. What comes of it is a list of
// decisions and a geo.Map from address to decision, in which neighbours that are
// decided alike are one network. A query pays one look-up, which gives the
// decision and, in the length of the network, the exact scope of RFC 7871.
//
//	place -> class     what the chain's filters go by; from the table and geo alone
//	class -> decision  what is left before the first filter by chance; from health too
//	address -> decision
//
// The decisions are made by pick, which decides the others as well.

// settled is what the plans of a snapshot that go by place come to.
type settled struct {
	plans []*byPlace          // by number of the plan; nil: it does not go by place
	own   map[string]*byPlace // of services with an override, by name in wire form
}

// byPlace is what one plan comes to, or one service when it has an override.
type byPlace struct {
	plan    *table.Plan
	classes *classes
	// by is by family, and by whether endpoints are answered by name.
	by [len(table.Plan{}.Members)][2]outcome
}

// classes are the places as one plan, or several alike, tell them apart.
type classes struct {
	name    string // the same for plans that tell the same places apart
	geo     uint64 // generation of the view
	of      []uint32
	example []uint32 // of each class, a place
	m       *geo.Map // address to class
}

// outcome is what a plan comes to for one family.
type outcome struct {
	decisions []decision
	of        []uint32 // class to decision
	m         *geo.Map // address to decision; nil: there is one decision for all
}

// decision is what is left of a service before chance and subnets have a say.
type decision struct {
	ms      *table.Members
	set     []steer.Candidate // empty: no data
	link    *table.Link       // the chain that goes on from there
	rcode   dnswire.RCode
	ede     dnswire.EDE
	edeText string
	short   bool // of candidates some have not all of their share
	moving  bool // and that is about to change
	lapsed  bool // something nested has gone by its all_down
}

func (d *decision) same(o *decision) bool {
	if (d.link == nil) != (o.link == nil) || d.link != nil && d.link.Rest != o.link.Rest {
		return false
	}
	return d.ms == o.ms && d.short == o.short && d.lapsed == o.lapsed && d.rcode == o.rcode && d.ede == o.ede && d.edeText == o.edeText && slices.Equal(d.set, o.set)
}

// maxClasses is how many classes of places a plan is settled for. Beyond, each
// query decides for itself, and its scope is that of its class.
const maxClasses = 4096

// Settle decides what depends on places. It is called once, before the snapshot
// is anybody else's; prev is the one before, or nil, and what has not changed
// since is taken over from it.
func (s *Snapshot) Settle(prev *Snapshot) {
	s.settled = nil
	if s.Geo == nil {
		return
	}
	k := settler{s: s, prev: prev, c: NewScratch(1, 2)}
	for i, p := range s.Table.Plans {
		if p == nil || p.Needs&steer.Places == 0 {
			continue
		}
		if s.settled == nil {
			s.settled = &settled{plans: make([]*byPlace, len(s.Table.Plans))}
		}
		s.settled.plans[i] = k.byPlace(uint32(i), p)
	}
	if s.settled == nil {
		return
	}
	for name := range s.Health.Overridden {
		n := s.Table.Lookup([]byte(name))
		if n == nil || n.Plan == table.NoPlan || s.settled.plans[n.Plan] == nil {
			continue
		}
		if s.settled.own == nil {
			s.settled.own = map[string]*byPlace{}
		}
		own := &byPlace{plan: s.Table.Plans[n.Plan], classes: s.settled.plans[n.Plan].classes}
		k.decide(n, own)
		s.settled.own[string(name)] = own
	}
}

// settler is the making of a settled.
type settler struct {
	s, prev *Snapshot
	c       *Scratch
	// Thousands of services may go by the same places, each with a plan of its own,
	// and a map is megabytes: those that are alike are one, which may be of prev.
	known map[string]*classes // by name
	maps  map[mapKey]*geo.Map
}

// mapKey is what a map from address to decision is made of.
type mapKey struct {
	classes *classes
	of      string // class to decision
}

func keyOf(c *classes, of []uint32) mapKey {
	var b []byte
	for _, d := range of {
		b = binary.AppendUvarint(b, uint64(d))
	}
	return mapKey{c, string(b)}
}

// each calls f with what the plans of the snapshot before come to.
func (k *settler) each(f func(*byPlace)) {
	if k.prev == nil || k.prev.settled == nil {
		return
	}
	for _, pl := range k.prev.settled.plans {
		if pl != nil {
			f(pl)
		}
	}
	for _, pl := range k.prev.settled.own {
		f(pl)
	}
}

// mapOf is the map from address to decision.
func (k *settler) mapOf(c *classes, of []uint32) *geo.Map {
	if k.maps == nil {
		k.maps = map[mapKey]*geo.Map{}
		k.each(func(pl *byPlace) {
			for f := range pl.by {
				for i := range pl.by[f] {
					if o := &pl.by[f][i]; o.m != nil {
						k.maps[keyOf(pl.classes, o.of)] = o.m
					}
				}
			}
		})
	}
	key := keyOf(c, of)
	m := k.maps[key]
	if m == nil {
		m = c.m.Classes(of)
		k.maps[key] = m
	}
	return m
}

// byPlace is what a plan comes to: the same as before when nothing that it goes
// by has changed.
func (k *settler) byPlace(number uint32, p *table.Plan) *byPlace {
	var old *byPlace
	if k.prev != nil && k.prev.settled != nil && int(number) < len(k.prev.settled.plans) {
		old = k.prev.settled.plans[number]
	}
	if old == nil || old.plan != p || old.classes.geo != k.s.Geo.Generation() {
		fresh := &byPlace{plan: p, classes: k.classesOf(p)}
		k.decide(nil, fresh)
		return fresh
	}
	if k.unchanged(p) {
		return old
	}
	next := &byPlace{plan: p, classes: old.classes, by: old.by}
	k.decide(nil, next)
	return next
}

// unchanged is whether all that a plan's decisions depend on is as it was. A table
// that has the same plan as another one differs from it in static records alone.
func (k *settler) unchanged(p *table.Plan) bool {
	a, b := k.prev, k.s
	if a.Hosts != b.Hosts || a.Hours != b.Hours || !k.steady(p) {
		return false
	}
	if a.Health == b.Health {
		return true
	}
	latency, load := p.Needs&steer.Latencies != 0, p.Needs&steer.Loads != 0
	for _, group := range []*[families]table.Members{&p.Members, &p.Spare} {
		for f := range group {
			for _, t := range group[f].Targets {
				if a.Health.State(int(t)) != b.Health.State(int(t)) ||
					a.Health.Left(int(t)) != b.Health.Left(int(t)) ||
					!a.Health.SameEverywhere(b.Health, int(t)) ||
					latency && measure(a.Health.Latency(), t) != measure(b.Health.Latency(), t) ||
					load && measure(a.Health.Load(), t) != measure(b.Health.Load(), t) {
					return false
				}
			}
		}
	}
	return true
}

// steady is whether what is no state of an endpoint, and goes for a plan or for what
// is nested in it, is as it was. Of operators' words those on the endpoints of
// what is nested count here; a plan's own services have decisions of their own.
func (k *settler) steady(p *table.Plan) bool {
	if p.Policy.AllDown.Rule == spec.LastHealthy {
		return false
	}
	for _, i := range p.Courses {
		if i >= 0 && k.prev.Conduct.Course(int(i)) != k.s.Conduct.Course(int(i)) {
			return false
		}
	}
	for _, n := range p.Nested {
		switch {
		case n == nil:
		case k.prev.Health != k.s.Health && n.Service != "" && (k.prev.Health.HasWord(n.Service) || k.s.Health.HasWord(n.Service)):
			return false
		case !k.steady(n.Plan):
			return false
		}
	}
	return true
}

func measure(of []uint32, target int32) uint32 {
	if int(target) < len(of) {
		return of[target]
	}
	return 0
}

const families = len(table.Plan{}.Members)

// classesOf are the places as a plan's filters tell them apart.
func (k *settler) classesOf(p *table.Plan) *classes {
	view := k.s.Geo
	if k.known == nil {
		k.known = map[string]*classes{}
		k.each(func(pl *byPlace) {
			if pl.classes.geo == view.Generation() {
				k.known[pl.classes.name] = pl.classes
			}
		})
	}
	filters := p.Placed()
	name := nameOf(p)
	if c := k.known[name]; c != nil {
		return c
	}
	c := &classes{name: name, geo: view.Generation(), of: make([]uint32, view.Places())}
	ids := map[string]uint32{}
	var key []byte
	for id := range c.of {
		place := view.Place(uint32(id))
		key = key[:0]
		for _, f := range filters {
			key = f.Class(key, &place)
		}
		class, ok := ids[string(key)]
		if !ok {
			class = uint32(len(ids))
			ids[string(key)] = class
			c.example = append(c.example, uint32(id))
		}
		c.of[id] = class
	}
	c.m = view.Classes(c.of)
	k.known[name] = c
	return c
}

// nameOf is the filters that go by places, each behind the places of the endpoints
// that it compares with, in whatever order: by other numbers of the same places the
// same clients are told apart. What is nested compares with its own alone.
func nameOf(p *table.Plan) string {
	var parts, filters []string
	for _, f := range p.Chain {
		if f.Needs()&steer.Places != 0 {
			filters = append(filters, f.String())
		}
	}
	if filters != nil {
		for i := range p.Sites {
			parts = append(parts, fmt.Sprintf("%#v", p.Sites[i]))
		}
		slices.Sort(parts)
	}
	parts = append(parts, filters...)
	for _, n := range p.Nested {
		if n != nil {
			parts = append(parts, "{"+nameOf(n.Plan)+"}")
		}
	}
	return strings.Join(parts, ";")
}

// decide makes the decisions of a plan, for the service with an override when
// there is a node. What they were before is there already.
func (k *settler) decide(n *table.Node, pl *byPlace) {
	p := pl.plan
	if !p.Settles || len(pl.classes.example) > maxClasses {
		return
	}
	for f := range p.Members {
		for named := range pl.by[f] {
			if named == 1 && !p.Policy.SRV && !p.Hosted || len(p.Members[f].Candidates) == 0 {
				continue
			}
			k.outcome(n, pl, table.Family(f), named == 1)
		}
	}
}

func (k *settler) outcome(n *table.Node, pl *byPlace, f table.Family, named bool) {
	old := &pl.by[f][index(named)]
	next := outcome{of: make([]uint32, len(pl.classes.example))}
	for class, example := range pl.classes.example {
		d := k.decision(n, pl.plan, f, named, k.s.Geo.Place(example))
		if k.c.torn { // chance comes before places: each query decides for itself
			*old = outcome{}
			return
		}
		i := slices.IndexFunc(next.decisions, func(o decision) bool { return o.same(&d) })
		if i < 0 {
			i = len(next.decisions)
			d.set = slices.Clone(d.set)
			next.decisions = append(next.decisions, d)
		}
		next.of[class] = uint32(i)
	}
	switch {
	case len(next.decisions) == 1:
	case old.m != nil && slices.Equal(old.of, next.of):
		next.m = old.m
	default:
		next.m = k.mapOf(pl.classes, next.of)
	}
	*old = next
}

// decision is what is left for a client at a place, before chance.
func (k *settler) decision(n *table.Node, p *table.Plan, f table.Family, named bool, place geo.Place) decision {
	c := k.c
	c.begin(nil)
	c.opt = dnswire.OPT{}
	c.named, c.place, c.node, c.torn, c.lapsed = named, place, n, false, false
	ms, picked := k.s.consider(p, f, c)
	d := decision{ms: ms, rcode: c.Outcome.RCode, ede: c.opt.EDE, edeText: c.opt.EDEText}
	if len(picked) > 0 {
		d.set, d.link, d.short, d.moving, d.lapsed = c.kept, c.link, c.short, c.moving, c.lapsed
	}
	return d
}

// decided is the decision for the client at hand, when it was made before. It
// notes how many bits of the address that took. Without one, and for an
// explanation, which shows every step, the client's place is found for the
// filters.
func (s *Snapshot) decided(n *table.Node, p *table.Plan, f table.Family, c *Scratch) *decision {
	cl, pl := c.whom(), s.byPlaceOf(n, p)
	if pl == nil || !cl.valid {
		cl.matters(s.locate(c))
		return nil
	}
	o := &pl.by[f][index(c.named)]
	var d *decision
	switch {
	case len(o.decisions) == 0:
		_, bits := cl.find(pl.classes.m) // what matters is the class at most
		cl.matters(bits)
	case o.m == nil:
		d = &o.decisions[0]
	default:
		i, bits := cl.find(o.m)
		cl.matters(bits)
		d = &o.decisions[i]
	}
	if d == nil || c.trace != nil {
		s.locate(c)
		return nil
	}
	return d
}

// byPlaceOf is what the plan comes to for a service; nil when nobody settled it.
func (s *Snapshot) byPlaceOf(n *table.Node, p *table.Plan) *byPlace {
	if s.settled == nil {
		return nil
	}
	if s.settled.own != nil {
		if own := s.settled.own[string(s.Table.Text(n))]; own != nil {
			return own
		}
	}
	return s.settled.plans[n.Plan]
}

func index(named bool) int {
	if named {
		return 1
	}
	return 0
}

// resume goes on with a decision where chance and subnets begin to have a say.
func (s *Snapshot) resume(p *table.Plan, d *decision, c *Scratch) (*table.Members, []steer.Candidate) {
	c.Outcome.RCode = d.rcode
	if d.ede != 0 {
		c.explain(d.ede, d.edeText)
	}
	if len(d.set) == 0 {
		return d.ms, nil
	}
	s.facts(p, c)
	c.query.Targets = d.ms.Targets
	c.kept, c.link, c.short, c.moving = d.set, d.link, d.short, d.moving
	c.set = append(c.set[:0], d.set...)
	if d.link == unsteered && p.Policy.AllDown.Rule == spec.ServeEvery {
		return d.ms, c.set
	}
	picked := c.first(p, d.ms, c.draw(d.link, d.ms, c.set))
	if d.lapsed {
		s.inherited(c, p, d.ms, picked)
	}
	return d.ms, picked
}

// follow is the first of the tails that keeps anything; nil when none does. What
// is drawn for that decides nothing, and is drawn again by who follows.
func (c *Scratch) follow(l *table.Link, ms *table.Members, set []steer.Candidate) *table.Link {
	steps, drawn := 0, *c.query.Rand
	for i, t := range l.Tails {
		if c.trace != nil {
			steps = len(c.trace.Steps)
		}
		c.beside = append(c.beside[:0], set...)
		kept := c.apply(t.Within, ms, c.beside, 0, len(t.Within.Filters))
		*c.query.Rand = drawn
		if len(kept) == 0 {
			continue
		}
		if c.trace != nil {
			c.trace.Steps = c.trace.Steps[:steps]
			first := l.Filters[l.Chances]
			c.trace.note(first.String(), "%s: chain %d of %d", first.Rule(), i+1, len(l.Tails))
		}
		return t.Link
	}
	return nil
}
