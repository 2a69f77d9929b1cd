package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestTCP(t *testing.T) {
	for _, addr := range families(t) {
		ctx := ctxFor(t, patience)
		check(t, must(t, TCP{}).Probe(ctx, serve(t, addr, func(net.Conn) {})), ClassNone, "")
		check(t, must(t, TCP{}).Probe(ctx, closedPort(t, addr)), ClassRefused, "connection refused")
	}
	check(t, must(t, TCP{}).Probe(ctxFor(t, patience), silent(t)), ClassNone, "")
}

// Neither side keeps a connection that only had to be made.
func TestTCPResets(t *testing.T) {
	got := make(chan error, 1)
	target := serve(t, "127.0.0.1", func(c net.Conn) {
		_, err := c.Read(make([]byte, 1))
		got <- err
	})
	check(t, must(t, TCP{}).Probe(ctxFor(t, patience), target), ClassNone, "")
	if err := <-got; !isAny(err, errnoReset) {
		t.Errorf("the server saw %v, want a reset", err)
	}
}

func TestMappedAddress(t *testing.T) {
	target := serve(t, "127.0.0.1", func(net.Conn) {})
	target.Addr = netip.AddrFrom16(target.Addr.As16())
	check(t, must(t, TCP{}).Probe(ctxFor(t, patience), target), ClassNone, "")
}

func TestBadTargets(t *testing.T) {
	ctx := ctxFor(t, patience)
	for name, kind := range everyKind(t) {
		t.Run(name, func(t *testing.T) {
			check(t, kind().Probe(ctx, Target{Addr: somewhere.Addr}), ClassError, "no port")
			check(t, kind().Probe(ctx, Target{Port: 1}), ClassError, "neither an address nor a host name")
		})
	}
}

func TestHostTarget(t *testing.T) {
	target := serve(t, "127.0.0.1", func(net.Conn) {})
	check(t, must(t, TCP{}).Probe(ctxFor(t, patience), Target{Host: "127.0.0.1", Port: target.Port}), ClassNone, "")
	// The resolver refuses the name by itself, without asking anyone.
	check(t, must(t, TCP{}).Probe(ctxFor(t, patience), Target{Host: "a..b", Port: 1}), ClassDNS, "no such host: a..b")
}

func TestHostAddressesInTurn(t *testing.T) {
	a, b, c := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	target := Target{Host: "www.example.com", Port: 80}
	refused := os.NewSyscallError("connect", errnoRefused[0])

	for _, tc := range []struct {
		name   string
		dial   map[netip.Addr]error // context.DeadlineExceeded: hangs
		class  Class
		detail string
		took   time.Duration
	}{
		{"first refuses", map[netip.Addr]error{a: refused}, ClassNone, "", 0},
		{"first hangs", map[netip.Addr]error{a: context.DeadlineExceeded}, ClassNone, "", time.Second},
		{"all fail", map[netip.Addr]error{a: refused, b: context.DeadlineExceeded, c: refused}, ClassRefused, "connection refused (2001:db8::1, first of 3 addresses)", 1500 * time.Millisecond},
		{"all hang", map[netip.Addr]error{a: context.DeadlineExceeded, b: context.DeadlineExceeded, c: context.DeadlineExceeded}, ClassTimeout, "timeout while connecting", 3 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := pipes{handle: func(net.Conn) {}, hosts: map[string][]netip.Addr{target.Host: {a, b, c}}}
				n := p.network()
				accept := n.dial
				n.dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
					switch err := tc.dial[to.Addr()]; {
					case errors.Is(err, context.DeadlineExceeded):
						<-ctx.Done()
						return nil, ctx.Err()
					case err != nil:
						return nil, err
					}
					return accept(ctx, to)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				r := on(t, must(t, TCP{}), n).Probe(ctx, target)
				check(t, r, tc.class, tc.detail)
				if r.RTT != tc.took {
					t.Errorf("took %v, want %v", r.RTT, tc.took)
				}
			})
		})
	}
}

