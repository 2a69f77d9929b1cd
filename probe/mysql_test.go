package probe

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // of the protocol
	"crypto/tls"
	"encoding/hex"
	"net"
	"strings"
	"testing"
)

// The vectors are those of go-sql-driver's tests.
func TestMySQLProof(t *testing.T) {
	nonce := []byte{10, 47, 74, 111, 75, 73, 34, 48, 88, 76, 114, 74, 37, 13, 3, 80, 82, 2, 23, 21}
	for password, want := range map[string]string{
		"secret":  "f490e76f66d9d86665ce54d98c78d0acfe2fb0b08b423da807144873d30b312c",
		"secret2": "abc3934a012cf342e876071c8ee202de51785b430258a7a0138bc79c4d800bc6",
		"":        "",
	} {
		if got := hex.EncodeToString(cachingProof(password, nonce)); got != want {
			t.Errorf("caching_sha2_password of %q: %s", password, got)
		}
	}
}

// conversation has a server say its turns, and hears what it is told.
func conversation(t *testing.T, o any, greets bool, turns ...string) (r Result, heard []string) {
	t.Helper()
	r = hear(t, o, func(c net.Conn) {
		buf := make([]byte, 1<<16)
		listen := func() bool {
			n, err := c.Read(buf)
			if n > 0 {
				heard = append(heard, string(buf[:n]))
			}
			return err == nil
		}
		for i, turn := range turns {
			if (i > 0 || !greets) && !listen() || fluently(c, turn) != nil {
				return
			}
		}
		for listen() {
			continue
		}
	})
	return r, heard
}

func mySwitch(seq byte, plugin string) string {
	return myPacket(seq, "\xfe"+plugin+"\x00ABCDEFGHIJKLMNOPQRST\x00")
}

func myErr(seq byte, code uint16) string {
	return myPacket(seq, "\xff"+string([]byte{byte(code), byte(code >> 8)})+"#HY000password "+hunter+" of u")
}

func TestMySQLLogin(t *testing.T) {
	in := MySQL{User: "u", Password: hunter}
	const nonce, second = "0123456789abcdefghij", "ABCDEFGHIJKLMNOPQRST"
	hello := func(plugin string) string { return myPacket(0, myGreeting("8.4.0", plugin)) }
	for _, c := range []struct {
		name   string
		turns  []string
		class  Class
		detail string
		proof  []byte // in what is heard as the last but the good-bye
	}{
		{"native", []string{hello(nativePassword), myPacket(2, myOK)}, "", "", nativeProof(hunter, []byte(nonce))},
		{"remembered", []string{hello(cachingPassword), myPacket(2, "\x01\x03") + myPacket(3, myOK)}, "", "", cachingProof(hunter, []byte(nonce))},
		{"not remembered", []string{hello(cachingPassword), myPacket(2, "\x01\x04")}, ClassAuth, "over TLS or with the server's key only", nil},
		{"a method of another user's", []string{hello("client_ed25519"), myPacket(2, myOK)}, "", "", nativeProof(hunter, []byte(nonce))},
		{"switched", []string{hello("client_ed25519"), mySwitch(2, cachingPassword), myPacket(4, "\x01\x03") + myPacket(5, myOK)}, "", "", cachingProof(hunter, []byte(second))},
		{"switched to native", []string{hello(cachingPassword), mySwitch(2, nativePassword), myPacket(4, myOK)}, "", "", nativeProof(hunter, []byte(second))},
		{"in the clear", []string{hello(cachingPassword), mySwitch(2, clearPassword)}, ClassAuth, "over TLS only", nil},
		{"in the clear at once", []string{hello(clearPassword), myPacket(2, myOK)}, "", "", nativeProof(hunter, []byte(nonce))},
		{"by SHA-256", []string{hello(sha256Password), mySwitch(2, sha256Password)}, ClassAuth, "over TLS only", nil},
		{"ed25519", []string{hello(nativePassword), mySwitch(2, "client_ed25519")}, ClassAuth, "not supported: client_ed25519", nil},
		{"unknown", []string{hello(nativePassword), mySwitch(2, hunter)}, ClassAuth, "the login's method is not supported", nil},
		{"old", []string{hello(nativePassword), myPacket(2, "\xfe")}, ClassAuth, "mysql_old_password", nil},
		{"for ever", []string{
			hello(nativePassword), mySwitch(2, nativePassword), mySwitch(4, nativePassword), mySwitch(6, nativePassword), mySwitch(8, nativePassword),
			mySwitch(10, nativePassword), mySwitch(12, nativePassword), mySwitch(14, nativePassword), mySwitch(16, nativePassword), mySwitch(18, nativePassword),
		}, ClassProtocol, "does not come to an end", nil},
		{"more than is to be said", []string{hello(nativePassword), myPacket(2, "\x01\x04")}, ClassProtocol, "not of the protocol", nil},
		{"refused", []string{hello(nativePassword), myErr(2, 1045)}, ClassAuth, "the login was refused (error 1045)", nil},
		{"refused for another reason", []string{hello(nativePassword), myErr(2, 1105)}, ClassError, "refuses the connection (error 1105)", nil},
		{"too many", []string{myErr(0, 1040)}, ClassError, "too many connections (error 1040)", nil},
		{"not from here", []string{myErr(0, 1130)}, ClassAuth, "does not let this host in (error 1130)", nil},
		{"blocked", []string{myErr(0, 1129)}, ClassAuth, "shut out this host", nil},
		{"a version of long ago", []string{myPacket(0, "\x09"+myGreeting("3", "")[1:])}, ClassProtocol, "does not greet as MySQL", nil},
		{"a greeting cut short", []string{myPacket(0, myGreeting("3", "")[:20])}, ClassProtocol, "", nil},
		{"a packet out of turn", []string{hello(nativePassword), myPacket(3, myOK)}, ClassProtocol, "not of the protocol", nil},
		{"nothing", []string{hello(nativePassword), "\x00\x00\x00\x02"}, ClassProtocol, "not of the protocol", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, heard := conversation(t, in, true, c.turns...)
			check(t, r, c.class, c.detail)
			all := strings.Join(heard, "|")
			if strings.Contains(all, hunter) {
				t.Errorf("the password went over the wire: %q", all)
			}
			if c.proof != nil && (len(heard) != len(c.turns) || !strings.Contains(heard[len(heard)-2], string(c.proof)) || heard[len(heard)-1] != "\x01\x00\x00\x00\x01") {
				t.Errorf("heard %q", heard)
			}
		})
	}
	// Without a user the greeting is all, and nothing is said.
	r, heard := conversation(t, MySQL{}, true, hello(nativePassword))
	if check(t, r, "", ""); len(heard) > 0 {
		t.Errorf("said %q", heard)
	}
	r, _ = conversation(t, MySQL{}, true, myErr(0, 1040))
	check(t, r, ClassError, "too many connections")
}

