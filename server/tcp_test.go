package server

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/resolve"
)

// frame is msg with its length before it.
func frame(msg []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), msg...)
}

func send(t testing.TB, c net.Conn, msgs ...[]byte) {
	t.Helper()
	var b []byte
	for _, m := range msgs {
		b = append(b, frame(m)...)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
}

func receive(t testing.TB, c net.Conn) []byte {
	t.Helper()
	var size [2]byte
	if _, err := io.ReadFull(c, size[:]); err != nil {
		t.Fatalf("no answer: %v", err)
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(c, msg); err != nil {
		t.Fatalf("half an answer: %v", err)
	}
	return msg
}

// ends fails unless the server closes c without another byte.
func ends(t testing.TB, c net.Conn) {
	t.Helper()
	n, err := c.Read(make([]byte, 1))
	if n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d bytes, error %v; want the end", n, err)
	}
}

func TestTCPPipelining(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		r := start(t, Options{}, addr)
		c := dial(t, "tcp", r.Addrs()[0])
		var wg sync.WaitGroup
		wg.Go(func() {
			for id := range uint16(1000) {
				name := "www.x.test."
				if id%3 == 0 {
					name = "big.x.test."
				}
				if _, err := c.Write(frame(query(t, id, name))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		for id := range uint16(1000) {
			want := 1
			if id%3 == 0 {
				want = 256
			}
			if rcode, n := check(t, receive(t, c), id); rcode != 0 || n != want {
				t.Fatalf("query %d: rcode %d, %d answers, want %d", id, rcode, n, want)
			}
		}
		wg.Wait()
		if got := r.metric(t, `rhumb_dns_queries_total{rcode="NOERROR",transport="tcp",type="A",zone="x.test."}`); got != 1000 {
			t.Errorf("counted %v queries", got)
		}
	}
}

// TestTCPPieces sends a query byte by byte, and a message of the largest size.
func TestTCPPieces(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	c := dial(t, "tcp", r.Addrs()[0])
	for _, b := range frame(query(t, 5, "www.x.test.")) {
		if _, err := c.Write([]byte{b}); err != nil {
			t.Fatal(err)
		}
	}
	if rcode, n := check(t, receive(t, c), 5); rcode != 0 || n != 1 {
		t.Errorf("rcode %d, %d answers", rcode, n)
	}
	long := make([]byte, 65535)
	copy(long, query(t, 6, "www.x.test."))
	send(t, c, long, query(t, 7, "www.x.test."))
	if rcode, _ := check(t, receive(t, c), 6); rcode != 1 {
		t.Errorf("65,535 bytes with a query in front: rcode %d, want FORMERR", rcode)
	}
	if rcode, _ := check(t, receive(t, c), 7); rcode != 0 {
		t.Errorf("the query behind it: rcode %d", rcode)
	}
}

func TestTCPGarbage(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	c := dial(t, "tcp", r.Addrs()[0])
	// What is no query is passed over in silence, a message of length zero ends
	// the connection, behind the answers that were due.
	send(t, c, []byte{1, 2, 3}, query(t, 1, "www.x.test."), nil, query(t, 2, "www.x.test."))
	if rcode, _ := check(t, receive(t, c), 1); rcode != 0 {
		t.Errorf("rcode %d", rcode)
	}
	ends(t, c)

	c = dial(t, "tcp", r.Addrs()[0])
	if _, err := c.Write(frame(query(t, 1, "www.x.test."))[:10]); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	ends(t, c)
}

func TestTCPLimits(t *testing.T) {
	r := startSetup(t, Options{}, Setup{Listen: addresses("0.0.0.0:0"), Limits: Limits{MaxConns: 3, MaxPerClient: 2}})
	port := r.Addrs()[0].Port()
	connect := func(from string) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
		c, err := d.Dial("tcp", net.JoinHostPort(from, strconv.Itoa(int(port))))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		return c
	}
	answers := func(c net.Conn) {
		t.Helper()
		send(t, c, query(t, 1, "www.x.test."))
		check(t, receive(t, c), 1)
	}
	if runtime.GOOS != "linux" {
		t.Skip("needs several addresses of loopback")
	}
	a1, a2 := connect("127.0.0.1"), connect("127.0.0.1")
	answers(a1)
	answers(a2)
	ends(t, connect("127.0.0.1")) // the third of one client

	b := connect("127.0.0.2")
	answers(b)
	answers(a1) // now a2 is the oldest
	c := connect("127.0.0.3")
	answers(c)
	ends(t, a2)
	answers(a1)
	answers(b)

	for series, want := range map[string]float64{
		`rhumb_tcp_connections`:                         3,
		`rhumb_tcp_accepted_total`:                      4,
		`rhumb_tcp_closed_total{reason="client_limit"}`: 1,
		`rhumb_tcp_closed_total{reason="idle_for_new"}`: 1,
	} {
		if got := r.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// waitingSince is the clock since when the last of the connections waits for its
// client; 0 while one does not.
func waitingSince(r *node) uint64 {
	r.tcp.mu.Lock()
	defer r.tcp.mu.Unlock()
	last := uint64(0)
	for c := range r.tcp.all {
		at := c.waiting.Load()
		if at == 0 {
			return 0
		}
		last = max(last, at)
	}
	return last
}

// TestTCPWhoDoesNotRead has every place taken by clients that ask and do not
// take the answers in: a client that does finds a place.
func TestTCPWhoDoesNotRead(t *testing.T) {
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("127.0.0.1:0"), Limits: Limits{MaxConns: 2, Idle: time.Hour},
	})
	many := []byte{}
	for range 100 {
		many = append(many, frame(query(t, 1, "big.x.test."))...)
	}
	for range 2 {
		c := dial(t, "tcp", r.Addrs()[0])
		if err := c.(*net.TCPConn).SetReadBuffer(1024); err != nil {
			t.Fatal(err)
		}
		// When it reads no more queries, the server is stuck with an answer: nothing
		// can be written, and its connection waits for us all the while.
		for stuck, since, at := false, uint64(0), 0; !stuck; {
			before := waitingSince(r)
			if err := c.SetWriteDeadline(time.Now().Add(200 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			n, err := c.Write(many[at:])
			at = (at + n) % len(many) // a query is not left in the middle
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatal(err)
			}
			since = waitingSince(r)
			stuck = n == 0 && since != 0 && since == before
		}
	}
	c := dial(t, "tcp", r.Addrs()[0])
	send(t, c, query(t, 1, "www.x.test."))
	check(t, receive(t, c), 1)
	for series, want := range map[string]float64{
		`rhumb_tcp_closed_total{reason="idle_for_new"}`: 1,
		`rhumb_tcp_closed_total{reason="limit"}`:        0,
		`rhumb_tcp_closed_total{reason="timeout"}`:      0,
	} {
		if got := r.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// TestTCPOneTinyQuery has every place taken by clients that ask before the idle
// timeout ends, again and again: they stay while nobody else comes, and make
// room when somebody does.
func TestTCPOneTinyQuery(t *testing.T) {
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{MaxConns: 3}})
	var tiny []net.Conn
	for range 3 {
		tiny = append(tiny, dial(t, "tcp", r.Addrs()[0]))
	}
	for round := range uint16(5) {
		for _, c := range tiny {
			send(t, c, query(t, round, "www.x.test."))
			check(t, receive(t, c), round)
		}
	}
	for i := range 3 {
		c := dial(t, "tcp", r.Addrs()[0])
		send(t, c, query(t, 1, "www.x.test."))
		check(t, receive(t, c), 1)
		ends(t, tiny[i]) // whose last query is the oldest
	}
}

// TestTCPLimitsChange lowers the limits of connections that are open.
func TestTCPLimitsChange(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	var conns []net.Conn
	for id := range uint16(6) {
		c := dial(t, "tcp", r.Addrs()[0])
		send(t, c, query(t, id, "www.x.test."))
		check(t, receive(t, c), id)
		conns = append(conns, c)
	}
	r.change(t, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{MaxConns: 4, MaxPerClient: 4, Idle: time.Hour}})
	for id, c := range conns {
		if id < 2 {
			ends(t, c) // the oldest make room
			continue
		}
		send(t, c, query(t, uint16(id), "www.x.test."))
		check(t, receive(t, c), uint16(id))
	}
	ends(t, dial(t, "tcp", r.Addrs()[0])) // beyond the new limit for one client
}

// TestTCPIdleShrinks is the timeout by how many places are taken of 1,000.
func TestTCPIdleShrinks(t *testing.T) {
	var c conns
	c.init()
	c.limit(Limits{MaxConns: 1000, MaxPerClient: 100})
	for _, tt := range []struct {
		open       int64
		configured time.Duration
		want       time.Duration
	}{
		{0, DefaultIdle, DefaultIdle},
		{750, DefaultIdle, DefaultIdle},
		{751, DefaultIdle, 9900 * time.Millisecond},
		{875, DefaultIdle, 5 * time.Second},
		{960, DefaultIdle, 1600 * time.Millisecond},
		{999, DefaultIdle, time.Second},
		{1000, DefaultIdle, time.Second},
		{1100, DefaultIdle, time.Second}, // the limit was lowered
		{1000, time.Hour, time.Second},
		{1000, 300 * time.Millisecond, 300 * time.Millisecond},
	} {
		c.count.Store(tt.open)
		if got := c.idle(tt.configured); got != tt.want {
			t.Errorf("%d open, %v configured: %v, want %v", tt.open, tt.configured, got, tt.want)
		}
	}
}

// TestTCPKeepalive is what a client is told of it.
func TestTCPKeepalive(t *testing.T) {
	cert := certificate(t, 1)
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("127.0.0.1:0"), TLS: addresses("127.0.0.1:0"), Certificate: cert,
		Limits: Limits{MaxConns: 4, Idle: 7 * time.Second},
	})
	q := new(dns.Msg)
	q.SetQuestion("www.x.test.", dns.TypeA)
	q.SetEdns0(1232, false)
	q.IsEdns0().Option = append(q.IsEdns0().Option, &dns.EDNS0_TCP_KEEPALIVE{Code: dns.EDNS0TCPKEEPALIVE})
	msg, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	told := func(c net.Conn) (units uint16) {
		t.Helper()
		send(t, c, msg)
		a := new(dns.Msg)
		if err := a.Unpack(receive(t, c)); err != nil {
			t.Fatal(err)
		}
		for _, o := range a.IsEdns0().Option {
			if k, ok := o.(*dns.EDNS0_TCP_KEEPALIVE); ok {
				return k.Timeout
			}
		}
		return 0
	}
	var conns []net.Conn
	for i := range 2 {
		conns = append(conns, dial(t, "tcp", r.Addrs()[0]), dialTLS(t, r.TLSAddrs()[0], trusting(cert)))
		for _, c := range conns[2*i:] {
			want := uint16(70)
			if i == 1 { // no place is free
				want = 10
			}
			if got := told(c); got != want {
				t.Errorf("%d connections: %d tenths of a second, want %d", len(conns), got, want)
			}
		}
	}
}

// TestTCPIdleWhenFull is what the connections feel of it.
func TestTCPIdleWhenFull(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		s, client, done := piped(t, snap, Limits{MaxConns: 4})
		send(t, client, query(t, 1, "www.x.test."))
		check(t, receive(t, client), 1)
		time.Sleep(DefaultIdle - time.Second) // of the bubble
		s.tcp.count.Store(4)
		send(t, client, query(t, 2, "www.x.test."))
		check(t, receive(t, client), 2)
		begin := time.Now()
		<-done
		if got := time.Since(begin); got != time.Second {
			t.Errorf("left after %v, want 1s", got)
		}
	})
}

