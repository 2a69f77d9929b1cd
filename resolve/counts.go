package resolve

import (
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// panics is whether so few of a service's endpoints are up that health is to
// be ignored. Reserves of what is nested are none of them.
func (s *Snapshot) panics(p *table.Plan, c *Scratch) bool {
	up, all := 0, 0
	for f := range p.Members {
		ms := &p.Members[f]
		for i := range ms.Targets {
			if twice(ms, i) || p.Reserved(ms, i) {
				continue
			}
			if s.state(c, p, ms, i) == health.Up {
				up++
			}
			all++
		}
	}
	if float64(up) >= p.Policy.Panic*float64(all) {
		return false
	}
	if c.trace != nil {
		c.trace.note("panic", "%d of %d endpoints are up, a smaller share than panic %v", up, all, p.Policy.Panic)
	}
	return true
}

// twice is whether a member counts in the other address family already.
func twice(ms *table.Members, i int) bool { return ms.Family == table.V6 && ms.Flat(i) }

// demand is what a pool must have for it to stand.
type demand struct {
	least  health.State // with Unknown, endpoints of which nothing is known count as well
	anyhow bool         // none: the chain has left nothing of those that stand
}

// minHealthy drops the candidates of pools that do not stand, unless that leaves
// none: those with too few healthy endpoints, and those that their conduct keeps
// out. What is nested and states no min_healthy stands when it gives anything, be
// it by its all_down.
func (s *Snapshot) minHealthy(c *Scratch, p *table.Plan, ms *table.Members, set []steer.Candidate, d demand) []steer.Candidate {
	c.dropped = false
	if p.MinHealthy == nil && p.Courses == nil || len(set) == 0 {
		return set
	}
	if d.anyhow {
		c.traceSet("min_healthy", "nothing is left of the pools with enough healthy endpoints, so the ones there are", ms, set)
		return set
	}
	var counts []int
	if p.MinHealthy != nil {
		counts = s.healthy(c, p, d.least)
	}
	stands := func(pool uint16) bool {
		if course := s.course(p, pool); course != nil {
			return course.Stands
		}
		return counts == nil || counts[pool] >= p.MinHealthy[pool] || p.MinHealthy[pool] <= 1 && p.Nests(int(pool)) != nil
	}
	kept := set[:0]
	for _, cand := range set {
		if stands(cand.Pool) {
			kept = append(kept, cand)
		}
	}
	if len(kept) == 0 { // and nothing of set is overwritten
		c.traceSet("min_healthy", "no pool has enough healthy endpoints, so the ones there are", ms, set)
		return set
	}
	c.dropped = len(kept) < len(set)
	c.traceSet("min_healthy", "pools with enough healthy endpoints", ms, kept)
	return kept
}

// healthy counts the healthy endpoints of each pool.
func (s *Snapshot) healthy(c *Scratch, p *table.Plan, least health.State) []int {
	counts := c.healthy[:0]
	for range p.MinHealthy {
		counts = append(counts, 0)
	}
	c.healthy = counts
	for f := range p.Members {
		ms := &p.Members[f]
		for i := range ms.Targets {
			if twice(ms, i) || p.Reserved(ms, i) {
				continue
			}
			if st := s.state(c, p, ms, i); st == health.Up || st == least {
				counts[ms.Candidates[i].Pool]++
			}
		}
	}
	return counts
}

// lives is whether a family has an endpoint that is not known to be down, and
// addresses of it unless it is answered by name.
func (s *Snapshot) lives(p *table.Plan, ms *table.Members, c *Scratch) bool {
	for i := range ms.Targets {
		if !p.Reserved(ms, i) && s.state(c, p, ms, i) != health.Down && s.reachable(c, ms, i) {
			return true
		}
	}
	return false
}
