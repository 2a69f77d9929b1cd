package server

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server/meter"
)

const manyKinds = `
dns: {chaos: {version: rhumb}}
pools:
  one: {endpoints: [192.0.2.1]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [one]}
    records: ["*.wild A 192.0.2.9", "sub NS ns.sub", "ns.sub A 192.0.2.8", "old DNAME new", "a.new A 192.0.2.7", "gone CNAME none", "other A 192.0.2.6"]
  y.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [one]}
`

// guarded is a worker of a server with a Setup, that answers from manyKinds.
func guarded(t testing.TB, transport dnswire.Transport, setup *Setup) *worker {
	t.Helper()
	snap := snapshot(t, manyKinds)
	s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
	s.configure(setup)
	return s.newWorker(transport, s.tcpCount)
}

// asking is a query for a name and type, as AppendQuery makes it.
func asking(t testing.TB, name string, qtype dnswire.Type) []byte {
	t.Helper()
	n, err := dnswire.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	return dnswire.AppendQuery(nil, n, qtype, netip.Prefix{})
}

// from has a worker answer a query from a client, in a batch of its own.
func (w *worker) from(client string, msg []byte) []byte {
	w.begin()
	return w.answer(nil, msg, netip.AddrPortFrom(netip.MustParseAddr(client), 4711))
}

// ofMany is how many of n queries from a client get an answer; in the name, %d
// is another number each time.
func (w *worker) ofMany(t testing.TB, client, name string, qtype dnswire.Type, n int) (answers int) {
	t.Helper()
	for i := range n {
		text := name
		if slices.Contains([]byte(name), '%') {
			text = fmt.Sprintf(name, i)
		}
		if len(w.from(client, asking(t, text, qtype))) > 0 {
			answers++
		}
	}
	return answers
}

// TestRateLimitKinds floods one account after the other, of 5 answers each, with
// names that make an account of their own or do not.
func TestRateLimitKinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := guarded(t, dnswire.UDP, &Setup{RateLimit: &RateLimit{Answers: 5, NoData: 6, NXDomains: 7, Referrals: 8, Errors: 9}})
		for _, c := range []struct {
			client, name string
			qtype        dnswire.Type
			n, answers   int
			kind         string
		}{
			{"192.0.2.1", "www.x.test.", dnswire.TypeA, 20, 5, "answer"},
			{"192.0.2.99", "WWW.x.test.", dnswire.TypeANY, 20, 0, "answer"}, // the same network and name
			{"192.0.3.1", "www.x.test.", dnswire.TypeA, 20, 5, "answer"},
			{"2001:db8::1", "www.x.test.", dnswire.TypeA, 20, 5, "answer"},
			{"2001:db8:0:ff::1", "www.x.test.", dnswire.TypeA, 20, 0, "answer"},
			{"192.0.2.1", "other.x.test.", dnswire.TypeA, 20, 5, "answer"},
			{"192.0.2.1", "www.y.test.", dnswire.TypeA, 20, 5, "answer"},
			{"192.0.2.1", "n%d.wild.x.test.", dnswire.TypeA, 20, 5, "answer"},
			{"192.0.2.1", "n%d.m.wild.x.test.", dnswire.TypeA, 20, 0, "answer"},
			{"192.0.2.1", "a.n%d.old.x.test.", dnswire.TypeA, 20, 7, "nxdomain"}, // of the DNAME
			{"192.0.2.1", "a.old.x.test.", dnswire.TypeA, 20, 5, "answer"},
			{"192.0.2.1", "www.x.test.", dnswire.TypeTXT, 20, 6, "nodata"},
			{"192.0.2.1", "n%d.wild.x.test.", dnswire.TypeTXT, 20, 6, "nodata"},
			{"192.0.2.1", "n%d.x.test.", dnswire.TypeA, 20, 7, "nxdomain"},
			{"192.0.2.1", "n%d.m.x.test.", dnswire.TypeTXT, 20, 0, "nxdomain"},
			{"192.0.2.1", "n%d.y.test.", dnswire.TypeA, 20, 7, "nxdomain"},
			{"192.0.2.1", "gone.x.test.", dnswire.TypeA, 20, 7, "nxdomain"},
			{"192.0.2.1", "n%d.sub.x.test.", dnswire.TypeA, 20, 8, "referral"},
			{"192.0.2.1", "n%d.z.test.", dnswire.TypeA, 20, 9, "error"},
			{"192.0.2.1", "www.x.test.", dnswire.TypeAXFR, 20, 0, "error"},
			{"192.0.3.1", "www.x.test.", dnswire.TypeAXFR, 20, 9, "error"},
		} {
			before := w.limitedSoFar()
			if got := w.ofMany(t, c.client, c.name, c.qtype, c.n); got != c.answers {
				t.Errorf("%s %s %s: %d answers, want %d", c.client, c.name, c.qtype, got, c.answers)
			}
			after := w.limitedSoFar()
			for k, n := range after {
				want := before[k]
				if k == c.kind {
					want += uint64(c.n - c.answers)
				}
				if n != want {
					t.Errorf("%s %s %s: %d counted as %s, want %d", c.client, c.name, c.qtype, n, k, want)
				}
			}
		}
		time.Sleep(time.Second) // of the bubble's clock
		if got := w.ofMany(t, "192.0.2.1", "www.x.test.", dnswire.TypeA, 20); got != 5 {
			t.Errorf("a second later: %d answers, want 5", got)
		}
	})
}

