package resolve

import (
	"github.com/rhumb-dns/rhumb/conduct"
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
//
// What depends on the client's place has been decided before, where the plan is
// settled; consider is how.
func (s *Snapshot) pick(node *table.Node, p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
	if p.Needs&(steer.Places|steer.Subnets) == 0 {
		return s.consider(p, f, c)
	}
	if p.Needs&steer.Subnets != 0 {
		c.query.Subnet = c.whom().subnet(0)
	}
	var ms *table.Members
	var picked []steer.Candidate
	var d *decision
	if p.Needs&steer.Places != 0 {
		d = s.decided(node, p, f, c)
		c.tracePlace(s)
	}
	if d != nil {
		ms, picked = s.resume(p, d, c)
	}
	// Chance may leave nothing where it had something to choose from, by weights
	// or tags behind it: the rules for that come next.
	if d == nil || len(picked) == 0 && len(d.set) > 0 {
		if d != nil {
			s.locate(c)
		}
		ms, picked = s.consider(p, f, c)
	}
	switch {
	case p.Needs&steer.Subnets == 0 || len(picked) == 0:
	case p.Inner&steer.Subnets != 0: // what is nested chose by it
		c.whom().matters(c.client.subnetBits())
	default:
		c.neighbours(p, ms, picked)
	}
	return ms, picked
}

// consider is pick by the rules themselves.
func (s *Snapshot) consider(p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
	c.short = false
	if p.Needs&(steer.Latencies|steer.Loads|steer.Schedules) != 0 {
		s.facts(p, c)
	}
	ms := &p.Members[f]
	set, unknown := s.up(c, p, ms)
	if !p.Plain() || ms.Hosts != nil || c.trace != nil {
		set = s.stand(c, p, ms, set)
	}
	set = c.chain(p, ms, set)
	if len(set) == 0 && unknown > 0 {
		set, _ = s.candidates(c, p, ms, doubtful)
		set = c.chain(p, ms, set)
	}
	if len(set) == 0 {
		return s.allDown(p, f, c)
	}
	return ms, c.first(p, ms, set)
}

// facts are what filters know of the endpoints besides the candidates.
func (s *Snapshot) facts(p *table.Plan, c *Scratch) {
	if p.Needs&steer.Latencies != 0 {
		c.query.Latency = s.Health.Latency()
	}
	if p.Needs&steer.Loads != 0 {
		c.query.Load = s.Health.Load()
	}
	if p.Needs&steer.Schedules != 0 && s.Hours != nil {
		c.query.Open = s.Hours.Open
	}
}

// up is the candidates that are up, and of how many others nothing is known.
// For a large service this is most of the cost of a query. Where the states lie
// in a row, what is up before the first that is not is copied at once; the
// second loop writes every candidate and moves on only past those that count.
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
			st, set[k].Share = s.standing(c, p, ms, i)
			c.short = c.short || st == health.Up && set[k].Share < steer.Whole
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
// makes of its health.
func (s *Snapshot) standing(c *Scratch, p *table.Plan, ms *table.Members, i int) (health.State, uint16) {
	if n := p.Nests(int(ms.Candidates[i].Pool)); n != nil {
		return s.nestedStanding(c, n, ms, i)
	}
	t := int(ms.Targets[i])
	share := uint16(steer.Whole)
	if s.Health.Forced(t) {
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
	if t := int(ms.Targets[i]); p.Courses == nil && p.Nested == nil && !s.Health.Forced(t) {
		return s.Health.State(t)
	}
	st, _ := s.standing(c, p, ms, i)
	return st
}

func (s *Snapshot) withState(c *Scratch, p *table.Plan, ms *table.Members, want health.State) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		if st, share := s.standing(c, p, ms, i); st == want {
			set = append(set, ms.Candidates[i])
			set[len(set)-1].Share = share
			c.short = c.short || share < steer.Whole
		}
	}
	c.set = set
	return s.known(c, ms, set)
}

