package health

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// saying is a server of one connection that says its turns, each once it has heard
// something but the first where it greets, and what it has heard in the end.
func saying(t *testing.T, greets bool, turns ...string) (probe.Target, func() string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var heard strings.Builder
	var done sync.WaitGroup
	done.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		buf := make([]byte, 4096)
		for i, turn := range turns {
			if i > 0 || !greets {
				n, err := c.Read(buf)
				heard.Write(buf[:n])
				if err != nil {
					return
				}
			}
			_, _ = io.WriteString(c, turn)
		}
		_, _ = io.Copy(&heard, c)
	})
	a := l.Addr().(*net.TCPAddr).AddrPort()
	return probe.Target{Addr: a.Addr(), Port: a.Port()}, func() string {
		_ = l.Close()
		done.Wait()
		return heard.String()
	}
}

// Every field of a check of a database or a metric reaches the wire.
func TestDatabaseProbers(t *testing.T) {
	is := func(op, text string) []spec.Condition { return []spec.Condition{{Op: op, Text: text}} }
	const (
		greeting = "\x49\x00\x00\x00\x0a8.4.0\x00\x01\x00\x00\x0001234567\x00\x09\xaa\x2d\x02\x00\x08\x00\x15" +
			"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x0089abcdefghij\x00mysql_native_password\x00"
		myOK    = "\x07\x00\x00\x02\x00\x00\x00\x02\x00\x00\x00"
		pgReady = "Z\x00\x00\x00\x05I"
		pgRole  = "D\x00\x00\x00\x0b\x00\x01\x00\x00\x00\x01f" + "C\x00\x00\x00\x05\x00" + pgReady
		pgRow   = "D\x00\x00\x00\x0c\x00\x01\x00\x00\x00\x0235" + "C\x00\x00\x00\x05\x00" + pgReady
	)
	for _, c := range []struct {
		name   string
		check  spec.Check
		greets bool
		turns  []string
		class  probe.Class
		detail string
		heard  []string
	}{
		{
			"mysql",
			spec.Check{Type: spec.CheckMySQL, Ask: &spec.SQLCheck{User: "me", Password: "pw", Database: "app", Query: "SELECT x", Expect: is("<", "9"), Role: "any"}},
			true,
			[]string{greeting, myOK, "\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00", "\x07\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00"},
			probe.ClassValue, "no row, expected < 9",
			[]string{"me\x00\x14", "SET SESSION max_execution_time=", "app\x00mysql_native_password\x00", "\x03SELECT x"},
		},
		{
			"postgres",
			spec.Check{Type: spec.CheckPostgres, Ask: &spec.SQLCheck{User: "me", Password: "pw", Database: "app", Query: "SELECT x", Expect: is("<", "9"), Role: "primary"}},
			false,
			[]string{"R\x00\x00\x00\x0c\x00\x00\x00\x05salt", "R\x00\x00\x00\x08\x00\x00\x00\x00" + pgReady, pgRole, pgRow},
			probe.ClassValue, "the value is 35, expected < 9",
			[]string{"user\x00me\x00database\x00app\x00", "md5", "SELECT pg_is_in_recovery()", "SELECT x\x00"},
		},
		{
			"postgres and its role",
			spec.Check{Type: spec.CheckPostgres, Ask: &spec.SQLCheck{User: "me", Role: "replica"}},
			false,
			[]string{"R\x00\x00\x00\x08\x00\x00\x00\x00" + pgReady, pgRole},
			probe.ClassValue, "the server is a primary, expected a replica", nil,
		},
		{
			"redis",
			spec.Check{Type: spec.CheckRedis, Ask: &spec.RedisCheck{User: "me", Password: "pw", Command: []string{"GET", "x"}, Expect: is("~", "^o"), Role: "primary"}},
			false,
			[]string{"+OK\r\n", "*1\r\n+master\r\n", "+no\r\n"},
			probe.ClassValue, "expected: ~ ^o",
			[]string{"$4\r\nAUTH\r\n$2\r\nme\r\n$2\r\npw\r\n", "ROLE", "$3\r\nGET\r\n$1\r\nx\r\n"},
		},
		{
			"prometheus",
			spec.Check{Type: spec.CheckPrometheus, Ask: &spec.PrometheusCheck{Path: "/m", Headers: map[string]string{"X-Key": "k"}, Metric: "up", Labels: map[string]string{"a": "b"}, Aggregate: "sum", Expect: is("<", "3")}},
			false,
			[]string{"HTTP/1.1 200 OK\r\nContent-Length: 42\r\n\r\nup{a=\"b\",n=\"1\"} 1\nup{a=\"b\",n=\"2\"} 4\nup 70\n"},
			probe.ClassValue, "the sum of up is 5, expected < 3",
			[]string{"GET /m HTTP/1.1\r\nHost: db.example.com\r\n", "X-Key: k\r\n"},
		},
		{"mysql over TLS", spec.Check{Type: spec.CheckMySQL, Ask: &spec.SQLCheck{}, TLS: &spec.Secure{}}, true, []string{strings.Replace(greeting, "\x09\xaa", "\x09\xa2", 1)}, probe.ClassTLS, "offers no TLS", nil},
		{"postgres over TLS", spec.Check{Type: spec.CheckPostgres, Ask: &spec.SQLCheck{}, TLS: &spec.Secure{}}, false, []string{"N"}, probe.ClassTLS, "offers no TLS", nil},
		{"redis over TLS", spec.Check{Type: spec.CheckRedis, Ask: &spec.RedisCheck{}, TLS: &spec.Secure{}}, false, []string{"-ERR no\r\n"}, probe.ClassTLS, "does not speak TLS", []string{"db.example.com"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewProber(Check{Check: &c.check, Host: "db.example.com"})
			if err != nil {
				t.Fatal(err)
			}
			target, heard := saying(t, c.greets, c.turns...)
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			r := p.Probe(ctx, target)
			all := heard()
			if r.Class != c.class || !strings.Contains(r.Detail, c.detail) {
				t.Errorf("%+v, want class %q, detail %q", r, c.class, c.detail)
			}
			for _, want := range c.heard {
				if !strings.Contains(all, want) {
					t.Errorf("heard %q, want %q", all, want)
				}
			}
		})
	}
}

func TestPrometheusProberOverTLS(t *testing.T) {
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") }))
	defer srv.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	a := netip.MustParseAddrPort(srv.Listener.Addr().String())
	p, err := NewProber(Check{Check: &spec.Check{
		Type: spec.CheckPrometheus, TLS: &spec.Secure{Verify: true, CA: ca},
		Ask: &spec.PrometheusCheck{Path: "/", Metric: "up", Aggregate: "one", Expect: []spec.Condition{{Op: "=", Text: "1"}}},
	}, Host: "example.com"})
	if err != nil {
		t.Fatal(err)
	}
	if r := p.Probe(context.Background(), probe.Target{Addr: a.Addr(), Port: a.Port()}); !r.OK {
		t.Errorf("%+v", r)
	}
}

func TestServerKey(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, block *pem.Block) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good.pem", &pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if k, err := serverKey(good); err != nil || !k.Equal(&key.PublicKey) {
		t.Errorf("%v, %v", k, err)
	}
	for _, bad := range []string{filepath.Join(dir, "none"), file("bad.pem", &pem.Block{Type: "PUBLIC KEY", Bytes: der[1:]})} {
		if _, err := NewProber(Check{Check: &spec.Check{Type: spec.CheckMySQL, Ask: &spec.SQLCheck{User: "u", ServerKey: bad}}}); err == nil || !strings.HasPrefix(err.Error(), "server_key: ") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
