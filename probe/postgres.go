package probe

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// Postgres is the check of a server that speaks the protocol of PostgreSQL,
// version 3. Without a user it does what pg_isready does: it begins a login and
// is content when the server asks for a password, or refuses for a reason that
// only a server in order has.
type Postgres struct {
	// User logs in. The methods are SCRAM-SHA-256, md5, none and, over TLS, the
	// password in the clear.
	User, Password string
	// Database is the user's own name when it is empty.
	Database string
	// Query is run after the login, with what is left of the time as its
	// statement_timeout. Without it the login is all.
	Query string
	// Expect is for the first column of the first row of Query.
	Expect []Condition
	// Role is judged by pg_is_in_recovery().
	Role Role
	// TLS is asked for in the protocol; nil is none.
	TLS *TLSConfig
}

// NewPostgres makes the prober of a PostgreSQL check. It fails, naming the field,
// when it could not be made as it is described.
func NewPostgres(o Postgres) (Prober, error) {
	d, err := newDatabase(o.TLS, o.Expect, o.Role, o.Password)
	if err == nil {
		err = askable(o.User, o.Password, o.Database, o.Query)
	}
	switch {
	case err != nil:
		return nil, err
	case o.User == "" && (o.Query != "" || d.judged):
		return nil, errors.New("user: is needed to log in")
	case o.Query == "" && len(o.Expect) > 0:
		return nil, errors.New("query: is needed to expect something of it")
	}
	return &postgresProber{database: d, o: o}, nil
}

type postgresProber struct {
	database
	o Postgres
}

func (p *postgresProber) Probe(ctx context.Context, t Target) Result {
	return p.net.converse(ctx, t, func(s *session) (string, failure) {
		g := &pgTalk{session: s, p: p}
		f := g.run()
		if g.in && polite(f) {
			_ = g.write('X', nil, querying)
		}
		return "", f
	})
}

// pgTalk is one connection to a server.
type pgTalk struct {
	*session
	p  *postgresProber
	in bool // the login is done
}

const (
	pgVersion    = 3 << 16
	pgSSLRequest = 1234<<16 | 5679
	// nobody is who asks where no user is stated; it appears in the server's log.
	nobody = "rhumb"
)

func (g *pgTalk) run() failure {
	if g.p.tls != nil {
		if f := g.startTLS(); f.failed() {
			return f
		}
	}
	if f := g.login(); f.failed() || g.p.o.User == "" {
		return f
	}
	g.in = true
	if g.p.judged {
		if f := g.judgeRole(); f.failed() {
			return f
		}
	}
	if g.p.o.Query == "" {
		return failure{}
	}
	a, f := g.query(g.limited(g.p.o.Query))
	if f.failed() {
		return f
	}
	return g.p.judge(a)
}

func (g *pgTalk) startTLS() failure {
	b := binary.BigEndian.AppendUint32(nil, 8)
	if f := g.send(binary.BigEndian.AppendUint32(b, pgSSLRequest), handshaking); f.failed() {
		return f
	}
	b, f := g.read(1)
	switch {
	case f.failed():
		return f
	case b[0] == 'S':
		return g.protect(g.p.tls)
	case b[0] == 'N':
		return fail(ClassTLS, "the server offers no TLS")
	}
	return notPostgres
}

var notPostgres = fail(ClassProtocol, "the answer is not of the protocol of PostgreSQL")

// login begins a session. Without a user it ends as soon as the server has shown
// that it lets people in.
func (g *pgTalk) login() failure {
	if f := g.send(g.startup(), loggingIn); f.failed() {
		return f
	}
	ask := scram{password: g.p.o.Password}
	for turns, authenticated := 0, false; ; {
		kind, b, f := g.message()
		if f.failed() {
			return f
		}
		switch kind {
		case 'N', 'v', 'S', 'K':
			if !authenticated && kind != 'N' && kind != 'v' {
				return notPostgres
			}
		case 'E':
			return g.refused(b)
		case 'R':
			if len(b) < 4 || authenticated {
				return notPostgres
			}
			if g.p.o.User == "" {
				return failure{}
			}
			if turns++; turns > maxLoginTurns {
				return fail(ClassProtocol, "the login does not come to an end")
			}
			if authenticated, f = g.authenticate(&ask, binary.BigEndian.Uint32(b), b[4:]); f.failed() {
				return f
			}
		case 'Z':
			if !authenticated {
				return notPostgres
			}
			return failure{}
		default:
			if kind == tlsAlert {
				return fail(ClassProtocol, "the server speaks TLS, not PostgreSQL")
			}
			return notPostgres
		}
	}
}