// limitedSoFar is how many answers were dropped, by kind.
func (w *worker) limitedSoFar() map[string]uint64 {
	out := map[string]uint64{}
	for k, name := range []string{"answer", "nodata", "nxdomain", "referral", "error"} {
		out[name] = w.count.guard.limited[k][limitedDropped].Load()
	}
	return out
}

// TestRateLimitSpares goes through those who have no limit.
func TestRateLimitSpares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setup := &Setup{RateLimit: &RateLimit{Answers: 1, NoData: 1, NXDomains: 1, Referrals: 1, Errors: 1, Exempt: []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}}}
		w := guarded(t, dnswire.UDP, setup)
		const client = "192.0.2.7"
		learned := w.from(client, withCookie(t, []byte("12345678")))
		if len(learned) == 0 {
			t.Fatal("no answer to learn a cookie from")
		}
		good := slices.Concat([]byte("12345678"), w.q.ServerCookie[:])
		for range 100 {
			if rcode, n := check(t, w.from(client, withCookie(t, good)), 7); rcode != 0 || n != 1 {
				t.Fatalf("with a cookie: rcode %d, %d answers", rcode, n)
			}
		}
		bad := slices.Clone(good)
		bad[23] ^= 1
		for what, msg := range map[string][]byte{"without a cookie": query(t, 7, "www.x.test."), "with a new one": withCookie(t, []byte("12345678")), "with a bad one": withCookie(t, bad)} {
			if len(w.from(client, msg)) > 0 {
				t.Errorf("%s: answered beyond the limit", what)
			}
		}
		if len(w.from("192.0.2.8", withCookie(t, good))) > 0 {
			t.Error("with the cookie of somebody else: answered beyond the limit")
		}
		if n := w.ofMany(t, "198.51.100.9", "www.x.test.", dnswire.TypeA, 100); n != 100 {
			t.Errorf("exempt: %d of 100", n)
		}
		for _, transport := range []dnswire.Transport{dnswire.TCP, dnswire.TLS} {
			w := guarded(t, transport, setup)
			if n := w.ofMany(t, client, "www.x.test.", dnswire.TypeA, 100); n != 100 {
				t.Errorf("transport %d: %d of 100", transport, n)
			}
		}
	})
}

