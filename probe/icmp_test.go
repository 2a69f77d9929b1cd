package probe

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// echoNet is a network of hosts that answer echo requests, for a bubble.
type echoNet struct {
	// host says what becomes of request number n, from 0, to an address: after how
	// long which messages come back, from where.
	host func(to netip.Addr, n int, request []byte) (after time.Duration, back [][]byte, from netip.Addr)
	six  bool
	fail error // of send

	mu    sync.Mutex
	seen  map[netip.Addr]int
	opens int
	open  int
}

type echoEnd struct {
	n      *echoNet
	in     chan echoed
	closed chan struct{}
}

type echoed struct {
	b    []byte
	from netip.Addr
	err  error
}

func (n *echoNet) echoes() *echoes {
	n.seen = map[netip.Addr]int{}
	return &echoes{six: n.six, open: func(bool) (echoConn, error) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.opens++
		n.open++
		return &echoEnd{n: n, in: make(chan echoed, 1<<16), closed: make(chan struct{})}, nil
	}}
}

func (e *echoEnd) send(b []byte, to netip.Addr) error {
	if e.n.fail != nil {
		return e.n.fail
	}
	e.n.mu.Lock()
	i := e.n.seen[to]
	e.n.seen[to]++
	e.n.mu.Unlock()
	after, back, from := e.n.host(to, i, bytes.Clone(b))
	arrive := func() {
		for _, m := range back {
			e.in <- echoed{b: m, from: from}
		}
	}
	if after <= 0 {
		// In a bubble timers that are due at once run on several threads and share a
		// context of the race detector, which crashes.
		arrive()
		return nil
	}
	time.AfterFunc(after, arrive)
	return nil
}

func (e *echoEnd) receive(b []byte) (int, netip.Addr, error) {
	select {
	case m := <-e.in:
		return copy(b, m.b), m.from, m.err
	case <-e.closed:
		return 0, netip.Addr{}, os.ErrClosed
	}
}

func (e *echoEnd) close() error {
	e.n.mu.Lock()
	e.n.open--
	e.n.mu.Unlock()
	close(e.closed)
	return nil
}

// pong4 is the reply to a request.
func pong4(request []byte) [][]byte {
	b := bytes.Clone(request)
	b[0] = echoReply4
	return [][]byte{b}
}

// bounced is what a router says of a request that it cannot deliver.
func bounced(to netip.Addr, request []byte) [][]byte {
	header := []byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, protoICMP4, 0, 0, 10, 0, 0, 1}
	header = append(header, to.AsSlice()...)
	return [][]byte{append(append([]byte{unreachable4, 1, 0, 0, 0, 0, 0, 0}, header...), request...)}
}

var pingTarget = Target{Addr: netip.MustParseAddr("192.0.2.1")}

