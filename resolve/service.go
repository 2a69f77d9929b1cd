package resolve

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// steered answers from the live endpoints of a service. Led says that a CNAME
// leads on to next.
func (s *Snapshot) steered(m *message, q *dnswire.Query, at *question, match *zone.Match, step int, c *Scratch) (led bool) {
	p := s.Table.Plans[match.Node.Plan]
	c.node = match.Node
	if c.trace != nil {
		c.traceService(s, match.Node, p)
	} else {
		p.Ask()
	}
	switch pol := p.Policy; {
	case q.Type == dnswire.TypeTXT && pol.DebugTXT:
		s.debug(m, at, p, c)
	case len(p.Members[table.Hosts].Candidates) > 0:
		return s.alias(m, q, at, match, p, step, c)
	case q.Type == dnswire.TypeA:
		s.answerAddresses(m, q, at, match, p, table.V4, c)
	case q.Type == dnswire.TypeAAAA:
		s.answerAddresses(m, q, at, match, p, table.V6, c)
	case q.Type == dnswire.TypeHTTPS && pol.HTTPS != nil:
		s.binding(m, q, at, match, p, pol.HTTPS, c)
	case q.Type == dnswire.TypeSVCB && pol.SVCB != nil:
		s.binding(m, q, at, match, p, pol.SVCB, c)
	case q.Type == dnswire.TypeSRV && pol.SRV:
		s.locations(m, q, at, match, p, c)
	default:
		if c.trace != nil {
			c.trace.note("family", "the service has no %s", q.Type)
		}
		s.negative(m, q, at, match, c)
	}
	return false
}

// alias answers from endpoints with a host name.
func (s *Snapshot) alias(m *message, q *dnswire.Query, at *question, match *zone.Match, p *table.Plan, step int, c *Scratch) (led bool) {
	node := match.Node
	ms, picked, ok := s.choose(m, q, node, p, table.Hosts, c)
	if !ok {
		return false
	}
	if len(picked) == 0 {
		s.negative(m, q, at, match, c)
		return false
	}
	next := m.cname(at, ms.Endpoints[picked[0].Index].Host, s.ttl(p, c))
	next.name = c.chase(step)[:copy(c.chase(step)[:], next.name)]
	c.lengths[step] = uint8(next.Len)
	c.next = next
	c.count(node, ms, picked[0])
	return q.Type != dnswire.TypeCNAME && q.Type != dnswire.TypeANY
}

// answerAddresses answers with A or AAAA records.
func (s *Snapshot) answerAddresses(m *message, q *dnswire.Query, at *question, match *zone.Match, p *table.Plan, f table.Family, c *Scratch) {
	ms := &p.Members[f]
	switch {
	case len(ms.Candidates) == 0:
		if c.trace != nil {
			c.trace.note("family", "no endpoint has %s records: no data", f.Type())
		}
		s.negative(m, q, at, match, c)
		return
	case ms.Hosts != nil:
		if has, waits := s.resolved(ms); waits {
			s.unresolved(m, q, c)
			return
		} else if !has {
			c.traceNote("flatten", "no host name has such addresses: no data")
			s.negative(m, q, at, match, c)
			return
		}
	}
	node := match.Node
	if p.Rotates {
		s.turn(node, table.Turn(f), c)
	}
	ms, picked := s.pick(node, p, f, c)
	switch {
	case c.Outcome.RCode == dnswire.ServFail:
		m.servFail(q, c)
		return
	case len(picked) == 0:
		s.negative(m, q, at, match, c)
		return
	case ms.Hosts != nil:
		s.flatten(m, at, ms, picked, node, p, c)
		return
	}
	ttl := s.ttl(p, c)
	for i := range picked {
		cand := picked[i]
		if ms.Repeats && repeats(ms, f, picked[:i], cand) {
			continue
		}
		m.address(at, f, ttl, ms.Addr(f, cand.Index))
		c.count(node, ms, cand)
	}
}

// count notes that a record was given of a candidate.
func (c *Scratch) count(node *table.Node, ms *table.Members, cand steer.Candidate) {
	c.counters = append(c.counters, node.Counter+uint32(cand.Pool))
	c.targets = append(c.targets, ms.Targets[cand.Index])
}

