package table

import (
	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
)

// Shares of conduct are those of candidates: this has no place 0 otherwise.
var _ = [1]struct{}{}[steer.Whole-conduct.Whole]

// courses finds how each of the plan's pools conducts itself for it, for the
// service with a host name when its checks ask for that.
func (p *planner) courses(plan *Plan, host string) {
	for at, pool := range plan.Policy.Pools {
		c := plan.Policy.ConductOf(pool)
		if c == nil || pool.Nested != nil { // whose pools have a conduct of their own
			continue
		}
		if plan.Courses == nil {
			plan.Courses = make([]int32, plan.pools())
			for i := range plan.Courses {
				plan.Courses[i] = -1 // the all-down pool among them, which is answered whatever it does
			}
		}
		plan.Courses[at] = p.course(pool, c, host)
	}
	if plan.Courses != nil {
		plan.slots()
	}
}

// course is the index in Table.Courses of a pool with its conduct. Services that
// want the same of a pool share it.
func (p *planner) course(pool *spec.Pool, c *spec.Conduct, host string) int32 {
	if !p.hosted[pool] {
		host = ""
	}
	key := conduct.KeyOf(pool, c, host)
	if i, ok := p.coursed[key]; ok {
		return i
	}
	of := conduct.Course{Key: key, Pool: pool, Conduct: c, Host: host, Targets: make([]int32, len(pool.Endpoints))}
	for i := range pool.Endpoints {
		of.Targets[i] = p.target(&pool.Endpoints[i], host)
	}
	i := int32(len(p.table.Courses))
	p.table.Courses = append(p.table.Courses, of)
	if p.coursed == nil {
		p.coursed = map[string]int32{}
	}
	p.coursed[key] = i
	return i
}

// slots notes the position in its pool of each member.
func (p *Plan) slots() {
	at := map[*spec.Endpoint]uint16{}
	for _, pool := range p.Policy.Pools {
		for i := range pool.Endpoints {
			at[&pool.Endpoints[i]] = uint16(i) // spec allows no more where there is conduct
		}
	}
	for f := range p.Members {
		ms := &p.Members[f]
		ms.Slots = make([]uint16, len(ms.Endpoints))
		for i, e := range ms.Endpoints {
			ms.Slots[i] = at[e]
		}
	}
}
