package probe

import (
	"bytes"
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"
)

// MySQL is the check of a server that speaks the protocol of MySQL, such as
// MariaDB. Without a user it ends when the server has greeted.
type MySQL struct {
	// User logs in. The methods are mysql_native_password and
	// caching_sha2_password and, over TLS, sha256_password and
	// mysql_clear_password.
	User, Password string
	// Database is made the default one, if not empty.
	Database string
	// Query is one statement, run after the login. Without it the login is all.
	Query string
	// Expect is for the first column of the first row of Query.
	Expect []Condition
	// Role: a primary is what is not read only (read_only, innodb_read_only), a
	// replica what is. A replica whose replication stands still, as far as the
	// user may see, is degraded.
	Role Role
	// TLS is begun in the protocol, right after the greeting; nil is none.
	TLS *TLSConfig
	// ServerKey encrypts the password for caching_sha2_password where there is
	// no TLS; nil: such a login fails when the server does not remember the user.
	ServerKey *rsa.PublicKey
}

// NewMySQL makes the prober of a MySQL check. It fails, naming the field, when it
// could not be made as it is described.
func NewMySQL(o MySQL) (Prober, error) {
	d, err := newDatabase(o.TLS, o.Expect, o.Role, o.Password)
	if err == nil {
		err = askable(o.User, o.Password, o.Database, o.Query)
	}
	switch {
	case err != nil:
		return nil, err
	case o.User == "" && (o.Query != "" || d.judged || o.Database != ""):
		return nil, errors.New("user: is needed to log in")
	case o.Query == "" && len(o.Expect) > 0:
		return nil, errors.New("query: is needed to expect something of it")
	}
	return &mysqlProber{database: d, o: o}, nil
}

type mysqlProber struct {
	database
	o MySQL
}

func (p *mysqlProber) Probe(ctx context.Context, t Target) Result {
	return p.net.converse(ctx, t, func(s *session) (string, failure) {
		m := &mysqlTalk{session: s, p: p}
		note, f := m.run()
		if m.in && polite(f) {
			m.seq = 0
			_ = m.write([]byte{comQuit}, querying)
		}
		return note, f
	})
}

// mysqlTalk is one connection to a server.
type mysqlTalk struct {
	*session
	p      *mysqlProber
	seq    byte // of the next packet, from either side
	hello  mysqlGreeting
	in     bool   // the login is done
	plugin string // the method of the login
	nonce  []byte // of the server, 20 bytes
}

func (m *mysqlTalk) run() (note string, f failure) {
	pkt, f := m.packet()
	if f.failed() {
		return "", f
	}
	if pkt[0] == mysqlErr {
		return "", m.refusal(pkt, true)
	}
	var ok bool
	if m.hello, ok = parseMySQLGreeting(pkt); !ok {
		return "", fail(ClassProtocol, "the server does not greet as MySQL does")
	}
	if m.hello.caps&neededCaps != neededCaps {
		return "", fail(ClassProtocol, "the server is older than MySQL 4.1")
	}
	m.plugin, m.nonce = m.hello.plugin, m.hello.nonce
	if m.p.tls != nil {
		if f := m.startTLS(); f.failed() {
			return "", f
		}
	}
	if m.p.o.User == "" {
		return "", failure{}
	}
	if f := m.login(); f.failed() {
		return "", f
	}
	m.in = true
	if m.p.judged {
		if f := m.judgeRole(); f.failed() {
			return "", f
		}
	}
	if m.p.o.Query != "" {
		if f := m.judgeQuery(); f.failed() {
			return "", f
		}
	}
	if m.p.o.Role == RoleReplica {
		return m.replication()
	}
	return "", failure{}
}

// startTLS asks for TLS in the place where the login would stand.
func (m *mysqlTalk) startTLS() failure {
	if m.hello.caps&capSSL == 0 {
		return fail(ClassTLS, "the server offers no TLS")
	}
	if f := m.write(m.loginHead(), handshaking); f.failed() {
		return f
	}
	return m.protect(m.p.tls)
}