// The time of a bubble stands still until everything waits, so these see that
// the probe ends at its deadline and not a moment later, however it hangs.
func TestEveryStageObeysTheDeadline(t *testing.T) {
	hang := func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	// Reading one byte after the other keeps the prober in Write.
	sip := func(c net.Conn) {
		for {
			if _, err := c.Read(make([]byte, 1)); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
	trickle := func(head string) func(net.Conn) {
		return func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			if _, err := io.WriteString(c, head); err != nil {
				return
			}
			for {
				if _, err := io.WriteString(c, "x"); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
	body := HTTP{Body: anything}
	for _, tc := range []struct {
		name   string
		prober any
		handle func(net.Conn)
		class  Class // when the deadline passed
		where  string
	}{
		{"http accepts and is silent", HTTP{}, hang, ClassTimeout, "while waiting for the response's header"},
		{"http reads a byte now and then", HTTP{}, sip, ClassTimeout, "while sending the request"},
		{"http sends part of the header", HTTP{}, trickle("HTTP/1.1 200 OK\r\nX: "), ClassSlow, "while waiting for the response's header"},
		{"http sends interim responses", HTTP{}, trickle("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "), ClassSlow, "while waiting for the response's header"},
		{"http trickles its body", body, trickle("HTTP/1.1 200 OK\r\nContent-Length: 60000\r\n\r\n"), ClassSlow, "while reading the response's body"},
		{"http trickles without length", body, trickle("HTTP/1.1 200 OK\r\n\r\n"), ClassSlow, "while reading the response's body"},
		{"http trickles a chunk", body, trickle("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff0\r\n"), ClassSlow, "while reading the response's body"},
		{"tls accepts and is silent", TLS{}, hang, ClassTimeout, "during the TLS handshake"},
		{"tls reads a byte now and then", TLS{}, sip, ClassTimeout, "during the TLS handshake"},
		{"tls trickles a record", TLS{}, trickle("\x16\x03\x03\x3f\x00"), ClassSlow, "during the TLS handshake"},
		{"https accepts and is silent", HTTP{TLS: &TLSConfig{}}, hang, ClassTimeout, "during the TLS handshake"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, end := range []struct {
				class Class
				verb  string
			}{{tc.class, "timeout "}, {ClassCanceled, "canceled "}} {
				synctest.Test(t, func(t *testing.T) {
					p := pipes{handle: tc.handle}
					ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
					if end.class == ClassCanceled {
						ctx, cancel = context.WithCancel(context.Background())
						time.AfterFunc(2*time.Second, cancel)
					}
					defer cancel()
					r := on(t, must(t, tc.prober), p.network()).Probe(ctx, somewhere)
					check(t, r, end.class, end.verb+tc.where)
					if r.RTT != 2*time.Second {
						t.Errorf("took %v, want 2s", r.RTT)
					}
					if n := p.open.Load(); n != 0 {
						t.Errorf("%d connections open after the probe", n)
					}
					p.peers.Wait() // time stops when the bubble's function returns
				})
			}
		})
	}
}

func TestConnectingAndResolvingObeyTheContext(t *testing.T) {
	for name, kind := range everyKind(t) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{
					dial: func(ctx context.Context, _ netip.AddrPort) (net.Conn, error) {
						<-ctx.Done()
						return nil, &net.OpError{Op: "dial", Err: ctx.Err()}
					},
					lookup: func(ctx context.Context, host string) ([]netip.Addr, error) {
						<-ctx.Done()
						return nil, &net.DNSError{Err: "i/o timeout", Name: host, IsTimeout: true}
					},
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				check(t, on(t, kind(), n).Probe(ctx, somewhere), ClassTimeout, "timeout while connecting")
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				check(t, on(t, kind(), n).Probe(ctx, Target{Host: "www.example.com", Port: 1}), ClassDNS, "timeout while resolving the host name")
			})
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			check(t, kind().Probe(ended, silent(t)), ClassCanceled, "canceled while connecting")
			check(t, kind().Probe(ended, Target{Host: "localhost", Port: 1}), ClassCanceled, "canceled while resolving")
		})
	}
}

// The same for real: the kernel of this machine accepts, and no process reads.
func TestStoppedProcess(t *testing.T) {
	for _, tc := range []struct {
		prober any
		where  string
	}{
		{HTTP{}, "timeout while waiting for the response's header"},
		{HTTP{TLS: &TLSConfig{}}, "timeout during the TLS handshake"},
		{TLS{}, "timeout during the TLS handshake"},
	} {
		prober, target := must(t, tc.prober), silent(t)
		// A busy machine may need longer than that to connect.
		for d := 20 * time.Millisecond; ; d *= 2 {
			r := prober.Probe(ctxFor(t, d), target)
			if strings.Contains(r.Detail, "while connecting") && d < patience {
				continue
			}
			check(t, r, ClassTimeout, tc.where)
			break
		}
	}
}

func TestResetByPeer(t *testing.T) {
	reset := serve(t, "127.0.0.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1))
		_ = c.(*net.TCPConn).SetLinger(0)
		_ = c.Close()
	})
	closes := serve(t, "127.0.0.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_ = c.(*net.TCPConn).CloseWrite()
	})
	for _, tc := range []struct {
		prober any
		where  string
	}{
		{HTTP{}, "while waiting for the response's header"},
		{HTTP{TLS: &TLSConfig{}}, "during the TLS handshake"},
		{TLS{}, "during the TLS handshake"},
	} {
		check(t, must(t, tc.prober).Probe(ctxFor(t, patience), reset), ClassReset, "connection reset "+tc.where)
		check(t, must(t, tc.prober).Probe(ctxFor(t, patience), closes), ClassReset, "connection closed "+tc.where)
	}
}

