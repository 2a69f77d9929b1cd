package resolve

import (
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
//     them, or in all pools when none has or the chain leaves nothing of those. The
//     chain chooses among them.
//  2. When fewer than panic of the service's endpoints are up, health is
//     ignored, and min_healthy with it.
//  3. When that leaves nothing, the endpoints of which nothing is known are
//     candidates in the same way.
//  4. When that leaves nothing either, all_down speaks.
//
// What counts for panic and min_healthy is endpoints of every family, so that A
// and AAAA follow the same pools, and no reserves. What an operator has forced down is no
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
	// Chance may leave nothing where it had something to choose from, by weights
	// or tags behind it. The rules for that are in consider, which is to have the
	// luck that there was.
	lost := d == nil
	if d != nil {
		luck := *c.query.Rand
		ms, picked = s.resume(p, d, c)
		if lost = len(picked) == 0 && len(d.set) > 0; lost {
			*c.query.Rand = luck
			s.locate(c)
		}
	}
	if lost {
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
	c.short, c.moving = false, false
	if p.Needs&(steer.Latencies|steer.Loads|steer.Schedules) != 0 {
		s.facts(p, c)
	}
	ms := &p.Members[f]
	var set []steer.Candidate
	var unknown int
	if p.Plain() && ms.Hosts == nil && c.trace == nil {
		set, unknown = s.up(c, p, ms)
		set = c.chain(p, ms, set)
	} else {
		c.lapsed = false
		set, unknown = s.left(c, p, ms, live)
	}
	if len(set) == 0 && unknown > 0 {
		set, _ = s.left(c, p, ms, doubtful)
	}
	if len(set) == 0 {
		return s.allDown(p, f, c)
	}
	set = c.first(p, ms, set)
	if p.Nested != nil && c.lapsed && c.asked != nil { // chance may choose others of those for whoever asks
		s.inherited(c, p, ms, set)
	}
	return ms, set
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
