package simulate

import (
	"cmp"
	"maps"
	"math"
	"net/netip"
	"slices"

	"github.com/rhumb-dns/rhumb/geo"
)

// report is the making of a Result.
type report struct {
	*run
	queries float64
	pools   []string       // by number; those of the unanswered have no name
	pool    map[string]int // number by name
	at      []point        // by number of the pool
	of      []int          // line to number of the pool
	groups  []flow
	result  Result

	distances map[uint64]float64 // of place and pool
}

// flow is what the clients of one group do.
type flow struct {
	queries float64
	before  []part // share of the group's answers by pool
	after   []part
	moved   float64 // share of the group's clients that move
	leave   []part  // the same by pool that they leave
	enter   []part  // and by pool that they come to
}

// part is a share of something, of a pool.
type part struct {
	pool  int
	share float64
}

// add adds a share to that of a pool.
func add(parts []part, pool int, share float64) []part {
	for i := range parts {
		if parts[i].pool == pool {
			parts[i].share += share
			return parts
		}
	}
	return append(parts, part{pool, share})
}

// result makes the result of a run of so many queries.
func (r *run) result(queries int) *Result {
	p := &report{run: r, queries: float64(queries), pool: map[string]int{}, distances: map[uint64]float64{}}
	if r.after == nil {
		for i := range r.counts {
			r.counts[i].after = r.counts[i].before
		}
	}
	p.summary(queries)
	p.number()
	p.flows()
	p.shares()
	p.people()
	p.result.round()
	return &p.result
}

func (p *report) summary(queries int) {
	m := p.o.Mix
	p.result = Result{
		Mix: Summary{
			Kind: m.Kind, From: m.From, Clients: len(m.Clients), Weight: m.Total(), Unit: m.Unit, Left: p.left,
		},
		Queries: queries, Compared: p.after != nil,
		Types: []string{}, Suppositions: []string{}, Reasons: []Reason{}, Moves: []Move{}, Countries: []Country{},
		Networks: []Network{}, Conditions: []Condition{},
	}
	types, names := map[string]bool{}, map[string]bool{}
	for i := range p.questions {
		types[p.questions[i].typ.String()] = true
		names[string(p.questions[i].name)] = true
	}
	p.result.Types = slices.Sorted(maps.Keys(types))
	p.result.Services = len(names)
	if p.o.Load.Amount > 0 {
		load := p.o.Load
		p.result.Load = &load
	}
}

// number gives the pools numbers, that of the unanswered being 0.
func (p *report) number() {
	p.pools, p.at = []string{""}, []point{nowhere}
	p.pool[""] = 0
	for _, l := range p.lines.all {
		n, known := p.pool[l.pool]
		if !known {
			n = len(p.pools)
			p.pool[l.pool] = n
			p.pools = append(p.pools, l.pool)
			p.at = append(p.at, p.locate(l.pool))
		}
		p.of = append(p.of, n)
	}
}

// locate is where a pool is, by the configuration of after if it has it.
func (p *report) locate(pool string) point {
	for _, w := range []*World{p.o.After, p.o.Before} {
		if w != nil && w.Pools[pool] != nil {
			if at := pointOf(w.Pools[pool].Place); at.known {
				return at
			}
		}
	}
	return nowhere
}

// flows finds out what each group does. Of clients with chances p before and q
// after, the sum of all p - q that are above 0 has to move, and no more.
func (p *report) flows() {
	for i := range p.counts {
		for p.counts[i].group >= len(p.groups) {
			p.groups = append(p.groups, flow{})
		}
		p.groups[p.counts[i].group].queries += p.counts[i].before
	}
	for i := range p.counts {
		c := &p.counts[i]
		g, pool := &p.groups[c.group], p.of[c.line]
		before, after := c.before/g.queries, c.after/g.queries
		g.before, g.after = add(g.before, pool, before), add(g.after, pool, after)
		// The answers of several records are sums of fractions.
		const rounding = 1e-12
		switch d := before - after; {
		case d > rounding:
			g.moved += d
			g.leave = add(g.leave, pool, d)
		case d < -rounding:
			g.enter = add(g.enter, pool, -d)
		}
	}
	for i := range p.groups {
		p.result.Moved += p.groups[i].moved * p.groups[i].queries / p.queries
	}
}