func (m *mysqlTalk) judgeRole() failure {
	// The second is how a reader of a shared storage says it.
	r, f := m.query("SELECT CONCAT(@@global.read_only, ',', @@global.innodb_read_only)")
	if f.failed() {
		return f
	}
	a := r.first()
	if a.none || a.null {
		return fail(ClassProtocol, "the server does not say whether it is read only")
	}
	is := RolePrimary
	for part := range strings.SplitSeq(a.text, ",") {
		if part != "0" && part != "OFF" {
			is = RoleReplica
		}
	}
	return m.p.role.judge(is)
}

func (m *mysqlTalk) judgeQuery() failure {
	if left, ok := m.left(); ok {
		// A server does not see that a client has gone while it works. Without
		// this, a query that hangs would gather there, one for each probe.
		limit := fmt.Sprintf("SET SESSION max_execution_time=%d", left.Milliseconds())
		if m.hello.mariadb {
			limit = fmt.Sprintf("SET SESSION max_statement_time=%.3f", left.Seconds())
		}
		if r, f := m.query(limit); f.failed() && r.code == 0 {
			return f // servers that do not know the variable go on without
		}
	}
	r, f := m.query(m.p.o.Query)
	if f.failed() {
		return f
	}
	return m.p.judge(r.first())
}

// replication notes a replica that does not replicate. It is the last thing that
// is asked: what this user may not see, or the server cannot say, does no harm.
func (m *mysqlTalk) replication() (note string, f failure) {
	r, f := m.query("SHOW REPLICA STATUS")
	switch f.class {
	case ClassNone:
	case ClassError, ClassOversize:
		return "", failure{}
	default:
		return "", f
	}
	rest := r.row
	for _, name := range r.names {
		v, more, ok := mysqlText(rest)
		if !ok {
			return "", failure{}
		}
		rest = more
		switch name {
		case "Slave_IO_Running", "Replica_IO_Running":
			if string(v) != "Yes" {
				return "the replica has no link to its primary", failure{}
			}
		case "Slave_SQL_Running", "Replica_SQL_Running":
			if string(v) != "Yes" {
				return "the replica does not apply what its primary does", failure{}
			}
		}
	}
	return "", failure{}
}

// mysqlResult is what a statement gave.
type mysqlResult struct {
	names []string // of the columns
	row   []byte   // the first one, as it came
	rows  bool     // there is one
	code  uint16   // of the error that the server answered with; 0: none
}

// first is the first column of the first row.
func (r mysqlResult) first() value {
	if !r.rows {
		return value{none: true}
	}
	v, _, _ := mysqlText(r.row) // rows are looked at when they come
	return value{text: string(v), null: v == nil}
}

// query runs a statement and reads its result to the end.
func (m *mysqlTalk) query(sql string) (r mysqlResult, f failure) {
	m.seq = 0
	if f := m.write(append([]byte{comQuery}, sql...), querying); f.failed() {
		return r, f
	}
	pkt, f := m.packet()
	if f.failed() {
		return r, f
	}
	switch pkt[0] {
	case mysqlOK:
		return r, failure{}
	case mysqlErr:
		r.code = mysqlCode(pkt)
		return r, m.refusal(pkt, false)
	case mysqlLocalInfile:
		return r, fail(ClassProtocol, "the server asks for a file of this machine")
	}
	columns, rest, ok := lenenc(pkt)
	if !ok || len(rest) > 0 || columns == 0 || columns > maxColumns {
		return r, fail(ClassProtocol, "the result is malformed")
	}
	for range columns {
		if pkt, f = m.packet(); f.failed() {
			return r, f
		}
		name, ok := columnName(pkt)
		if !ok {
			return r, fail(ClassProtocol, "the result is malformed")
		}
		r.names = append(r.names, name)
	}
	if pkt, f = m.packet(); f.failed() {
		return r, f
	}
	if !isEOF(pkt) {
		return r, fail(ClassProtocol, "the result is malformed")
	}
	for {
		if pkt, f = m.packet(); f.failed() {
			return r, f
		}
		switch {
		case isEOF(pkt):
			return r, failure{}
		case pkt[0] == mysqlErr:
			r.code = mysqlCode(pkt)
			return r, m.refusal(pkt, false)
		case r.rows:
		default:
			if _, _, ok := mysqlText(pkt); !ok {
				return r, fail(ClassProtocol, "the result is malformed")
			}
			r.row, r.rows = bytes.Clone(pkt), true
		}
	}
}

