package probe

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"
)

// canned is a connection over which a server has already said all it will say.
type canned struct {
	net.Conn
	said *bytes.Reader
	read int
}

func (c *canned) Read(b []byte) (int, error) {
	n, err := c.said.Read(b)
	c.read += n
	return n, err
}
func (c *canned) Write(b []byte) (int, error)   { return len(b), nil }
func (c *canned) Close() error                  { return nil }
func (c *canned) SetDeadline(_ time.Time) error { return nil }

// cannedProbe is what a prober makes of what a server says. It ends, reads no
// more than it may, and tells no secret.
func cannedProbe(t *testing.T, o any, said []byte) Result {
	conn := &canned{said: bytes.NewReader(said)}
	n := &network{dial: func(context.Context, netip.AddrPort) (net.Conn, error) { return conn, nil }}
	r := on(t, must(t, o), n).Probe(context.Background(), somewhere)
	if r.OK != (r.Class == ClassNone) || len(r.Detail) > maxDetail || bytes.Contains([]byte(r.Detail), []byte(hunter)) || oneLine(r.Detail, maxDetail) != r.Detail {
		t.Errorf("%+v", r)
	}
	if conn.read > maxExposition {
		t.Errorf("%d bytes read", conn.read)
	}
	return r
}

func fuzzTalk(f *testing.F, more []string, probes ...any) {
	for _, k := range talkers {
		var all string
		for _, turn := range k.script.turns {
			all += turn
		}
		f.Add([]byte(all))
	}
	for _, s := range more {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, o := range probes {
			cannedProbe(t, o, said)
		}
	})
}

func FuzzMySQL(f *testing.F) {
	in := MySQL{User: "u", Password: hunter, Query: "SELECT 1", Expect: is("<", "2"), Role: RoleReplica}
	begin := myIn[0] + myIn[1]
	fuzzTalk(f, []string{
		begin + myRows("1,0") + myPacket(1, myOK) + myRows("1") + myRows("x"),
		myPacket(0, myGreeting("8.4.0", cachingPassword)) + myPacket(2, "\x01\x03") + myPacket(3, myOK),
		myPacket(0, myGreeting("8.4.0", "x")) + mySwitch(2, cachingPassword) + myPacket(4, "\x01\x04"),
		begin + myErr(1, 1045),
	}, in, MySQL{})
}

func FuzzPostgres(f *testing.F) {
	in := Postgres{User: "u", Password: hunter, Query: "SELECT 1", Expect: is("<", "2"), Role: RoleReplica}
	fuzzTalk(f, []string{
		pgIn[0] + pgIn[1] + pgRows("t") + pgRows("1"),
		pgIn[0] + pgIn[1] + pgErr("42P01") + pgReady,
		pgAuth(10, "SCRAM-SHA-256\x00\x00") + pgAuth(11, "r=x,s=eA==,i=1") + pgAuth(12, "v="),
		pgErr("28000"),
	}, in, Postgres{})
}

func FuzzRedis(f *testing.F) {
	in := Redis{Password: hunter, Command: []string{"GET", "x"}, Expect: is("<", "2"), Role: RoleReplica}
	fuzzTalk(f, []string{
		"+OK\r\n*5\r\n$5\r\nslave\r\n$9\r\n192.0.2.1\r\n:6379\r\n+connect\r\n:-1\r\n$1\r\n1\r\n",
		"-NOAUTH x\r\n", "*1\r\n*1\r\n*-1\r\n",
	}, in, Redis{})
}

func FuzzPrometheus(f *testing.F) {
	labels := map[string]string{"a": "b", "c": ""}
	fuzzTalk(f, []string{
		okMetrics + exposed, metricsOf(exposed), metricsOf("up{a=\"b\"} 1\n"), metricsOf("{\"up\",a=\"\\\\b\"} 1 2 # x\n"),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nup 1\n\r\n0\r\n\r\n",
	}, upMetric, Prometheus{Metric: "up", Labels: labels, Aggregate: AggregateMin, Expect: is("<", "2")})
}

// FuzzSCRAM is the first answer of a server in a login.
func FuzzSCRAM(f *testing.F) {
	f.Add("r=server,s=c2FsdA==,i=1", "v=AAAA")
	f.Fuzz(func(t *testing.T, first, last string) {
		c := scram{password: hunter, nonce: "client", begun: true}
		reply, bad := c.next("r=client" + first)
		if bytes.Contains(reply, []byte(hunter)) || bad.failed() == (len(reply) > 0) {
			t.Errorf("%q: %q %+v", first, reply, bad)
		}
		if !c.final(last).failed() {
			t.Errorf("%q: proven by %q", first, last)
		}
	})
}
