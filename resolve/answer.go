package resolve

import (
	"github.com/rhumb-dns/rhumb/dnswire"
)

func (s *Snapshot) answer(dst []byte, q *dnswire.Query, c *Scratch) []byte {
	c.begin(q)
	if q.Status == dnswire.StatusDrop {
		return dst
	}
	m := message{start: len(dst)}
	m.buf, m.flags = q.AppendReply(dst), q.ReplyFlags()
	s.options(q, c)

	switch {
	case q.Status == dnswire.StatusFormErr:
		c.fail(dnswire.FormErr)
		if q.Type == dnswire.TypeNXNAME {
			c.explain(dnswire.EDEInvalidQueryType, "")
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
		c.explain(dnswire.EDENotSupported, "only class IN")
	case refusedType(q.Type):
		c.fail(dnswire.Refused)
		c.explain(dnswire.EDENotSupported, "no transfers and no meta types")
	default:
		if q.ECS.Present && s.listens(q) {
			c.opt.ECS, c.rich = &q.ECS, true
		}
		s.lookup(&m, q, c)
		if c.opt.ECS != nil && c.client.known && c.client.told {
			c.opt.Scope = c.client.scope
		}
	}
	c.Outcome.Counters, c.Outcome.Targets = c.counters, c.targets
	return s.finish(&m, q, c)
}

// begin forgets the answer before.
func (c *Scratch) begin(q *dnswire.Query) {
	c.asked, c.client.known = q, false
	c.Outcome = Outcome{Zone: -1}
	c.counters, c.targets = c.counters[:0], c.targets[:0]
	c.expanded, c.proofs, c.given, c.renames = c.expanded[:0], c.proofs[:0], c.given[:0], c.renames[:0]
	c.last.count, c.glue, c.named = 0, false, false
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
	m.flags |= dnswire.FlagAA
	if q.Type != dnswire.TypeTXT && q.Type != dnswire.TypeANY {
		return
	}
	m.headOf(dnswire.ClassCH, dnswire.HeaderLen, dnswire.TypeTXT, 0, 1+len(text))
	m.buf = append(append(m.buf, byte(len(text))), text...)
	m.answer++
	c.traceNote("chaos", "the configuration says what to answer")
}