// TestTCPIdleMemory holds a connection that only waits to few octets, since
// there may be ten thousand of them.
func TestTCPIdleMemory(t *testing.T) {
	const conns, most = 500, 12 << 10 // of both ends, which are in this process
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{MaxPerClient: conns}})
	open := func(n int) {
		for range n {
			c := dial(t, "tcp", r.Addrs()[0])
			send(t, c, query(t, 1, "www.x.test."))
			check(t, receive(t, c), 1)
		}
	}
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	open(conns / 5)
	before := used()
	open(conns - conns/5)
	if after := used(); after > before+most*(conns-conns/5) {
		t.Errorf("%d octets a connection, want %d at most", (after-before)/(conns-conns/5), most)
	}
}

func TestTCPManyConnections(t *testing.T) {
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{MaxPerClient: 500}})
	var conns []net.Conn
	for range 300 {
		conns = append(conns, dial(t, "tcp", r.Addrs()[0]))
	}
	for i, c := range conns {
		send(t, c, query(t, uint16(i), "www.x.test."))
	}
	for i, c := range conns {
		check(t, receive(t, c), uint16(i))
	}
}

// piped is a Server and one connection to it without a socket, for tests in a
// bubble of synctest. done is closed when the server has left the connection.
func piped(t testing.TB, snap *resolve.Snapshot, limits Limits) (s *Server, client net.Conn, done chan struct{}) {
	t.Helper()
	s = New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
	s.configure(&Setup{Limits: limits})
	client, served := net.Pipe()
	done = make(chan struct{})
	go func() {
		defer close(done)
		defer served.Close() //nolint:errcheck // a test's
		s.serveConn(&conn{Conn: served, tcp: served, from: &listener{}})
	}()
	return s, client, done
}