// unresolved answers while the addresses of the host names are not known yet: a
// "no" would be remembered.
func (s *Snapshot) unresolved(m *message, q *dnswire.Query, c *Scratch) {
	c.explain(dnswire.EDENetworkError, "no addresses are known of the host names")
	c.traceNote("flatten", c.opt.EDEText)
	m.servFail(q, c)
}

// choose picks endpoints of a family. Not ok: the answer is a failure, and the
// message says so.
func (s *Snapshot) choose(m *message, q *dnswire.Query, node *table.Node, p *table.Plan, f table.Family, c *Scratch) (ms *table.Members, picked []steer.Candidate, ok bool) {
	if p.Rotates {
		turn := table.TurnOther + table.Turn(f)
		if f == table.Hosts {
			turn = table.TurnV4
			if q.Type == dnswire.TypeAAAA {
				turn = table.TurnV6
			}
		}
		s.turn(node, turn, c)
	}
	ms, picked = s.pick(node, p, f, c)
	if c.Outcome.RCode == dnswire.ServFail {
		m.servFail(q, c)
		return ms, nil, false
	}
	return ms, picked, true
}

// servFail makes the message a failure, which says nothing of the zone's data:
// without AA, without SOA, and without the records that led to it.
func (m *message) servFail(q *dnswire.Query, c *Scratch) {
	c.Outcome.RCode = dnswire.ServFail
	m.buf, m.answer = m.buf[:m.start+q.QuestionEnd], 0
	c.counters, c.targets = c.counters[:0], c.targets[:0]
	m.flags &^= dnswire.FlagAA
}

// turn takes a rotating service's turn.
func (s *Snapshot) turn(node *table.Node, f table.Turn, c *Scratch) {
	if c.trace != nil {
		c.query.Seq = s.Table.Peek(node, f)
	} else {
		c.query.Seq = s.Table.Next(node, f)
	}
}

// repeats is whether the address of a candidate is that of one before it.
func repeats(ms *table.Members, f table.Family, before []steer.Candidate, cand steer.Candidate) bool {
	addr := ms.Addr(f, cand.Index)
	for _, b := range before {
		if string(ms.Addr(f, b.Index)) == string(addr) {
			return true
		}
	}
	return false
}

// addrs are the addresses of a flattened host name, and their TTL in seconds.
func (s *Snapshot) addrs(host int32, f table.Family) (packed []byte, ttl uint32) {
	if s.Hosts == nil {
		return nil, 0
	}
	return s.Hosts.Addrs(int(host), f == table.V6)
}

// resolved is whether there are addresses of a family at all, and whether those
// that there may be are not known yet.
func (s *Snapshot) resolved(ms *table.Members) (has, waits bool) {
	for i := range ms.Candidates {
		if !ms.Flat(i) {
			return true, false
		}
		own, _ := s.addrs(ms.Hosts[i], ms.Family)
		if len(own) > 0 {
			return true, false
		}
		v4, _ := s.addrs(ms.Hosts[i], table.V4)
		v6, _ := s.addrs(ms.Hosts[i], table.V6)
		waits = waits || len(v4)+len(v6) == 0
	}
	return false, waits
}

// maxFlat is how many addresses of one host name are answered.
const maxFlat = 16

// flatten answers with the addresses of endpoints of which some are host names:
// each address once, all with the lowest TTL.
func (s *Snapshot) flatten(m *message, at *question, ms *table.Members, picked []steer.Candidate, node *table.Node, p *table.Plan, c *Scratch) {
	ttl := s.ttl(p, c)
	for _, cand := range picked {
		if ms.Flat(int(cand.Index)) {
			_, own := s.addrs(ms.Hosts[cand.Index], ms.Family)
			ttl = min(ttl, own)
		}
	}
	size := ms.Family.Size()
	for _, cand := range picked {
		addrs := ms.Addr(ms.Family, cand.Index)
		if ms.Flat(int(cand.Index)) {
			addrs, _ = s.addrs(ms.Hosts[cand.Index], ms.Family)
			addrs = addrs[:min(len(addrs), maxFlat*size)]
			if c.trace != nil {
				noun := "addresses"
				if len(addrs) == size {
					noun = "address"
				}
				c.trace.note("flatten", "%s has %d %s", ms.Endpoints[cand.Index], len(addrs)/size, noun)
			}
		}
		for ; len(addrs) > 0; addrs = addrs[size:] {
			if !m.answers(at, addrs[:size]) {
				m.address(at, ms.Family, ttl, addrs[:size])
				c.count(node, ms, cand)
			}
		}
	}
}

