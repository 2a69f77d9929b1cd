package table

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
)

// Family is a kind of endpoint: each has record types of its own.
type Family uint8

// The families. Hosts are endpoints with a host name, answered as CNAME.
const (
	V4 Family = iota
	V6
	Hosts
	families
)

// Type is the record type a family is answered as.
func (f Family) Type() dnswire.Type {
	switch f {
	case V4:
		return dnswire.TypeA
	case V6:
		return dnswire.TypeAAAA
	}
	return dnswire.TypeCNAME
}

func familyOf(a netip.Addr) Family {
	if a.Is4() {
		return V4
	}
	return V6
}

// Plan is how services pick their endpoints. Services that pick alike share one.
type Plan struct {
	Policy *spec.Policy
	// Members are the endpoints by Family; Spare those of the all-down pool.
	Members [families]Members
	Spare   [families]Members
	// Sites are the places of all of them, each once, by steer.Candidate.Site. What
	// is not known of one is empty.
	Sites []geo.Place
	Chain []steer.Filter
	Link  *Link // Chain, and what it goes by
	// Needs is what the plan goes by, and Settles whether all that goes by places in
	// it comes before chance and the client's subnet have a say.
	Needs   steer.Needs
	Inner   steer.Needs // of what is nested alone
	Settles bool
	Rotates bool // the chain, or that of what is nested, uses the service's sequence
	// Alternates says that both of them do.
	Alternates bool
	// Hosted says that every endpoint is a host name that is flattened.
	Hosted bool
	// PerService says that some check asks for the service's own host, so that no
	// other service shares the plan.
	PerService bool
	// MinHealthy is min_healthy of each pool; nil when every pool is content with one.
	MinHealthy []int
	// Nested is what stands at each position of Policy.Pools that is no plain pool,
	// nil for one that is; nil when all are.
	Nested []*Nested
	// Together is how far apart failures of one event may be seen: the longest
	// interval of the plan's checks.
	Together time.Duration
	// Courses is, for each pool (Plan.Pool), the index in Table.Courses of how it
	// conducts itself, -1 for one that changes at once; nil when all do.
	Courses []int32

	asked atomic.Bool
}

// Ask notes that somebody has asked for a service of the plan. It writes once after
// each TakeAsked, so that those who ask do not fight for it.
func (p *Plan) Ask() {
	if !p.asked.Load() {
		p.asked.Store(true)
	}
}

// TakeAsked is whether anybody has since it was last called. It writes only then: there
// may be a million plans that those who ask read all the time.
func (p *Plan) TakeAsked() bool { return p.asked.Load() && p.asked.Swap(false) }

// Plain says that nothing but the health of each endpoint decides who is a
// candidate.
func (p *Plan) Plain() bool {
	return p.Nested == nil && p.Courses == nil && p.MinHealthy == nil && p.Policy.Panic == 0
}

// Members are the endpoints of one family.
type Members struct {
	Family Family
	// Candidates are the endpoints as filters see them; Candidate.Index is the
	// position here.
	Candidates []steer.Candidate
	Targets    []int32 // their index in Table.Targets, for the health view
	InRow      bool    // each of Targets is one more than the one before it
	Endpoints  []*spec.Endpoint
	// Slots are their positions in Pool.Endpoints; nil when the plan has no Courses.
	Slots []uint16
	// Hosts are, where host names are flattened, the index in Table.Hosts of each
	// member that is one, and -1 of the others; nil where none is. Such a member
	// stands in both address families.
	Hosts []int32
	// Repeats is whether some endpoint stands there more than once, as it may when
	// it is in several pools. An answer has it once (RFC 2181 section 5).
	Repeats bool
	rdata   []byte // addresses one after another
}

// Addr is the address of member i in network order.
func (m *Members) Addr(f Family, i uint32) []byte {
	if f == V4 {
		return m.rdata[4*i : 4*i+4]
	}
	return m.rdata[16*i : 16*i+16]
}

// Pool is the name of the pool at a position: the service's pools in their
// order, then the all-down pool.
func (p *Plan) Pool(at int) *spec.Pool {
	if at < len(p.Policy.Pools) {
		return p.Policy.Pools[at]
	}
	return p.Policy.AllDown.Pool
}