func TestICMP(t *testing.T) {
	const ms = time.Millisecond
	always := func(after time.Duration) func(netip.Addr, int, []byte) (time.Duration, [][]byte, netip.Addr) {
		return func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) { return after, pong4(b), to }
	}
	// lossy answers as the word says: a for an answer, anything else for none.
	lossy := func(word string) func(netip.Addr, int, []byte) (time.Duration, [][]byte, netip.Addr) {
		return func(to netip.Addr, n int, b []byte) (time.Duration, [][]byte, netip.Addr) {
			if word[n] == 'a' {
				return 10 * ms, pong4(b), to
			}
			return 0, nil, to
		}
	}
	for _, c := range []struct {
		name     string
		o        ICMP
		host     func(to netip.Addr, n int, request []byte) (time.Duration, [][]byte, netip.Addr)
		fail     error
		class    Class
		degraded bool
		detail   string
		rtt      time.Duration
		took     time.Duration
	}{
		{name: "well", host: always(20 * ms), rtt: 20 * ms, took: 820 * ms},
		{name: "one request", o: ICMP{Count: 1}, host: always(20 * ms), rtt: 20 * ms, took: 20 * ms},
		{name: "replies later than the next request", host: always(500 * ms), rtt: 500 * ms, took: 1300 * ms},
		{
			name: "one of three lost", o: ICMP{Count: 3, MaxLoss: .5}, host: lossy("a.a"), rtt: 10 * ms, took: 2 * time.Second,
		},
		{
			name: "two of three lost", o: ICMP{Count: 3, MaxLoss: .5}, host: lossy("..a"), rtt: 10 * ms, took: 2 * time.Second,
			class: ClassValue, detail: "2 of 3 echo requests without a reply (67%), at most 50%",
		},
		{
			name: "as much as is allowed", o: ICMP{Count: 10, MaxLoss: .3}, host: lossy("aa.a.aa.aa"), rtt: 10 * ms, took: 2 * time.Second,
		},
		{
			name: "all lost", o: ICMP{Count: 3, MaxLoss: 1}, host: lossy("..."), rtt: 2 * time.Second, took: 2 * time.Second,
			class: ClassTimeout, detail: "no reply to 3 echo requests",
		},
		{
			name: "degraded by loss", o: ICMP{Count: 3, MaxLoss: .5, WarnLoss: true}, host: lossy("aa."), rtt: 10 * ms, took: 2 * time.Second,
			degraded: true, detail: "1 of 3 echo requests without a reply (33%), more than 0%",
		},
		{
			name: "too slow", o: ICMP{Count: 3, MaxRTT: 99 * ms}, host: always(100 * ms), rtt: 100 * ms, took: 500 * ms,
			class: ClassValue, detail: "echo replies took 100ms in the mean, at most 99ms",
		},
		{
			name: "degraded by time", o: ICMP{Count: 3, MaxRTT: 200 * ms, DegradedRTT: 99 * ms}, host: always(100 * ms), rtt: 100 * ms, took: 500 * ms,
			degraded: true, detail: "echo replies took 100ms in the mean, more than 99ms",
		},
		{
			name: "unreachable", host: func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				return ms, bounced(to, b), netip.MustParseAddr("10.0.0.254")
			}, rtt: 801 * ms, took: 801 * ms,
			class: ClassUnreachable, detail: "host unreachable, says a router on the way or the host",
		},
		{
			name: "another host unreachable", host: func(_ netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				return ms, bounced(netip.MustParseAddr("192.0.2.2"), b), netip.MustParseAddr("10.0.0.254")
			}, rtt: 2 * time.Second, took: 2 * time.Second, class: ClassTimeout,
		},
		{
			name: "a reply from another host", host: func(_ netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				return ms, pong4(b), netip.MustParseAddr("192.0.2.2")
			}, rtt: 2 * time.Second, took: 2 * time.Second, class: ClassTimeout,
		},
		{
			name: "a reply that is forged", host: func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				forged := pong4(b)
				forged[0][10]++ // the cookie
				return ms, forged, to
			}, rtt: 2 * time.Second, took: 2 * time.Second, class: ClassTimeout,
		},
		{
			name: "replies of others, and doubles", host: func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				forged := pong4(b)[0]
				forged[10]++ // the cookie
				later := pong4(b)[0]
				later[20]++ // a request that was not made
				good := pong4(b)[0]
				return ms, [][]byte{nil, {0}, b, forged, later, good, good, good}, to
			}, rtt: ms, took: 801 * ms,
		},
		{
			name: "a machine that stands still", host: func(to netip.Addr, _ int, _ []byte) (time.Duration, [][]byte, netip.Addr) {
				time.Sleep(1900 * ms)
				return 0, nil, to
			}, rtt: 2 * time.Second, took: 2 * time.Second,
			class: ClassLocal, detail: "this machine was too busy for 5 echo requests in 2s",
		},
		{
			name: "one that goes on too late", host: func(to netip.Addr, n int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				if n == 0 {
					time.Sleep(1700 * ms)
				}
				return time.Second, pong4(b), to
			}, rtt: 2 * time.Second, took: 2 * time.Second,
			class: ClassLocal, detail: "this machine was too busy for 5 echo requests in 2s",
		},
		{
			name: "one that does, and hears enough", host: func(to netip.Addr, n int, b []byte) (time.Duration, [][]byte, netip.Addr) {
				if n == 0 {
					time.Sleep(1700 * ms)
				}
				return 250 * ms, pong4(b), to
			}, rtt: 1950 * ms, took: 2 * time.Second,
		},
		{name: "no route", fail: os.NewSyscallError("sendto", errnoNetUnreachable[0]), class: ClassUnreachable, detail: "network unreachable"},
		{name: "socket full", fail: os.NewSyscallError("sendto", errnoLocal[0]), class: ClassLocal, detail: "this machine is out of descriptors, ports or memory while sending an echo request"},
		{name: "firewall", fail: os.NewSyscallError("sendto", syscall.EPERM), class: ClassLocal, detail: "this machine forbids echo requests"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &echoNet{host: c.host, fail: c.fail}
				p := must(t, c.o).(*icmpProber)
				p.v4 = n.echoes()
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				start := time.Now()
				r := p.Probe(ctx, pingTarget)
				check(t, r, c.class, c.detail)
				if r.Degraded != c.degraded || r.RTT != c.rtt || time.Since(start) != c.took {
					t.Errorf("%+v after %v, want RTT %v after %v", r, time.Since(start), c.rtt, c.took)
				}
				if n.open != 0 || p.v4.line != nil {
					t.Errorf("%d sockets open after the probe", n.open)
				}
			})
		})
	}
}

