package probe

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net"
	"strings"
	"testing"
)

func TestMD5Proof(t *testing.T) {
	// SELECT 'md5' || md5(md5('secret' || 'u') || 'salt')
	if got := string(md5Proof("u", "secret", []byte("salt"))); got != "md5f0e7c406521852962c8b0cf264d8bcbd" {
		t.Errorf("got %s", got)
	}
}

func TestPostgresLogin(t *testing.T) {
	in := Postgres{User: "u", Password: hunter, Database: "app"}
	for _, c := range []struct {
		name   string
		o      Postgres
		turns  []string
		class  Class
		detail string
	}{
		{"md5", in, pgIn, "", ""},
		{"nothing is asked", in, []string{pgAuth(0, "") + pgReady}, "", ""},
		{"in the clear", in, []string{pgAuth(3, "")}, ClassAuth, "over TLS only"},
		{"a password that is not stated", Postgres{User: "u"}, []string{pgAuth(5, "salt")}, ClassAuth, "none is stated"},
		{"Kerberos", in, []string{pgAuth(7, "")}, ClassAuth, "method is not supported"},
		{"another SASL", in, []string{pgAuth(10, "OAUTHBEARER\x00X-SCRAM-SHA-256\x00\x00")}, ClassAuth, "method is not supported"},
		{"a salt too short", in, []string{pgAuth(5, "sal")}, ClassProtocol, ""},
		{"SASL from the middle", in, []string{pgAuth(11, "r=x,s=eA==,i=1")}, ClassProtocol, "SCRAM"},
		{"SASL from the end", in, []string{pgAuth(12, "v=")}, ClassProtocol, "SCRAM"},
		{"SASL without proof", in, []string{pgAuth(10, "SCRAM-SHA-256\x00\x00"), pgAuth(0, "") + pgReady}, ClassAuth, "did not prove"},
		{"SASL twice", in, []string{pgAuth(10, "SCRAM-SHA-256\x00\x00"), pgAuth(10, "SCRAM-SHA-256\x00\x00")}, ClassProtocol, ""},
		{"refused", in, []string{pgAuth(5, "salt"), pgErr("28P01")}, ClassAuth, "the login was refused: user or password (28P01)"},
		{"refused by rule", in, []string{pgErr("28000")}, ClassAuth, "the login was refused (28000)"},
		{"refused somehow", in, []string{pgErr("28XYZ")}, ClassAuth, "the login was refused (28XYZ)"},
		{"no such database", in, []string{pgErr("3D000")}, ClassError, "the database does not exist"},
		{"no privilege", in, []string{pgErr("42501")}, ClassAuth, "may not use the database"},
		{"starting", in, []string{pgErr("57P03")}, ClassError, "starting, recovering or shutting down (57P03)"},
		{"too many", in, []string{pgErr("53300")}, ClassError, "too many connections (53300)"},
		{"a code of the peer's wit", in, []string{pgErr("a\x1b[3m")}, ClassError, "refuses the connection (XX000)"},
		{"no code", in, []string{pgMessage('E', "")}, ClassError, "XX000"},
		{"cannot begin", in, []string{"Ecould not fork new process: " + hunter + "\n\x00"}, ClassError, "cannot begin a session"},
		{"ready too soon", in, []string{pgReady}, ClassProtocol, ""},
		{"a key too soon", in, []string{pgMessage('K', "12345678")}, ClassProtocol, ""},
		{"rows in the login", in, []string{pgRow("1")}, ClassProtocol, ""},
		{"nobody asks", Postgres{}, []string{pgAuth(10, "SCRAM-SHA-256\x00\x00")}, "", ""},
		{"nobody is unknown", Postgres{}, []string{pgErr("28000")}, "", ""},
		{"nobody's database", Postgres{}, []string{pgErr("3D000")}, "", ""},
		{"nobody while it starts", Postgres{}, []string{pgErr("57P03")}, ClassError, "57P03"},
		{"nobody among too many", Postgres{}, []string{pgErr("53300")}, ClassError, "53300"},
		{"nobody and a crash", Postgres{}, []string{pgErr("XX000")}, ClassError, "XX000"},
		{"nobody hears nothing", Postgres{}, []string{""}, ClassTimeout, "timeout during the login"},
		{"notices first", in, []string{pgMessage('N', "x") + pgMessage('v', "\x00\x03\x00\x00\x00\x00\x00\x00") + pgAuth(0, "") + pgReady}, "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, heard := conversation(t, c.o, false, c.turns...)
			check(t, r, c.class, c.detail)
			if all := strings.Join(heard, "|"); strings.Contains(all, hunter) || len(heard) == 0 {
				t.Errorf("heard %q", all)
			}
			if c.o.Database == "app" && !strings.Contains(heard[0], "\x00\x03\x00\x00user\x00u\x00database\x00app\x00application_name\x00rhumb\x00") {
				t.Errorf("heard %q", heard[0])
			}
		})
	}
}

