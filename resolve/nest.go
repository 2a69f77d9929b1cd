package resolve

import (
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// stage is which endpoints are candidates, by the rules of pick.
type stage uint8

const (
	live       stage = iota // that are up, or whatever panic says
	doubtful                // of which nothing is known
	regardless              // all but those that an operator has forced down
	all
)

// candidates are the members of a plan at a stage, those of pools that do not
// stand left out, and of how many others nothing is known. What is nested has
// chosen among its own by then.
func (s *Snapshot) candidates(c *Scratch, p *table.Plan, ms *table.Members, at stage) (set []steer.Candidate, unknown int) {
	switch at {
	case live:
		set, unknown = s.up(c, p, ms)
		return s.stand(c, p, ms, set), unknown
	case doubtful:
		set = s.nest(c, p, ms, s.withState(c, p, ms, health.Unknown), doubtful)
		c.traceSet("health", "nothing that is known to be up is left; endpoints of which nothing is known", ms, set)
		return s.minHealthy(c, p, ms, set, health.Unknown), 0
	case regardless:
		return s.nest(c, p, ms, s.regardless(c, p, ms), regardless), 0
	}
	c.set = s.known(c, ms, append(c.set[:0], ms.Candidates...))
	return s.nest(c, p, ms, c.set, all), 0
}

// stand is what of those that are up are candidates, where more than the health of
// each decides: see Plan.Plain.
func (s *Snapshot) stand(c *Scratch, p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if ms.Hosts != nil {
		set = s.known(c, ms, set)
	}
	set = s.nest(c, p, ms, set, live)
	if len(set) > 0 && p.Policy.Panic > 0 && s.panics(p, c) {
		set, _ = s.candidates(c, p, ms, regardless)
		c.traceSet("panic", "health is ignored", ms, set)
		return set
	}
	if len(set) > 0 {
		c.traceSet("health", "endpoints that are up", ms, set)
	}
	return s.minHealthy(c, p, ms, set, health.Up)
}

// nest replaces the candidates that are nested by those that they come to.
func (s *Snapshot) nest(c *Scratch, p *table.Plan, ms *table.Members, set []steer.Candidate, at stage) []steer.Candidate {
	if p.Nested == nil {
		return set
	}
	kept := set[:0]
	for _, cand := range set {
		if p.Nests(int(cand.Pool)) == nil {
			kept = append(kept, cand)
		}
	}
	plain := len(kept)
	for _, n := range p.Nested {
		if n != nil {
			kept = s.inside(c, p, ms, n, kept, at)
		}
	}
	return c.inOrder(kept, plain)
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

// inside appends the endpoints that a nested service, or a composed pool, would
// answer itself at a stage. It works in buffers of its own, a level deeper.
func (s *Snapshot) inside(c *Scratch, outer *table.Plan, to *table.Members, n *table.Nested, out []steer.Candidate, at stage) []steer.Candidate {
	p, ms := n.Plan, &n.Plan.Members[to.Family]
	if len(ms.Candidates) == 0 && len(p.Spare[to.Family].Candidates) == 0 {
		return out
	}
	if c.depth == len(c.deeper) {
		c.deeper = append(c.deeper, nil)
	}
	room, within, seq := c.set, c.within, c.query.Seq
	c.set = c.deeper[c.depth][:0]
	c.depth++
	if n.Service != "" {
		c.within = n.Service
	}
	if c.trace != nil {
		c.trace.enter(outer, n)
	}
	// The outer list takes turns by the same number: both together come to all.
	c.query.Seq /= uint32(len(outer.Policy.Pools))
	base := n.Base[to.Family]
	set, unknown := s.candidates(c, p, ms, at)
	set = c.chain(p, ms, set)
	if at == live && len(set) == 0 && p.Policy.AllDown.Stated && s.none(c, p, ms, unknown) {
		switch p.Policy.AllDown.Rule {
		case spec.NoData, spec.ServFail:
		case spec.OtherPool:
			c.traceAllDown(p)
			ms, base = &p.Spare[to.Family], n.SpareBase[to.Family]
			set = s.reserve(p, ms, c)
		default:
			c.traceAllDown(p)
			set = s.unhealthy(p, ms, c)
		}
	}
	for _, cand := range c.first(p, ms, set) {
		share := cand.Share
		cand = to.Candidates[base+cand.Index]
		cand.Share = share
		out = append(out, cand)
	}
	if c.trace != nil {
		c.trace.depth--
	}
	c.depth--
	c.deeper[c.depth] = c.set[:0]
	c.set, c.within, c.query.Seq = room, within, seq
	return out
}

// none is whether a nested service has nothing either of which nothing is known.
func (s *Snapshot) none(c *Scratch, p *table.Plan, ms *table.Members, unknown int) bool {
	if unknown == 0 {
		return true
	}
	set, _ := s.candidates(c, p, ms, doubtful)
	return len(c.chain(p, ms, set)) == 0
}

// nestedStanding is standing of a member that is nested.
func (s *Snapshot) nestedStanding(c *Scratch, n *table.Nested, ms *table.Members, i int) (health.State, uint16) {
	within := c.within
	if n.Service != "" {
		c.within = n.Service
	}
	of, k := n.Inside(ms.Family, i)
	st, share := s.standing(c, n.Plan, of, k)
	c.within = within
	return st, share
}
