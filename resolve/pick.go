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
//  1. Endpoints that are up are candidates, in pools that have min_healthy of
//     them, or in all pools when none has. The chain chooses among them.
//  2. When fewer than panic of the service's endpoints are up, health is
//     ignored, and min_healthy with it.
//  3. When that leaves nothing, the endpoints of which nothing is known are
//     candidates in the same way.
//  4. When that leaves nothing either, all_down speaks.
//
// What counts for panic and min_healthy is endpoints of every family, so that A
// and AAAA follow the same pools. What an operator has forced down is no
// candidate, whatever rule ignores health, as long as something else is left.
//
// A host name that is flattened is a candidate only while addresses of the
// family are known of it, unless records are made of its name.
func (s *Snapshot) pick(node *table.Node, p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
	ms := &p.Members[f]
	set, unknown := s.up(c, node, ms)
	if ms.Hosts != nil {
		set = s.known(c, ms, set)
	}
	switch {
	case len(set) == 0:
	case p.Policy.Panic > 0 && s.panics(node, p, c):
		set = s.regardless(c, node, ms)
		c.traceSet("panic", "health is ignored", ms, set)
		set = c.chain(p, ms, set)
	default:
		c.traceSet("health", "endpoints that are up", ms, set)
		set = c.chain(p, ms, s.minHealthy(c, node, p, ms, set, health.Up))
	}
	if len(set) == 0 && unknown > 0 {
		set = s.withState(c, node, ms, health.Unknown)
		c.traceSet("health", "nothing that is known to be up is left; endpoints of which nothing is known", ms, set)
		set = c.chain(p, ms, s.minHealthy(c, node, p, ms, set, health.Unknown))
	}
	if len(set) == 0 {
		return s.allDown(node, p, f, c)
	}
	return ms, c.first(p, ms, set)
}

// up is the candidates that are up, and of how many others nothing is known.
// For a large service this is most of the cost of a query. Where the states lie
// in a row, what is up before the first that is not is copied at once; the
// second loop writes every candidate and moves on only past those that count.
func (s *Snapshot) up(c *Scratch, node *table.Node, ms *table.Members) (set []steer.Candidate, unknown int) {
	states := s.Health.Raw()
	n := len(ms.Targets)
	if cap(c.set) < n {
		c.set = make([]steer.Candidate, n, 2*n)
	}
	set = c.set[:n]
	from := ms.Candidates[:n]
	k := 0
	if ms.InRow {
		for _, st := range states[ms.Targets[0]:][:n] {
			if st != health.Up {
				break
			}
			k++
		}
		copy(set, from[:k])
	}
	for i := k; i < n; i++ {
		t := ms.Targets[i]
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
	return s.known(c, ms, set)
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
	if set = s.known(c, ms, set); len(set) == 0 {
		set = s.known(c, ms, append(set, ms.Candidates...))
	}
	c.set = set
	return set
}

// known drops the host names of which no addresses are known.
func (s *Snapshot) known(c *Scratch, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	if ms.Hosts == nil || c.named {
		return set
	}
	kept := set[:0]
	for _, cand := range set {
		if h := ms.Hosts[cand.Index]; h >= 0 {
			if addrs, _ := s.addrs(h, ms.Family); len(addrs) == 0 {
				continue
			}
		}
		kept = append(kept, cand)
	}
	return kept
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
		kept = s.reserve(node, p, ms, c)
	default:
		kept = s.unhealthy(node, p, ms, c)
	}
	if len(kept) == 0 {
		c.opt.EDEText = "no endpoint is left to serve: no data"
		return ms, nil
	}
	return ms, c.first(p, ms, kept)
}

// unhealthy picks among the service's own endpoints when none is healthy. A
// chain may keep none of the first choice, where tags or weights say so; then
// more are offered to it, at last also those that an operator has forced down.
func (s *Snapshot) unhealthy(node *table.Node, p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	if p.Policy.AllDown.Rule == spec.LastHealthy {
		set := s.lastHealthy(c, node, p, ms)
		c.traceSet("all_down", "endpoints that were healthy last", ms, set)
		if set = c.chain(p, ms, set); len(set) > 0 {
			return set
		}
	}
	set := s.regardless(c, node, ms)
	c.traceSet("all_down", "endpoints whatever their health", ms, set)
	if set = c.chain(p, ms, set); len(set) > 0 {
		return set
	}
	c.set = s.known(c, ms, append(c.set[:0], ms.Candidates...))
	c.traceSet("all_down", "the steering keeps none of them; also those that an operator has forced down", ms, c.set)
	return c.chain(p, ms, c.set)
}

// reserve picks among the endpoints of the all-down pool.
func (s *Snapshot) reserve(node *table.Node, p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	if len(ms.Candidates) == 0 {
		c.traceNote("all_down", "the reserve has no such records")
		return nil
	}
	set := s.withState(c, node, ms, health.Up)
	if len(set) == 0 {
		set = s.withState(c, node, ms, health.Unknown)
	}
	if len(set) == 0 {
		set = s.regardless(c, node, ms)
	}
	c.traceSet("all_down", "endpoints of the reserve: those that are up, or else not known to be down, or else all", ms, set)
	if set = c.chain(p, ms, set); len(set) > 0 {
		return set
	}
	// The chain was written for the service's own pools; the reserve is served
	// even when, say, none of it carries a tag.
	set = s.regardless(c, node, ms)
	c.traceSet("all_down", "the steering keeps none of the reserve, so all of it", ms, set)
	return set
}

// panics is whether so few of a service's endpoints are up that health is to
// be ignored.
func (s *Snapshot) panics(node *table.Node, p *table.Plan, c *Scratch) bool {
	up, all := 0, 0
	for f := range p.Members {
		ms := &p.Members[f]
		for i, t := range ms.Targets {
			if twice(ms, i) {
				continue
			}
			if s.state(int(t), node) == health.Up {
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

// minHealthy drops the candidates of pools with too few healthy endpoints,
// unless that leaves none. With health.Unknown, those of which nothing is known
// count as well.
func (s *Snapshot) minHealthy(c *Scratch, node *table.Node, p *table.Plan, ms *table.Members, set []steer.Candidate, least health.State) []steer.Candidate {
	if p.MinHealthy == nil {
		return set
	}
	counts := c.healthy[:0]
	for range p.MinHealthy {
		counts = append(counts, 0)
	}
	c.healthy = counts
	for f := range p.Members {
		ms := &p.Members[f]
		for i, t := range ms.Targets {
			if st := s.state(int(t), node); (st == health.Up || st == least) && !twice(ms, i) {
				counts[ms.Candidates[i].Pool]++
			}
		}
	}
	kept := set[:0]
	for _, cand := range set {
		if counts[cand.Pool] >= p.MinHealthy[cand.Pool] {
			kept = append(kept, cand)
		}
	}
	if len(kept) == 0 { // and nothing of set is overwritten
		c.traceSet("min_healthy", "no pool has enough healthy endpoints, so the ones there are", ms, set)
		return set
	}
	c.traceSet("min_healthy", "pools with enough healthy endpoints", ms, kept)
	return kept
}

func (c *Scratch) chain(p *table.Plan, ms *table.Members, set []steer.Candidate) []steer.Candidate {
	wants := p.Wants
	if c.named {
		wants = p.WantsAll
	}
	for i, f := range p.Chain {
		c.query.Want = wants[i]
		set = f.Apply(&c.query, set)
		if c.trace != nil {
			c.trace.set(f.String(), f.Rule(), ms, set)
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