// shares adds up the shares of endpoints and pools, those that got nothing as
// well.
func (p *report) shares() {
	sums := make([]Change, len(p.lines.all))
	for i := range p.counts {
		c := &p.counts[i]
		sums[c.line].Before += c.before / p.queries
		sums[c.line].After += c.after / p.queries
	}
	given := map[line]Change{}
	for i, l := range p.lines.all {
		given[l] = sums[i]
		if l.pool == "" {
			p.result.Reasons = append(p.result.Reasons, Reason{l.endpoint, sums[i]})
			p.result.Unanswered.add(sums[i])
		}
	}
	slices.SortFunc(p.result.Reasons, func(a, b Reason) int { return cmp.Compare(a.Text, b.Text) })
	pools := map[string]bool{}
	for l := range given {
		pools[l.pool] = true
	}
	for i := range p.questions {
		q := &p.questions[i]
		p.each(func(w *World) {
			_, plan := w.service(q.name, q.typ)
			for _, pool := range poolsOf(plan) {
				pools[pool.Name] = true
			}
		})
	}
	delete(pools, "")
	p.result.Pools = make([]Pool, 0, len(pools))
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		p.result.Pools = append(p.result.Pools, p.poolOf(name, given))
	}
}

func (c *Change) add(d Change) { c.Before, c.After = c.Before+d.Before, c.After+d.After }

// poolOf is a pool with its endpoints of both sides.
func (p *report) poolOf(name string, given map[line]Change) Pool {
	pool := Pool{Name: name, Endpoints: []Endpoint{}}
	seen := map[string]bool{}
	for _, w := range []*World{p.o.After, p.o.Before} {
		if w == nil || w.Pools[name] == nil {
			continue
		}
		for i := range w.Pools[name].Endpoints {
			e := &w.Pools[name].Endpoints[i]
			at := e.String()
			if seen[at] {
				continue
			}
			seen[at] = true
			end := Endpoint{Name: at, Share: given[line{name, at}], State: "up"}
			pool.Share.add(end.Share)
			if p.o.Before.States[at] != "" {
				p.result.ToDown.Before += down(p.o.Before.States[at]) * end.Share.Before
			}
			last := p.o.Before
			if p.o.After != nil {
				last = p.o.After
			}
			if last.States[at] != "" {
				end.State = last.States[at]
				p.result.ToDown.After += down(end.State) * end.Share.After
			}
			p.o.Load.weigh(&end, e)
			pool.Endpoints = append(pool.Endpoints, end)
		}
	}
	return pool
}

// down is 1 for a state in which nobody should be sent to an endpoint, else 0.
func down(state string) float64 {
	if state == "down" || state == drained {
		return 1
	}
	return 0
}

// round cuts what is only the rounding of sums off.
func (r *Result) round() {
	each := func(c *Change) { c.Before, c.After = rounded(c.Before), rounded(c.After) }
	for i := range r.Pools {
		each(&r.Pools[i].Share)
		for k := range r.Pools[i].Endpoints {
			each(&r.Pools[i].Endpoints[k].Share)
			each(&r.Pools[i].Endpoints[k].Load)
		}
	}
	for i := range r.Reasons {
		each(&r.Reasons[i].Share)
	}
	for i := range r.Moves {
		r.Moves[i].Share = rounded(r.Moves[i].Share)
	}
	for i := range r.Countries {
		r.Countries[i].Share, r.Countries[i].Moved = rounded(r.Countries[i].Share), rounded(r.Countries[i].Moved)
	}
	for i := range r.Networks {
		r.Networks[i].Share, r.Networks[i].Moved = rounded(r.Networks[i].Share), rounded(r.Networks[i].Moved)
	}
	each(&r.Unanswered)
	each(&r.ToDown)
	each(&r.Measured)
	r.Moved = rounded(r.Moved)
}

// rounded is v to nine decimals, which is less than one query.
func rounded(v float64) float64 { return math.Round(v*1e9) / 1e9 }

// mean is a mean that grows: of what is known of it.
type mean struct{ sum, weight, all float64 }

func (m *mean) add(v, weight float64) {
	m.all += weight
	if !math.IsNaN(v) {
		m.sum, m.weight = m.sum+v*weight, m.weight+weight
	}
}

