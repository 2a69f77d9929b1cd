package resolve

import (
	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// stage is which endpoints are candidates, by the rules of pick.
type stage uint8

const (
	live       stage = iota // that are up, or whatever panic says
	panicking               // all but those that an operator has forced down: health is ignored
	doubtful                // of which nothing is known
	recent                  // of all but those that an operator has forced down, the last to be up
	regardless              // all but those that an operator has forced down
	all
)

// candidates are the members of a plan at a stage, those of pools that do not
// stand left out, and of how many others nothing is known. What is nested has
// chosen among its own by then.
func (s *Snapshot) candidates(c *Scratch, p *table.Plan, ms *table.Members, at stage) (set []steer.Candidate, unknown int) {
	anyhow := c.anyhow
	c.anyhow = false
	switch at {
	case live:
		lapsed := c.lapsed
		set, unknown = s.up(c, p, ms)
		if ms.Hosts != nil {
			set = s.known(c, ms, set)
		}
		var inside int
		set, inside = s.nest(c, p, ms, set, live)
		unknown += inside
		if len(set) > 0 && p.Policy.Panic > 0 && s.panics(p, c) {
			c.lapsed = lapsed
			set, _ = s.candidates(c, p, ms, panicking)
			c.traceSet("panic", "health is ignored", ms, set)
			break
		}
		if len(set) > 0 {
			c.traceSet("health", "endpoints that are up", ms, set)
		}
		return s.minHealthy(c, p, ms, set, demand{health.Up, anyhow}), unknown
	case panicking:
		set, _ = s.nest(c, p, ms, s.unforced(c, p, ms), panicking)
	case doubtful:
		set, _ = s.nest(c, p, ms, s.withState(c, p, ms, health.Unknown), doubtful)
		c.traceSet("health", "nothing that is known to be up is left; endpoints of which nothing is known", ms, set)
		return s.minHealthy(c, p, ms, set, demand{health.Unknown, anyhow}), 0
	case recent:
		set, _ = s.nest(c, p, ms, s.latest(c, ms, s.unforced(c, p, ms)), recent)
		c.traceSet("all_down", "endpoints that were healthy last", ms, set)
	case regardless:
		set, _ = s.nest(c, p, ms, s.unforced(c, p, ms), regardless)
		c.traceSet("all_down", "endpoints whatever their health", ms, set)
	default:
		set, _ = s.nest(c, p, ms, s.every(c, p, ms), all)
		c.traceSet("all_down", "the steering keeps none of them; also those that an operator has forced down", ms, set)
	}
	c.dropped = false
	return set, unknown
}

// up is the candidates that are up, and of how many others nothing is known.
// What is nested is not among them. For a large service this is most of the cost
// of a query. Where the states lie in a row, what is up before the first that is
// not is copied at once; the second loop writes every candidate and moves on only
// past those that count.
func (s *Snapshot) up(c *Scratch, p *table.Plan, ms *table.Members) (set []steer.Candidate, unknown int) {
	states := s.Health.Raw()
	n := len(ms.Targets)
	if cap(c.set) < n {
		c.set = make([]steer.Candidate, n, 2*n)
	}
	set = c.set[:n]
	from := ms.Candidates[:n]
	k := 0
	if ms.InRow && p.Courses == nil && p.Nested == nil {
		for _, st := range states[ms.Targets[0]:][:n] {
			if st != health.Up {
				break
			}
			k++
		}
		copy(set, from[:k])
	}
	for i := k; i < n; i++ {
		st := states[ms.Targets[i]]
		set[k] = from[i]
		if st > health.Down || p.Courses != nil || p.Nested != nil {
			if p.Nests(int(from[i].Pool)) != nil {
				continue
			}
			st, set[k].Share = s.standing(c, p, ms, i)
			if st == health.Up {
				s.lessened(c, int(ms.Targets[i]), set[k].Share)
			}
		}
		if st == health.Up {
			k++
		} else if st == health.Unknown {
			unknown++
		}
	}
	return set[:k], unknown
}

// standing is a member's state for one service, and the share of its traffic
// that it is to have: the operator's word, or else what the conduct of its pool
// makes of its health. Of the share that its checks leave it and the one that its
// conduct does, the lesser counts.
func (s *Snapshot) standing(c *Scratch, p *table.Plan, ms *table.Members, i int) (health.State, uint16) {
	if n := p.Nests(int(ms.Candidates[i].Pool)); n != nil {
		within := c.within
		if n.Service != "" {
			c.within = n.Service
		}
		of, k, _ := n.Inside(ms.Family, i)
		st, share := s.standing(c, n.Plan, of, k)
		c.within = within
		return st, share
	}
	t := int(ms.Targets[i])
	share := uint16(steer.Whole)
	if s.Health.Marked(t) {
		service := s.service(c)
		share = s.Health.Share(t, service)
		if st, byOperator := s.Health.Of(t, service); byOperator {
			return st, share
		}
	}
	if course := s.course(p, ms.Candidates[i].Pool); course != nil {
		slot := ms.Slots[i]
		if course.Shares != nil {
			share = min(share, course.Shares[slot])
		}
		return course.States[slot], share
	}
	return s.Health.State(t), share
}

// lessened notes the share of a candidate. One that its checks alone make less may stay
// so for long; any other is in transition.
func (s *Snapshot) lessened(c *Scratch, target int, share uint16) {
	if share < steer.Whole {
		c.short = true
		c.moving = c.moving || share < s.Health.Left(target)
	}
}

// service is the name, in wire form, of the service whose endpoints are picked:
// operators' words are on endpoints of services. It is empty while a plan is
// settled for all the services that have it.
func (s *Snapshot) service(c *Scratch) []byte {
	switch {
	case c.within != "":
		return append(c.nested[:0], c.within...)
	case c.node == nil:
		return nil
	}
	return s.Table.Text(c.node)
}

// course is the conduct of the pool at a position; nil when it has none.
func (s *Snapshot) course(p *table.Plan, pool uint16) *conduct.State {
	if int(pool) >= len(p.Courses) || p.Courses[pool] < 0 || s.Conduct == nil {
		return nil
	}
	return s.Conduct.Course(int(p.Courses[pool]))
}

// state is a member's state for one service.
func (s *Snapshot) state(c *Scratch, p *table.Plan, ms *table.Members, i int) health.State {
	if t := int(ms.Targets[i]); p.Courses == nil && p.Nested == nil && !s.Health.Marked(t) {
		return s.Health.State(t)
	}
	st, _ := s.standing(c, p, ms, i)
	return st
}

// withState is the members in one state, without what is nested.
func (s *Snapshot) withState(c *Scratch, p *table.Plan, ms *table.Members, want health.State) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		if p.Nests(int(ms.Candidates[i].Pool)) != nil {
			continue
		}
		if st, share := s.standing(c, p, ms, i); st == want {
			set = append(set, ms.Candidates[i])
			set[len(set)-1].Share = share
			s.lessened(c, int(ms.Targets[i]), share)
		}
	}
	c.set = set
	return s.known(c, ms, set)
}