// TestTCPSlowloris sends a byte whenever the server might lose patience: the
// query as a whole must still come in time.
func TestTCPSlowloris(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s, client, done := piped(t, snap, Limits{})
		send(t, client, query(t, 1, "www.x.test."))
		check(t, receive(t, client), 1)
		var err error
		for _, b := range frame(query(t, 2, "www.x.test.")) {
			time.Sleep(time.Second) // of the bubble
			if _, err = client.Write([]byte{b}); err != nil {
				break
			}
		}
		<-done
		if got := time.Since(begin); err == nil || got < DefaultIdle || got > DefaultIdle+time.Second {
			t.Errorf("left after %v with %v, want %v", got, err, DefaultIdle)
		}
		if s.tcp.closed[closedTimeout].Load() != 1 {
			t.Error("not counted")
		}
	})
}

// TestTCPSlowReader asks for a lot and takes none of it.
func TestTCPSlowReader(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s, client, done := piped(t, snap, Limits{Idle: 3 * time.Second})
		send(t, client, query(t, 1, "big.x.test."))
		<-done
		if got := time.Since(begin); got != 3*time.Second {
			t.Errorf("left after %v, want 3s", got)
		}
		if s.tcp.closed[closedTimeout].Load() != 1 {
			t.Error("not counted")
		}
	})
}