// Pings in flight share one socket, each gets its own replies, and when the last is
// done nothing is left.
func TestPingsShareOneSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 5000
		var line *echoLine
		n := &echoNet{}
		all := n.echoes()
		n.host = func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
			a := to.As4()
			took := time.Duration(a[2])*time.Millisecond + time.Millisecond
			if a[3]%5 == 0 {
				return 0, nil, to // those are dead
			}
			return took, pong4(b), to
		}
		p := must(t, ICMP{}).(*icmpProber)
		p.v4 = all
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				defer cancel()
				to := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
				r := p.Probe(ctx, Target{Addr: to})
				dead := i%256%5 == 0
				if r.OK == dead || !dead && r.RTT != time.Duration(i>>8+1)*time.Millisecond {
					t.Errorf("%v: %+v", to, r)
				}
			})
		}
		time.Sleep(time.Second)
		all.mu.Lock()
		line = all.line
		all.mu.Unlock()
		wg.Wait()
		if n.opens != 1 || n.open != 0 {
			t.Errorf("%d sockets were opened, %d are", n.opens, n.open)
		}
		if line == nil || len(line.waiting) != 0 {
			t.Errorf("requests are still waited for: %v", line)
		}
	})
}

// A socket that breaks fails the probes that use it, with no verdict on any
// endpoint, and the next ones have another.
func TestPingSocketBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &echoNet{}
		all := n.echoes()
		opened := all.open
		broken := true
		all.open = func(six bool) (echoConn, error) {
			c, err := opened(six)
			if broken {
				for range maxDeaf {
					c.(*echoEnd).in <- echoed{err: errors.New("deaf")}
				}
			}
			return c, err
		}
		n.host = func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) {
			return time.Millisecond, pong4(b), to
		}
		p := must(t, ICMP{}).(*icmpProber)
		p.v4 = all
		check(t, p.Probe(ctxFor(t, time.Second), pingTarget), ClassLocal, "the socket for echo requests broke")
		broken = false
		check(t, p.Probe(ctxFor(t, time.Second), pingTarget), ClassNone, "")
	})
}

func TestPingWithoutASocket(t *testing.T) {
	for _, c := range []struct {
		err    error
		detail string
	}{
		{errForbidden, "icmp sockets are not permitted to this process: put its group into net.ipv4.ping_group_range, or give it CAP_NET_RAW"},
		{os.NewSyscallError("socket", errnoLocal[0]), "this machine is out of descriptors"},
		{os.NewSyscallError("socket", syscall.EAFNOSUPPORT), "no IPv4 socket for echo requests: socket: "},
	} {
		p := must(t, ICMP{}).(*icmpProber)
		p.v4 = &echoes{open: func(bool) (echoConn, error) { return nil, c.err }}
		check(t, p.Probe(ctxFor(t, patience), pingTarget), ClassLocal, c.detail)
	}
}

func TestPingTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &echoNet{host: func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) { return 0, pong4(b), to }}
		p := must(t, ICMP{}).(*icmpProber)
		p.v4 = n.echoes()
		p.v6 = &echoes{six: true, open: func(bool) (echoConn, error) {
			return &echoEnd{n: &echoNet{fail: os.NewSyscallError("sendto", errnoNetUnreachable[0])}, closed: make(chan struct{})}, nil
		}}
		names := &pipes{hosts: map[string][]netip.Addr{
			"www.example.com": {netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")}, "six.example.com": {netip.MustParseAddr("2001:db8::1")},
			"none.example.com": {},
		}}
		p.net = names.network()
		// Where there is no way to the first address, the second is asked.
		check(t, p.Probe(ctxFor(t, time.Second), Target{Host: "www.example.com"}), ClassNone, "")
		check(t, p.Probe(ctxFor(t, time.Second), Target{Host: "six.example.com"}), ClassUnreachable, "network unreachable")
		check(t, p.Probe(ctxFor(t, time.Second), Target{Host: "none.example.com"}), ClassDNS, "host name has no address")
		check(t, p.Probe(ctxFor(t, time.Second), Target{Host: "nx.example.com"}), ClassDNS, "no such host: nx.example.com")
		check(t, p.Probe(ctxFor(t, time.Second), Target{}), ClassError, "neither an address nor a host name")
		check(t, p.Probe(ctxFor(t, time.Second), Target{Addr: netip.AddrFrom16(pingTarget.Addr.As16())}), ClassNone, "")
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		check(t, p.Probe(ended, pingTarget), ClassCanceled, "canceled while sending an echo request")
		check(t, p.Probe(ended, Target{Host: "www.example.com"}), ClassCanceled, "canceled while resolving the host name")
		n.host = func(to netip.Addr, _ int, b []byte) (time.Duration, [][]byte, netip.Addr) { return 0, nil, to }
		halfway, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		check(t, p.Probe(halfway, pingTarget), ClassCanceled, "canceled while waiting for echo replies")
	})
}