// startup is the first message, which has no kind.
func (g *pgTalk) startup() []byte {
	user := g.p.o.User
	if user == "" {
		user = nobody
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 4), pgVersion)
	for _, pair := range [][2]string{
		{"user", user}, {"database", g.p.o.Database}, {"application_name", nobody}, {"client_encoding", "UTF8"},
	} {
		if pair[1] != "" {
			b = append(append(b, pair[0]...), 0)
			b = append(append(b, pair[1]...), 0)
		}
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

// The requests of the server in a login: AuthenticationOk and its kin.
const (
	pgAuthOK       = 0
	pgAuthClear    = 3
	pgAuthMD5      = 5
	pgAuthSASL     = 10
	pgAuthContinue = 11
	pgAuthFinal    = 12
)

// authenticate answers one request; done says that it was the last.
func (g *pgTalk) authenticate(ask *scram, request uint32, b []byte) (done bool, f failure) {
	pw := g.p.o.Password
	if pw == "" && request != pgAuthOK {
		return false, fail(ClassAuth, "the server asks for a password, and none is stated")
	}
	var reply []byte
	switch request {
	case pgAuthOK:
		if ask.begun && !ask.proven {
			return false, fail(ClassAuth, "the server did not prove that it knows the user")
		}
		return true, failure{}
	case pgAuthClear:
		if !g.secure {
			return false, fail(ClassAuth, "the server wants the password in the clear, which goes over TLS only")
		}
		reply = append([]byte(pw), 0)
	case pgAuthMD5:
		if len(b) != 4 {
			return false, notPostgres
		}
		reply = append(md5Proof(g.p.o.User, pw, b), 0)
	case pgAuthSASL:
		if !bytes.Contains(append([]byte{0}, b...), []byte("\x00"+scramMethod+"\x00")) {
			return false, fail(ClassAuth, "the login's method is not supported")
		}
		if ask.begun {
			return false, notPostgres
		}
		first := ask.first()
		reply = append([]byte(scramMethod), 0)
		reply = binary.BigEndian.AppendUint32(reply, uint32(len(first)))
		reply = append(reply, first...)
	case pgAuthContinue:
		if reply, f = ask.next(string(b)); f.failed() {
			return false, f
		}
	case pgAuthFinal:
		return false, ask.final(string(b))
	default:
		return false, fail(ClassAuth, "the login's method is not supported")
	}
	return false, g.write('p', reply, loggingIn)
}

// refused is an error in the login. Without a user it is well when it is about who
// asks or for what, and not about the state of the server.
func (g *pgTalk) refused(b []byte) failure {
	f := pgError(b, true)
	if g.p.o.User == "" {
		switch sqlState(b)[:2] {
		case "28", "3D", "42", "08", "0A":
			return failure{}
		}
	}
	return f
}

func (g *pgTalk) judgeRole() failure {
	a, f := g.query("SELECT pg_is_in_recovery()")
	switch {
	case f.failed():
		return f
	case a.text == "f":
		return g.p.role.judge(RolePrimary)
	case a.text == "t":
		return g.p.role.judge(RoleReplica)
	}
	return fail(ClassProtocol, "the server does not say whether it is in recovery")
}

// limited puts the limit of its time in front of a query. A server does not see
// that a client has gone while it works: without the limit, a query that hangs
// would gather there, one for each probe. LOCAL is for the one transaction that
// both statements are, so that no pooler hands the limit on to others. The
// consoles of poolers, which SHOW things, take one statement at a time.
func (g *pgTalk) limited(query string) string {
	left, ok := g.left()
	if word, _, _ := strings.Cut(strings.TrimSpace(query), " "); !ok || strings.EqualFold(word, "show") {
		return query
	}
	return fmt.Sprintf("SET LOCAL statement_timeout = %d; %s", left.Milliseconds(), query)
}

// query runs a query and reads its results to their end.
func (g *pgTalk) query(sql string) (a value, f failure) {
	if f := g.write('Q', append([]byte(sql), 0), querying); f.failed() {
		return a, f
	}
	a.none = true
	for {
		kind, b, f := g.message()
		if f.failed() {
			return a, f
		}
		switch kind {
		case 'T', 'C', 'I', 'N', 'S', 'A':
		case 'D':
			if !a.none {
				continue
			}
			var ok bool
			if a, ok = firstColumn(b); !ok {
				return a, fail(ClassProtocol, "the result is malformed")
			}
		case 'E':
			return a, pgError(b, false)
		case 'Z':
			return a, failure{}
		case 'G', 'H', 'W':
			return a, fail(ClassError, "the query is a COPY, which is not for checks")
		default:
			return a, notPostgres
		}
	}
}

// firstColumn is that of a DataRow. A row without columns is none.
func firstColumn(b []byte) (value, bool) {
	if len(b) < 2 {
		return value{}, false
	}
	if binary.BigEndian.Uint16(b) == 0 {
		return value{none: true}, len(b) == 2
	}
	if len(b) < 6 {
		return value{}, false
	}
	n := int32(binary.BigEndian.Uint32(b[2:]))
	switch b = b[6:]; {
	case n == -1:
		return value{null: true}, true
	case n < 0 || int(n) > len(b):
		return value{}, false
	}
	return value{text: string(b[:n])}, true
}

// write sends a message.
func (g *pgTalk) write(kind byte, payload []byte, next stage) failure {
	b := make([]byte, 0, 5+len(payload))
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(4+len(payload)))
	return g.send(append(b, payload...), next)
}

