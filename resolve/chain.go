package resolve

import (
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// chain applies the filters, and keeps what chance had to choose from where
// somebody wants to know. Where a plan can be settled, which of the chains of a
// First is followed comes before chance.
func (c *Scratch) chain(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if len(set) == 0 {
		return set
	}
	l := p.Link
	if l.Needs&(steer.Latencies|steer.Loads) != 0 {
		c.query.Targets = ms.Targets
	}
	if l.Chances > 0 {
		set = c.apply(l, ms, set, 0, l.Chances)
	}
	for l.Tails != nil && len(set) > 0 {
		next := c.follow(l, ms, set)
		if next == nil {
			return set[:0]
		}
		l = next
		set = c.apply(l, ms, set, 0, l.Chances)
	}
	if p.Link.Needs&(steer.Places|steer.Subnets) != 0 || c.asked == nil {
		c.chosen = append(c.chosen[:0], set...)
		c.kept, c.link = c.chosen, l
	}
	if c.short {
		return c.draw(l, ms, set)
	}
	return c.apply(l, ms, set, l.Chances, len(l.Filters))
}

// draw applies the filters from the first one that goes by chance or by subnet.
func (c *Scratch) draw(l *table.Link, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if c.short && l.Needs&steer.Weights == 0 {
		set = c.thin(ms, set)
	}
	return c.apply(l, ms, set, l.Chances, len(l.Filters))
}

func (c *Scratch) thin(ms *table.Members, set []steer.Candidate) []steer.Candidate {
	c.torn = c.torn || c.depth > 0
	set = steer.Thin(&c.query, set)
	c.traceSet("share", "by chance, endpoints that are to have less than their whole share", ms, set)
	return set
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
	if n := p.Policy.Answers; n > 0 && n < len(set) && !c.named {
		set = set[:n]
		c.traceSet("answers", "as many records as the service answers", ms, set)
	}
	return set
}
