package resolve

import "github.com/rhumb-dns/rhumb/table"

// ttl is that of a service's records, once its endpoints are picked: a short one
// while something about the answer is in transition.
func (s *Snapshot) ttl(p *table.Plan, c *Scratch) uint32 {
	if p.Courses == nil && p.Nested == nil && !c.moving {
		return p.Policy.TTL
	}
	return s.transition(p, c)
}

// transition is ttl where pools have a conduct, or others are nested, or an
// endpoint has not all of its share and is about to have more or less.
func (s *Snapshot) transition(p *table.Plan, c *Scratch) uint32 {
	ttl, moving := s.moving(p, p.Policy.TTL)
	if moving || c.moving {
		ttl = min(ttl, p.Policy.TransitionTTL)
	}
	if ttl < p.Policy.TTL {
		c.traceNote("ttl", "something about the answer is in transition, so that transition_ttl is in place of ttl")
	}
	return ttl
}

// moving is whether something about the pools of a plan, or of what is nested in
// it, is in transition, and a TTL lowered to what nested services then want.
func (s *Snapshot) moving(p *table.Plan, most uint32) (ttl uint32, moving bool) {
	for pool := range p.Courses {
		if course := s.course(p, uint16(pool)); course != nil {
			moving = moving || course.Moving
		}
	}
	for _, n := range p.Nested {
		if n == nil {
			continue
		}
		lower, is := s.moving(n.Plan, most)
		if is && n.Service != "" {
			lower = min(lower, n.Plan.Policy.TransitionTTL)
		}
		most, moving = lower, moving || is
	}
	return most, moving
}