// unforced is the members whatever their health, but for those that an operator
// has forced down and for what is nested. What is being drained has its share.
func (s *Snapshot) unforced(c *Scratch, p *table.Plan, ms *table.Members) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		if p.Nests(int(ms.Candidates[i].Pool)) != nil {
			continue
		}
		share := uint16(steer.Whole)
		if t := int(ms.Targets[i]); s.Health.Forced(t) {
			service := s.service(c)
			if st, byOperator := s.Health.Of(t, service); byOperator && st == health.Down {
				continue
			}
			share = s.Health.Share(t, service)
			s.lessened(c, t, share)
		}
		set = append(set, ms.Candidates[i])
		set[len(set)-1].Share = share
	}
	c.set = set
	return s.known(c, ms, set)
}

// every is all members, without what is nested.
func (s *Snapshot) every(c *Scratch, p *table.Plan, ms *table.Members) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		if p.Nests(int(ms.Candidates[i].Pool)) == nil {
			set = append(set, ms.Candidates[i])
		}
	}
	c.set = set
	return s.known(c, ms, set)
}

// known drops the host names of which no addresses are known.
func (s *Snapshot) known(c *Scratch, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if ms.Hosts == nil || c.named {
		return set
	}
	kept := set[:0]
	for _, cand := range set {
		if s.reachable(c, ms, int(cand.Index)) {
			kept = append(kept, cand)
		}
	}
	return kept
}

// reachable is whether a member has an address, or is answered by name.
func (s *Snapshot) reachable(c *Scratch, ms *table.Members, i int) bool {
	if !ms.Flat(i) || c.named {
		return true
	}
	addrs, _ := s.addrs(ms.Hosts[i], ms.Family)
	return len(addrs) > 0
}
