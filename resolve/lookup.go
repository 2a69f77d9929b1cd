package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// maxChase is how many CNAME and DNAME records one answer follows, and
// maxChased the length in octets that ends it as well: names that later records
// point to must lie below 16,384.
const (
	maxChase  = 16
	maxChased = 8 << 10
)

// lookup answers a well-formed question of class IN by the algorithm of RFC
// 1034 section 4.3.2, as RFC 6672 section 3.2 has it. The quotations are from
// there.
func (s *Snapshot) lookup(m *message, q *dnswire.Query, c *Scratch) {
	// 1. "Set or clear the value of recursion available": it is not.
	var at question
	at.name = q.Name()
	at.Offset, at.Len = dnswire.HeaderLen, len(at.name)
	var match zone.Match
	for step := 0; ; step++ {
		// 2. "Search the available zones for the zone which is the nearest ancestor
		// to QNAME." 3. "Start matching down, label by label, in the zone."
		match.Find(s.Table.Tree, at.name, q.Type)
		if step == 0 {
			c.Outcome.Zone, c.Outcome.Named = match.Zone, match.Encloser
			if match.Kind == zone.Missing {
				c.Outcome.Named = len(match.Data().Name)
			}
			if q.ZoneVersion && match.Zone >= 0 {
				c.opt.ZoneVersion = dnswire.ZoneVersion{
					Present: true, Labels: s.Table.Zones[match.Zone].Labels, Serial: match.Data().Serial,
				}
			}
			if match.Kind != zone.Outside && match.Kind != zone.Delegation {
				m.flags |= dnswire.FlagAA
			}
		}
		if c.trace != nil && match.Zone >= 0 {
			c.traceMatch(s.Table.Zones[match.Zone], &at, &match, step)
		}
		if s.Table.Waiting > 0 && s.waits(&match) {
			c.explain(dnswire.EDENotReady, "the zone's records have not come yet")
			c.traceNote("fed", c.opt.EDEText)
			m.servFail(q, c)
			return
		}
		led := false
		switch match.Kind {
		case zone.Outside:
			if step == 0 {
				c.traceNote("zone", "none of ours")
				c.fail(dnswire.Refused)
				c.explain(dnswire.EDENotAuthoritative, "")
			}
			// What a chain leads to outside of our zones is the resolver's to find.
		case zone.Delegation:
			// 3b. "If a match would take us out of the authoritative data, we have a
			// referral. [...] Copy the NS RRs for the sub-zone into the authority
			// section of the reply. Put whatever addresses are available into the
			// additional section."
			s.referral(m, q, &at, &match, c)
		case zone.Redirect:
			// 3c. "If a DNAME record exists at that point, copy that record into the
			// answer section. If substitution of its <target> for its <owner> in
			// QNAME would overflow the legal size for a <domain-name>, set RCODE to
			// YXDOMAIN [DNSUPD] and exit; otherwise, perform the substitution and
			// continue." A synthesized CNAME goes along (section 3.1).
			led = s.rename(m, q, &at, &match, step, c)
		case zone.Missing:
			// "If the name is original, set an authoritative name error in the
			// response and exit." At the end of a chain it is the code of the answer
			// as well (RFC 6604 section 3).
			c.Outcome.RCode = dnswire.NXDomain
			if c.trace != nil {
				c.trace.note("name", "%s does not exist", at.String())
			}
			s.negative(m, q, &at, &match, c)
		default:
			// 3a. "If the whole of QNAME is matched, we have found the node. If the
			// data at the node is a CNAME, and QTYPE doesn't match CNAME, copy the
			// CNAME RR into the answer section of the response, change QNAME to the
			// canonical name in the CNAME RR, and go back to step 1. Otherwise, copy
			// all RRs which match QTYPE into the answer section". So for what is
			// found at "*", with "the owner of the RR to be QNAME".
			led = s.node(m, q, &at, &match, step, c)
		}
		if !led || step+1 == maxChase || len(m.buf)-m.start > maxChased || c.circles(q, step) {
			break
		}
		at = c.next
	}
	if c.Outcome.RCode != dnswire.ServFail {
		if len(c.expanded) > 0 {
			s.expansions(m, c)
		}
		// 6. "Using local data only, attempt to add other RRs which may be useful to
		// the additional section of the query."
		if c.last.count > 0 {
			s.additional(m, q, c)
		}
	}
}

