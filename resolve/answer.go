package resolve

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// message is an answer in the making.
type message struct {
	buf    []byte // all of it; the message begins at start
	start  int
	answer int // records in each section
	auth   int
	extra  int
	// required is the length of buf without the additional records that may be
	// left out when the client takes no more.
	required int
}

// question is where the name that is being answered lies in the message. It is
// the query's own until a CNAME leads on.
type question struct {
	name   []byte // lower-case wire form
	offset int    // from the start of the message
}

func (q question) String() string { return dnswire.Name(q.name).String() }

// maxChase is how many CNAME records of our own one answer follows.
const maxChase = 8

func (s *Snapshot) answer(dst []byte, q *dnswire.Query, c *Scratch) []byte {
	c.Outcome = Outcome{Zone: -1}
	c.counters = c.counters[:0]
	c.opt = dnswire.OPT{}
	if q.Status == dnswire.StatusDrop {
		return dst
	}
	m := message{start: len(dst)}
	m.buf = q.AppendReply(dst)

	switch {
	case q.Status == dnswire.StatusFormErr:
		c.fail(dnswire.FormErr)
	case q.Status == dnswire.StatusNotImp:
		c.fail(dnswire.NotImp)
	case q.Status == dnswire.StatusBadVers:
		c.fail(dnswire.BadVers)
	case q.TSIG:
		// We hold no key, so nothing that is signed can be verified (RFC 8945
		// section 5.2.1).
		c.fail(dnswire.NotAuth)
	case q.Class != dnswire.ClassIN:
		c.fail(dnswire.Refused)
	case refusedType(q.Type):
		c.fail(dnswire.Refused)
	default:
		if s.Table.ECS && q.ECS.Present {
			c.opt.ECS = &q.ECS
		}
		s.lookup(&m, q, c)
	}
	c.Outcome.Counters = c.counters
	return s.finish(&m, q, c)
}

func (c *Scratch) fail(rc dnswire.RCode) {
	c.Outcome.RCode = rc
	if c.trace != nil {
		c.trace.note("refused", "%s", rc)
	}
}

// refusedType is whether a type asks for something that is not data: transfers
// and the obsolete mail types (RFC 5936 section 2.2.1, RFC 8906 section 3.1.2).
func refusedType(t dnswire.Type) bool {
	switch t {
	case dnswire.TypeAXFR, dnswire.TypeIXFR, dnswire.TypeMAILA, dnswire.TypeMAILB, dnswire.TypeTKEY, dnswire.TypeTSIG:
		return true
	}
	return false
}

// lookup answers a well-formed question of class IN.
func (s *Snapshot) lookup(m *message, q *dnswire.Query, c *Scratch) {
	at := question{name: q.Name(), offset: dnswire.HeaderLen}
	node, zone := s.find(at, q.Type, c)
	c.Outcome.Zone = zone
	if zone < 0 {
		c.traceNote("zone", "none of ours")
		c.fail(dnswire.Refused)
		c.opt.EDE = dnswire.EDENotAuthoritative
		return
	}
	dnswire.SetFlags(m.buf[m.start:], dnswire.FlagAA)

	var seen [maxChase][]byte
	for i := range maxChase {
		c.traceZone(s.Table.Zones[zone])
		seen[i] = at.name
		if node == nil {
			// The code of the last step of a chain is the code of the answer (RFC
			// 6604 section 3).
			c.Outcome.RCode = dnswire.NXDomain
			if c.trace != nil {
				c.trace.note("name", "%s does not exist", at)
			}
			s.negative(m, at, zone, c)
			return
		}
		next, led := s.node(m, q, at, node, zone, c)
		if !led {
			return
		}
		for _, name := range seen[:i+1] {
			if string(name) == string(next.name) {
				c.traceNote("name", "the CNAME records lead in a circle")
				return
			}
		}
		node, zone = s.find(next, q.Type, c)
		if zone < 0 {
			return // the rest is the resolver's to find
		}
		at = next
	}
}

// find is the node and the zone that answer for a name and type.
func (s *Snapshot) find(at question, t dnswire.Type, c *Scratch) (node *table.Node, zone int) {
	node, zone = s.Table.Find(at.name, &c.wildcard)
	if t != dnswire.TypeDS || zone < 0 {
		return node, zone
	}
	// The DS records of a zone are its parent's to give (RFC 4035 section
	// 3.1.4.1), so the name is no more there than a name on the way to others.
	if z := s.Table.Zones[zone]; z.Parent >= 0 && string(at.name) == string(z.Name) {
		return &noData, z.Parent
	}
	return node, zone
}

// noData is a node that exists and has nothing.
var noData = table.Node{Plan: table.NoPlan, Static: table.NoStatic}