// TestRateLimitSlip looks at what goes out in place of what is suppressed.
func TestRateLimitSlip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := func(slip int) *Setup {
			return &Setup{RateLimit: &RateLimit{Answers: 1, NXDomains: 1, Errors: 1, Slip: slip}}
		}
		for _, slip := range []int{0, 1, 2, 3, 10} {
			w := guarded(t, dnswire.UDP, limits(slip))
			want := 1
			if slip > 0 {
				want += 60 / slip
			}
			if n := w.ofMany(t, "192.0.2.1", "www.x.test.", dnswire.TypeA, 61); n != want {
				t.Errorf("slip %d: %d answers, want %d", slip, n, want)
			}
		}

		plain := slices.Clone(query(t, 7, "www.x.test."))
		plain = plain[:len(plain)-dnswire.PlainOPT]
		plain[11] = 0
		plain[2] |= 1 // RD
		for what, msg := range map[string][]byte{
			"without EDNS": plain, "with EDNS": query(t, 7, "www.x.test."), "with a cookie": withCookie(t, []byte("12345678")),
			"of no such name": query(t, 7, "none.x.test."), "of no zone": query(t, 7, "none.test."),
		} {
			w := guarded(t, dnswire.UDP, limits(1))
			w.from("192.0.2.1", msg)
			out := w.from("192.0.2.1", msg)
			var q dnswire.Query
			flags := binary.BigEndian.Uint16(out[2:])
			if rcode, n := check(t, out, 7); rcode != 0 || n != 0 || flags&dnswire.FlagTC == 0 || flags&dnswire.FlagRD != binary.BigEndian.Uint16(msg[2:])&dnswire.FlagRD {
				t.Errorf("%s: rcode %d, %d answers, flags %#x", what, rcode, n, flags)
			}
			// What comes back is the query, but for the bits of the header and the
			// server's cookie.
			binary.BigEndian.PutUint16(out[2:], 0)
			q.Parse(out)
			if string(q.Msg[dnswire.HeaderLen:q.QuestionEnd]) != string(msg[dnswire.HeaderLen:q.QuestionEnd]) || q.Status != dnswire.StatusOK {
				t.Errorf("%s: %x", what, out)
			}
			more := 0
			if what == "with a cookie" {
				more = dnswire.ServerCookieLen
			}
			if len(out) != len(msg)+more || len(q.Cookie) != more+more/2 {
				t.Errorf("%s: %d octets to %d, cookie %x", what, len(out), len(msg), q.Cookie)
			}
			if more > 0 {
				if rcode, n := check(t, w.from("192.0.2.1", withCookie(t, q.Cookie)), 7); rcode != 0 || n != 1 {
					t.Errorf("the cookie learned from it does not help: rcode %d, %d answers", rcode, n)
				}
			}
		}

		// What has no question is answered as it would be, or not at all.
		w := guarded(t, dnswire.UDP, limits(1))
		malformed := append(make([]byte, dnswire.HeaderLen), 200)
		malformed[5] = 1
		first := w.from("192.0.2.1", malformed)
		if second := w.from("192.0.2.1", malformed); string(second) != string(first) || len(first) > len(malformed) {
			t.Errorf("FORMERR %x, then %x", first, second)
		}
	})
}

// TestNoCookieSize asks for what is larger than a client without a cookie gets.
func TestNoCookieSize(t *testing.T) {
	// 40 addresses of 16 octets each.
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("10.0.0.%d", i))
	}
	snap := snapshot(t, fmt.Sprintf(oneService, strings.Join(many, ", ")))
	for _, c := range []struct {
		transport dnswire.Transport
		size      int
		cookie    bool
		truncated bool
	}{
		{dnswire.UDP, 0, false, false},
		{dnswire.UDP, 512, false, true},
		{dnswire.UDP, 600, false, true},
		{dnswire.UDP, 800, false, false},
		{dnswire.UDP, 512, true, false},
		{dnswire.TCP, 512, false, false},
	} {
		s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
		s.configure(&Setup{NoCookieSize: c.size})
		w := s.newWorker(c.transport, s.tcpCount)
		msg := asking(t, "big.x.test.", dnswire.TypeA)
		if c.cookie {
			w.from("192.0.2.1", cookied(msg, []byte("12345678")))
			msg = cookied(msg, slices.Concat([]byte("12345678"), w.q.ServerCookie[:]))
		}
		out := w.from("192.0.2.1", msg)
		if truncated := out[2]&2 != 0; truncated != c.truncated || truncated && len(out) > c.size {
			t.Errorf("%+v: %d octets, TC %t", c, len(out), truncated)
		}
	}
}

// TestRateLimitDryRun has answers counted and sent.
func TestRateLimitDryRun(t *testing.T) {
	w := guarded(t, dnswire.UDP, &Setup{RateLimit: &RateLimit{Answers: 1, Slip: 2, DryRun: true}})
	for range 10 {
		if rcode, n := check(t, w.from("192.0.2.1", query(t, 7, "www.x.test.")), 7); rcode != 0 || n != 1 {
			t.Fatalf("rcode %d, %d answers", rcode, n)
		}
	}
	if n := w.count.guard.limited[0][limitedDryRun].Load(); n < 8 || w.limitedSoFar()["answer"] != 0 {
		t.Errorf("%d counted", n)
	}
}