// TestTCPSlowReaderOfMuch asks for a lot at once and takes the answers in slowly,
// each part of them in time: all of them must be in time.
func TestTCPSlowReaderOfMuch(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s, client, done := piped(t, snap, Limits{})
		var much []byte
		for range 40 { // 160 KB of answers
			much = append(much, frame(query(t, 1, "big.x.test."))...)
		}
		// The pipe holds nothing, and the server reads on when it has answered.
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = client.Write(much)
		}()
		defer func() { <-sent }()
		buf := make([]byte, tcpFlush/2)
		for err := error(nil); err == nil; {
			time.Sleep(2 * time.Second) // of the bubble
			_, err = io.ReadFull(client, buf)
		}
		<-done
		_ = client.Close()
		if got := time.Since(begin); got > 2*DefaultIdle {
			t.Errorf("left after %v, want %v or a little more", got, DefaultIdle)
		}
		if s.tcp.closed[closedTimeout].Load() != 1 {
			t.Error("not counted")
		}
	})
}

// TestTCPIdleClock has queries with pauses below the timeout between them.
func TestTCPIdleClock(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		_, client, done := piped(t, snap, Limits{})
		for id := range uint16(5) {
			time.Sleep(DefaultIdle - time.Second) // of the bubble
			send(t, client, query(t, id, "www.x.test."))
			check(t, receive(t, client), id)
		}
		begin := time.Now()
		<-done
		if got := time.Since(begin); got != DefaultIdle {
			t.Errorf("left after %v, want %v", got, DefaultIdle)
		}
	})
}

// crowded is a listener out of files.
type crowded struct {
	net.Listener
	failures int
	times    []time.Time
	closed   chan struct{}
}

func (l *crowded) Accept() (net.Conn, error) {
	l.times = append(l.times, time.Now())
	if len(l.times) > l.failures {
		<-l.closed
		return nil, net.ErrClosed
	}
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.ErrPermission}
}