// The server's side of RFC 5802, which says of itself what the case wants.
func TestScram(t *testing.T) {
	for _, c := range []struct {
		name       string
		knows      string
		iterations int
		edit       func(server string) string // of its first message
		last       func(sig string) string
		class      Class
		detail     string
	}{
		{name: "right", knows: hunter, iterations: 4096},
		{name: "another password", knows: "x", iterations: 1, class: ClassAuth, detail: "the login was refused"},
		{name: "a server that knows nothing", knows: hunter, iterations: 1, last: func(string) string { return "v=" + base64.StdEncoding.EncodeToString(make([]byte, 32)) }, class: ClassAuth, detail: "the server does not know the password"},
		{name: "an error", knows: hunter, iterations: 1, last: func(string) string { return "e=other-error" }, class: ClassProtocol, detail: "SCRAM"},
		{name: "too much work", knows: hunter, iterations: 1, edit: func(s string) string { return strings.Replace(s, "i=1", "i=2000000000", 1) }, class: ClassAuth, detail: "more than 100000 rounds"},
		{name: "no work", knows: hunter, iterations: 1, edit: func(s string) string { return strings.Replace(s, "i=1", "i=0", 1) }, class: ClassProtocol, detail: "SCRAM"},
		{name: "a nonce of its own", knows: hunter, iterations: 1, edit: func(s string) string { return "r=x" + s[2:] }, class: ClassProtocol, detail: "SCRAM"},
		{name: "our nonce alone", knows: hunter, iterations: 1, edit: func(s string) string { return strings.Replace(s, "server", "", 1) }, class: ClassProtocol, detail: "SCRAM"},
		{name: "no salt", knows: hunter, iterations: 1, edit: func(s string) string { return strings.Replace(s, "s=c2FsdA==", "s=", 1) }, class: ClassProtocol, detail: "SCRAM"},
		{name: "an extension", knows: hunter, iterations: 1, edit: func(s string) string { return "m=x," + s }, class: ClassProtocol, detail: "SCRAM"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := hear(t, Postgres{User: "u", Password: hunter}, func(c2 net.Conn) {
				buf := make([]byte, 4096)
				listen := func() string {
					n, _ := c2.Read(buf)
					return string(buf[:n])
				}
				listen()
				_ = fluently(c2, pgAuth(10, "SCRAM-SHA-256-PLUS\x00SCRAM-SHA-256\x00\x00"))
				_, bare, _ := strings.Cut(listen(), "n,,")
				_, nonce, _ := strings.Cut(bare, "r=")
				first := fmt.Sprintf("r=%sserver,s=%s,i=%d", nonce, base64.StdEncoding.EncodeToString([]byte("salt")), c.iterations)
				if c.edit != nil {
					first = c.edit(first)
				}
				if fluently(c2, pgAuth(11, first)) != nil {
					return
				}
				final := listen()
				if final == "" {
					return
				}
				without, proof64, _ := strings.Cut(final[5:], ",p=")
				salted, _ := pbkdf2.Key(sha256.New, c.knows, []byte("salt"), c.iterations, 32)
				message := bare + "," + first + "," + without
				stored := sha256.Sum256(mac(salted, "Client Key"))
				proof, _ := base64.StdEncoding.DecodeString(proof64)
				for i, b := range mac(stored[:], message) {
					proof[i] ^= b
				}
				if got := sha256.Sum256(proof); !hmac.Equal(got[:], stored[:]) {
					_ = fluently(c2, pgErr("28P01"))
					return
				}
				sig := "v=" + base64.StdEncoding.EncodeToString(mac(mac(salted, "Server Key"), message))
				if c.last != nil {
					sig = c.last(sig)
				}
				_ = fluently(c2, pgAuth(12, sig)+pgAuth(0, "")+pgReady)
				listen()
			})
			check(t, r, c.class, c.detail)
		})
	}
}

