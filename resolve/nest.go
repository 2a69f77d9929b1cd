package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// nest adds to the candidates of a plan's own pools those that what is nested
// comes to at a stage, and says of how many of its endpoints nothing is known.
func (s *Snapshot) nest(c *Scratch, p *table.Plan, ms *table.Members, set []steer.Candidate, at stage) (kept []steer.Candidate, unknown int) {
	if p.Nested == nil {
		return set, 0
	}
	plain := len(set)
	for i := range p.Nested {
		if p.Nested[i] != nil {
			var more int
			set, more = s.inside(c, p, ms, i, set, at)
			unknown += more
		}
	}
	return c.inOrder(set, plain), unknown
}

// inOrder merges what is nested, which is in the order of the pools from plain on,
// with the others, which are before.
func (c *Scratch) inOrder(set []steer.Candidate, plain int) []steer.Candidate {
	if plain == 0 || plain == len(set) || set[plain-1].Pool <= set[plain].Pool {
		return set
	}
	c.inner = append(c.inner[:0], set[plain:]...)
	for i, j := plain-1, len(c.inner)-1; j >= 0; {
		if i >= 0 && set[i].Pool > c.inner[j].Pool {
			set[i+j+1] = set[i]
			i--
		} else {
			set[i+j+1] = c.inner[j]
			j--
		}
	}
	return set
}

// inside appends the endpoints that the nested service, or composed pool, at a
// position would answer itself at a stage. It works in buffers of its own, a
// level deeper.
func (s *Snapshot) inside(c *Scratch, outer *table.Plan, to *table.Members, pos int, out []steer.Candidate, at stage) (kept []steer.Candidate, unknown int) {
	n := outer.Nested[pos]
	p, ms := n.Plan, &n.Plan.Members[to.Family]
	rule := &p.Policy.AllDown
	switch {
	case len(ms.Candidates) == 0 && len(p.Spare[to.Family].Candidates) == 0:
		return out, 0
	case at >= recent && rule.Stated && (rule.Rule == spec.NoData || rule.Rule == spec.ServFail):
		return out, 0 // which it says of itself for when nothing is healthy
	}
	if c.depth == len(c.deeper) {
		c.deeper = append(c.deeper, nil)
	}
	room, within, seq, turns := c.set, c.within, c.query.Seq, c.turns
	c.set = c.deeper[c.depth][:0]
	c.depth++
	if n.Service != "" {
		c.within = n.Service
	}
	if c.trace != nil {
		c.trace.enter(outer, n)
	}
	// As many of the outer list take turns by the same number: both together come
	// to all.
	c.query.Seq /= turns
	base := n.Base[to.Family]
	set, unknown := s.left(c, p, ms, at)
	if at <= panicking && len(set) == 0 && rule.Stated && s.none(c, p, ms, unknown) {
		switch rule.Rule {
		case spec.NoData, spec.ServFail:
		case spec.OtherPool:
			c.lapsed = true
			c.traceAllDown(p)
			ms, base = &p.Spare[to.Family], n.SpareBase[to.Family]
			set = s.reserve(p, ms, c)
		default:
			c.lapsed = true
			c.traceAllDown(p)
			set = s.unhealthy(p, ms, c)
		}
	}
	set = c.first(p, ms, set)
	// Where shares have decided who is left they are not to count again. What they
	// come to together is the share of whoever is left in their place.
	drawn := c.thinned || len(set) < c.among
	for _, cand := range set {
		share := cand.Share
		if drawn {
			share = c.mean
		}
		cand = to.Candidates[base+cand.Index]
		cand.Share = share
		out = append(out, cand)
	}
	if c.trace != nil {
		c.trace.depth--
	}
	c.depth--
	c.deeper[c.depth] = c.set[:0]
	c.set, c.within, c.query.Seq, c.turns = room, within, seq, turns
	return out, unknown
}

// none is whether a nested service has nothing either of which nothing is known.
func (s *Snapshot) none(c *Scratch, p *table.Plan, ms *table.Members, unknown int) bool {
	if unknown == 0 {
		return true
	}
	trace, luck := c.trace, *c.query.Rand
	c.trace = nil
	set, _ := s.left(c, p, ms, doubtful)
	c.trace, *c.query.Rand = trace, luck
	return len(set) == 0
}

// inherited says in an extended error what the all-down rule of something nested
// has given, where an endpoint that is answered is of that.
func (s *Snapshot) inherited(c *Scratch, p *table.Plan, ms *table.Members, picked []steer.Candidate) {
	for _, cand := range picked {
		rule := spec.AllDown{}
		own, i := ms, int(cand.Index)
		reserve := false
		for n := p.Nests(int(cand.Pool)); n != nil && !reserve; {
			if n.Plan.Policy.AllDown.Stated {
				rule = n.Plan.Policy.AllDown
			}
			var at *table.Nested
			if own, i, reserve = n.Inside(own.Family, i); !reserve {
				at = n.Plan.Nests(int(own.Candidates[i].Pool))
			}
			n = at
		}
		if rule.Stated && (reserve || s.state(c, p, ms, int(cand.Index)) == health.Down) {
			c.explain(dnswire.EDENoReachableAuthority, allDownText[rule.Rule])
			return
		}
	}
}
