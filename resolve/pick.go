package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// pick selects the endpoints of one family of a service. The members that the
// candidates index are the service's, or those of its all-down pool. No
// candidates means that the answer has no data; c.Outcome says whether it is a
// failure.
//
// The rules, in order:
//
//  1. Endpoints that are up are candidates. When none is, those of which
//     nothing is known are. When there is none of those either, all_down speaks.
//  2. When fewer than panic of the endpoints are up, health is ignored.
//  3. Pools with fewer than min_healthy candidates count as down, unless
//     all of them are that poor.
//  4. The chain.
//  5. A chain that keeps nothing is as good as nothing healthy: all_down.
//
// What an operator has forced down is no candidate, whatever rule ignores
// health, as long as something else is left.
func (s *Snapshot) pick(node *table.Node, p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
	ms := &p.Members[f]
	q := &c.query
	q.Want = p.Policy.Answers
	if p.Rotates {
		if c.trace != nil {
			q.Seq = s.Table.Peek(node, f)
		} else {
			q.Seq = s.Table.Next(node, f)
		}
	}

	set, unknown := s.up(c, node, ms)
	up := len(set)
	switch {
	case up == 0 && unknown > 0:
		set = s.withState(c, node, ms, health.Unknown)
		c.traceSet("health", "no endpoint is known to be up; those of which nothing is known may be", ms, set)
	case up == 0:
		return s.allDown(node, p, f, c)
	case p.Policy.Panic > 0 && float64(up) < p.Policy.Panic*float64(len(ms.Candidates)):
		set = s.regardless(c, node, ms)
		c.tracePanic(p, up, ms, set)
	default:
		c.traceSet("health", "endpoints that are up", ms, set)
	}
	if p.MinHealthy != nil {
		set = c.minHealthy(p, ms, set)
	}
	if set = c.chain(p, ms, set); len(set) == 0 {
		return s.allDown(node, p, f, c)
	}
	return ms, c.first(p, ms, set)
}

// up is the candidates that are up, and of how many others nothing is known.
// For a large service this loop is most of the cost of a query, so it writes
// every candidate and moves on only past those that count.
func (s *Snapshot) up(c *Scratch, node *table.Node, ms *table.Members) (set []steer.Candidate, unknown int) {
	states := s.Health.Raw()
	n := len(ms.Targets)
	if cap(c.set) < n {
		c.set = make([]steer.Candidate, n, 2*n)
	}
	set = c.set[:n]
	from := ms.Candidates[:n]
	k := 0
	for i, t := range ms.Targets {
		st := states[t]
		if st > health.Down {
			st, _ = s.Health.Of(int(t), s.Table.Text(node))
		}
		set[k] = from[i]
		if st == health.Up {
			k++
		} else if st == health.Unknown {
			unknown++
		}
	}
	return set[:k], unknown
}

// state is an endpoint's state for one service.
func (s *Snapshot) state(target int, node *table.Node) health.State {
	if !s.Health.Forced(target) {
		return s.Health.State(target)
	}
	st, _ := s.Health.Of(target, s.Table.Text(node))
	return st
}

func (s *Snapshot) withState(c *Scratch, node *table.Node, ms *table.Members, want health.State) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		if s.state(int(ms.Targets[i]), node) == want {
			set = append(set, ms.Candidates[i])
		}
	}
	c.set = set
	return set
}

// regardless is every endpoint whatever its health, but for those that an
// operator has forced down; or those as well, when there is nothing else.
func (s *Snapshot) regardless(c *Scratch, node *table.Node, ms *table.Members) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		t := int(ms.Targets[i])
		if s.Health.Forced(t) {
			if st, byOperator := s.Health.Of(t, s.Table.Text(node)); byOperator && st == health.Down {
				continue
			}
		}
		set = append(set, ms.Candidates[i])
	}
	if len(set) == 0 {
		set = append(set, ms.Candidates...)
	}
	c.set = set
	return set
}