// A password goes to whom has the key, and to nobody else.
func TestMySQLServerKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r, heard := conversation(t, MySQL{User: "u", Password: hunter, ServerKey: &key.PublicKey}, true,
		myPacket(0, myGreeting("8.4.0", cachingPassword)), myPacket(2, "\x01\x04"), myPacket(4, myOK))
	check(t, r, "", "")
	sealed := heard[1]
	plain, err := rsa.DecryptOAEP(sha1.New(), nil, key, []byte(sealed[4:]), nil) //nolint:gosec // of the protocol
	if err != nil {
		t.Fatal(err)
	}
	for i := range plain {
		plain[i] ^= "0123456789abcdefghij"[i%20]
	}
	if string(plain) != hunter+"\x00" {
		t.Errorf("sealed %q", plain)
	}
}

// Over TLS the password may go as it is.
func TestMySQLOverTLS(t *testing.T) {
	ca := newAuthority(t)
	cfg := tlsOf(ca.issue(t, nil, "127.0.0.1"))
	for name, turns := range map[string][]string{
		"full":   {myPacket(3, "\x01\x04"), myPacket(5, myOK)},
		"switch": {mySwitch(3, clearPassword), myPacket(5, myOK)},
	} {
		t.Run(name, func(t *testing.T) {
			heard := make(chan string, 9)
			target := serve(t, "127.0.0.1", func(c net.Conn) {
				buf := make([]byte, 4096)
				_ = fluently(c, myPacket(0, myGreeting("8.4.0", cachingPassword)))
				if n, _ := c.Read(buf[:36]); n != 36 { // asks for TLS
					return
				}
				s := tls.Server(c, cfg)
				for _, turn := range turns {
					n, _ := s.Read(buf)
					heard <- string(buf[:n])
					_ = fluently(s, turn)
				}
			})
			o := MySQL{User: "u", Password: hunter, TLS: &TLSConfig{Roots: ca.roots}}
			check(t, must(t, o).Probe(ctxFor(t, patience), target), "", "")
			if first, then := <-heard, <-heard; !strings.Contains(first, "u\x00") || then[4:] != hunter+"\x00" {
				t.Errorf("heard %q and %q", first, then)
			}
		})
	}
}