// message reads a message; its payload stays until the next.
func (g *pgTalk) message() (kind byte, b []byte, f failure) {
	h, f := g.read(5)
	if f.failed() {
		return 0, nil, f
	}
	kind = h[0]
	n := int64(binary.BigEndian.Uint32(h[1:])) - 4
	switch {
	case kind == tlsAlert:
		return kind, nil, failure{} // its length is another one
	case kind == 'E' && n > maxMessage && g.at == loggingIn:
		// "E" and text is how a server says in the protocol before this one that
		// it cannot even begin.
		return 0, nil, fail(ClassError, "the server cannot begin a session")
	case n < 0 || n > maxMessage && g.at == loggingIn:
		return 0, nil, notPostgres
	case n > maxMessage:
		return 0, nil, fail(ClassOversize, "a row or message is longer than %d KiB", maxMessage>>10)
	}
	b, f = g.read(int(n))
	return kind, b, f
}

// sqlState is the code in an ErrorResponse; it is of letters and digits, whatever
// the server says.
func sqlState(b []byte) string {
	for len(b) > 1 {
		field, rest, ok := bytes.Cut(b[1:], []byte{0})
		if !ok {
			break
		}
		if b[0] == 'C' && len(field) == 5 && !bytes.ContainsFunc(field, func(r rune) bool {
			return (r < '0' || r > '9') && (r < 'A' || r > 'Z')
		}) {
			return string(field)
		}
		b = rest
	}
	return "XX000" // internal_error
}

// pgError is an ErrorResponse as a failure. Its words are the peer's and stay
// behind; its code says what it is: "PostgreSQL Error Codes", appendix A of the
// manual.
func pgError(b []byte, login bool) failure {
	code := sqlState(b)
	known, ok := pgErrors[code]
	switch {
	case login && code == "42501":
		return fail(ClassAuth, "the user may not use the database (%s)", code)
	case ok:
		return fail(known.class, "%s (%s)", known.detail, code)
	case code[:2] == "28":
		return fail(ClassAuth, "the login was refused (%s)", code)
	case login:
		return fail(ClassError, "the server refuses the connection (%s)", code)
	}
	return fail(ClassError, "the query failed (%s)", code)
}

var pgErrors = map[string]failure{
	"28P01": {class: ClassAuth, detail: "the login was refused: user or password"},
	"28000": {class: ClassAuth, detail: "the login was refused"},
	"3D000": {class: ClassError, detail: "the database does not exist"},
	"42501": {class: ClassError, detail: "the user may not run the query"},
	"42601": {class: ClassError, detail: "the query is not valid"},
	"42P01": {class: ClassError, detail: "a table of the query does not exist"},
	"53300": {class: ClassError, detail: "the server has too many connections"},
	"57014": {class: ClassTimeout, detail: "the query took longer than the probe may"},
	"57P01": {class: ClassError, detail: "the server is shutting down"},
	"57P02": {class: ClassError, detail: "the server has crashed"},
	"57P03": {class: ClassError, detail: "the server is starting, recovering or shutting down"},
}
