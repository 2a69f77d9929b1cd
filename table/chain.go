package table

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
)

// maxMarks is how many tags filters steer.Candidate.Marks has bits for.
const maxMarks = 32

// maxSites is how many places steer.Candidate.Site has numbers for.
const maxSites = math.MaxUint16

// marksOf is what each of the tags filters of a chain asks for, in the order in
// which the filters are made.
func marksOf(steps []spec.Step, marks [][]string) [][]string {
	for _, s := range steps {
		if s.Filter == "tags" {
			marks = append(marks, s.Tags)
		}
		for _, c := range s.Chains {
			marks = marksOf(c, marks)
		}
	}
	return marks
}

// chain numbers the members of a plan and their places, and makes the filters.
// All members are there.
func (p *planner) chain(plan *Plan) error {
	if err := plan.sites(); err != nil {
		return err
	}
	c := chainer{table: p.table, plan: plan}
	plan.Chain = c.filters(plan.Policy.Steer, false)
	plan.Link = linkOf(plan.Chain, plan.Policy.Answers, plan.idle())
	plan.weigh()
	return nil
}

// each calls f for every list of members, those of the reserve last.
func (p *Plan) each(f func(ms *Members)) {
	for i := range p.Members {
		f(&p.Members[i])
	}
	for i := range p.Spare {
		f(&p.Spare[i])
	}
}

// sites numbers the members and their places.
func (p *Plan) sites() error {
	member := uint32(0)
	known := map[geo.Place]uint16{}
	byPlace := map[*spec.Place]uint16{} // most endpoints have that of their pool
	p.each(func(ms *Members) {
		for i, e := range ms.Endpoints {
			at, ok := byPlace[e.Place]
			if !ok {
				place := placeOf(e)
				if at, ok = known[place]; !ok {
					at = uint16(len(p.Sites))
					known[place] = at
					p.Sites = append(p.Sites, place)
				}
				byPlace[e.Place] = at
			}
			ms.Candidates[i].Site, ms.Candidates[i].Member = at, member
			member++
		}
	})
	if len(p.Sites) > maxSites {
		return fmt.Errorf("endpoints at %d places in a service; %d are possible", len(p.Sites), maxSites)
	}
	return nil
}

// placeOf is where an endpoint is: where its country is when no more is stated,
// since that is all that may be known of a client.
func placeOf(e *spec.Endpoint) geo.Place {
	if e.Place == nil {
		return geo.Place{}
	}
	place := e.Place.Geo()
	place.Fill()
	return place
}

// chainer makes the filters of a plan.
type chainer struct {
	table *Table
	plan  *Plan
	marks uint8 // how many tags filters there are already
}

// filters makes the filters of a chain. drawn says that behind the chain there
// is a filter that draws by shares.
func (c *chainer) filters(steps []spec.Step, drawn bool) []steer.Filter {
	out := make([]steer.Filter, len(steps))
	for i := range steps {
		behind := drawn || slices.ContainsFunc(steps[i+1:], draws)
		out[i] = c.filter(&steps[i], behind)
		if l, ok := out[i].(*steer.Latency); ok && i+1 < len(steps) {
			l.Drawn = steps[i+1].Filter != "first" && draws(steps[i+1])
		}
	}
	return out
}

// draws is whether a filter draws by shares, in each of its chains if it has
// some.
func draws(s spec.Step) bool {
	switch s.Filter {
	case "weighted", "shuffle", "sticky":
		return true
	case "first":
		return !slices.ContainsFunc(s.Chains, func(chain []spec.Step) bool { return !slices.ContainsFunc(chain, draws) })
	}
	return false
}

