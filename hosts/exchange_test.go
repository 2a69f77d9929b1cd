package hosts

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// serve runs a DNS server on loopback, UDP and TCP on the same port.
func serve(t *testing.T, h dns.HandlerFunc) netip.AddrPort {
	t.Helper()
	var tcp net.Listener
	var udp net.PacketConn
	var err error
	// The port that is free for UDP may be taken for TCP.
	for range 20 {
		if udp, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
			break
		}
		udp.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*dns.Server{{PacketConn: udp, Handler: h}, {Listener: tcp, Handler: h}} {
		started, ended := make(chan struct{}), make(chan error, 1)
		s.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- s.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := s.Shutdown(); err != nil {
				t.Error(err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
	return udp.LocalAddr().(*net.UDPAddr).AddrPort()
}

func overTCP(w dns.ResponseWriter) bool { return w.RemoteAddr().Network() == "tcp" }

// TestOverNetwork resolves names through real sockets.
func TestOverNetwork(t *testing.T) {
	var asked atomic.Pointer[dns.Msg]
	server := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		switch name := q.Question[0].Name; {
		case q.Question[0].Qtype == dns.TypeAAAA:
		case name == "long.test." && !overTCP(w):
			m.Truncated = true
		case name == "long.test.":
			for i := range 200 {
				m.Answer = append(m.Answer, rr(fmt.Sprintf("long.test. 60 A 192.0.2.%d", i)))
			}
		case name == "old.test." && q.IsEdns0() != nil:
			m.Rcode = dns.RcodeFormatError
		default:
			asked.Store(q)
			m.Answer = append(m.Answer, rr(name+" 60 A 192.0.2.1"))
		}
		_ = w.WriteMsg(m)
	})
	r, err := New(Options{HostsFile: filepath.Join(t.TempDir(), "none")})
	if err != nil {
		t.Fatal(err)
	}
	r.Apply(parsed("h.test old.test long.test"), []netip.AddrPort{server})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	<-r.Settled()
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 1, 200} {
		if packed, ttl := r.View().Addrs(i, false); len(packed) != 4*want || ttl != 60 {
			t.Errorf("%d octets, TTL %d: %+v", len(packed), ttl, r.View().Detail(i).V4)
		}
	}
	q := asked.Load()
	if opt := q.IsEdns0(); !q.RecursionDesired || q.Question[0].Qclass != dns.ClassINET || (opt != nil && opt.UDPSize() != dnswire.MaxUDP) {
		t.Errorf("asked %v", q)
	}
}

// loose answers each datagram with what reply makes of it.
func loose(t *testing.T, reply func(q *dns.Msg) [][]byte) netip.AddrPort {
	t.Helper()
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		buf := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			q := new(dns.Msg)
			if q.Unpack(buf[:n]) != nil {
				continue
			}
			for _, p := range reply(q) {
				_, _ = c.WriteTo(p, from)
			}
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-ended
	})
	return c.LocalAddr().(*net.UDPAddr).AddrPort()
}

func packedMsg(m *dns.Msg) []byte {
	p, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return p
}

// Datagrams that answer something else are passed over, within bounds.
func TestStrayDatagrams(t *testing.T) {
	good := func(q *dns.Msg) *dns.Msg { return answered(q, "h.test. 60 A 192.0.2.1") }
	forged := func(q *dns.Msg) []byte {
		m := answered(q, "h.test. 60 A 203.0.113.66")
		m.Id++
		return packedMsg(m)
	}
	server := loose(t, func(q *dns.Msg) [][]byte {
		echo := packedMsg(q)
		return [][]byte{forged(q), {1, 2, 3}, echo, packedMsg(good(q))}
	})
	q := query(named("h.test"), false, true)
	m, err := overNetwork(t.Context(), server, q, false)
	if err != nil {
		t.Fatal(err)
	}
	if r := read(q, m); text(unpack(r.packed, false)) != "192.0.2.1" {
		t.Errorf("%+v", r)
	}

	flood := loose(t, func(q *dns.Msg) (all [][]byte) {
		for range maxStray {
			all = append(all, forged(q))
		}
		return all
	})
	if _, err := overNetwork(t.Context(), flood, q, false); err == nil || trouble(err).result != resultMalformed {
		t.Errorf("a flood is %v", err)
	}

	cut := loose(t, func(q *dns.Msg) [][]byte {
		p := packedMsg(good(q))
		return [][]byte{p[:len(p)-3]}
	})
	if _, err := overNetwork(t.Context(), cut, q, false); err == nil || trouble(err).result != resultMalformed {
		t.Errorf("a cut answer is %v", err)
	}
}

// A server that takes the query and says nothing costs the timeout and no more,
// and the end of the resolver not even that.
func TestSilentServer(t *testing.T) {
	arrived := make(chan struct{}, 8)
	server := loose(t, func(*dns.Msg) [][]byte {
		arrived <- struct{}{}
		return nil
	})
	q := query(named("h.test"), false, true)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := overNetwork(ctx, server, q, false); trouble(err).result != resultTimeout {
		t.Errorf("silence is %v", err)
	}
	<-arrived

	var log logs
	r, err := New(Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	r.Apply(parsed("h.test"), []netip.AddrPort{server})
	run, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(run) }()
	<-arrived
	stop()
	if err := <-ended; err != nil || strings.Contains(log.String(), "resolve") {
		t.Errorf("%v\n%s", err, log.String())
	}
}

// Nobody listens there: the system says so at once.
func TestRefusedConnection(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := c.LocalAddr().(*net.UDPAddr).AddrPort()
	c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = overNetwork(ctx, server, query(named("h.test"), false, true), true)
	if err == nil || trouble(err).result != resultNetwork || !trouble(err).silent {
		t.Errorf("a closed port is %v", err)
	}
}

// IDs and source ports cannot be guessed from those before.
func TestRandomIDsAndPorts(t *testing.T) {
	var mu sync.Mutex
	ports, ids := map[string]bool{}, map[uint16]bool{}
	server := serve(t, func(w dns.ResponseWriter, q *dns.Msg) {
		mu.Lock()
		ports[w.RemoteAddr().String()] = true
		ids[q.Id] = true
		mu.Unlock()
		_ = w.WriteMsg(new(dns.Msg).SetReply(q))
	})
	for range 20 {
		if _, err := overNetwork(t.Context(), server, query(named("h.test"), false, true), false); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ports) < 10 || len(ids) < 15 {
		t.Errorf("%d ports and %d IDs of 20 queries", len(ports), len(ids))
	}
}