func TestMySQLQuery(t *testing.T) {
	in := MySQL{User: "u", Password: hunter, Query: "SELECT x", Expect: []Condition{{"<", "30"}}}
	huge := strings.Repeat("x", maxMessage+1)
	for _, c := range []struct {
		name   string
		turns  []string
		class  Class
		detail string
	}{
		{"fits", []string{myPacket(1, myOK), myRows("29.5")}, "", ""},
		{"does not", []string{myPacket(1, myOK), myRows("30")}, ClassValue, "the value is 30, expected < 30"},
		{"the first row counts", []string{myPacket(1, myOK), myRows("1", "99")}, "", ""},
		{"a secret", []string{myPacket(1, myOK), myRows(hunter)}, ClassValue, "the value is not as expected"},
		{"a text", []string{myPacket(1, myOK), myRows("many")}, ClassValue, "the value (4 bytes) is not a number, expected < 30"},
		{"no row", []string{myPacket(1, myOK), myRows()}, ClassValue, "no row"},
		{"no result", []string{myPacket(1, myOK), myPacket(1, myOK)}, ClassValue, "no row"},
		{"null", []string{myPacket(1, myOK), myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF) + myPacket(4, "\xfb") + myPacket(5, myEOF)}, ClassValue, "NULL"},
		{"a server without limits", []string{myErr(1, 1193), myRows("1")}, "", ""},
		{"an error", []string{myPacket(1, myOK), myErr(1, 1146)}, ClassError, "a table of the query does not exist (error 1146)"},
		{"an error in the rows", []string{myPacket(1, myOK), myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF) + myErr(4, 1317)}, ClassError, "interrupted"},
		{"too slow for the server", []string{myPacket(1, myOK), myErr(1, 3024)}, ClassTimeout, "longer than the probe may"},
		{"hangs", []string{myPacket(1, myOK), ""}, ClassTimeout, "timeout while waiting for the result"},
		{"hangs in the rows", []string{myPacket(1, myOK), myPacket(1, "\x01") + myPacket(2, myColumn("v"))}, ClassSlow, "while waiting for the result"},
		{"wants a file", []string{myPacket(1, myOK), myPacket(1, "\xfb/etc/passwd")}, ClassProtocol, "asks for a file of this machine"},
		{"a huge row", []string{myPacket(1, myOK), myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF) + myPacket(4, huge)}, ClassOversize, "longer than 64 KiB"},
		{"too many columns", []string{myPacket(1, myOK), myPacket(1, "\xfd\xff\xff\xff")}, ClassProtocol, "malformed"},
		{"a column cut short", []string{myPacket(1, myOK), myPacket(1, "\x01") + myPacket(2, "\x09x")}, ClassProtocol, "malformed"},
		{"a value cut short", []string{myPacket(1, myOK), myPacket(1, "\x01") + myPacket(2, myColumn("v")) + myPacket(3, myEOF) + myPacket(4, "\x09x")}, ClassProtocol, "malformed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, heard := conversation(t, in, true, append(append([]string{}, myIn...), c.turns...)...)
			check(t, r, c.class, c.detail)
			if len(heard) < 3 || heard[1][5:] != "SET SESSION max_execution_time=2000" || heard[2][5:] != "SELECT x" {
				t.Errorf("heard %q", heard)
			}
		})
	}
	_, heard := conversation(t, in, true, myPacket(0, myGreeting("11.4.2-MariaDB", nativePassword)), myPacket(2, myOK), myPacket(1, myOK), myRows("1"))
	if len(heard) < 2 || heard[1][5:] != "SET SESSION max_statement_time=2.000" {
		t.Errorf("heard %q", heard)
	}
}

func TestMySQLRole(t *testing.T) {
	status := func(values ...string) string {
		b := myPacket(1, "\x03") + myPacket(2, myColumn("Channel")) + myPacket(3, myColumn("Replica_IO_Running")) + myPacket(4, myColumn("Replica_SQL_Running")) + myPacket(5, myEOF)
		row := ""
		for _, v := range values {
			row += string([]byte{byte(len(v))}) + v
		}
		return b + myPacket(6, row) + myPacket(7, myEOF)
	}
	for _, c := range []struct {
		role     Role
		turns    []string
		class    Class
		detail   string
		degraded bool
	}{
		{RolePrimary, []string{myRows("0,0")}, "", "", false},
		{RolePrimary, []string{myRows("OFF,OFF")}, "", "", false},
		{RolePrimary, []string{myRows("1,0")}, ClassValue, "the server is a replica, expected a primary", false},
		{RolePrimary, []string{myRows("0,1")}, ClassValue, "the server is a replica, expected a primary", false},
		{RolePrimary, []string{myRows("NO_LOCK,OFF")}, ClassValue, "the server is a replica, expected a primary", false},
		{RolePrimary, []string{myPacket(1, myOK)}, ClassProtocol, "does not say", false},
		{RoleReplica, []string{myRows("0,0")}, ClassValue, "the server is a primary, expected a replica", false},
		{RoleReplica, []string{myRows("1,0"), myErr(1, 1227)}, "", "", false},
		{RoleReplica, []string{myRows("1,0"), myErr(1, 1064)}, "", "", false},
		{RoleReplica, []string{myRows("1,0"), myRows()}, "", "", false},
		{RoleReplica, []string{myRows("1,0"), status("c", "Yes", "Yes")}, "", "", false},
		{RoleReplica, []string{myRows("1,0"), status("c", "Connecting", "Yes")}, "", "the replica has no link to its primary", true},
		{RoleReplica, []string{myRows("1,0"), status("c", "Yes", "No")}, "", "does not apply", true},
		{RoleReplica, []string{myRows("1,0"), ""}, ClassTimeout, "", false},
		{RoleAny, nil, "", "", false},
	} {
		r, _ := conversation(t, MySQL{User: "u", Password: hunter, Role: c.role}, true, append(append([]string{}, myIn...), c.turns...)...)
		if r.Class != c.class || r.OK != (c.class == "") || r.Degraded != c.degraded || !strings.Contains(r.Detail, c.detail) || c.class == "" && !c.degraded && r.Detail != "" {
			t.Errorf("%s %q: %+v", c.role, c.turns, r)
		}
	}
}

