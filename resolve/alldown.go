package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// The texts of the extended errors that go with the all-down rules.
var allDownText = [...]string{
	spec.ServeAll:    "no endpoint is healthy: serving all",
	spec.LastHealthy: "no endpoint is healthy: serving the last that was",
	spec.NoData:      "no endpoint is healthy: no data",
	spec.ServFail:    "no endpoint is healthy",
	spec.OtherPool:   "no endpoint is healthy: serving the reserve",
	spec.ServeEvery:  "no endpoint is healthy: serving every one",
}

// allDown answers by the service's rule for when nothing is healthy.
func (s *Snapshot) allDown(p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
	ms := &p.Members[f]
	rule := p.Policy.AllDown.Rule
	c.lapsed = false // this rule speaks, and none of what is nested
	c.explain(dnswire.EDENoReachableAuthority, allDownText[rule])
	c.traceAllDown(p)
	var kept []steer.Candidate
	switch rule {
	case spec.NoData:
		return ms, nil
	case spec.ServFail:
		c.Outcome.RCode = dnswire.ServFail
		return ms, nil
	case spec.OtherPool:
		ms = &p.Spare[f]
		kept = s.reserve(p, ms, c)
	case spec.ServeEvery:
		kept = s.everyOne(p, ms, c)
	default:
		kept = s.unhealthy(p, ms, c)
	}
	if len(kept) == 0 {
		c.opt.EDEText = "no endpoint is left to serve: no data"
		return ms, nil
	}
	if rule == spec.ServeEvery {
		return ms, kept
	}
	return ms, c.first(p, ms, kept)
}

// everyOne is all endpoints that no operator has forced down, or else all of them,
// past the chain.
func (s *Snapshot) everyOne(p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	set, _ := s.candidates(c, p, ms, regardless)
	if len(set) == 0 {
		set, _ = s.candidates(c, p, ms, all)
	}
	c.keep(unsteered, set)
	c.among, c.thinned, c.mean = len(set), false, mean(unsteered, set)
	return set
}

// unhealthy picks among the service's own endpoints when none is healthy. A
// chain may keep none of the first choice, where tags or weights say so; then
// more are offered to it, at last also those that an operator has forced down.
func (s *Snapshot) unhealthy(p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	if p.Policy.AllDown.Rule == spec.LastHealthy {
		c.since = s.lastUp(c, p, ms)
		if set, _ := s.left(c, p, ms, recent); len(set) > 0 {
			return set
		}
	}
	set, _ := s.left(c, p, ms, regardless)
	if len(set) == 0 {
		set, _ = s.left(c, p, ms, all)
	}
	return set
}

// lastUp is from when on an endpoint must have been up to be one of the last that
// were, in Unix nanoseconds: those that failed within one interval of each other
// failed together. It is 0 when none has ever been up.
func (s *Snapshot) lastUp(c *Scratch, p *table.Plan, ms *table.Members) int64 {
	var last int64
	for i, t := range ms.Targets {
		if p.Reserved(ms, i) || !s.reachable(c, ms, i) || s.forcedDown(c, p, ms, i) {
			continue
		}
		last = max(last, s.Health.LastUp(int(t)))
	}
	return max(0, last-int64(p.Together))
}

// latest drops the candidates that were not up as late as c.since.
func (s *Snapshot) latest(c *Scratch, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	kept := set[:0]
	for _, cand := range set {
		if s.Health.LastUp(int(ms.Targets[cand.Index])) >= c.since {
			kept = append(kept, cand)
		}
	}
	return kept
}

// forcedDown is whether an operator has forced a member down, for the service that
// it is of.
func (s *Snapshot) forcedDown(c *Scratch, p *table.Plan, ms *table.Members, i int) bool {
	t := int(ms.Targets[i])
	if !s.Health.Forced(t) {
		return false
	}
	service := s.service(c)
	if p.Nested != nil {
		if _, of := p.Home(ms, i); of != "" {
			service = append(c.nested[:0], of...)
		}
	}
	st, byOperator := s.Health.Of(t, service)
	return byOperator && st == health.Down
}

// reserve picks among the endpoints of the all-down pool.
func (s *Snapshot) reserve(p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	if len(ms.Candidates) == 0 {
		c.traceNote("all_down", "the reserve has no such records")
		return nil
	}
	set := s.best(c, p, ms)
	c.traceSet("all_down", "endpoints of the reserve: those that are up, or else not known to be down, or else all", ms, set)
	if set = c.chain(p, ms, set); len(set) > 0 {
		return set
	}
	// The chain was written for the service's own pools; the reserve is served
	// even when, say, none of it carries a tag.
	set = s.best(c, p, ms)
	c.traceSet("all_down", "the steering keeps none of them, so all of them", ms, set)
	c.keep(unsteered, set)
	c.among, c.thinned, c.mean = len(set), false, mean(unsteered, set)
	return c.draw(unsteered, ms, set)
}

// best is what there is of a reserve: what is up, or else not known to be down, or
// else not forced down by an operator, or else all of it.
func (s *Snapshot) best(c *Scratch, p *table.Plan, ms *table.Members) []steer.Candidate {
	set := s.withState(c, p, ms, health.Up)
	if len(set) == 0 {
		set = s.withState(c, p, ms, health.Unknown)
	}
	if len(set) == 0 {
		set = s.unforced(c, p, ms)
	}
	if len(set) == 0 {
		set = s.every(c, p, ms)
	}
	return set
}

// unsteered is a chain without filters.
var unsteered = new(table.Link)