func (l *crowded) Close() error {
	close(l.closed)
	return nil
}

func TestTCPAcceptBacksOff(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := New(Options{Snapshot: func() *resolve.Snapshot { return snap }, Registerer: reg})
		ln := &crowded{failures: 12, closed: make(chan struct{})}
		l := &listener{tcp: ln, udp: &sockets{}, stopping: make(chan struct{})}
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.acceptLoop(l)
		}()
		synctest.Wait()
		time.Sleep(time.Hour) // of the bubble
		l.stop()
		<-done
		if len(ln.times) != 13 {
			t.Fatalf("%d tries, want 13", len(ln.times))
		}
		if first, last := ln.times[1].Sub(ln.times[0]), ln.times[12].Sub(ln.times[11]); first != acceptBreakMin || last != acceptBreakMax {
			t.Errorf("breaks from %v to %v, want %v to %v", first, last, acceptBreakMin, acceptBreakMax)
		}
		if got := gather(t, reg)["rhumb_tcp_accept_errors_total"]; got != 12 {
			t.Errorf("%v errors counted, want 12", got)
		}
	})
}

// FuzzTCPStream gives the server any bytes as a connection: it never panics,
// answers with whole messages only, and leaves.
func FuzzTCPStream(f *testing.F) {
	snap := snapshot(f, "")
	q := frame(query(f, 1, "www.x.test."))
	f.Add(q)
	f.Add(append(q, q...))
	f.Add(q[:9])
	f.Add(append([]byte{0, 0}, q...))
	f.Add([]byte{0xff, 0xff, 1})
	f.Add(append([]byte{0, 1, 7}, q...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		s, client, done := piped(t, snap, Limits{})
		answers := make(chan []byte, 1)
		go func() {
			b, _ := io.ReadAll(client) // the end is all that can come
			answers <- b
		}()
		_, _ = client.Write(stream) // fails when the server has left, as it may
		_ = client.Close()
		<-done
		for b := <-answers; len(b) > 0; {
			if !whole(b) {
				break // the client has closed before it was written
			}
			b = b[lengthSize+int(binary.BigEndian.Uint16(b)):]
		}
		if n := s.tcpCount.panics.Load(); n > 0 {
			t.Errorf("%d panics", n)
		}
	})
}

// TestQueriesAreHeld asks more over connections than one client may: all is
// answered, in its order, and no sooner than it may be.
func TestQueriesAreHeld(t *testing.T) {
	const perSecond, more = 50, 10
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{Queries: perSecond}})
	conns := []net.Conn{dial(t, "tcp", r.Addrs()[0]), dial(t, "tcp", r.Addrs()[0])}
	began := time.Now()
	for i, c := range conns {
		var all []byte
		for id := range uint16((perSecond + more) / len(conns)) {
			all = append(all, frame(query(t, id+1000*uint16(i), "www.x.test."))...)
		}
		if _, err := c.Write(all); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range conns {
		for id := range uint16((perSecond + more) / len(conns)) {
			check(t, receive(t, c), id+1000*uint16(i))
		}
	}
	if took, least := time.Since(began), time.Second*more/perSecond; took < least-time.Millisecond {
		t.Errorf("%d answers beyond a second's worth after %v, want %v at least", more, took, least)
	}
	if got := r.metric(t, "rhumb_tcp_queries_held_total"); got < 1 || got > more {
		t.Errorf("%v queries were held, want 1 to %d", got, more)
	}
}

// TestHeldAreLetGo ends a server, or evicts a connection, of which queries wait
// for a minute.
func TestHeldAreLetGo(t *testing.T) {
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{Queries: 1, MaxConns: 1}})
	c := dial(t, "tcp", r.Addrs()[0])
	for id := range uint16(60) {
		send(t, c, query(t, id, "www.x.test."))
	}
	check(t, receive(t, c), 0)
	for r.metric(t, "rhumb_tcp_queries_held_total") == 0 {
		runtime.Gosched()
	}
	other := dial(t, "tcp", r.Addrs()[0]) // for which the first makes room
	send(t, other, query(t, 7, "www.x.test."))
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection that waited is still open")
	}
	// The end of the test ends the server, which waits for nobody's turn.
}