// regardless is every endpoint whatever its health, but for those that an
// operator has forced down; or those as well, when there is nothing else.
func (s *Snapshot) regardless(c *Scratch, p *table.Plan, ms *table.Members) []steer.Candidate {
	set := c.set[:0]
	for i := range ms.Candidates {
		t := int(ms.Targets[i])
		if s.Health.Forced(t) {
			if st, byOperator := s.Health.Of(t, s.service(c)); byOperator && st == health.Down {
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
func (s *Snapshot) lastHealthy(c *Scratch, p *table.Plan, ms *table.Members) []steer.Candidate {
	set := s.regardless(c, p, ms)
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
func (s *Snapshot) allDown(p *table.Plan, f table.Family, c *Scratch) (*table.Members, []steer.Candidate) {
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
		kept = s.reserve(p, ms, c)
	default:
		kept = s.unhealthy(p, ms, c)
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
func (s *Snapshot) unhealthy(p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	if p.Policy.AllDown.Rule == spec.LastHealthy {
		set := s.lastHealthy(c, p, ms)
		c.traceSet("all_down", "endpoints that were healthy last", ms, set)
		if set = c.chain(p, ms, set); len(set) > 0 {
			return set
		}
	}
	set, _ := s.candidates(c, p, ms, regardless)
	c.traceSet("all_down", "endpoints whatever their health", ms, set)
	if set = c.chain(p, ms, set); len(set) > 0 {
		return set
	}
	set, _ = s.candidates(c, p, ms, all)
	c.traceSet("all_down", "the steering keeps none of them; also those that an operator has forced down", ms, set)
	return c.chain(p, ms, set)
}

// unsteered is a chain without filters.
var unsteered = new(table.Link)

// reserve picks among the endpoints of the all-down pool.
func (s *Snapshot) reserve(p *table.Plan, ms *table.Members, c *Scratch) []steer.Candidate {
	if len(ms.Candidates) == 0 {
		c.traceNote("all_down", "the reserve has no such records")
		return nil
	}
	set := s.withState(c, p, ms, health.Up)
	if len(set) == 0 {
		set = s.withState(c, p, ms, health.Unknown)
	}
	if len(set) == 0 {
		set = s.regardless(c, p, ms)
	}
	c.traceSet("all_down", "endpoints of the reserve: those that are up, or else not known to be down, or else all", ms, set)
	if set = c.chain(p, ms, set); len(set) > 0 {
		return set
	}
	// The chain was written for the service's own pools; the reserve is served
	// even when, say, none of it carries a tag.
	set = s.regardless(c, p, ms)
	c.traceSet("all_down", "the steering keeps none of the reserve, so all of it", ms, set)
	c.chosen = append(c.chosen[:0], set...)
	c.kept, c.link = c.chosen, unsteered
	return set
}

// panics is whether so few of a service's endpoints are up that health is to
// be ignored.
func (s *Snapshot) panics(p *table.Plan, c *Scratch) bool {
	up, all := 0, 0
	for f := range p.Members {
		ms := &p.Members[f]
		for i := range ms.Targets {
			if twice(ms, i) {
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

// minHealthy drops the candidates of pools that do not stand, unless that leaves
// none: those with too few healthy endpoints, and those that their conduct keeps
// out. With health.Unknown, those of which nothing is known count as well.
func (s *Snapshot) minHealthy(c *Scratch, p *table.Plan, ms *table.Members, set []steer.Candidate, least health.State) []steer.Candidate {
	if p.MinHealthy == nil && p.Courses == nil || len(set) == 0 {
		return set
	}
	var counts []int
	if p.MinHealthy != nil {
		counts = s.healthy(c, p, least)
	}
	stands := func(pool uint16) bool {
		if course := s.course(p, pool); course != nil {
			return course.Stands
		}
		return counts == nil || counts[pool] >= p.MinHealthy[pool]
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
			if st := s.state(c, p, ms, i); (st == health.Up || st == least) && !twice(ms, i) {
				counts[ms.Candidates[i].Pool]++
			}
		}
	}
	return counts
}
