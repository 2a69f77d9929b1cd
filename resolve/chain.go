package resolve

import (
	"slices"

	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// left is what the chain leaves of the candidates at a stage, and of how many
// others nothing is known. Pools that do not stand are given to it when it leaves
// nothing of those that do.
func (s *Snapshot) left(c *Scratch, p *table.Plan, ms *table.Members, at stage) (set []steer.Candidate, unknown int) {
	for _, anyhow := range [...]bool{false, true} {
		turns := uint32(1)
		if p.Alternates && !c.rehearses {
			turns = s.turns(c, p, ms, at, anyhow)
		}
		c.turns, c.anyhow = turns, anyhow
		set, unknown = s.candidates(c, p, ms, at)
		dropped := c.dropped
		if set = c.chain(p, ms, set); len(set) > 0 || !dropped {
			break
		}
	}
	return set, unknown
}

// turns is how many candidates take turns in the plan's own chain at a stage,
// which is not known before what is nested has chosen. Nobody sees that it is
// tried.
func (s *Snapshot) turns(c *Scratch, p *table.Plan, ms *table.Members, at stage, anyhow bool) uint32 {
	trace, luck, short, moving, lapsed := c.trace, *c.query.Rand, c.short, c.moving, c.lapsed
	c.trace, c.rehearses, c.turns, c.anyhow = nil, true, 1, anyhow
	set, _ := s.candidates(c, p, ms, at)
	c.chain(p, ms, set)
	c.trace, c.rehearses, c.short, c.moving, c.lapsed = trace, false, short, moving, lapsed
	*c.query.Rand = luck
	return uint32(max(1, c.among))
}

// chain applies the filters. Where a plan can be settled, which of the chains of a
// First is followed comes before chance.
func (c *Scratch) chain(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	measured := c.depth > 0 || c.rehearses
	if measured {
		c.among, c.thinned = 0, false
	}
	if len(set) == 0 {
		return set
	}
	if c.all() {
		return c.possible(p, ms, set)
	}
	l := p.Link
	if l.Needs&(steer.Latencies|steer.Loads) != 0 {
		c.query.Targets = ms.Targets
	}
	if l.Chances > 0 {
		set = c.apply(l, ms, set, 0, c.choice(l))
	}
	for l.Tails != nil && len(set) > 0 {
		if l = c.follow(l, ms, set); l == nil {
			return set[:0]
		}
		set = c.apply(l, ms, set, 0, c.choice(l))
	}
	if p.Link.Needs&(steer.Places|steer.Subnets) != 0 || c.asked == nil {
		c.keep(l, set)
	}
	if measured {
		c.among, c.mean = len(set), mean(l, set)
	}
	if c.short {
		return c.draw(l, ms, set)
	}
	return c.apply(l, ms, set, l.Chances, len(l.Filters))
}

// keep notes what chance and subnets had to choose from, for whoever wants to know.
func (c *Scratch) keep(l *table.Link, set []steer.Candidate) {
	c.chosen = append(c.chosen[:0], set...)
	c.kept, c.link = c.chosen, l
}

// mean is the share of all the traffic that would be theirs that candidates are
// to have.
func mean(l *table.Link, set []steer.Candidate) uint16 {
	var sum, of uint64
	for i := range set {
		w := uint64(1)
		if l.ByWeight {
			w = uint64(set[i].Weight)
		}
		sum += w * uint64(set[i].Share)
		of += w
	}
	if of == 0 {
		return steer.Whole
	}
	return uint16((sum + of - 1) / of)
}

// draw applies the filters from the first one that goes by chance or by subnet.
func (c *Scratch) draw(l *table.Link, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if c.short && l.Needs&steer.Weights == 0 && !c.all() {
		set = c.thin(ms, set)
	}
	return c.apply(l, ms, set, c.choice(l), len(l.Filters))
}

func (c *Scratch) thin(ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if slices.ContainsFunc(set, func(cand steer.Candidate) bool { return cand.Share < steer.Whole }) {
		c.thinned, c.torn = true, c.torn || c.depth > 0
	}
	set = steer.Thin(&c.query, set)
	c.traceSet("share", "by chance, endpoints that are to have less than their whole share", ms, set)
	return set
}

// choice is where a chain begins to choose.
func (c *Scratch) choice(l *table.Link) int {
	if c.short {
		return l.Choice
	}
	return l.Chances
}

func (c *Scratch) apply(l *table.Link, ms *table.Members, set []steer.Candidate, from, to int) []steer.Candidate {
	wants := l.Wants
	if c.named {
		wants = l.WantsAll
	}
	for i := from; i < to; i++ {
		c.query.Want = wants[i]
		f := l.Filters[i]
		if c.trace == nil {
			set = f.Apply(&c.query, set)
		} else {
			set = c.traceFilter(f, ms, set)
		}
	}
	return set
}

// first is as many candidates as the service answers.
func (c *Scratch) first(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if n := p.Policy.Answers; n > 0 && n < len(set) && !c.named && !(c.drawn && c.all()) {
		set = set[:n]
		c.traceSet("answers", "as many records as the service answers", ms, set)
	}
	return set
}
