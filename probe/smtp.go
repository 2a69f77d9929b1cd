package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// SMTP is the check that a server takes part in the beginning of a delivery (RFC
// 5321): greeting, EHLO, where it says so STARTTLS, a sender and a recipient, and
// QUIT. It never sends DATA, so nothing is delivered.
type SMTP struct {
	// TLS is the TLS side of a check that has one; nil: plain text.
	TLS *TLSConfig
	// StartTLS makes the handshake after the command STARTTLS (RFC 3207) in place of
	// at once.
	StartTLS bool
	// Hello is what the client calls itself; default "localhost".
	Hello string
	// MailFrom is the sender; "" is none asked about, "<>" the null sender.
	MailFrom string
	// RcptTo is a recipient, which must be taken; "" is none. It needs MailFrom.
	RcptTo string
}

const (
	// maxReplies bounds what a server may say to one probe. Replies are some
	// hundred bytes.
	maxReplies = 64 << 10
	// maxReplyLines is how many lines a reply may have; an EHLO reply has about ten.
	maxReplyLines = 100
)

// NewSMTP makes the prober of an SMTP check. It fails, naming the field, when
// something could not be sent as one word on a line.
func NewSMTP(o SMTP) (Prober, error) {
	p := &smtpProber{net: &system, start: o.StartTLS, hello: o.Hello}
	if p.hello == "" {
		p.hello = "localhost"
	}
	if !mailWord(p.hello) {
		return nil, fmt.Errorf("hello: %q is not a host name or address", o.Hello)
	}
	for _, a := range []struct {
		field, value string
		to           *string
	}{{"mail_from", o.MailFrom, &p.from}, {"rcpt_to", o.RcptTo, &p.to}} {
		if a.value == "" {
			continue
		}
		bare := strings.TrimSuffix(strings.TrimPrefix(a.value, "<"), ">")
		if a.value != "<>" && !mailWord(bare) {
			return nil, fmt.Errorf("%s: %q is not a mail address", a.field, a.value)
		}
		*a.to = "<" + bare + ">"
	}
	if p.to != "" && p.from == "" {
		return nil, errors.New("rcpt_to: needs mail_from")
	}
	if o.TLS == nil {
		if o.StartTLS {
			return nil, errors.New("starttls: needs the TLS side")
		}
		return p, nil
	}
	s, err := newSecurity(*o.TLS, nil)
	p.tls = s
	return p, err
}

// mailWord is what can stand in a command as one word, in ASCII.
func mailWord(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || r == '<' || r == '>'
	})
}

type smtpProber struct {
	net      *network
	tls      *security
	start    bool
	hello    string
	from, to string // with their brackets; "": not asked about
}

func (p *smtpProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	l, f := p.net.connect(ctx, t)
	if f.failed() {
		return f.result(start, 0)
	}
	defer l.release()
	m := &mail{ctx: ctx}
	defer m.done()
	f, verdict := p.converse(m, l.Conn, t.name())
	r := f.result(start, l.took)
	if verdict {
		// For the server's log: how long it takes for that is no part of the verdict.
		_ = m.ask("QUIT", "", 221)
	}
	return r
}

// converse is the conversation up to QUIT, for which it is time when verdict is true.
func (p *smtpProber) converse(m *mail, conn net.Conn, name string) (f failure, verdict bool) {
	if p.tls != nil && !p.start {
		if conn, f = m.protect(p.tls, conn, name); f.failed() {
			return f, false
		}
	}
	m.over(conn)
	if f = m.expect("the greeting", 220); f.failed() {
		return f, false
	}
	if f = m.ask("EHLO", p.hello, 250); f.failed() {
		return f, false
	}
	if p.start {
		if !m.startTLS {
			return fail(ClassTLS, "the server does not offer STARTTLS"), false
		}
		if f = m.ask("STARTTLS", "", 220); f.failed() {
			return f, false
		}
		// What stands behind the reply was said by whoever sits between: it would
		// count as said by the server once the connection is encrypted.
		if m.in.Buffered() > 0 {
			return fail(ClassProtocol, "the server went on in plain text after STARTTLS"), false
		}
		if conn, f = m.protect(p.tls, conn, name); f.failed() {
			return f, false
		}
		m.over(conn)
		if f = m.ask("EHLO", p.hello, 250); f.failed() {
			return f, false
		}
	}
	if p.from != "" {
		f = m.ask("MAIL", "FROM:"+p.from, 250)
	}
	if !f.failed() && p.to != "" {
		// 251: it is forwarded, 252: it cannot be verified and is taken.
		f = m.ask("RCPT", "TO:"+p.to, 250, 251, 252)
	}
	return f, true
}