// node answers from one node. Led says that a CNAME of ours leads on to next.
func (s *Snapshot) node(m *message, q *dnswire.Query, at question, node *table.Node, zone int, c *Scratch) (next question, led bool) {
	if node.Static != table.NoStatic {
		st := s.Table.Statics[node.Static]
		if set := st.Set(q.Type); set != nil {
			if c.trace != nil {
				c.trace.note("static", "%d %s of the zone itself", set.Count, q.Type)
			}
			m.set(set, at, s.apex(at, zone))
			m.answer += set.Count
			if q.Type == dnswire.TypeNS && st.Glue.Count > 0 {
				m.required = len(m.buf)
				m.set(&st.Glue, at, s.apex(at, zone))
				m.extra += st.Glue.Count
			}
			return next, false
		}
	}
	hosts := node.Plan != table.NoPlan && len(s.Table.Plans[node.Plan].Members[table.Hosts].Candidates) > 0
	if q.Type == dnswire.TypeANY && !node.Empty() && !hosts {
		// One small record instead of all of them, but for a CNAME (RFC 8482
		// section 4.2).
		c.traceNote("any", "answered as RFC 8482 says")
		m.hinfo(at)
		return next, false
	}
	if node.Plan == table.NoPlan {
		if c.trace != nil {
			c.trace.note("name", "%s has no %s", at, q.Type)
		}
		s.negative(m, at, zone, c)
		return next, false
	}

	p := s.Table.Plans[node.Plan]
	f := table.Hosts
	if !hosts {
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
			s.negative(m, at, zone, c)
			return next, false
		}
	}
	c.traceService(s, node, p)
	if len(p.Members[f].Candidates) == 0 {
		if c.trace != nil {
			c.trace.note("family", "no endpoint has %s records: no data", f.Type())
		}
		s.negative(m, at, zone, c)
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
		s.negative(m, at, zone, c)
		return next, false
	}
	if f == table.Hosts {
		next = m.cname(at, ms.Endpoints[picked[0].Index].Host, p.Policy.TTL)
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

// apex is the offset of the zone's name in the name at hand.
func (s *Snapshot) apex(at question, zone int) int {
	return at.offset + len(at.name) - len(s.Table.Zones[zone].Name)
}

// negative adds the SOA record that says how long "no" may be remembered.
func (s *Snapshot) negative(m *message, at question, zone int, c *Scratch) {
	soa := &s.Table.Zones[zone].Negative
	m.set(soa, at, s.apex(at, zone))
	m.auth++
	if c.trace != nil {
		c.trace.note("negative", "SOA of %s says how long to remember", s.Table.Zones[zone].Text)
	}
}

func (m *message) set(r *table.RRSet, at question, apex int) {
	m.buf = r.Append(m.buf, at.offset, apex)
}

// address appends an A or AAAA record.
func (m *message) address(at question, f table.Family, ttl uint32, addr []byte) {
	var rec [12]byte
	binary.BigEndian.PutUint16(rec[0:], 0xc000|uint16(at.offset))
	binary.BigEndian.PutUint16(rec[2:], uint16(f.Type()))
	binary.BigEndian.PutUint16(rec[4:], uint16(dnswire.ClassIN))
	binary.BigEndian.PutUint32(rec[6:], ttl)
	binary.BigEndian.PutUint16(rec[10:], uint16(len(addr)))
	m.buf = append(m.buf, rec[:]...)
	m.buf = append(m.buf, addr...)
	m.answer++
}

// cname appends a CNAME record, its target uncompressed so that what follows
// can point at it.
func (m *message) cname(at question, target dnswire.Name, ttl uint32) (next question) {
	var rec [12]byte
	binary.BigEndian.PutUint16(rec[0:], 0xc000|uint16(at.offset))
	binary.BigEndian.PutUint16(rec[2:], uint16(dnswire.TypeCNAME))
	binary.BigEndian.PutUint16(rec[4:], uint16(dnswire.ClassIN))
	binary.BigEndian.PutUint32(rec[6:], ttl)
	binary.BigEndian.PutUint16(rec[10:], uint16(len(target)))
	m.buf = append(m.buf, rec[:]...)
	offset := len(m.buf) - m.start
	m.buf = dnswire.AppendName(m.buf, target)
	m.answer++
	return question{m.buf[len(m.buf)-len(target):], offset}
}

// anyTTL is the TTL of the record that stands for ANY.
const anyTTL = 3600

func (m *message) hinfo(at question) {
	const cpu = "RFC8482"
	m.buf = binary.BigEndian.AppendUint16(m.buf, 0xc000|uint16(at.offset))
	m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(dnswire.TypeHINFO))
	m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(dnswire.ClassIN))
	m.buf = binary.BigEndian.AppendUint32(m.buf, anyTTL)
	m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(len(cpu)+2))
	m.buf = append(append(append(m.buf, byte(len(cpu))), cpu...), 0)
	m.answer++
}

// finish adds the OPT record, sees to it that the message is no larger than
// the client takes, and completes the header.
func (s *Snapshot) finish(m *message, q *dnswire.Query, c *Scratch) []byte {
	limit := q.Limit()
	msg := m.buf[m.start:]
	dnswire.SetRCode(msg, c.Outcome.RCode)
	o := &c.opt
	size := 0
	if q.EDNS {
		o.RCode, o.DO = c.Outcome.RCode, q.DO
		if q.NSID {
			o.NSID = s.Table.NSID
		}
		size = o.Len()
	}
	if len(msg)+size > limit && o.EDEText != "" {
		// The text of an extended error is never a reason to truncate.
		o.EDEText = ""
		size = o.Len()
	}
	if len(msg)+size > limit && m.extra > 0 {
		// Addresses of name servers are a courtesy here.
		m.buf, m.extra = m.buf[:m.required], 0
		msg = m.buf[m.start:]
	}
	if len(msg)+size > limit {
		m.buf = m.buf[:m.start+max(q.QuestionEnd, dnswire.HeaderLen)]
		msg = m.buf[m.start:]
		dnswire.SetFlags(msg, dnswire.FlagTC)
		m.answer, m.auth, m.extra = 0, 0, 0
		c.counters = c.counters[:0]
		c.Outcome.Counters = c.counters
		if c.trace != nil {
			c.trace.note("truncated", "larger than the %d octets the client takes: TC", limit)
		}
	}
	if q.EDNS && len(msg)+size <= limit {
		m.buf = dnswire.AppendOPT(m.buf, o)
		m.extra++
	}
	dnswire.AddCounts(m.buf[m.start:], m.answer, m.auth, m.extra)
	return m.buf
}
