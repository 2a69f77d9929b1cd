package simulate

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// line is what shares are counted of: an endpoint of a pool, or a reason why
// there is no answer.
type line struct {
	pool     string // empty: there is no answer
	endpoint string // or the reason
}

// lines are the lines of both sides.
type lines struct {
	all   []line
	known map[line]int
}

func (l *lines) of(at line) int {
	i, known := l.known[at]
	if !known {
		i = len(l.all)
		l.all = append(l.all, at)
		l.known[at] = i
	}
	return i
}

// side is one of the worlds that are compared, while it is asked.
type side struct {
	world   *World
	scratch *resolve.Scratch
	query   dnswire.Query
	buf     []byte

	// What is asked: the service, if it is one here.
	node *table.Node
	plan *table.Plan

	// The answers to one client by line. Touched are the lines that have any.
	answers []float64
	touched []int

	lines   *lines
	cells   numbering // of counter and target
	line    []int     // by number of the cell
	reasons [16]int   // line plus one, by code of the answer
}

func newSide(w *World, l *lines) *side {
	return &side{world: w, scratch: resolve.NewScratch(0, 0), buf: make([]byte, 0, dnswire.MaxTCP), lines: l}
}

// ask puts the question that clients ask from here on.
func (s *side) ask(name dnswire.Name, typ dnswire.Type) {
	s.node, s.plan = s.world.service(name, typ)
	// An answer over TCP is never cut short.
	s.query.Transport = dnswire.TCP
	s.query.Parse(dnswire.AppendQuery(nil, name, typ, noSubnet))
}

// answer has a client ask n times. The same seed gives the same random numbers.
func (s *side) answer(c *Client, n int, seed uint64) {
	q := &s.query
	q.Client = addrPort(c.Source)
	q.ECS = dnswire.ECS{}
	if c.Subnet.IsValid() {
		q.ECS.Present, q.ECS.Family, q.ECS.SourceBits = true, 2, uint8(c.Subnet.Bits())
		if a := c.Subnet.Addr(); a.Is4() {
			b := a.As4()
			q.ECS.Family = 1
			copy(q.ECS.Addr[:], b[:])
		} else {
			q.ECS.Addr = a.As16()
		}
	}
	s.scratch.Seed(seed, forAnswers)
	for range n {
		s.buf = s.world.Snapshot.Append(s.buf[:0], q, s.scratch)
		s.count(&s.scratch.Outcome)
	}
}

// count counts one answer. One of several records is as many parts, because a
// client takes one of them.
func (s *side) count(o *resolve.Outcome) {
	n := len(o.Targets)
	switch {
	case n == 1:
		s.add(s.lineOf(o.Counters[0], o.Targets[0]), 1)
		return
	case n == 0:
		s.add(s.reason(o.RCode), 1)
		return
	}
	// Of a service that leads on to another one the first decides.
	own := 0
	for _, c := range o.Counters {
		if s.own(c) {
			own++
		}
	}
	for i, c := range o.Counters {
		if own == 0 {
			s.add(s.lineOf(c, o.Targets[i]), 1/float64(n))
		} else if s.own(c) {
			s.add(s.lineOf(c, o.Targets[i]), 1/float64(own))
		}
	}
}

func (s *side) add(at int, part float64) {
	for at >= len(s.answers) {
		s.answers = append(s.answers, 0)
	}
	if s.answers[at] == 0 {
		s.touched = append(s.touched, at)
	}
	s.answers[at] += part
}

// own is whether a counter is one of the service that is asked for.
func (s *side) own(counter uint32) bool {
	return s.node != nil && counter-s.node.Counter < uint32(pools(s.plan))
}

// pools is how many counters a service of a plan has.
func pools(p *table.Plan) int {
	n := len(p.Policy.Pools)
	if p.Policy.AllDown.Pool != nil {
		n++
	}
	return n
}

// lineOf is the line of a record.
func (s *side) lineOf(counter uint32, target int32) int {
	i, fresh := s.cells.of(pair(int(counter), int(target)))
	if !fresh {
		return s.line[i]
	}
	at := line{}
	if s.own(counter) {
		at.pool = s.home(int(counter-s.node.Counter), target)
	} else {
		s.world.Snapshot.Table.EachCounter(func(i uint32) bool { return i == counter }, func(_ uint32, _, pool string) { at.pool = pool })
	}
	at.endpoint = s.world.Snapshot.Table.Targets[target].Host
	if at.endpoint == "" {
		at.endpoint = s.world.Snapshot.Table.Targets[target].Addr.String()
	}
	s.line = append(s.line, s.lines.of(at))
	return s.line[i]
}

// home is the name of the pool that has an endpoint of the service at hand, given
// at a position in the service's list: that position's own pool, or one within
// what is nested there.
func (s *side) home(at int, target int32) string {
	if s.plan.Nests(at) != nil {
		for f := range s.plan.Members {
			ms := &s.plan.Members[f]
			for i, c := range ms.Candidates {
				if int(c.Pool) == at && ms.Targets[i] == target {
					pool, _ := s.plan.Home(ms, i)
					return pool.Name
				}
			}
		}
	}
	return s.plan.Pool(at).Name
}

// reason is the line of answers without a record.
func (s *side) reason(code dnswire.RCode) int {
	if int(code) < len(s.reasons) && s.reasons[code] > 0 {
		return s.reasons[code] - 1
	}
	text := code.String()
	if code == dnswire.NoError {
		text = "no data"
	}
	at := s.lines.of(line{"", text})
	if int(code) < len(s.reasons) {
		s.reasons[code] = at + 1
	}
	return at
}

// gives is whether a plan answers a type from its endpoints.
func gives(p *table.Plan, typ dnswire.Type) bool {
	if p == nil {
		return false
	}
	hosts := len(p.Members[table.Hosts].Candidates) > 0
	switch typ {
	case dnswire.TypeA:
		return hosts || len(p.Members[table.V4].Candidates)+len(p.Spare[table.V4].Candidates) > 0
	case dnswire.TypeAAAA:
		return hosts || len(p.Members[table.V6].Candidates)+len(p.Spare[table.V6].Candidates) > 0
	case dnswire.TypeHTTPS:
		return p.Policy.HTTPS != nil
	case dnswire.TypeSVCB:
		return p.Policy.SVCB != nil
	case dnswire.TypeSRV:
		return p.Policy.SRV
	case dnswire.TypeTXT:
		return p.Policy.DebugTXT
	}
	return false
}

// poolsOf are the pools that a plan may answer with.
func poolsOf(p *table.Plan) []*spec.Pool {
	if p == nil {
		return nil
	}
	return plainPools(nil, p.Policy)
}

// plainPools appends the pools of a policy that have endpoints of their own: of
// nested ones what is in them.
func plainPools(all []*spec.Pool, p *spec.Policy) []*spec.Pool {
	for _, pool := range append(p.Pools[:len(p.Pools):len(p.Pools)], p.AllDown.Pool) {
		switch {
		case pool == nil:
		case pool.Nested != nil:
			all = plainPools(all, pool.Nested)
		default:
			all = append(all, pool)
		}
	}
	return all
}
