package resolve

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// node answers from the data of one node. Led says that a CNAME leads on to
// next.
func (s *Snapshot) node(m *message, q *dnswire.Query, at *question, match *zone.Match, step int, c *Scratch) (led bool) {
	if match.Static() {
		if set, ok := match.Set(q.Type); ok {
			c.expands(q, at, match)
			if c.trace != nil {
				c.trace.note("static", "%d %s of the zone itself", set.Count, q.Type)
			}
			switch {
			case q.Type == dnswire.TypeRRSIG:
				s.signatures(m, q, at, match, c)
			case q.Type == dnswire.TypeDNAME && match.Kind == zone.Exact && c.renaming(match.Node) >= 0:
				// It has led here and is in the answer.
			default:
				c.last = last{set.Type, set.Count, len(m.buf) - m.start, *at}
				m.set(&set, at.Place)
				m.answer += set.Count
				s.sign(m, q, match, q.Type, at.Place, &m.answer)
			}
			return false
		}
		if set, ok := match.Set(dnswire.TypeCNAME); ok {
			c.expands(q, at, match)
			return s.follow(m, q, at, match, &set, step, c) && q.Type != dnswire.TypeANY
		}
	}
	if n := match.Node; n != nil && n.Plan != zone.NoPlan {
		if q.Type == dnswire.TypeANY && len(s.Table.Plans[n.Plan].Members[table.Hosts].Candidates) == 0 {
			s.any(m, q, at, match, c)
			return false
		}
		return s.steered(m, q, at, match, step, c)
	}
	if q.Type == dnswire.TypeANY && match.Static() && !match.Bare() {
		s.any(m, q, at, match, c)
		return false
	}
	if c.trace != nil {
		c.trace.note("name", "%s has no %s", at.String(), q.Type)
	}
	s.negative(m, q, at, match, c)
	return false
}

// any answers a question for everything with one small record instead (RFC 8482
// section 4.2); in a signed zone with a record set that it has a signature for
// (section 4.1).
func (s *Snapshot) any(m *message, q *dnswire.Query, at *question, match *zone.Match, c *Scratch) {
	c.traceNote("any", "answered as RFC 8482 says")
	if !match.Static() || !match.Data().Signed {
		m.hinfo(at)
		return
	}
	match.Each(func(set zone.Set) bool {
		if set.Type == dnswire.TypeRRSIG || set.Type == dnswire.TypeNSEC {
			return true // what proves others is no answer by itself
		}
		m.set(&set, at.Place)
		m.answer += set.Count
		s.sign(m, q, match, set.Type, at.Place, &m.answer)
		c.expands(q, at, match)
		return false
	})
}

// sign adds the signature of a record set, when the client wants it and the
// zone has it.
func (s *Snapshot) sign(m *message, q *dnswire.Query, match *zone.Match, t dnswire.Type, owner zone.Place, count *int) {
	if !q.DO || !match.Data().Signed {
		return
	}
	if sig, ok := match.Signature(t); ok {
		m.set(&sig, owner)
		*count += sig.Count
	}
}

// signatures adds all signatures of a name but that of a DNAME record which is in
// the answer with its own.
func (s *Snapshot) signatures(m *message, q *dnswire.Query, at *question, match *zone.Match, c *Scratch) {
	there := q.DO && match.Kind == zone.Exact && c.renaming(match.Node) >= 0
	match.Each(func(set zone.Set) bool {
		if set.Type == dnswire.TypeRRSIG && (set.Covers() != dnswire.TypeDNAME || !there) {
			m.set(&set, at.Place)
			m.answer += set.Count
		}
		return true
	})
}

// negative adds the SOA record that says how long "no" may be remembered, and
// what proves it in a signed zone.
func (s *Snapshot) negative(m *message, q *dnswire.Query, at *question, match *zone.Match, c *Scratch) {
	d := match.Data()
	apex := m.within(at, len(d.Name))
	soa, ttl := d.SOA()
	m.set(soa, apex)
	m.auth++
	if c.trace != nil {
		c.trace.note("negative", "SOA of %s says how long to remember", s.Table.Zones[match.Zone].Text)
	}
	if !q.DO || !d.Signed {
		return
	}
	if sig, ok := d.Signature(dnswire.TypeSOA); ok {
		m.set(&sig, apex)
		sig.LimitTTL(m.buf, ttl)
		m.auth += sig.Count
	}
	s.deny(m, at, match, c)
}

