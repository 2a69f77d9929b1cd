package resolve

import "github.com/rhumb-dns/rhumb/zone"

// expansion is a name that a wildcard of a signed zone has answered for.
type expansion struct {
	data     *zone.Data
	name     []byte
	encloser int
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
	if d.Hashed() {
		s.denyHashed(m, at, match, c)
		return
	}
	switch match.Kind {
	case zone.Exact:
		// RFC 4035 section 3.1.3.1; of an empty non-terminal the one before it.
		s.nsec(m, d, at.name, c)
	case zone.Wildcard:
		// Section 3.1.3.4: the wildcard's own; that nothing is closer comes with
		// the expansion.
		s.nsec(m, d, c.wildcardOf(at.name, match.Encloser), c)
	case zone.Missing:
		// Section 3.1.3.2: neither the name nor a wildcard.
		s.nsec(m, d, at.name, c)
		s.nsec(m, d, c.wildcardOf(at.name, match.Encloser), c)
	}
}

// denyHashed is deny by RFC 5155 section 7.2.
func (s *Snapshot) denyHashed(m *message, at *question, match *zone.Match, c *Scratch) {
	d := match.Data()
	encloser := at.name[at.Len-match.Encloser:]
	switch match.Kind {
	case zone.Exact:
		// 7.2.3; 7.2.4 where opt-out leaves the name without a record of its own.
		s.undelegated(m, at, match, c)
	case zone.Wildcard: // 7.2.5
		s.nsec3(m, d, encloser, c)
		s.nsec3(m, d, c.wildcardOf(at.name, match.Encloser), c)
	case zone.Missing: // 7.2.2
		// Under opt-out the closest encloser may have no record, and the wildcard to
		// deny is that of the closest that has one. If that one exists, it is the
		// covered encloser that keeps it from answering.
		if encloser := s.closest(m, d, at.name, c); encloser > 0 {
			if p, matches, ok := d.NSEC3(c.wildcardOf(at.name, encloser)); ok && !matches {
				m.proof(d, p, c)
			}
		}
	}
}

// undelegated adds the proof that a cut has no DS record (RFC 4035 section
// 3.1.4.1, RFC 5155 section 7.2.7).
func (s *Snapshot) undelegated(m *message, cut *question, match *zone.Match, c *Scratch) {
	d := match.Data()
	if !d.Hashed() {
		s.nsec(m, d, cut.name, c)
		return
	}
	if _, matches, ok := d.NSEC3(cut.name); ok && matches {
		s.nsec3(m, d, cut.name, c)
		return
	}
	s.closest(m, d, cut.name, c)
}

// closest adds the proof of the closest provable encloser (RFC 5155 section
// 7.2.1): the record of the longest name above that has one, and that of the
// next closer name, which covers it. It returns the length of the encloser, 0
// when the zone proves none.
func (s *Snapshot) closest(m *message, d *zone.Data, name []byte, c *Scratch) (encloser int) {
	next := name
	for up := name; len(up) > len(d.Name); next = up {
		up = up[1+int(up[0]):]
		if _, matches, ok := d.NSEC3(up); ok && matches {
			s.nsec3(m, d, up, c)
			s.nsec3(m, d, next, c)
			return len(up)
		}
	}
	return 0
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

// nsec3 adds the NSEC3 record that matches or covers a name, and says whether
// it matches.
func (s *Snapshot) nsec3(m *message, d *zone.Data, name []byte, c *Scratch) bool {
	p, matches, ok := d.NSEC3(name)
	if ok {
		m.proof(d, p, c)
	}
	return matches
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