// pools is how many counters a service of the plan has.
func (p *Plan) pools() int {
	n := len(p.Policy.Pools)
	if p.Policy.AllDown.Pool != nil {
		n++
	}
	return n
}

// planner makes plans and targets, each once.
type planner struct {
	table   *Table
	known   map[*spec.Policy]uint32 // the numbers of plans that services share
	targets map[string]int32
	hosts   map[dnswire.Name]int32
	hosted  map[*spec.Pool]bool // some check of the pool needs the service's host
	coursed map[string]int32    // courses by their keys
	inner   map[innerKey]*Plan
}

func (p *planner) needsHost(pol *spec.Policy) bool {
	need := false
	for _, pool := range append(pol.Pools[:len(pol.Pools):len(pol.Pools)], pol.AllDown.Pool) {
		if pool == nil || pool.Service != "" {
			continue
		}
		h, known := p.hosted[pool]
		if !known {
			for i := range pool.Endpoints {
				for _, c := range pool.Endpoints[i].Checks {
					h = h || hostOf(c, "?") == "?"
				}
			}
			p.hosted[pool] = h
		}
		need = need || h
	}
	return need
}

// hostOf is the host a check is made for.
func hostOf(c *spec.Check, service string) string {
	if !c.NeedsHost() {
		return c.Host
	}
	return service
}

// plan is the index of the plan of a policy, for the service with a host name.
func (p *planner) plan(pol *spec.Policy, service func() string) (uint32, error) {
	if i, ok := p.known[pol]; ok {
		return i, nil
	}
	own := p.needsHost(pol)
	numbers := p.table.stated.numbers
	if i, ok := numbers[pol.Key]; ok && !own && pol.Key != "" && p.table.Plans[i] != nil {
		p.known[pol] = i
		return i, nil
	}
	host := ""
	if own {
		host = service()
		p.table.stated.own = true
	}
	plan, err := p.make(pol, own, host, service)
	if err != nil {
		return 0, err
	}
	i := uint32(len(p.table.Plans))
	if at, ok := numbers[pol.Key]; ok && !own && pol.Key != "" {
		i = at // the number that it had
	} else {
		p.table.Plans = append(p.table.Plans, nil)
	}
	p.table.Plans[i] = plan
	if !own {
		p.known[pol] = i
		if pol.Key != "" {
			numbers[pol.Key] = i
		}
	}
	return i, nil
}

func (p *planner) make(pol *spec.Policy, own bool, host string, service func() string) (*Plan, error) {
	plan := &Plan{Policy: pol, PerService: own}
	for f := range plan.Members {
		plan.Members[f].Family, plan.Spare[f].Family = Family(f), Family(f)
	}
	marks := marksOf(pol.Steer, nil)
	if len(marks) > maxMarks {
		return nil, fmt.Errorf("service %s: %d tags filters in a chain; %d are possible", service(), len(marks), maxMarks)
	}
	for at, pool := range pol.Pools {
		if pool.Nested == nil {
			p.members(plan, &plan.Members, pool, at, host, marks)
		} else if err := p.nest(plan, pool, at, host, marks); err != nil {
			return nil, err
		}
		if pool.MinHealthy > 1 && plan.MinHealthy == nil {
			plan.MinHealthy = make([]int, len(pol.Pools))
			for i, q := range pol.Pools {
				plan.MinHealthy[i] = q.MinHealthy
			}
		}
	}
	if pool := pol.AllDown.Pool; pool != nil {
		p.members(plan, &plan.Spare, pool, len(pol.Pools), host, marks)
	}
	p.courses(plan, host)
	for f := range plan.Members {
		plan.Members[f].finish()
		plan.Spare[f].finish()
	}
	if err := p.chain(plan); err != nil {
		return nil, fmt.Errorf("service %s: %w", service(), err)
	}
	plan.Hosted = pol.Flatten && !slices.ContainsFunc(append(plan.Members[V4].Endpoints, plan.Members[V6].Endpoints...),
		func(e *spec.Endpoint) bool { return e.Host == "" })
	return plan, nil
}