// The real sockets, on loopback.
func TestPingLoopback(t *testing.T) {
	for _, addr := range families(t) {
		c, err := openEcho(strings.Contains(addr, ":"))
		if errors.Is(err, errForbidden) {
			t.Skipf("SKIPPED: %v", err)
		}
		if err != nil {
			t.Fatal(err)
		}
		_ = c.close()
		p := must(t, ICMP{Count: 2})
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				r := p.Probe(ctxFor(t, patience), Target{Addr: netip.MustParseAddr(addr)})
				check(t, r, ClassNone, "")
				if r.Connect <= 0 || r.RTT < r.Connect {
					t.Errorf("%+v", r)
				}
			})
		}
		wg.Wait()
	}
	if echoes4.line != nil || echoes6.line != nil {
		t.Error("a socket is left")
	}
}

// Our messages are those of the library, and it reads ours.
func TestEchoMessages(t *testing.T) {
	m := mark{0x0102030405060708, 0x1112131415161718}
	for _, six := range []bool{false, true} {
		b := appendEcho(nil, six, 0xabcd, m)
		proto, kind := protoICMP4, icmp.Type(ipv4.ICMPTypeEcho)
		if six {
			proto, kind = protoICMP6, ipv6.ICMPTypeEchoRequest
		}
		parsed, err := icmp.ParseMessage(proto, b)
		if err != nil || parsed.Type != kind {
			t.Fatalf("%v %v", parsed, err)
		}
		e := parsed.Body.(*icmp.Echo)
		if e.ID != 0xabcd || e.Seq != 0x1718 {
			t.Errorf("%+v", e)
		}
		if !six && checksum(b) != 0 {
			t.Errorf("checksum of %x", b)
		}
		reply := &icmp.Message{Type: ipv4.ICMPTypeEchoReply, Body: e}
		if six {
			reply.Type = ipv6.ICMPTypeEchoReply
		}
		raw, err := reply.Marshal(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := parseEcho(raw, six); !ok || got.mark != m || got.refused {
			t.Errorf("%+v %v", got, ok)
		}
		for n := range raw {
			if _, ok := parseEcho(raw[:n], six); ok {
				t.Errorf("%d bytes are a reply", n)
			}
		}
		if _, ok := parseEcho(b, six); ok {
			t.Error("a request is a reply")
		}
	}
}

func FuzzEcho(f *testing.F) {
	request := appendEcho(nil, false, 1, mark{2, 3})
	request6 := appendEcho(nil, true, 1, mark{2, 3})
	f.Add(pong4(request)[0], false)
	f.Add(bounced(pingTarget.Addr, request)[0], false)
	f.Add(append([]byte{0x45, 0, 0, 0, 0, 0, 0, 0, 64, 1, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, pong4(request)[0]...), false)
	f.Add(append([]byte{echoReply6}, request6[1:]...), true)
	header6 := append([]byte{0x60, 0, 0, 0, 0, 24, protoICMP6, 64}, make([]byte, 32)...)
	f.Add(append(append([]byte{unreachable6, 0, 0, 0, 0, 0, 0, 0}, header6...), request6...), true)
	f.Fuzz(func(t *testing.T, b []byte, six bool) {
		e, ok := parseEcho(b, six)
		if !ok {
			return
		}
		// What is taken holds our mark, behind the header of a request or reply.
		want := appendEcho(nil, six, 0, e.mark)
		if !bytes.Contains(b, want[8:]) || e.refused != e.to.IsValid() {
			t.Errorf("%x: %+v", b, e)
		}
	})
}

func BenchmarkPing(b *testing.B) {
	c, err := openEcho(false)
	if err != nil {
		b.Skipf("SKIPPED: %v", err)
	}
	_ = c.close()
	p := must(b, ICMP{Count: 1})
	to := Target{Addr: netip.MustParseAddr("127.0.0.1")}
	line, err := echoes4.join() // as while others are in flight
	if err != nil {
		b.Fatal(err)
	}
	defer line.leave()
	b.ReportAllocs()
	for b.Loop() {
		ctx, cancel := contextWithTimeout(patience)
		if r := p.Probe(ctx, to); !r.OK {
			b.Fatalf("%+v", r)
		}
		cancel()
	}
}