func TestDatabasesRefuse(t *testing.T) {
	long := strings.Repeat("x", maxAsked+1)
	is := []Condition{{"=", "1"}}
	for _, c := range []struct {
		o    any
		want string
	}{
		{MySQL{Query: "SELECT 1"}, "user: "},
		{MySQL{Role: RolePrimary}, "user: "},
		{MySQL{Database: "app"}, "user: "},
		{MySQL{User: "u", Expect: is}, "query: "},
		{MySQL{User: "u\x00"}, "user: holds a NUL"},
		{MySQL{User: "u", Password: long}, "password: is longer"},
		{MySQL{User: "u", Role: "master"}, `role: "master"`},
		{MySQL{User: "u", Query: "q", Expect: []Condition{{"=~", "1"}}}, `expect: condition: "=~"`},
		{MySQL{User: "u", Query: "q", Expect: []Condition{{"<", "x"}}}, `expect: condition: "x" is not a number`},
		{MySQL{User: "u", Query: "q", Expect: []Condition{{"~", "("}}}, "expect: condition: error parsing regexp"},
		{MySQL{TLS: &TLSConfig{SNI: "a b"}}, "sni: "},
		{Postgres{Query: "SELECT 1"}, "user: "},
		{Postgres{Role: RoleReplica}, "user: "},
		{Postgres{User: "u", Expect: is}, "query: "},
		{Postgres{User: "u", Query: "\x00"}, "query: holds a NUL"},
		{Redis{Expect: is}, "command: "},
		{Redis{Command: []string{long}}, "command: is longer"},
		{Redis{Role: "x"}, `role: "x"`},
		{Redis{Password: long}, "user or password: is longer"},
		{Prometheus{Metric: "up"}, "expect: is needed"},
		{Prometheus{Expect: is}, "metric: is needed"},
		{Prometheus{Metric: "up", Expect: []Condition{{"~", "1"}}}, "expect: condition: ~ is for text"},
		{Prometheus{Metric: "up", Expect: []Condition{{"=", "x"}}}, "expect: condition: \"x\" is not a number"},
		{Prometheus{Metric: "up", Expect: is, Aggregate: "avg"}, `aggregate: "avg"`},
		{Prometheus{Metric: "up", Expect: is, Path: "metrics"}, "path: "},
		{Prometheus{Metric: "up", Expect: is, Path: "/a b"}, "path: "},
		{Prometheus{Metric: "up", Expect: is, Host: "a b"}, "host: "},
		{Prometheus{Metric: "up", Expect: is, Headers: map[string]string{"Host": "x"}}, "headers: Host cannot be set"},
		{Prometheus{Metric: "up", Expect: is, Headers: map[string]string{"Accept-Encoding": "gzip"}}, "headers: Accept-Encoding cannot be set"},
		{Prometheus{Metric: "up", Expect: is, Headers: map[string]string{"X": hunter + "\n"}}, "headers: the value of X"},
		{Prometheus{Metric: "up", Expect: is, Headers: map[string]string{"a b": "x"}}, "headers: \"a b\""},
	} {
		var err error
		switch o := c.o.(type) {
		case MySQL:
			_, err = NewMySQL(o)
		case Postgres:
			_, err = NewPostgres(o)
		case Redis:
			_, err = NewRedis(o)
		case Prometheus:
			_, err = NewPrometheus(o)
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.want) || bytes.Contains([]byte(err.Error()), []byte(hunter)) {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
}