func TestUnreachable(t *testing.T) {
	// The limited broadcast address has no route for TCP on the systems that
	// say so; others call it by other names.
	r := must(t, TCP{}).Probe(ctxFor(t, patience), Target{Addr: netip.MustParseAddr("255.255.255.255"), Port: 80})
	if r.Class != ClassUnreachable {
		t.Skipf("this system says %+v", r)
	}
	check(t, r, ClassUnreachable, "unreachable")
}

func TestClassify(t *testing.T) {
	live := context.Background()
	late, cancel := context.WithDeadline(live, longAgo)
	defer cancel()
	dead, cancel := context.WithCancel(live)
	cancel()

	dial := func(e syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", e)}
	}
	for _, tc := range []struct {
		name   string
		ctx    context.Context
		err    error
		class  Class
		detail string
	}{
		{"refused", live, dial(errnoRefused[0]), ClassRefused, "connection refused"},
		{"refused as the time ran out", late, dial(errnoRefused[0]), ClassRefused, "connection refused"},
		{"reset", live, dial(errnoReset[0]), ClassReset, "connection reset while connecting"},
		{"network", live, dial(errnoNetUnreachable[0]), ClassUnreachable, "network unreachable"},
		{"host", live, dial(errnoHostUnreachable[0]), ClassUnreachable, "no route to host"},
		{"kernel timeout", live, dial(errnoTimeout[0]), ClassTimeout, "timeout while connecting (by the operating system)"},
		{"out of descriptors", live, dial(errnoLocal[0]), ClassLocal, "this machine is out of descriptors, ports or memory while connecting"},
		{"deadline", live, os.ErrDeadlineExceeded, ClassTimeout, "timeout while connecting"},
		{"canceled", dead, os.ErrDeadlineExceeded, ClassCanceled, "canceled while connecting"},
		{"no host", live, &net.DNSError{Name: "x.test", IsNotFound: true}, ClassDNS, "no such host: x.test"},
		{"resolver's timeout", live, dnsTimeout(), ClassDNS, "resolver did not answer for x.test"},
		{"our timeout", late, dnsTimeout(), ClassDNS, "timeout while resolving the host name"},
		{"canceled in the resolver", dead, dnsTimeout(), ClassCanceled, "canceled while resolving the host name"},
		{"resolver fails", live, &net.DNSError{Err: "server misbehaving", Name: "x.test"}, ClassDNS, "the name server answers with an error for x.test"},
		{"no recursion", live, &net.DNSError{Err: "lame referral", Name: "x.test"}, ClassDNS, "the name server gives no address for x.test, and does not ask others"},
		{"resolver, otherwise", live, &net.DNSError{Err: "cannot unmarshal DNS message", Name: "x.test"}, ClassDNS, "host name x.test: cannot unmarshal DNS message"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := classify(tc.ctx, fmt.Errorf("wrapped: %w", tc.err), connecting)
			if f.class != tc.class || f.detail != tc.detail {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// dnsTimeout is what the resolver returns for its own timeout: it claims to be
// a context's.
func dnsTimeout() error {
	return &net.DNSError{Err: "i/o timeout", Name: "x.test", IsTimeout: true, UnwrapErr: context.DeadlineExceeded}
}

func TestOneLine(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"plain", "plain"},
		{"a\nb\x1b[31m", "a?b?[31m"},
		{"0123456789", "0123456789"},
		{"0123456789a", "0123456..."},
		{"é", "??"},
	} {
		if got := oneLine(tc.in, 10); got != tc.want {
			t.Errorf("oneLine(%q) = %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestSplitAuthority(t *testing.T) {
	for _, tc := range []struct {
		in, name string
		port     uint16
		ok       bool
	}{
		{"www.example.com", "www.example.com", 0, true},
		{"www.example.com.", "www.example.com.", 0, true},
		{"my_service:8080", "my_service", 8080, true},
		{"192.0.2.1", "192.0.2.1", 0, true},
		{"192.0.2.1:80", "192.0.2.1", 80, true},
		{"2001:DB8::1", "2001:db8::1", 0, true},
		{"[2001:db8::1]", "2001:db8::1", 0, true},
		{"[2001:db8::1]:443", "2001:db8::1", 443, true},
		{"", "", 0, false},
		{"a b", "", 0, false},
		{"a\r\nX: y", "", 0, false},
		{"user@host", "", 0, false},
		{"host:", "", 0, false},
		{"host:0", "", 0, false},
		{"host:65536", "", 0, false},
		{"host/path", "", 0, false},
		{"a..b", "", 0, false},
		{"bücher.example", "", 0, false},
		{"fe80::1%eth0", "", 0, false},
		{"[fe80::1%eth0]:80", "", 0, false},
		{"[192.0.2.1]", "", 0, false},
		{"[", "", 0, false},
		{"]", "", 0, false},
	} {
		name, port, ok := splitAuthority(tc.in)
		if ok != tc.ok || ok && (name != tc.name || port != tc.port) {
			t.Errorf("splitAuthority(%q) = %q %d %v", tc.in, name, port, ok)
		}
	}
}