// waits is whether nobody knows yet what the match's zone has there. A "no" would
// be remembered, and what the statement says may be half of the truth.
func (s *Snapshot) waits(match *zone.Match) bool {
	return match.Zone >= 0 && s.Table.Zones[match.Zone].Waits && (match.Node == nil || match.Node.Plan == zone.NoPlan)
}

// circles is whether a chain has been at a name before.
func (c *Scratch) circles(q *dnswire.Query, step int) bool {
	next := &c.next
	back := string(q.Name()) == string(next.name)
	for i := range step {
		back = back || string(c.chased(i)) == string(next.name)
	}
	if back {
		c.traceNote("name", "the CNAME records lead in a circle")
	}
	return back
}

// chase is the memory for the name that a step of a chain leads to.
func (c *Scratch) chase(step int) *[256]byte { return &c.names[step] }

// chased is the name that a step has led to.
func (c *Scratch) chased(step int) []byte { return c.names[step][:c.lengths[step]] }

// renamed is a DNAME record that is in the answer: once, however often a chain
// comes by it.
type renamed struct {
	node   *table.Node
	target int // where its target lies in the message
}

// renaming is where the target of a node's DNAME record stands in the answer; -1
// when the record is not there.
func (c *Scratch) renaming(n *table.Node) int {
	for _, r := range c.renames {
		if r.node == n {
			return r.target
		}
	}
	return -1
}

// rename answers below a DNAME record.
func (s *Snapshot) rename(m *message, q *dnswire.Query, at *question, match *zone.Match, step int, c *Scratch) (led bool) {
	set, _ := match.Set(dnswire.TypeDNAME)
	target := c.renaming(match.Node)
	if target < 0 {
		owner := m.within(at, match.Encloser)
		m.set(&set, owner)
		m.answer += set.Count
		target = len(m.buf) - m.start - set.DataLen()
		c.renames = append(c.renames, renamed{match.Node, target})
		s.sign(m, q, match, dnswire.TypeDNAME, owner, &m.answer)
	}
	if c.trace != nil {
		c.trace.note("dname", "%s has a DNAME record, which renames %s", dnswire.Name(at.name[at.Len-match.Encloser:]), at.String())
	}

	prefix := at.name[:at.Len-match.Encloser]
	buf := c.chase(step)
	to := m.name(target, buf)
	if len(prefix)+to.Len > len(buf)-1 {
		c.Outcome.RCode = dnswire.YXDomain
		c.traceNote("dname", "the new name would be longer than 255 octets: YXDOMAIN")
		return false
	}
	copy(buf[len(prefix):], to.name) // moves it within buf
	copy(buf[:], prefix)
	c.lengths[step] = uint8(len(prefix) + to.Len)

	m.head(at.Offset, dnswire.TypeCNAME, set.TTL(), len(prefix)+2)
	offset := len(m.buf) - m.start
	m.buf = append(m.buf, prefix...)
	m.buf = append(m.buf, 0xc0|byte(target>>8), byte(target))
	m.answer++
	c.next = question{c.chased(step), zone.Place{Offset: offset, Len: int(c.lengths[step])}}
	return q.Type != dnswire.TypeCNAME && q.Type != dnswire.TypeANY
}

// follow copies a CNAME record into the answer.
func (s *Snapshot) follow(m *message, q *dnswire.Query, at *question, match *zone.Match, set *zone.Set, step int, c *Scratch) (led bool) {
	m.set(set, at.Place)
	m.answer += set.Count
	target := len(m.buf) - m.start - set.DataLen()
	s.sign(m, q, match, dnswire.TypeCNAME, at.Place, &m.answer)
	c.next = m.name(target, c.chase(step))
	c.lengths[step] = uint8(c.next.Len)
	if c.trace != nil {
		c.trace.note("cname", "%s is an alias of %s", at.String(), c.next.String())
	}
	return true
}