// TestRateLimitReload has limits changed in a running server: what has been used
// stays used, unless the table is another.
func TestRateLimitReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		setup := func(rate, accounts int) *Setup {
			return &Setup{RateLimit: &RateLimit{Answers: rate, Accounts: accounts}}
		}
		w := guarded(t, dnswire.UDP, setup(10, 0))
		for i, c := range []struct {
			setup   *Setup
			answers int
		}{{setup(10, 0), 10}, {setup(10, 0), 0}, {setup(20, 0), 0}, {setup(20, 4096), 20}, {&Setup{}, 50}, {setup(5, 4096), 5}} {
			w.s.configure(c.setup)
			if n := w.ofMany(t, "192.0.2.1", "www.x.test.", dnswire.TypeA, 50); n != c.answers {
				t.Errorf("step %d: %d answers, want %d", i, n, c.answers)
			}
		}
	})
}

// TestGuardAllocations goes along every branch.
func TestGuardAllocations(t *testing.T) {
	access := Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.66/32")}}
	w := guarded(t, dnswire.UDP, &Setup{Access: access, RateLimit: &RateLimit{Answers: 1, Errors: 1, Slip: 2, All: 1}})
	buf := make([]byte, 0, dnswire.MaxUDP)
	for _, client := range []string{"192.0.2.1:53", "192.0.2.66:53", "[2001:db8::1]:53"} {
		for _, msg := range [][]byte{query(t, 1, "www.x.test."), query(t, 1, "none.test."), withCookie(t, []byte("12345678"))} {
			from := netip.MustParseAddrPort(client)
			w.begin()
			w.answer(buf, msg, from)
			if n := testing.AllocsPerRun(100, func() {
				w.begin()
				w.answer(buf, msg, from)
			}); n != 0 {
				t.Errorf("%s: %v allocations", client, n)
			}
		}
	}
}

