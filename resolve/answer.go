package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
)

func (s *Snapshot) answer(dst []byte, q *dnswire.Query, c *Scratch) []byte {
	c.Outcome = Outcome{Zone: -1}
	c.counters = c.counters[:0]
	c.expanded, c.proofs, c.given = c.expanded[:0], c.proofs[:0], c.given[:0]
	c.last, c.glue = zone.Set{}, false
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
	if len(msg)+size > limit && m.required > 0 {
		m.buf, m.extra = m.buf[:m.required], m.needed
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
