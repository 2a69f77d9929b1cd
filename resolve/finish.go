package resolve

import "github.com/rhumb-dns/rhumb/dnswire"

// explain says why in an extended error (RFC 8914).
func (c *Scratch) explain(code dnswire.EDE, text string) {
	c.opt.EDE, c.opt.EDEText, c.rich = code, text, true
}

// options prepares the OPT record of the answer. It is rich when it has options:
// most have none.
func (s *Snapshot) options(q *dnswire.Query, c *Scratch) {
	if c.rich { // by the answer before
		c.opt = dnswire.OPT{}
		c.rich = false
	}
	if !q.EDNS {
		return
	}
	o := &c.opt
	o.DO = q.DO
	if q.NSID && s.Table.NSID != "" {
		o.NSID, c.rich = s.Table.NSID, true
	}
	if q.CookieState != dnswire.CookieNone {
		o.ClientCookie, o.ServerCookie = q.Cookie[:dnswire.ClientCookieLen], q.ServerCookie[:]
		c.rich = true
	}
	if q.TCPKeepalive && q.IdleTimeout > 0 {
		o.Keepalive, o.HasKeepalive, c.rich = q.IdleTimeout, true, true
	}
	if s.Table.ReportChannel != "" {
		o.ReportChannel, c.rich = s.Table.ReportChannel, true
	}
	c.rich = c.rich || q.ZoneVersion || q.Padding
}

// finish adds the OPT record, sees to it that the message is no larger than
// the client takes, and completes the header.
func (s *Snapshot) finish(m *message, q *dnswire.Query, c *Scratch) []byte {
	switch size := len(m.buf) - m.start; {
	case c.rich || size+dnswire.PlainOPT > q.Limit():
		s.fit(m, q, c)
	case q.EDNS:
		m.buf = dnswire.AppendPlainOPT(m.buf, c.Outcome.RCode, q.DO)
		m.extra++
	}
	dnswire.PutHeader(m.buf[m.start:], m.flags|uint16(c.Outcome.RCode&0xf), m.answer, m.auth, m.extra)
	return m.buf
}

// padBlock is what the length of an answer over TLS is a multiple of (RFC 8467
// section 4.1).
const padBlock = 468

// fit is finish for an answer that has options or may be too large.
func (s *Snapshot) fit(m *message, q *dnswire.Query, c *Scratch) {
	limit := q.Limit()
	size := len(m.buf) - m.start
	o, opt := &c.opt, 0
	if q.EDNS {
		o.RCode = c.Outcome.RCode
		if c.Outcome.Zone < 0 {
			o.ReportChannel = "" // only for what we are authoritative for
		}
		opt = o.Len()
	}
	if size+opt > limit && (o.EDEText != "" || o.ReportChannel != "") {
		// The text of an extended error is never a reason to truncate, nor is what
		// the next answer can say as well.
		o.EDEText, o.ReportChannel = "", ""
		opt = o.Len()
	}
	if size+opt > limit {
		// Nor is the extended error itself, nor the server's name.
		ede, nsid := o.EDE, o.NSID
		if o.EDE = 0; size+o.Len() > limit {
			o.NSID = ""
		}
		if size+o.Len() > limit {
			o.EDE, o.NSID = ede, nsid // something else has to go
		}
		opt = o.Len()
	}
	if size+opt > limit {
		size = max(q.QuestionEnd, dnswire.HeaderLen)
		m.buf = m.buf[:m.start+size]
		m.flags |= dnswire.FlagTC
		m.answer, m.auth, m.extra = 0, 0, 0
		c.counters, c.targets = c.counters[:0], c.targets[:0]
		c.Outcome.Counters, c.Outcome.Targets = c.counters, c.targets
		if c.trace != nil {
			c.trace.note("truncated", "larger than the %d octets the client takes: TC", limit)
		}
	}
	if !q.EDNS || size+opt > limit {
		return
	}
	if q.Padding && q.Transport == dnswire.TLS {
		const head = 4 // of the option
		o.Pad = min(padBlock-1-(size+opt+head-1)%padBlock, limit-size-opt-head)
		o.HasPad = o.Pad >= 0
	}
	m.buf = dnswire.AppendOPT(m.buf, o)
	m.extra++
}