// referral sends the client to the name servers of a zone below one of ours.
func (s *Snapshot) referral(m *message, q *dnswire.Query, at *question, match *zone.Match, c *Scratch) {
	if c.trace != nil {
		c.trace.note("referral", "%s is delegated to other name servers", dnswire.Name(at.name[at.Len-match.Encloser:]))
	}
	set, _ := match.Set(dnswire.TypeNS)
	owner := question{at.name[at.Len-match.Encloser:], m.within(at, match.Encloser)}
	c.last = last{set.Type, set.Count, len(m.buf) - m.start, owner}
	c.glue, c.delegated = true, match.Zone
	m.set(&set, owner.Place)
	m.auth += set.Count
	if !q.DO || !match.Data().Signed {
		return
	}
	// RFC 4035 section 3.1.4: DS, or the proof that there is none.
	if ds, ok := match.Set(dnswire.TypeDS); ok {
		m.set(&ds, owner.Place)
		m.auth += ds.Count
		s.sign(m, q, match, dnswire.TypeDS, owner.Place, &m.auth)
		return
	}
	s.noData(m, match.Data(), owner.name, c)
}

// last is a record set in the message.
type last struct {
	typ   dnswire.Type
	count int
	at    int // where it begins
	of    question
}

// targetAt is where a name that the client will ask for next stands in the data
// of a type; -1 when there is none.
func targetAt(t dnswire.Type) int {
	switch t {
	case dnswire.TypeNS:
		return 0
	case dnswire.TypeMX, dnswire.TypeSVCB, dnswire.TypeHTTPS:
		return 2
	case dnswire.TypeSRV:
		return 6
	}
	return -1
}

// additional adds the addresses that the last record set of the answer leads
// to, which is not empty: those of the name servers below a cut must be there (RFC 9471 section 3),
// all others as far as there is room.
func (s *Snapshot) additional(m *message, q *dnswire.Query, c *Scratch) {
	skip := targetAt(c.last.typ)
	if skip < 0 {
		return
	}
	room := q.Limit()
	if q.EDNS {
		room -= c.opt.Len()
	}
	passes := 1
	if c.glue {
		passes = 2 // what must be there comes first
	}
	for pass := range passes {
		must := c.glue && pass == 0
		at := c.last.at
		for range c.last.count {
			data := at + 12
			at = data + int(binary.BigEndian.Uint16(m.buf[m.start+data-2:]))
			target := m.name(data+skip, &c.target)
			if target.Len == 1 { // "." is the owner in SVCB and HTTPS, nobody elsewhere
				if c.last.typ != dnswire.TypeSVCB && c.last.typ != dnswire.TypeHTTPS {
					continue
				}
				target = c.last.of
			}
			if c.glue && must != below(target.name, c.last.of.name) {
				continue
			}
			if !must && !target.InReach() {
				continue
			}
			s.addresses(m, q, &target, room, must, c)
		}
	}
}

// below is whether a name is another one or below it.
func below(name, top []byte) bool {
	for len(name) > len(top) {
		name = name[1+int(name[0]):]
	}
	return string(name) == string(top)
}

// addresses adds the static addresses of a name to the additional section.
func (s *Snapshot) addresses(m *message, q *dnswire.Query, name *question, room int, must bool, c *Scratch) {
	var match zone.Match
	if c.glue {
		var ok bool
		if match, ok = s.Table.Glue(name.name, c.delegated); !ok {
			return
		}
	} else if match = s.Table.Find(name.name, dnswire.TypeA); match.Kind != zone.Exact && match.Kind != zone.Wildcard {
		return
	}
	hash := name.hash()
	for _, t := range [2]dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA} {
		set, ok := match.Set(t)
		if !ok || m.has(name, hash, t, c) {
			continue
		}
		before, count := len(m.buf), m.extra
		m.setOf(&set, *name)
		m.extra += set.Count
		if !c.glue {
			s.sign(m, q, &match, t, name.Place, &m.extra)
		}
		if !must && len(m.buf)-m.start > room {
			m.buf, m.extra = m.buf[:before], count
			continue
		}
		c.given = append(c.given, placed{before - m.start, t, hash})
	}
}

// placed is a record set in the additional section.
type placed struct {
	at   int // its owner, which is a pointer to its name
	t    dnswire.Type
	hash uint32 // of the name, so that few names are read again
}

// hash is FNV-1a (Fowler, Noll, Vo) of the name.
func (q *question) hash() uint32 {
	h := uint32(2166136261)
	for _, c := range q.name {
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}

// has is whether the addresses of a name are in the additional section.
func (m *message) has(name *question, hash uint32, t dnswire.Type, c *Scratch) bool {
	for _, g := range c.given {
		if g.hash == hash && g.t == t && string(m.name(g.at, &c.other).name) == string(name.name) {
			return true
		}
	}
	return false
}
