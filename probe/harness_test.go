package probe

import (
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// patience is the deadline of probes that are expected to end before it.
const patience = 30 * time.Second

func ctxFor(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// families are the loopback addresses of this machine.
func families(t *testing.T) []string {
	t.Helper()
	ln, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Log("no ::1 here: ", err)
		return []string{"127.0.0.1"}
	}
	ln.Close()
	return []string{"127.0.0.1", "::1"}
}

// serve runs a server that hands each connection to handle and then reads
// until the peer is gone. The test does not end before every connection was
// closed by its prober, so a leaked one hangs it.
func serve(t *testing.T, addr string, handle func(net.Conn)) Target {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				handle(c)
				_, _ = io.Copy(io.Discard, c)
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return targetOf(ln.Addr())
}

func targetOf(a net.Addr) Target {
	ap := a.(*net.TCPAddr).AddrPort()
	return Target{Addr: ap.Addr(), Port: ap.Port()}
}

// closedPort is one that nothing listens on, until the test ends: a connection has it, so
// that no other process is given it.
func closedPort(t *testing.T, addr string) Target {
	t.Helper()
	ln, err := net.Listen("tcp", net.JoinHostPort(addr, "0"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(); ln.Close() })
	return targetOf(c.LocalAddr())
}

// silent is what a stopped process looks like: the kernel accepts, nobody
// answers.
func silent(t *testing.T) Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return targetOf(ln.Addr())
}

func check(t *testing.T, got Result, class Class, detail string) {
	t.Helper()
	if got.Class != class || got.OK != (class == ClassNone) || !strings.Contains(got.Detail, detail) {
		t.Errorf("got %+v, want class %q, detail with %q", got, class, detail)
	}
	if got.OK && !got.Degraded && got.Detail != "" {
		t.Errorf("success with a detail: %q", got.Detail)
	}
	if len(got.Detail) > maxDetail || strings.ContainsAny(got.Detail, "\r\n\x1b") {
		t.Errorf("detail is not one short line: %q", got.Detail)
	}
	if got.RTT < 0 || got.RTT > 2*patience {
		t.Errorf("rtt %v", got.RTT)
	}
}

// pipes is a network of net.Pipe connections whose far ends handle serves. It
// belongs inside a synctest bubble, which does not end while a goroutine is
// left.
type pipes struct {
	handle func(net.Conn)
	dialed []netip.AddrPort
	open   atomic.Int32
	hosts  map[string][]netip.Addr
	peers  sync.WaitGroup
}

func (p *pipes) network() *network {
	return &network{
		dial: func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
			p.dialed = append(p.dialed, to)
			near, far := net.Pipe()
			p.open.Add(1)
			p.peers.Go(func() {
				defer far.Close()
				p.handle(far)
			})
			return &counted{Conn: near, open: &p.open}, nil
		},
		lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			if a, ok := p.hosts[host]; ok {
				return a, nil
			}
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		},
	}
}

type counted struct {
	net.Conn
	open *atomic.Int32
	once sync.Once
}

func (c *counted) Close() error {
	c.once.Do(func() { c.open.Add(-1) })
	return c.Conn.Close()
}

// on puts a prober on another network.
func on(t *testing.T, p Prober, n *network) Prober {
	t.Helper()
	switch p := p.(type) {
	case *tcpProber:
		p.net = n
	case *tlsProber:
		p.net = n
	case *httpProber:
		p.net, p.udp = n, n
	case *mysqlProber:
		p.net = n
	case *postgresProber:
		p.net = n
	case *redisProber:
		p.net = n
	case *prometheusProber:
		p.net = n
	case *smtpProber:
		p.net = n
	case *grpcProber:
		p.net = n
	case *dnsProber:
		p.tcp, p.udp = n, n
	case *icmpProber:
		p.net = n
	default:
		t.Fatalf("unknown prober %T", p)
	}
	return p
}

// tcpPair is a connection to oneself. Unlike a net.Pipe it has buffers, which a
// TLS alert needs that crosses the peer's own words.
func tcpPair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err = net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err = ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return near, far
}

var somewhere = Target{Addr: netip.MustParseAddr("192.0.2.1"), Port: 8080}

func must(t testing.TB, o any) Prober {
	t.Helper()
	var (
		p   Prober
		err error
	)
	switch o := o.(type) {
	case TCP:
		p = NewTCP(o)
	case TLS:
		p, err = NewTLS(o)
	case HTTP:
		p, err = NewHTTP(o)
	case MySQL:
		p, err = NewMySQL(o)
	case Postgres:
		p, err = NewPostgres(o)
	case Redis:
		p, err = NewRedis(o)
	case Prometheus:
		p, err = NewPrometheus(o)
	case SMTP:
		p, err = NewSMTP(o)
	case GRPC:
		p, err = NewGRPC(o)
	case DNS:
		p, err = NewDNS(o)
	case ICMP:
		p, err = NewICMP(o)
	default:
		t.Fatalf("unknown check %T", o)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// everyKind is one prober of each kind.
func everyKind(t *testing.T) map[string]func() Prober {
	return map[string]func() Prober{
		"tcp":   func() Prober { return must(t, TCP{}) },
		"tls":   func() Prober { return must(t, TLS{}) },
		"http":  func() Prober { return must(t, HTTP{}) },
		"https": func() Prober { return must(t, HTTP{TLS: &TLSConfig{}}) },

		"mysql":      func() Prober { return must(t, MySQL{}) },
		"postgres":   func() Prober { return must(t, Postgres{}) },
		"redis":      func() Prober { return must(t, Redis{}) },
		"prometheus": func() Prober { return must(t, upMetric) },
		"smtp":       func() Prober { return must(t, SMTP{}) },
		"grpc":       func() Prober { return must(t, GRPC{}) },
		"dns":        func() Prober { return must(t, DNS{Name: "example.com", TCP: true}) },
		"http2":      func() Prober { return must(t, HTTP{Version: HTTP2}) },
		"http3":      func() Prober { return must(t, HTTP{Version: HTTP3, TLS: &TLSConfig{}}) },
	}
}