// reached is what a client at an address gets over udp, tcp or tls: an answer,
// REFUSED with or without the extended error 18, or nothing.
func (r *node) reached(t *testing.T, network, client string, trust *tls.Config) string {
	t.Helper()
	kind, to := network, r.Addrs()[0]
	var local net.Addr = &net.TCPAddr{IP: net.ParseIP(client)}
	switch network {
	case "udp":
		local = &net.UDPAddr{IP: net.ParseIP(client)}
	case "tls":
		kind, to = "tcp", r.TLSAddrs()[0]
	}
	c, err := (&net.Dialer{LocalAddr: local}).Dial(kind, to.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if network == "tls" {
		c = tls.Client(c, trust)
	}
	msg := query(t, 7, "www.x.test.")
	buf := make([]byte, 4096)
	if network == "udp" {
		dropped := func() float64 { return r.metric(t, `rhumb_dns_dropped_total{reason="access"}`) }
		before := dropped()
		if _, err := c.Write(msg); err != nil {
			t.Fatal(err)
		}
		got := make(chan int, 1)
		go func() {
			n, _ := c.Read(buf)
			got <- n
		}()
		for {
			select {
			case n := <-got:
				return reading(t, buf[:n])
			default:
			}
			if dropped() > before {
				_ = c.Close()
				<-got
				return "nothing"
			}
			runtime.Gosched()
		}
	}
	if _, err := c.Write(frame(msg)); err != nil {
		return "nothing"
	}
	n, err := io.ReadAtLeast(c, buf, 2)
	if err != nil {
		return "nothing"
	}
	if _, err := io.ReadFull(c, buf[n:2+int(binary.BigEndian.Uint16(buf))]); err != nil {
		return "nothing"
	}
	return reading(t, buf[2:2+int(binary.BigEndian.Uint16(buf))])
}

// reading is what an answer says of access.
func reading(t *testing.T, msg []byte) string {
	t.Helper()
	switch rcode, n := check(t, msg, 7); {
	case rcode == 0 && n == 1:
		return "answer"
	case rcode == 5 && n == 0 && bytes.Contains(msg, []byte{0, 15, 0, 2, 0, 18}):
		return "prohibited"
	}
	return fmt.Sprintf("%x", msg)
}

// TestAccess asks over every transport from addresses that may and may not, and
// again after the rules have changed.
func TestAccess(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIPPED: who may ask, on the wire: only Linux has all of 127.0.0.0/8")
	}
	cert := certificate(t, 1)
	setup := Setup{Listen: addresses("127.0.0.1:0"), TLS: addresses("127.0.0.1:0"), Certificate: cert}
	r := startSetup(t, Options{Workers: 1}, setup)
	setup.Listen, setup.TLS = r.Addrs(), r.TLSAddrs()
	networks := func(texts ...string) (out []netip.Prefix) {
		for _, s := range texts {
			out = append(out, netip.MustParsePrefix(s))
		}
		return out
	}
	for _, c := range []struct {
		name   string
		access Access
		wants  map[string]string
	}{
		{"no rules", Access{}, map[string]string{"127.0.0.1": "answer", "127.9.9.9": "answer"}},
		{
			"refused",
			Access{Allow: networks("127.0.0.0/24", "127.0.0.200/32"), Deny: networks("127.0.0.128/25")},
			map[string]string{"127.0.0.1": "answer", "127.0.0.129": "prohibited", "127.0.0.200": "answer", "127.0.1.1": "prohibited"},
		},
		{
			"dropped",
			Access{Deny: networks("127.0.0.128/25"), Drop: true},
			map[string]string{"127.0.0.1": "answer", "127.0.0.129": "nothing", "127.0.1.1": "answer"},
		},
		{"none any more", Access{}, map[string]string{"127.0.0.129": "answer"}},
	} {
		setup.Access = c.access
		r.change(t, setup)
		for client, want := range c.wants {
			for _, network := range []string{"udp", "tcp", "tls"} {
				if got := r.reached(t, network, client, trusting(cert)); got != want {
					t.Errorf("%s: %s over %s gets %s, want %s", c.name, client, network, got, want)
				}
			}
		}
	}
	for series, want := range map[string]float64{
		`rhumb_dns_denied_total{action="refused"}`: 6, `rhumb_dns_denied_total{action="dropped"}`: 3,
		`rhumb_tcp_closed_total{reason="access"}`: 2, `rhumb_dns_dropped_total{reason="access"}`: 1,
		`rhumb_dns_queries_total{rcode="REFUSED",transport="udp",type="A",zone="-"}`: 2,
		`rhumb_dns_queries_total{rcode="REFUSED",transport="tls",type="A",zone="-"}`: 2,
	} {
		if got := r.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// TestAccessBehindProxy has rules for the client and not for the proxy.
func TestAccessBehindProxy(t *testing.T) {
	deny := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
	r := startSetup(t, Options{Workers: 1}, Setup{Listen: addresses("127.0.0.1:0"), Proxies: loopback, Access: Access{Deny: deny}})
	for client, want := range map[string]string{"192.0.2.7:1": "prohibited", "198.51.100.7:1": "answer"} {
		udp, tcp := dial(t, "udp", r.Addrs()[0]), dial(t, "tcp", r.Addrs()[0])
		if _, err := udp.Write(append(proxyFor(client, 0x12), query(t, 7, "www.x.test.")...)); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		n, err := udp.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		if got := reading(t, buf[:n]); got != want {
			t.Errorf("%s over UDP gets %s, want %s", client, got, want)
		}
		if _, err := tcp.Write(append(proxyFor(client, 0x11), frame(query(t, 7, "www.x.test."))...)); err != nil {
			t.Fatal(err)
		}
		if got := reading(t, receive(t, tcp)); got != want {
			t.Errorf("%s over TCP gets %s, want %s", client, got, want)
		}
	}
	r.change(t, Setup{Listen: r.Addrs(), Proxies: loopback, Access: Access{Deny: deny, Drop: true}})
	tcp := dial(t, "tcp", r.Addrs()[0])
	if _, err := tcp.Write(append(proxyFor("192.0.2.7:1", 0x11), frame(query(t, 7, "www.x.test."))...)); err != nil {
		t.Fatal(err)
	}
	ends(t, tcp)
	if got := r.metric(t, `rhumb_tcp_closed_total{reason="access"}`); got != 1 {
		t.Errorf("%v connections closed for it, want 1", got)
	}
}

// TestAccessIsLimited floods with queries that may not be asked.
func TestAccessIsLimited(t *testing.T) {
	w := guarded(t, dnswire.UDP, &Setup{
		Access: Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}, RateLimit: &RateLimit{Errors: 5},
	})
	if n := w.ofMany(t, "192.0.2.1", "www.x.test.", dnswire.TypeA, 20); n != 5 {
		t.Errorf("%d answers, want 5", n)
	}
	w.begin()
	for _, msg := range [][]byte{nil, make([]byte, 5), {0, 7, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0}} {
		if out := w.answer(nil, msg, netip.MustParseAddrPort("192.0.2.1:53")); len(out) > 0 {
			t.Errorf("%x is answered with %x", msg, out)
		}
	}
}

// TestTCPArrivals opens connections faster than one client may.
func TestTCPArrivals(t *testing.T) {
	var c conns
	synctest.Test(t, func(t *testing.T) {
		c.init()
		c.limit(Limits{MaxConns: 1000, MaxPerClient: 1000, PerSecond: 10})
		open := func(client string) bool {
			a, b := net.Pipe()
			t.Cleanup(func() { _, _ = a.Close(), b.Close() })
			return c.admit(&conn{Conn: a, tcp: a, client: netip.MustParseAddrPort(client)})
		}
		for i, tt := range []struct {
			client string
			open   int
		}{{"192.0.2.1:1", 10}, {"192.0.2.2:1", 10}, {"[2001:db8::1]:1", 10}, {"[2001:db8::2]:1", 0}, {"192.0.2.1:1", 0}} {
			n := 0
			for range 15 {
				if open(tt.client) {
					n++
				}
			}
			if n != tt.open {
				t.Errorf("step %d, %s: %d connections, want %d", i, tt.client, n, tt.open)
			}
		}
		if got := c.closed[closedClientRate].Load(); got != 45 {
			t.Errorf("%d counted, want 45", got)
		}
		time.Sleep(time.Second / 2) // of the bubble's clock
		n := 0
		for range 15 {
			if open("192.0.2.1:1") {
				n++
			}
		}
		if n != 5 {
			t.Errorf("half a second later: %d connections, want 5", n)
		}
	})
}

// BenchmarkGuard is a whole answer, with and without limits.
func BenchmarkGuard(b *testing.B) {
	access := Access{Deny: []netip.Prefix{netip.MustParsePrefix("192.0.2.66/32")}}
	limits := &RateLimit{Answers: 1_000_000, NXDomains: 1}
	for _, c := range []struct {
		name  string
		setup Setup
		query string
	}{
		{"neither", Setup{}, "www.x.test."},
		{"limits", Setup{RateLimit: limits}, "www.x.test."},
		{"access", Setup{Access: access}, "www.x.test."},
		{"beyond the limit", Setup{RateLimit: limits}, "none.x.test."},
	} {
		b.Run(c.name, func(b *testing.B) {
			w := guarded(b, dnswire.UDP, &c.setup)
			msg := query(b, 1, c.query)
			buf := make([]byte, 0, dnswire.MaxUDP)
			var from [256]netip.AddrPort
			for i := range from {
				from[i] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i), 1}), 4711)
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if i&15 == 0 {
					w.begin()
				}
				w.answer(buf, msg, from[i&255])
				i++
			}
		})
	}
}