// lastHealthy is the endpoints that were the last to be up, taking those that
// failed within one interval of each other as failed together; all of them when
// none has ever been up.
func (s *Snapshot) lastHealthy(c *Scratch, node *table.Node, p *table.Plan, ms *table.Members) []steer.Candidate {
	set := s.regardless(c, node, ms)
	var last int64
	for _, cand := range set {
		last = max(last, s.Health.LastUp(int(ms.Targets[cand.Index])))
	}
	if last == 0 {
		return set
	}
	kept := set[:0]
	for _, cand := range set {
		if s.Health.LastUp(int(ms.Targets[cand.Index])) >= last-int64(p.Together) {
			kept = append(kept, cand)
		}
	}
	return kept
}

// The texts of the extended errors that go with the all-down rules.
var allDownText = [...]string{
	spec.ServeAll:    "no endpoint is healthy: serving all",
	spec.LastHealthy: "no endpoint is healthy: serving the last that was",
	spec.NoData:      "no endpoint is healthy: no data",
	spec.ServFail:    "no endpoint is healthy",
	spec.OtherPool:   "no endpoint is healthy: serving the reserve",
}

// allDown answers by the service's rule for when nothing is healthy.
func (s *Snapshot) allDown(node *table.Node, p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
	ms := &p.Members[f]
	rule := p.Policy.AllDown.Rule
	c.opt.EDE, c.opt.EDEText = dnswire.EDENoReachableAuthority, allDownText[rule]
	c.traceAllDown(p)
	var set []steer.Candidate
	switch rule {
	case spec.NoData:
		return ms, nil
	case spec.ServFail:
		c.Outcome.RCode = dnswire.ServFail
		return ms, nil
	case spec.LastHealthy:
		set = s.lastHealthy(c, node, p, ms)
	case spec.OtherPool:
		ms = &p.Spare[f]
		if set = s.withState(c, node, ms, health.Up); len(set) == 0 {
			set = s.regardless(c, node, ms)
		}
	default:
		set = s.regardless(c, node, ms)
	}
	c.traceSet("all_down", "what the rule serves", ms, set)
	if kept := c.chain(p, ms, set); len(kept) > 0 {
		return ms, c.first(p, ms, kept)
	}
	if rule != spec.OtherPool {
		return ms, nil
	}
	// The chain was written for the service's own pools; the reserve is served
	// even when, say, none of it carries a tag.
	set = append(c.set[:0], ms.Candidates...)
	c.traceSet("all_down", "the chain keeps none of the reserve, so all of it", ms, set)
	return ms, c.first(p, ms, set)
}

// minHealthy drops the candidates of pools that have too few, unless no pool
// has enough.
func (c *Scratch) minHealthy(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	counts := c.healthy[:0]
	for range p.MinHealthy {
		counts = append(counts, 0)
	}
	c.healthy = counts
	for _, cand := range set {
		counts[cand.Pool]++
	}
	enough := false
	for i, n := range counts {
		enough = enough || n >= p.MinHealthy[i]
	}
	if !enough {
		c.traceSet("min_healthy", "no pool has enough healthy endpoints, so the ones there are", ms, set)
		return set
	}
	kept := set[:0]
	for _, cand := range set {
		if counts[cand.Pool] >= p.MinHealthy[cand.Pool] {
			kept = append(kept, cand)
		}
	}
	c.traceSet("min_healthy", "pools with enough healthy endpoints", ms, kept)
	return kept
}

func (c *Scratch) chain(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	for _, f := range p.Chain {
		set = f.Apply(&c.query, set)
		if c.trace != nil {
			c.trace.set(f.String(), f.Rule(), ms, set)
		}
	}
	return set
}

// first is as many candidates as the service answers.
func (c *Scratch) first(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if n := p.Policy.Answers; n > 0 && n < len(set) {
		set = set[:n]
		c.traceSet("answers", "as many records as the service answers", ms, set)
	}
	return set
}