// RFC 4013 section 3, and what PostgreSQL does with the rest.
func TestSASLPrep(t *testing.T) {
	for in, want := range map[string]string{
		"user": "user", "USER": "USER", "I\u00adX": "IX", "\u00aa": "a", "\u2168": "IX", "a\u00a0b": "a b",
		"\u0007": "\u0007", "\u00ad": "\u00ad", "": "", "pa\u00dfw\u00f6rt": "pa\u00dfw\u00f6rt", "o\u0308": "\u00f6",
	} {
		if got := saslPrep(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestPostgresQuery(t *testing.T) {
	in := Postgres{User: "u", Password: hunter, Query: "SELECT x", Expect: []Condition{{"<", "30"}}}
	for _, c := range []struct {
		name, turn string
		class      Class
		detail     string
	}{
		{"fits", pgRows("29.5"), "", ""},
		{"does not", pgRows("30"), ClassValue, "the value is 30, expected < 30"},
		{"the first row counts", pgRows("1", "99"), "", ""},
		{"the first result counts", pgMessage('C', "SET\x00") + pgRow("1") + pgMessage('C', "SELECT 1\x00") + pgRow("99") + pgReady, "", ""},
		{"a secret", pgRows(hunter), ClassValue, "the value is not as expected"},
		{"a text", pgRows("many"), ClassValue, "the value (4 bytes) is not a number, expected < 30"},
		{"no row", pgRows(), ClassValue, "no row"},
		{"no column", pgMessage('D', "\x00\x00") + pgReady, ClassValue, "no row"},
		{"nothing", pgMessage('I', "") + pgReady, ClassValue, "no row"},
		{"null", pgMessage('D', "\x00\x01\xff\xff\xff\xff") + pgReady, ClassValue, "NULL"},
		{"less than nothing", pgMessage('D', "\x00\x01\xff\xff\xff\xfe") + pgReady, ClassProtocol, "malformed"},
		{"a value cut short", pgMessage('D', "\x00\x01\x00\x00\x00\x02x") + pgReady, ClassProtocol, "malformed"},
		{"a row cut short", pgMessage('D', "\x00\x01\x00") + pgReady, ClassProtocol, "malformed"},
		{"an error", pgErr("42P01") + pgReady, ClassError, "a table of the query does not exist (42P01)"},
		{"an error of another kind", pgErr("22012") + pgReady, ClassError, "the query failed (22012)"},
		{"an error in the rows", pgRow("1") + pgErr("57P01"), ClassError, "shutting down"},
		{"too slow for the server", pgErr("57014") + pgReady, ClassTimeout, "longer than the probe may"},
		{"hangs", "", ClassTimeout, "timeout while waiting for the result"},
		{"hangs in the rows", pgRow("1"), ClassSlow, "while waiting for the result"},
		{"a copy", pgMessage('H', "\x00\x00\x00"), ClassError, "COPY"},
		{"a huge row", pgRow(strings.Repeat("x", maxMessage)), ClassOversize, "longer than 64 KiB"},
		{"a login again", pgAuth(0, ""), ClassProtocol, "not of the protocol"},
		{"a length of nothing", "D\x00\x00\x00\x00", ClassProtocol, "not of the protocol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, heard := conversation(t, in, false, append(append([]string{}, pgIn...), c.turn)...)
			check(t, r, c.class, c.detail)
			if len(heard) < 3 || heard[2][5:] != "SET LOCAL statement_timeout = 2000; SELECT x\x00" {
				t.Errorf("heard %q", heard)
			}
			if polite(r2f(r)) != (len(heard) == 4 && heard[3] == "X\x00\x00\x00\x04") {
				t.Errorf("%+v: heard %q", r, heard)
			}
		})
	}
	in.Query = "show pools"
	_, heard := conversation(t, in, false, append(append([]string{}, pgIn...), pgRows("1"))...)
	if heard[2][5:] != "show pools\x00" {
		t.Errorf("heard %q", heard)
	}
}

func r2f(r Result) failure { return failure{class: r.Class} }

func TestPostgresRole(t *testing.T) {
	for _, c := range []struct {
		role   Role
		turn   string
		class  Class
		detail string
	}{
		{RolePrimary, pgRows("f"), "", ""},
		{RoleReplica, pgRows("t"), "", ""},
		{RolePrimary, pgRows("t"), ClassValue, "the server is a replica, expected a primary"},
		{RoleReplica, pgRows("f"), ClassValue, "the server is a primary, expected a replica"},
		{RoleReplica, pgRows("maybe"), ClassProtocol, "does not say"},
		{RoleReplica, pgRows(), ClassProtocol, "does not say"},
		{RoleReplica, pgErr("42883") + pgReady, ClassError, "42883"},
	} {
		r, _ := conversation(t, Postgres{User: "u", Password: hunter, Role: c.role}, false, append(append([]string{}, pgIn...), c.turn)...)
		check(t, r, c.class, c.detail)
	}
}
