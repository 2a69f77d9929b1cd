package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
)

// expansion is a name that a wildcard of a signed zone has answered for.
type expansion struct {
	data     *zone.Data
	name     []byte
	encloser int
}

// expands notes that a wildcard answers, if one does.
func (c *Scratch) expands(q *dnswire.Query, at *question, match *zone.Match) {
	if match.Kind == zone.Wildcard && q.DO && match.Data().Signed {
		c.expanded = append(c.expanded, expansion{match.Data(), at.name, match.Encloser})
	}
}

// expansions adds, for each wildcard that has answered, the proof that nothing
// closer exists (RFC 4035 section 3.1.3.3, RFC 5155 section 7.2.6).
func (s *Snapshot) expansions(m *message, c *Scratch) {
	for i := range c.expanded {
		e := &c.expanded[i]
		if e.data.Hashed() {
			s.nsec3(m, e.data, nextCloser(e.name, e.encloser), c)
		} else {
			s.nsec(m, e.data, e.name, c)
		}
	}
}

// nextCloser is the name one label longer than the closest encloser.
func nextCloser(name []byte, encloser int) []byte {
	for {
		up := name[1+int(name[0]):]
		if len(up) <= encloser {
			return name
		}
		name = up
	}
}

// deny adds the proof of a negative answer.
func (s *Snapshot) deny(m *message, at *question, match *zone.Match, c *Scratch) {
	d := match.Data()
	switch {
	case match.Kind == zone.Exact:
		s.noData(m, d, at.name, c)
	case d.Hashed() && match.Kind == zone.Wildcard:
		s.noDataAtWildcard(m, at, match, c)
	case d.Hashed():
		// RFC 5155 section 7.2.2: neither the name nor the wildcard. When the
		// wildcard of the encloser that can be proved exists, it is an encloser
		// without a record that keeps it from answering.
		encloser := s.closest(m, d, at.name, match.Encloser, c)
		if p, matches, ok := d.NSEC3(c.wildcardOf(at.name, encloser)); ok && !matches {
			m.proof(d, p, c)
		}
	default:
		// RFC 4035 sections 3.1.3.2 and 3.1.3.4: neither the name, nor the wildcard
		// or its type.
		s.nsec(m, d, at.name, c)
		s.nsec(m, d, c.wildcardOf(at.name, match.Encloser), c)
	}
}

// noDataAtWildcard adds the proof of RFC 5155 section 7.2.5: the closest
// encloser, that nothing is closer to the name, and the wildcard without the
// type. Under opt-out the wildcard, an empty non-terminal then, may have no
// record, nor may the encloser.
func (s *Snapshot) noDataAtWildcard(m *message, at *question, match *zone.Match, c *Scratch) {
	d := match.Data()
	if p, matches, ok := d.NSEC3(at.name[at.Len-match.Encloser:]); ok && matches {
		m.proof(d, p, c)
	}
	s.nsec3(m, d, nextCloser(at.name, match.Encloser), c)
	s.noData(m, d, c.wildcardOf(at.name, match.Encloser), c)
}

// noData adds the proof that a name that is there, but for the names on the way
// to it, has nothing of a type (RFC 4035 section 3.1.3.1, RFC 5155 section
// 7.2.3). The NSEC record of an empty non-terminal is the one before it.
func (s *Snapshot) noData(m *message, d *zone.Data, name []byte, c *Scratch) {
	if !d.Hashed() {
		s.nsec(m, d, name, c)
		return
	}
	if p, matches, ok := d.NSEC3(name); ok && matches {
		m.proof(d, p, c)
		return
	}
	// Under opt-out, delegations without DS have no record, and neither have the
	// names that exist because of these alone (RFC 5155 sections 7.1 and 7.2.4).
	s.closest(m, d, name, len(name)-1-int(name[0]), c)
}

// closest adds the proof of the closest provable encloser (RFC 5155 section
// 7.2.1): the record of the longest name above that has one, from the closest
// encloser on, and that of the next closer name, which covers it. The result is
// how long the encloser is: it is with its wildcard that a validator goes on.
func (s *Snapshot) closest(m *message, d *zone.Data, name []byte, encloser int, c *Scratch) int {
	next := nextCloser(name, encloser)
	for up := name[len(name)-encloser:]; len(up) >= len(d.Name); next, up = up, up[1+int(up[0]):] {
		if p, matches, ok := d.NSEC3(up); ok && matches {
			m.proof(d, p, c)
			s.nsec3(m, d, next, c)
			return len(up)
		}
	}
	return encloser
}

// wildcardOf is the wildcard below the closest encloser.
func (c *Scratch) wildcardOf(name []byte, encloser int) []byte {
	c.wildcard[0], c.wildcard[1] = 1, '*'
	return c.wildcard[:2+copy(c.wildcard[2:], name[len(name)-encloser:])]
}

// nsec adds the NSEC record of a name, or of the one before it.
func (s *Snapshot) nsec(m *message, d *zone.Data, name []byte, c *Scratch) {
	if p, ok := d.NSEC(name); ok {
		m.proof(d, p, c)
	}
}

// nsec3 adds the NSEC3 record that matches or covers a name.
func (s *Snapshot) nsec3(m *message, d *zone.Data, name []byte, c *Scratch) {
	if p, _, ok := d.NSEC3(name); ok {
		m.proof(d, p, c)
	}
}

// proof lays down an NSEC or NSEC3 record and its signature, once.
func (m *message) proof(d *zone.Data, p zone.Proof, c *Scratch) {
	for _, g := range c.proofs {
		if g == (proven{d, p}) {
			return
		}
	}
	c.proofs = append(c.proofs, proven{d, p})
	owner, record, sig := d.Proof(p)
	var where zone.Place
	m.buf, where = record.AppendNamed(m.buf, m.start, owner)
	m.auth += record.Count
	if sig.Count > 0 {
		m.setOf(&sig, question{owner, where})
		m.auth += sig.Count
	}
}

// proven is a proof that is in the message.
type proven struct {
	data  *zone.Data
	proof zone.Proof
}