// refusal is an error packet as a failure. Its words are the peer's and stay
// behind; its number says what it is.
func (m *mysqlTalk) refusal(pkt []byte, login bool) failure {
	code := mysqlCode(pkt)
	if known, ok := mysqlErrors[code]; ok {
		return fail(known.class, "%s (error %d)", known.detail, code)
	}
	if login {
		return fail(ClassError, "the server refuses the connection (error %d)", code)
	}
	return fail(ClassError, "the query failed (error %d)", code)
}

// mysqlErrors are the errors that operators meet, by number: MySQL's and
// MariaDB's lists of server errors.
var mysqlErrors = map[uint16]failure{
	1040: {class: ClassError, detail: "the server has too many connections"},
	1044: {class: ClassAuth, detail: "the user may not use the database"},
	1045: {class: ClassAuth, detail: "the login was refused"},
	1698: {class: ClassAuth, detail: "the login was refused"},
	1049: {class: ClassError, detail: "the database does not exist"},
	1053: {class: ClassError, detail: "the server is shutting down"},
	1064: {class: ClassError, detail: "the query is not valid"},
	1129: {class: ClassAuth, detail: "the server has shut out this host after too many broken connections"},
	1130: {class: ClassAuth, detail: "the server does not let this host in"},
	1142: {class: ClassError, detail: "the user may not run the query"},
	1143: {class: ClassError, detail: "the user may not run the query"},
	1227: {class: ClassError, detail: "the user may not run the query"},
	1146: {class: ClassError, detail: "a table of the query does not exist"},
	1203: {class: ClassError, detail: "the user has too many connections"},
	1226: {class: ClassError, detail: "the user has used up what it may"},
	1251: {class: ClassAuth, detail: "the login's method is not supported"},
	1820: {class: ClassAuth, detail: "the password has expired"},
	1862: {class: ClassAuth, detail: "the password has expired"},
	3118: {class: ClassAuth, detail: "the account is locked"},
	4151: {class: ClassAuth, detail: "the account is locked"},
	3159: {class: ClassAuth, detail: "the server wants TLS"},
	1969: {class: ClassTimeout, detail: "the query took longer than the probe may"},
	3024: {class: ClassTimeout, detail: "the query took longer than the probe may"},
	1317: {class: ClassError, detail: "the query was interrupted"},
	1205: {class: ClassError, detail: "the query waited too long for a lock"},
}

// write sends a packet.
func (m *mysqlTalk) write(payload []byte, next stage) failure {
	n := len(payload)
	b := make([]byte, 0, 4+n)
	b = append(b, byte(n), byte(n>>8), byte(n>>16), m.seq)
	m.seq++
	return m.send(append(b, payload...), next)
}

// packet reads a packet of at least a byte; it stays until the next.
func (m *mysqlTalk) packet() ([]byte, failure) {
	h, f := m.read(4)
	if f.failed() {
		return nil, f
	}
	// Of a packet these would be the length of one that nobody reads. Without the third
	// byte they would be of any with 789 bytes.
	if h[0] == tlsAlert && h[1] == 3 && h[2] > 0 {
		return nil, fail(ClassProtocol, "the server speaks TLS, not plain MySQL")
	}
	n := int(h[0]) | int(h[1])<<8 | int(h[2])<<16
	switch {
	case h[3] != m.seq || n == 0:
		return nil, fail(ClassProtocol, "the answer is not of the protocol of MySQL")
	case n > maxMessage:
		return nil, fail(ClassOversize, "a row or message is longer than %d KiB", maxMessage>>10)
	}
	m.seq++
	return m.read(n)
}