// answers is whether an address is in the answer already; it ends the message
// with records of that length.
func (m *message) answers(at *question, addr []byte) bool {
	const head = 12
	for end := len(m.buf); end-head-len(addr) >= m.start+dnswire.HeaderLen; end -= head + len(addr) {
		rec := m.buf[end-head-len(addr):]
		if binary.BigEndian.Uint16(rec) != 0xc000|uint16(at.Offset) || int(binary.BigEndian.Uint16(rec[10:])) != len(addr) {
			return false
		}
		if string(rec[head:head+len(addr)]) == string(addr) {
			return true
		}
	}
	return false
}

// together are the families that a record is made of: those with live endpoints
// while there are any. That all endpoints of one are down is then no reason to
// fall back to them.
func (s *Snapshot) together(p *table.Plan, c *Scratch) []table.Family {
	v4, v6 := s.lives(p, &p.Members[table.V4], c), s.lives(p, &p.Members[table.V6], c)
	switch {
	case v4 && !v6:
		return bothFamilies[:1]
	case v6 && !v4:
		return bothFamilies[1:]
	}
	return bothFamilies[:]
}

var bothFamilies = [2]table.Family{table.V4, table.V6}

// maxHints is how many addresses of a family are given as hints.
const maxHints = 16

// binding answers with an HTTPS or SVCB record (RFC 9460) made of the endpoints
// that an address query would be given now.
func (s *Snapshot) binding(m *message, q *dnswire.Query, at *question, match *zone.Match, p *table.Plan, b *spec.SVCB, c *Scratch) {
	node := match.Node
	if p.Hosted && b.Plain() {
		// The host's own record says more than we know (RFC 9460 section 2.4.2).
		c.named = true
		ms, picked, ok := s.choose(m, q, node, p, table.V4, c)
		switch {
		case !ok:
		case len(picked) == 0:
			s.negative(m, q, at, match, c)
		default:
			host := ms.Endpoints[picked[0].Index].Host
			m.head(at.Offset, q.Type, s.ttl(p, c), 2+len(host))
			m.buf = dnswire.AppendName(append(m.buf, 0, 0), host)
			m.answer++
			c.count(node, ms, picked[0])
		}
		return
	}
	var hints [2][]byte
	ttl := p.Policy.TTL
	failed := true
	for _, f := range s.together(p, c) {
		if len(p.Members[f].Candidates) == 0 {
			continue
		}
		if p.Members[f].Hosts != nil {
			has, waits := s.resolved(&p.Members[f])
			if waits {
				s.unresolved(m, q, c)
				return
			}
			if !has {
				continue
			}
		}
		ms, picked, ok := s.choose(m, q, node, p, f, c)
		if !ok {
			return
		}
		if len(picked) > 0 {
			ttl = min(ttl, s.ttl(p, c))
		}
		for _, cand := range picked {
			if ms.Flat(int(cand.Index)) {
				packed, t := s.addrs(ms.Hosts[cand.Index], f)
				ttl = min(ttl, t)
				hints[f] = appendHints(c.hints[f][:0], hints[f], packed, f)
			} else {
				hints[f] = appendHints(c.hints[f][:0], hints[f], ms.Addr(f, cand.Index), f)
			}
			c.count(node, ms, cand)
			failed = false
		}
	}
	if failed {
		s.negative(m, q, at, match, c)
		return
	}
	params := dnswire.SVCParams{
		Mandatory: b.Mandatory, ALPN: b.ALPN, NoDefaultALPN: b.NoDefaultALPN, Port: b.Port, ECH: b.ECH,
	}
	if b.Hints {
		params.V4, params.V6 = hints[table.V4], hints[table.V6]
	}
	const fixed = 2 + 1 // priority and the target ".", which is the owner
	m.head(at.Offset, q.Type, ttl, fixed+params.Len())
	m.buf = append(m.buf, byte(b.Priority>>8), byte(b.Priority), 0)
	m.buf = dnswire.AppendSVCParams(m.buf, params)
	m.answer++
}

