package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

const (
	// maxConversation bounds what a probe reads from a database, TLS not counted.
	maxConversation = 1 << 20
	// maxMessage bounds one message of a database, such as a row, or one reply.
	maxMessage = 64 << 10
	// maxAsked bounds a query and the words of a command: it is one message too.
	maxAsked = 64 << 10
)

const (
	greeting  stage = "while waiting for the greeting"
	loggingIn stage = "during the login"
	querying  stage = "while waiting for the result"
)

// session is the conversation of one probe with one server, in messages.
type session struct {
	ctx  context.Context
	name string // of the server, for its certificate
	conn net.Conn
	in   wire
	br   *bufio.Reader
	buf  []byte
	at   stage
	// began says that a part of what is awaited has come.
	began  bool
	secure bool
}

// converse makes a connection to the target and holds the conversation talk on
// it. A note is what is not well with an endpoint that serves.
func (n *network) converse(ctx context.Context, t Target, talk func(*session) (note string, f failure)) Result {
	start := time.Now()
	l, f := n.connect(ctx, t)
	if f.failed() {
		return f.result(start, 0)
	}
	defer l.release()
	s := &session{ctx: ctx, name: t.name(), conn: l.Conn, at: greeting}
	s.in = wire{conn: l.Conn, left: maxConversation}
	s.br = readers.Get().(*bufio.Reader)
	s.br.Reset(&s.in)
	defer s.end()
	note, f := talk(s)
	r := f.result(start, l.took)
	if !f.failed() && note != "" {
		r.Degraded, r.Detail = true, oneLine(note, maxDetail)
	}
	return r
}

func (s *session) end() {
	s.br.Reset(nil)
	readers.Put(s.br)
	if s.secure {
		_ = s.conn.Close()
	}
}

// protect makes the TLS handshake. What came before it must have been read: bytes
// that somebody on the way put in front of the handshake would count as secure.
func (s *session) protect(sec *security) failure {
	if s.br.Buffered() > 0 {
		return fail(ClassTLS, "the server sent more before the TLS handshake than it was to")
	}
	c, f := sec.handshake(s.ctx, s.conn, s.name, true)
	if f.failed() {
		return f
	}
	s.conn, s.in.conn, s.secure = c, c, true
	return failure{}
}

// send writes a message, the answer to which is awaited then.
func (s *session) send(b []byte, next stage) failure {
	if _, err := s.conn.Write(b); err != nil {
		return classify(s.ctx, err, sending)
	}
	s.at, s.began = next, false
	return failure{}
}

// read reads n bytes, which the caller has bounded. They stay until the next
// read. Memory is taken as bytes come, not as they are announced.
func (s *session) read(n int) ([]byte, failure) {
	const step = 512
	b := s.buf[:0]
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(max(2*cap(b), step), max(n, step)))
			copy(grown, b)
			b = grown
			s.buf = b
		}
		got, err := s.br.Read(b[len(b):min(cap(b), n)])
		if got > 0 {
			s.began = true
			b = b[:len(b)+got]
		} else if err != nil {
			return nil, s.broken(err)
		}
	}
	return b, failure{}
}

// peek is the next byte, which stays where it is.
func (s *session) peek() (byte, failure) {
	b, err := s.br.Peek(1)
	if err != nil {
		return 0, s.broken(err)
	}
	s.began = true
	return b[0], failure{}
}

// line reads a line without its end, which is a line feed with or without a
// carriage return. It stays until the next read.
func (s *session) line() ([]byte, failure) {
	b, err := s.br.ReadSlice('\n')
	s.began = s.began || len(b) > 0
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fail(ClassOversize, "a line of the answer is longer than %d bytes", s.br.Size())
	case err != nil:
		return nil, s.broken(err)
	}
	b = b[:len(b)-1]
	if n := len(b); n > 0 && b[n-1] == '\r' {
		b = b[:n-1]
	}
	return b, failure{}
}

// broken is what an error of reading means.
func (s *session) broken(err error) failure {
	if s.in.over {
		return fail(ClassOversize, "more than %d KiB came back", maxConversation>>10)
	}
	f := classify(s.ctx, err, s.at)
	if f.class == ClassTimeout && s.began {
		return fail(ClassSlow, "the answer had begun and had not ended when the time was over, %s", s.at)
	}
	return f
}

// polite says whether a server that has let us in should hear that we go: one
// whose answer is not under way any more. Servers log who hangs up without a word.
func polite(f failure) bool {
	return f.class == ClassNone || f.class == ClassValue || f.class == ClassError
}

// left is how much time the probe has; ok is false when it has no end.
func (s *session) left() (d time.Duration, ok bool) {
	deadline, ok := s.ctx.Deadline()
	if !ok {
		return 0, false
	}
	return max(time.Until(deadline), time.Millisecond), true
}

// database is what the checks of databases share, made ready.
type database struct {
	net    *network
	tls    *security // nil: plain
	expect conditions
	role   Role
	judged bool // by its role
	// password is what no Detail may hold, not even if it is a number that comes
	// back as the value.
	password string
}

func newDatabase(sec *TLSConfig, expect []Condition, role Role, password string) (database, error) {
	d := database{net: &system, role: role, password: password}
	var err error
	if d.judged, err = role.asked(); err != nil {
		return d, err
	}
	if d.expect, err = newConditions(expect, false); err != nil {
		return d, fmt.Errorf("expect: %w", err)
	}
	if sec != nil {
		if d.tls, err = newSecurity(*sec, nil); err == nil {
			d.tls.secrets = []string{password}
		}
	}
	return d, err
}

// judge holds what a query or a command gave against what is expected.
func (d *database) judge(a value) failure {
	f := d.expect.judgeAnswer(a)
	if f.failed() && d.password != "" && strings.Contains(a.text, d.password) {
		return fail(f.class, "the value is not as expected")
	}
	return f
}

// askable refuses a login or a query that the wire cannot carry.
func askable(user, password, db, query string) error {
	for _, part := range []struct{ what, text string }{{"user", user}, {"password", password}, {"database", db}, {"query", query}} {
		for i := range len(part.text) {
			if part.text[i] == 0 {
				return fmt.Errorf("%s: holds a NUL byte", part.what)
			}
		}
		if len(part.text) > maxAsked {
			return fmt.Errorf("%s: is longer than %d KiB", part.what, maxAsked>>10)
		}
	}
	return nil
}