// mail is a connection of SMTP.
type mail struct {
	ctx      context.Context
	conn     net.Conn
	wire     *wire
	in       *bufio.Reader
	secure   *tls.Conn
	startTLS bool // what the last reply offered
}

// protect makes the TLS handshake over conn.
func (m *mail) protect(s *security, conn net.Conn, name string) (net.Conn, failure) {
	secure, f := s.handshake(m.ctx, conn, name, true)
	if f.failed() {
		return nil, f
	}
	m.secure = secure
	return secure, failure{}
}

// over goes on over conn, with nothing kept of what was read before.
func (m *mail) over(conn net.Conn) {
	left := maxReplies
	if m.wire != nil {
		left = m.wire.left
	}
	m.conn, m.wire = conn, &wire{conn: conn, left: left}
	if m.in == nil {
		m.in = readers.Get().(*bufio.Reader)
	}
	m.in.Reset(m.wire)
}

func (m *mail) done() {
	if m.secure != nil {
		_ = m.secure.Close()
	}
	if m.in != nil {
		m.in.Reset(nil)
		readers.Put(m.in)
		m.in = nil
	}
}

// ask sends a command, which messages name by its verb alone, and reads its reply.
func (m *mail) ask(verb, argument string, codes ...int) failure {
	line := verb
	if argument != "" {
		line += " " + argument
	}
	if _, err := m.conn.Write([]byte(line + "\r\n")); err != nil {
		return classify(m.ctx, err, stage("while sending "+verb))
	}
	return m.expect("the reply to "+verb, codes...)
}

// expect reads a reply, which must have one of the codes.
func (m *mail) expect(what string, codes ...int) failure {
	code, f := m.reply(what)
	if f.failed() {
		return f
	}
	for _, c := range codes {
		if code == c {
			return failure{}
		}
	}
	// RFC 4954 section 6: authentication required, too weak, or refused.
	if code == 530 || code == 534 || code == 535 {
		return fail(ClassAuth, "%s is %d: the server wants a login", what, code)
	}
	return fail(ClassStatus, "%s is %d, expected %d", what, code, codes[0])
}

// reply reads one reply of one or more lines (RFC 5321 section 4.2) and gives its
// code. Of the text nothing is kept but that it offers STARTTLS.
func (m *mail) reply(what string) (code int, f failure) {
	m.startTLS = false
	before := m.wire.left + m.in.Buffered()
	for n := 0; ; n++ {
		line, err := m.in.ReadSlice('\n')
		switch {
		case m.wire.over || errors.Is(err, bufio.ErrBufferFull) || n == maxReplyLines:
			return 0, fail(ClassOversize, "%s is too long", what)
		case err != nil:
			f := classify(m.ctx, err, stage("while waiting for "+what))
			return 0, late(f, m.wire.left+m.in.Buffered() < before || len(line) > 0)
		}
		is, last, ok := replyLine(line)
		if !ok || n > 0 && is != code {
			return 0, fail(ClassProtocol, "%s is not of SMTP", what)
		}
		code = is
		if text := bytes.TrimRight(line, "\r\n"); len(text) > 4 && bytes.EqualFold(text[4:], []byte("STARTTLS")) {
			m.startTLS = true
		}
		if last {
			return code, failure{}
		}
	}
}

// replyLine takes a line of a reply apart: three digits, and a hyphen where more
// lines follow.
func replyLine(line []byte) (code int, last, ok bool) {
	line = bytes.TrimRight(line, "\r\n")
	if len(line) < 3 {
		return 0, false, false
	}
	for i, c := range line[:3] {
		// The first digit is 2 to 5, the second 0 to 5; a server that sends others
		// there is taken at its word.
		if c < '0' || c > '9' || i == 0 && (c < '2' || c > '5') {
			return 0, false, false
		}
		code = 10*code + int(c-'0')
	}
	if len(line) == 3 {
		return code, true, true
	}
	return code, line[3] == ' ', line[3] == ' ' || line[3] == '-'
}