// appendHints adds addresses to the hints of a family, each once and as many as
// fit. Room is where they lie.
func appendHints(room, have, addrs []byte, f table.Family) []byte {
	size := f.Size()
	out := room[:len(have)]
	for ; len(addrs) > 0 && len(out)+size <= maxHints*size; addrs = addrs[size:] {
		there := false
		for at := 0; at < len(out); at += size {
			there = there || string(out[at:at+size]) == string(addrs[:size])
		}
		if !there {
			out = append(out, addrs[:size]...)
		}
	}
	return out
}

// locations answers with an SRV record (RFC 2782) for every endpoint that the
// steering keeps. Clients choose by the weights themselves.
func (s *Snapshot) locations(m *message, q *dnswire.Query, at *question, match *zone.Match, p *table.Plan, c *Scratch) {
	node := match.Node
	c.named = true
	before, start := m.answer, len(m.buf)-m.start
	ttl := p.Policy.TTL
	for _, f := range s.together(p, c) {
		if len(p.Members[f].Candidates) == 0 {
			continue
		}
		ms, picked, ok := s.choose(m, q, node, p, f, c)
		if !ok {
			return
		}
		if len(picked) > 0 {
			ttl = min(ttl, s.ttl(p, c))
		}
		for _, cand := range picked {
			if twice(ms, int(cand.Index)) {
				continue
			}
			s.location(m, at, len(match.Data().Name), ms.Endpoints[cand.Index], p, c)
			if ms.Repeats && m.repeated(start) {
				continue
			}
			m.answer++
			c.count(node, ms, cand)
		}
	}
	m.limitTTL(start, ttl) // of the record set as a whole (RFC 2181 section 5.2)
	if m.answer == before {
		s.negative(m, q, at, match, c)
		return
	}
	c.last = last{dnswire.TypeSRV, m.answer - before, start, *at}
}

// location appends the SRV record of an endpoint: its target is the host, or
// the name that has the address; zone is the length of the zone's name.
func (s *Snapshot) location(m *message, at *question, zone int, e *spec.Endpoint, p *table.Plan, c *Scratch) {
	port := e.Port
	if port == 0 {
		port = p.Policy.SRVPort
	}
	target := append(c.other[:0], e.Host...)
	if e.Host == "" {
		target = spec.AppendTarget(c.other[:0], e.Address, at.name, zone)
	}
	m.head(at.Offset, dnswire.TypeSRV, p.Policy.TTL, 6+len(target))
	m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(e.Priority))
	m.buf = binary.BigEndian.AppendUint16(m.buf, uint16(e.Weight))
	m.buf = binary.BigEndian.AppendUint16(m.buf, port)
	m.buf = append(m.buf, target...)
}

// recordHead is the length of what head appends.
const recordHead = 12

// repeated takes the last record away when it is one of those from start on
// already, all of which head began.
func (m *message) repeated(start int) bool {
	const most = 1 << 16 // what is longer goes to nobody
	msg := m.buf[m.start:]
	if len(msg) > most {
		return false
	}
	lies := len(msg)
	for at := start; at < len(msg); {
		lies = at
		at += recordHead + int(binary.BigEndian.Uint16(msg[at+recordHead-2:]))
	}
	last := msg[lies:]
	for at := start; at < lies; {
		end := at + recordHead + int(binary.BigEndian.Uint16(msg[at+recordHead-2:]))
		if string(msg[at:end]) == string(last) {
			m.buf = m.buf[:m.start+lies]
			return true
		}
		at = end
	}
	return false
}

// limitTTL gives the records from start on, all of which head began, a TTL.
func (m *message) limitTTL(start int, ttl uint32) {
	msg := m.buf[m.start:]
	for at := start; at < len(msg); at += recordHead + int(binary.BigEndian.Uint16(msg[at+recordHead-2:])) {
		binary.BigEndian.PutUint32(msg[at+6:], ttl)
	}
}