func (c *chainer) filter(s *spec.Step, drawn bool) steer.Filter {
	switch s.Filter {
	case "rotate":
		c.plan.Rotates = true
		return steer.Rotate{}
	case "shuffle":
		return steer.Shuffle{}
	case "weighted":
		return c.weighted()
	case "sticky":
		return &steer.Sticky{IDs: c.identities()}
	case "tier":
		if s.Spill == nil {
			return steer.Tier{}
		}
		return &steer.Spill{Least: s.Spill.Least, Percent: s.Spill.Percent, Most: s.Spill.Most, Mates: c.mates()}
	case "geofence":
		return &steer.Geofence{Levels: s.Fence.Levels, Strict: s.Fence.Strict, Sites: c.plan.Sites}
	case "nearest":
		return steer.NewNearest(s.Nearest.Tolerance, s.Nearest.Within, c.plan.Sites)
	case "latency":
		return &steer.Latency{Tolerance: s.Latency.Tolerance, Within: s.Latency.Within, Max: s.Latency.Max}
	case "shed":
		soft, hard := c.limits()
		return &steer.Shed{Soft: soft, Hard: hard, Thins: !drawn}
	case "schedule":
		return c.schedule(s)
	case "limit":
		return steer.Limit{N: s.N}
	case "tags":
		c.marks++
		return steer.Tags{Mark: c.marks - 1, Tags: s.Tags}
	case "first":
		chains := make([][]steer.Filter, len(s.Chains))
		for i, steps := range s.Chains {
			chains[i] = c.filters(steps, drawn)
		}
		if drawn {
			return steer.NewFirst(chains...).Drawn()
		}
		return steer.NewFirst(chains...)
	}
	panic("table: filter " + s.Filter + " passed validation")
}

// weighted goes by the weights of the pools too where the list states them.
func (c *chainer) weighted() steer.Filter {
	pol := c.plan.Policy
	if pol.Weights == nil {
		return steer.Weighted{}
	}
	b := &steer.Balanced{Weights: pol.Weights}
	for _, pool := range pol.Pools {
		b.Names = append(b.Names, pool.Name)
	}
	return b
}

// identities are those of the endpoints, by steer.Candidate.Member.
func (c *chainer) identities() []uint64 {
	var ids []uint64
	c.plan.each(func(ms *Members) {
		for _, e := range ms.Endpoints {
			ids = append(ids, steer.Identity(e.String()))
		}
	})
	return ids
}

// limits are those of the endpoints, by steer.Candidate.Member.
func (c *chainer) limits() (soft, hard []uint32) {
	c.plan.each(func(ms *Members) {
		for _, e := range ms.Endpoints {
			soft, hard = append(soft, health.LoadUnits(e.SoftLimit)), append(hard, health.LoadUnits(e.HardLimit))
		}
	})
	return soft, hard
}

// mates are how many endpoints the tier of each endpoint has in its list, by
// steer.Candidate.Member.
func (c *chainer) mates() []uint32 {
	type tier struct{ pool, priority uint16 }
	var out []uint32
	c.plan.each(func(ms *Members) {
		counts := map[tier]uint32{}
		for _, cand := range ms.Candidates {
			counts[tier{cand.Pool, cand.Priority}]++
		}
		for _, cand := range ms.Candidates {
			out = append(out, counts[tier{cand.Pool, cand.Priority}])
		}
	})
	return out
}

// schedule is the filter of windows, which the table has in a list.
func (c *chainer) schedule(s *spec.Step) steer.Filter {
	f := &steer.Schedule{Text: spec.Windows(s.Windows), Pools: make([][]uint32, c.plan.pools())}
	for _, w := range s.Windows {
		i := c.table.window(w)
		for at := range f.Pools {
			if slices.Contains(w.Pools, c.plan.Pool(at).Name) {
				f.Pools[at] = append(f.Pools[at], i)
			}
		}
	}
	return f
}

// window is the index in Table.Schedules of a window.
func (t *Table) window(w *spec.Window) uint32 {
	i := slices.IndexFunc(t.Schedules, w.Same)
	if i < 0 {
		i = len(t.Schedules)
		t.Schedules = append(t.Schedules, w)
	}
	return uint32(i)
}

// Hours are the windows of time that are open, in the order of Table.Schedules,
// and when that may change: not before until. The zero time is never.
func (t *Table) Hours(at time.Time) (open []bool, until time.Time) {
	open = make([]bool, len(t.Schedules))
	for i, w := range t.Schedules {
		var next time.Time
		open[i], next = w.Open(at)
		if until.IsZero() || !next.IsZero() && next.Before(until) {
			until = next
		}
	}
	return open, until
}