// TestLimitedAreSeen reads whom a limit holds back, and what it holds back.
func TestLimitedAreSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, c := range map[string]struct {
			limit           RateLimit
			networks, names uint64
		}{
			"dropped and truncated": {RateLimit{Answers: 5, NXDomains: 5, Slip: 2}, 30, 30},
			"dry run":               {RateLimit{Answers: 5, NXDomains: 5, DryRun: true}, 30, 30},
			"no limit":              {RateLimit{}, 0, 0},
		} {
			w := guarded(t, dnswire.UDP, &Setup{RateLimit: &c.limit})
			w.ofMany(t, "192.0.2.1", "n%d.x.test.", dnswire.TypeA, 20)
			w.ofMany(t, "192.0.2.7", "n%d.wild.x.test.", dnswire.TypeA, 20)
			r := w.s.Reading()
			networks, names := map[string]uint64{}, map[string]uint64{}
			for _, h := range meter.Ranked(r.LimitedNetworks, nil) {
				networks[meter.Network(h.Key).String()] = h.N
			}
			for _, h := range meter.Ranked(r.LimitedNames, nil) {
				names[dnswire.Name(h.Key).String()] = h.N
			}
			if networks["192.0.2.0/24"] != c.networks || names["x.test."] != c.names/2 || names["wild.x.test."]+names["*.wild.x.test."] != c.names/2 {
				t.Errorf("%s: networks %v, names %v", name, networks, names)
			}
		}
	})
}
