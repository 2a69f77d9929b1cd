package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
)

func (s *Snapshot) answer(dst []byte, q *dnswire.Query, c *Scratch) []byte {
	c.Outcome = Outcome{Zone: -1}
	c.counters = c.counters[:0]
	c.expanded, c.proofs, c.given, c.renames = c.expanded[:0], c.proofs[:0], c.given[:0], c.renames[:0]
	c.last, c.glue, c.named = last{}, false, false
	if q.Status == dnswire.StatusDrop {
		return dst
	}
	m := message{start: len(dst)}
	m.buf = q.AppendReply(dst)
	s.options(q, c)

	switch {
	case q.Status == dnswire.StatusFormErr:
		c.fail(dnswire.FormErr)
		if q.Type == dnswire.TypeNXNAME {
			c.opt.EDE = dnswire.EDEInvalidQueryType
		}
	case q.Status == dnswire.StatusNotImp:
		c.fail(dnswire.NotImp)
	case q.Status == dnswire.StatusBadVers:
		c.fail(dnswire.BadVers)
	case q.Status == dnswire.StatusCookieOnly:
		// RFC 7873 section 5.4: the cookie is all there is to say, unless one came
		// along that does not hold.
		if q.CookieState != dnswire.CookieValid && len(q.Cookie) > dnswire.ClientCookieLen {
			c.fail(dnswire.BadCookie)
		}
	case s.Table.RequireCookie && q.CookieState == dnswire.CookieUnverified && q.Transport == dnswire.UDP:
		c.fail(dnswire.BadCookie) // section 5.2.3; the good one goes along
	case q.TSIG:
		// We hold no key, so nothing that is signed can be verified (RFC 8945
		// section 5.2.1).
		c.fail(dnswire.NotAuth)
	case q.Class == dnswire.ClassCH:
		s.chaos(&m, q, c)
	case q.Class != dnswire.ClassIN:
		c.fail(dnswire.Refused)
		c.opt.EDE, c.opt.EDEText = dnswire.EDENotSupported, "only class IN"
	case refusedType(q.Type):
		c.fail(dnswire.Refused)
		c.opt.EDE, c.opt.EDEText = dnswire.EDENotSupported, "no transfers and no meta types"
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

// The names of RFC 4892 and their older forms, in wire form.
const (
	versionBind   = "\x07version\x04bind\x00"
	versionServer = "\x07version\x06server\x00"
	idServer      = "\x02id\x06server\x00"
	hostnameBind  = "\x08hostname\x04bind\x00"
)

// chaos answers what the server is asked of itself, as far as the configuration
// says that it may.
func (s *Snapshot) chaos(m *message, q *dnswire.Query, c *Scratch) {
	text := ""
	switch string(q.Name()) {
	case versionBind, versionServer:
		text = s.Table.Chaos.Version
	case idServer, hostnameBind:
		text = s.Table.Chaos.ID
	}
	if text == "" {
		c.fail(dnswire.Refused)
		return
	}
	dnswire.SetFlags(m.buf[m.start:], dnswire.FlagAA)
	if q.Type != dnswire.TypeTXT && q.Type != dnswire.TypeANY {
		return
	}
	m.headOf(dnswire.ClassCH, dnswire.HeaderLen, dnswire.TypeTXT, 0, 1+len(text))
	m.buf = append(append(m.buf, byte(len(text))), text...)
	m.answer++
	c.traceNote("chaos", "the configuration says what to answer")
}

// options prepares the OPT record of the answer.
func (s *Snapshot) options(q *dnswire.Query, c *Scratch) {
	c.opt = dnswire.OPT{}
	if !q.EDNS {
		return
	}
	o := &c.opt
	o.DO = q.DO
	if q.NSID {
		o.NSID = s.Table.NSID
	}
	if q.CookieState != dnswire.CookieNone {
		o.ClientCookie, o.ServerCookie = q.Cookie[:dnswire.ClientCookieLen], q.ServerCookie[:]
	}
	if q.TCPKeepalive && q.IdleTimeout > 0 {
		o.Keepalive, o.HasKeepalive = q.IdleTimeout, true
	}
	o.ReportChannel = s.Table.ReportChannel
}

// padBlock is what the length of an answer over TLS is a multiple of (RFC 8467
// section 4.1).
const padBlock = 468

// finish adds the OPT record, sees to it that the message is no larger than
// the client takes, and completes the header.
func (s *Snapshot) finish(m *message, q *dnswire.Query, c *Scratch) []byte {
	limit := q.Limit()
	msg := m.buf[m.start:]
	dnswire.SetRCode(msg, c.Outcome.RCode)
	o := &c.opt
	size := 0
	if q.EDNS {
		o.RCode = c.Outcome.RCode
		if q.ZoneVersion && c.Outcome.Zone >= 0 {
			o.ZoneVersion = dnswire.ZoneVersion{
				Present: true, Labels: s.Table.Zones[c.Outcome.Zone].Labels, Serial: s.Table.Data(c.Outcome.Zone).Serial,
			}
		}
		if c.Outcome.Zone < 0 {
			o.ReportChannel = "" // only for what we are authoritative for
		}
		size = o.Len()
	}
	if len(msg)+size > limit && (o.EDEText != "" || o.ReportChannel != "") {
		// The text of an extended error is never a reason to truncate, nor is what
		// the next answer can say as well.
		o.EDEText, o.ReportChannel = "", ""
		size = o.Len()
	}
	if len(msg)+size > limit && o.NSID != "" && len(msg)+size-len(o.NSID) <= limit {
		o.NSID = ""
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
		if q.Padding && q.Transport == dnswire.TLS {
			const head = 4 // of the option
			o.Pad = min(padBlock-1-(len(msg)+size+head-1)%padBlock, limit-len(msg)-size-head)
			o.HasPad = o.Pad >= 0
		}
		m.buf = dnswire.AppendOPT(m.buf, o)
		m.extra++
	}
	dnswire.AddCounts(m.buf[m.start:], m.answer, m.auth, m.extra)
	return m.buf
}