// change is the means before and after; nil when one is not known.
func change(before, after *mean) *Change {
	if before.weight == 0 || after.weight == 0 {
		return nil
	}
	return &Change{before.sum / before.weight, after.sum / after.weight}
}

// tally is a sum over clients.
type tally struct {
	share, moved float64
	before, km   mean
	country      string
}

// people adds up what happens to the clients: by where they go, by country and by
// network.
func (p *report) people() {
	type road struct{ from, to int }
	moves := map[road]*tally{}
	countries := map[string]*tally{}
	networks := map[netip.Prefix]*tally{}
	var before, after mean
	for i := range p.asking {
		m := &p.asking[i]
		g := &p.groups[m.group]
		where, place := p.where(m.client)
		share := m.queries / p.queries

		country := entry(countries, place.Country)
		network := entry(networks, p.o.Mix.Clients[m.client].Network)
		network.country = place.Country
		for _, t := range []*tally{country, network} {
			t.share += share
			t.moved += share * g.moved
		}
		for _, b := range g.before {
			if b.pool != 0 {
				d := p.distance(where, place, b.pool)
				before.add(d, share*b.share)
				country.before.add(d, share*b.share)
			}
		}
		for _, a := range g.after {
			if a.pool != 0 {
				d := p.distance(where, place, a.pool)
				after.add(d, share*a.share)
				country.km.add(d, share*a.share)
			}
		}
		for _, from := range g.leave {
			for _, to := range g.enter {
				t := entry(moves, road{from.pool, to.pool})
				w := share * from.share * to.share / g.moved
				t.share += w
				t.before.add(p.distance(where, place, from.pool), w)
				t.km.add(p.distance(where, place, to.pool), w)
			}
		}
	}
	r := &p.result
	r.Distance = change(&before, &after)
	if before.all > 0 {
		r.Measured.Before = before.weight / before.all
	}
	if after.all > 0 {
		r.Measured.After = after.weight / after.all
	}
	for way, t := range moves {
		r.Moves = append(r.Moves, Move{p.pools[way.from], p.pools[way.to], t.share, change(&t.before, &t.km)})
	}
	slices.SortFunc(r.Moves, func(a, b Move) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	if p.placed() {
		for code, t := range countries {
			r.Countries = append(r.Countries, Country{code, t.share, t.moved, change(&t.before, &t.km)})
			if code != "" {
				r.Mix.Countries++
			}
		}
	}
	slices.SortFunc(r.Countries, func(a, b Country) int {
		return cmp.Or(cmp.Compare(b.Moved, a.Moved), cmp.Compare(b.Share, a.Share), cmp.Compare(a.Code, b.Code))
	})
	if p.o.Mix.Kind == "population" || p.o.Mix.Kind == "anywhere" {
		return // its networks were drawn, and mean nothing by themselves
	}
	for prefix, t := range networks {
		r.Networks = append(r.Networks, Network{prefix.String(), t.country, t.share, t.moved})
	}
	slices.SortFunc(r.Networks, func(a, b Network) int {
		return cmp.Or(cmp.Compare(b.Moved, a.Moved), cmp.Compare(b.Share, a.Share), cmp.Compare(a.Prefix, b.Prefix))
	})
	r.Networks = r.Networks[:min(len(r.Networks), MaxNetworks)]
}

func entry[K comparable, V any](m map[K]*V, k K) *V {
	v := m[k]
	if v == nil {
		v = new(V)
		m[k] = v
	}
	return v
}

// placed is whether it is known where anybody is.
func (p *report) placed() bool { return p.o.Before.Places != nil }

// where is the place of a client, whoever asks for it, and its number.
func (p *report) where(client int) (id uint32, place geo.Place) {
	w := p.o.Before
	if w.Places == nil {
		return 0, place
	}
	id = w.find(p.o.Mix.Clients[client].addr())
	return id, w.Places.Place(id)
}

// distance is how far a place is from a pool, in km; not a number when that is not
// known.
func (p *report) distance(id uint32, place geo.Place, pool int) float64 {
	key := pair(int(id), pool)
	d, known := p.distances[key]
	if !known {
		d = placePoint(place).to(p.at[pool])
		p.distances[key] = d
	}
	return d
}