// finish notes what holds of the members as a whole.
func (m *Members) finish() {
	type name struct {
		addr netip.Addr
		host dnswire.Name
	}
	seen := make(map[name]bool, len(m.Endpoints))
	m.InRow = len(m.Targets) > 0
	for i, e := range m.Endpoints {
		is := name{e.Address, e.Host}
		m.Repeats = m.Repeats || seen[is]
		seen[is] = true
		m.InRow = m.InRow && int(m.Targets[i]-m.Targets[0]) == i
	}
}

func (p *planner) members(plan *Plan, into *[families]Members, pool *spec.Pool, at int, host string, marks [][]string) {
	for i := range pool.Endpoints {
		e := &pool.Endpoints[i]
		c := steer.Candidate{Weight: e.Weight, Pool: uint16(at), Priority: uint16(e.Priority), Share: steer.Whole}
		for bit, tags := range marks {
			if hasAll(e.Tags, tags) {
				c.Marks |= 1 << bit
			}
		}
		target := p.target(e, host)
		switch {
		case e.Host == "":
			into[familyOf(e.Address)].add(c, e, target, -1)
		case plan.Policy.Flatten:
			h := p.host(e.Host)
			into[V4].add(c, e, target, h)
			into[V6].add(c, e, target, h)
		default:
			into[Hosts].add(c, e, target, -1)
		}
		for _, c := range e.Checks {
			plan.Together = max(plan.Together, c.Interval)
		}
	}
}

// add adds a member; host is its index in Table.Hosts when it is flattened.
func (m *Members) add(c steer.Candidate, e *spec.Endpoint, target, host int32) {
	c.Index = uint32(len(m.Candidates))
	m.Candidates = append(m.Candidates, c)
	m.Targets = append(m.Targets, target)
	m.Endpoints = append(m.Endpoints, e)
	if host >= 0 && m.Hosts == nil {
		m.Hosts = slices.Repeat([]int32{-1}, len(m.Candidates)-1)
	}
	if m.Hosts != nil {
		m.Hosts = append(m.Hosts, host)
	}
	switch {
	case m.Family == Hosts:
	case e.Host == "":
		m.rdata = append(m.rdata, e.Address.AsSlice()...)
	default: // so that the others are found by their position
		m.rdata = append(m.rdata, make([]byte, m.Family.Size())...)
	}
}

// Size is the length of an address in octets.
func (f Family) Size() int {
	if f == V4 {
		return 4
	}
	return 16
}

// host is the index in Table.Hosts of a host name.
func (p *planner) host(name dnswire.Name) int32 {
	i, ok := p.hosts[name]
	if !ok {
		i = int32(len(p.table.Hosts))
		p.table.Hosts = append(p.table.Hosts, name)
		p.hosts[name] = i
	}
	return i
}

// Flat is whether member i is a host name that is flattened.
func (m *Members) Flat(i int) bool { return m.Hosts != nil && m.Hosts[i] >= 0 }

func hasAll(have, want []string) bool {
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || h == w
		}
		if !found {
			return false
		}
	}
	return true
}

// target is the index of an endpoint as health sees it. Endpoints of the same
// address and the same checks are one target.
func (p *planner) target(e *spec.Endpoint, host string) int32 {
	t := health.Target{Addr: e.Address}
	key := e.String()
	if e.Host != "" {
		t.Host = key
	}
	for _, c := range e.Checks {
		hc := health.Check{Check: c, Host: hostOf(c, host)}
		t.Checks = append(t.Checks, hc)
		key += " " + c.Name + " " + c.Variant + " " + hc.Host
		for leaf := range c.Leaves {
			if leaf.Type.Scripted() {
				t.Priority = e.Priority
			}
		}
	}
	if t.Priority != 0 {
		key += " " + strconv.Itoa(t.Priority)
	}
	if i, ok := p.targets[key]; ok {
		return i
	}
	i := int32(len(p.table.Targets))
	p.table.Targets = append(p.table.Targets, t)
	p.targets[key] = i
	return i
}
