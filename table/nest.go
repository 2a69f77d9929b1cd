package table

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// Nested is what stands at one place in a plan's list of pools: a service or a
// pool that is composed of others, which chooses among its own endpoints by the
// plan that it has here.
//
// Its endpoints are members of the outer plan as well, with the same targets and
// in the same order: member i of Plan.Members[f] is member Base[f]+i of the outer
// plan's Members[f], and member i of Plan.Spare[f] is member SpareBase[f]+i of
// the same. What the outer plan's candidates say of Pool, and of marks, is of the
// outer plan.
type Nested struct {
	Plan *Plan
	// Service is the name of the service in wire form, lower case: what operators
	// say of its endpoints goes by it. There is none of a composed pool, whose
	// endpoints are those of the service that it stands in.
	Service         dnswire.Name
	Base, SpareBase [families]uint32
}

// innerKey tells the plans of what is nested apart.
type innerKey struct {
	policy *spec.Policy
	host   string
}

// nest makes what a nested pool at a place in a plan is, and its members.
func (p *planner) nest(plan *Plan, pool *spec.Pool, at int, host string, marks [][]string) error {
	host = hostIn(pool, host)
	key := innerKey{pool.Nested, host}
	inner, known := p.inner[key]
	if !known {
		var err error
		if inner, err = p.make(pool.Nested, false, host, func() string { return pool.Name }); err != nil {
			return err
		}
		p.inner[key] = inner
	}
	n := &Nested{Plan: inner, Service: pool.Service, Base: plan.lengths()}
	for _, one := range pool.Nested.Pools {
		p.deep(plan, one, at, host, marks)
	}
	n.SpareBase = plan.lengths()
	if spare := pool.Nested.AllDown.Pool; spare != nil {
		p.members(plan, &plan.Members, spare, at, host, marks)
	}
	if plan.Nested == nil {
		plan.Nested = make([]*Nested, len(plan.Policy.Pools))
	}
	plan.Nested[at] = n
	plan.Rotates = plan.Rotates || inner.Rotates
	return nil
}

// deep adds the endpoints of a pool, and of all that is nested in it, as members
// at one place in a plan.
func (p *planner) deep(plan *Plan, pool *spec.Pool, at int, host string, marks [][]string) {
	if pool.Nested == nil {
		p.members(plan, &plan.Members, pool, at, host, marks)
		return
	}
	host = hostIn(pool, host)
	for _, one := range pool.Nested.Pools {
		p.deep(plan, one, at, host, marks)
	}
	if spare := pool.Nested.AllDown.Pool; spare != nil {
		p.members(plan, &plan.Members, spare, at, host, marks)
	}
}

// hostIn is whom the endpoints of a pool are judged for: the service that they
// are of, wherever it stands.
func hostIn(pool *spec.Pool, host string) string {
	if pool.Service == "" {
		return host
	}
	return pool.Name
}

// Reserved is whether member i of a list is of the all-down pool of something
// nested: it is no endpoint that is looked at to find out how that is.
func (p *Plan) Reserved(ms *Members, i int) bool {
	n := p.Nests(int(ms.Candidates[i].Pool))
	if n == nil {
		return false
	}
	in, k, spare := n.Inside(ms.Family, i)
	return spare || n.Plan.Reserved(in, k)
}

// lengths is how many members there are of each family.
func (p *Plan) lengths() (n [families]uint32) {
	for f := range p.Members {
		n[f] = uint32(len(p.Members[f].Candidates))
	}
	return n
}

// Nests is what stands at a position, nil for a plain pool.
func (p *Plan) Nests(at int) *Nested {
	if at >= len(p.Nested) {
		return nil
	}
	return p.Nested[at]
}

// Inside is which member of the nested plan's, or of its spare ones if it is a
// spare one, member i of a family of the outer plan is.
func (n *Nested) Inside(f Family, i int) (ms *Members, at int, spare bool) {
	if base := int(n.SpareBase[f]); i >= base {
		return &n.Plan.Spare[f], i - base, true
	}
	return &n.Plan.Members[f], i - int(n.Base[f]), false
}

// Home is the pool that has member i of ms, which are members of the plan or its
// spare ones, and the nested service that the pool is of; no name when it is of
// the plan's own.
func (p *Plan) Home(ms *Members, i int) (pool *spec.Pool, service dnswire.Name) {
	at := int(ms.Candidates[i].Pool)
	n := p.Nests(at)
	if n == nil {
		return p.Pool(at), ""
	}
	if in, k, spare := n.Inside(ms.Family, i); spare {
		pool = n.Plan.Policy.AllDown.Pool
	} else {
		pool, service = n.Plan.Home(in, k)
	}
	if service == "" {
		service = n.Service
	}
	return pool, service
}

// Guest is the nested service that an endpoint of a service is of, by address or
// host name; no name when it is the service's own, or not there.
func (t *Table) Guest(service dnswire.Name, endpoint string) (of dnswire.Name) {
	n := t.Lookup([]byte(service))
	if n == nil || n.Plan == NoPlan {
		return ""
	}
	p := t.Plans[n.Plan]
	for f := range p.Members {
		ms := &p.Members[f]
		for i, e := range ms.Endpoints {
			if e.String() == endpoint && of == "" {
				_, of = p.Home(ms, i)
			}
		}
	}
	return of
}
