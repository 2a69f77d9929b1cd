package resolve

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// service answers from the live endpoints of a service. Led says that a CNAME
// leads on to next.
func (s *Snapshot) service(m *message, q *dnswire.Query, at question, match *zone.Match, step int, c *Scratch) (next question, led bool) {
	node := match.Node
	p := s.Table.Plans[node.Plan]
	f := table.Hosts
	if len(p.Members[table.Hosts].Candidates) == 0 {
		switch q.Type {
		case dnswire.TypeA:
			f = table.V4
		case dnswire.TypeAAAA:
			f = table.V6
		default:
			c.traceService(s, node, p)
			if c.trace != nil {
				c.trace.note("family", "a service of addresses has no %s", q.Type)
			}
			s.negative(m, q, at, match, c)
			return next, false
		}
	}
	c.traceService(s, node, p)
	if len(p.Members[f].Candidates) == 0 {
		if c.trace != nil {
			c.trace.note("family", "no endpoint has %s records: no data", f.Type())
		}
		s.negative(m, q, at, match, c)
		return next, false
	}
	if p.Rotates {
		s.turn(node, q.Type, c)
	}
	ms, picked := s.pick(node, p, f, c)
	if c.Outcome.RCode == dnswire.ServFail {
		// A failure says nothing of the zone's data: without AA, without SOA, and
		// without the records that led to it.
		m.buf, m.answer = m.buf[:m.start+q.QuestionEnd], 0
		c.counters = c.counters[:0]
		binary.BigEndian.PutUint16(m.buf[m.start+2:], binary.BigEndian.Uint16(m.buf[m.start+2:])&^dnswire.FlagAA)
		return next, false
	}
	if len(picked) == 0 {
		s.negative(m, q, at, match, c)
		return next, false
	}
	if f == table.Hosts {
		next = m.cname(at, ms.Endpoints[picked[0].Index].Host, p.Policy.TTL)
		next.name = c.chase(step)[:copy(c.chase(step)[:], next.name)]
		c.lengths[step] = uint8(next.Len)
		c.counters = append(c.counters, node.Counter+uint32(picked[0].Pool))
		return next, q.Type != dnswire.TypeCNAME && q.Type != dnswire.TypeANY
	}
	for i, cand := range picked {
		if ms.Repeats && given(ms, f, picked[:i], cand) {
			continue
		}
		m.address(at, f, p.Policy.TTL, ms.Addr(f, cand.Index))
		c.counters = append(c.counters, node.Counter+uint32(cand.Pool))
	}
	return next, false
}

// turn takes a rotating service's turn, of the sequence for the type asked for.
func (s *Snapshot) turn(node *table.Node, t dnswire.Type, c *Scratch) {
	f := table.V4
	if t == dnswire.TypeAAAA {
		f = table.V6
	}
	if c.trace != nil {
		c.query.Seq = s.Table.Peek(node, f)
	} else {
		c.query.Seq = s.Table.Next(node, f)
	}
}

// given is whether the address of a candidate is that of one before it.
func given(ms *table.Members, f table.Family, before []steer.Candidate, cand steer.Candidate) bool {
	addr := ms.Addr(f, cand.Index)
	for _, b := range before {
		if string(ms.Addr(f, b.Index)) == string(addr) {
			return true
		}
	}
	return false
}
