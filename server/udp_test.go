package server

import (
	"encoding/binary"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/resolve"
)

func TestUDPAnswers(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			r := start(t, Options{}, addr)
			c := dial(t, "udp", r.Addrs()[0])
			if rcode, n := ask(t, c, 7, "www.x.test."); rcode != 0 || n != 1 {
				t.Errorf("www: rcode %d, %d answers", rcode, n)
			}
			if rcode, n := ask(t, c, 8, "none.x.test."); rcode != 3 || n != 0 {
				t.Errorf("none: rcode %d, %d answers", rcode, n)
			}
			if rcode, _ := ask(t, c, 9, "other.test."); rcode != 5 {
				t.Errorf("other zone: rcode %d", rcode)
			}
		})
	}
}

// TestUDPBatches has many clients with many queries each on their way, so that
// batches of every size occur and each answer must find its own client.
func TestUDPBatches(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	const clients, rounds, burst = 8, 20, 100
	var wg sync.WaitGroup
	for k := range clients {
		c := dial(t, "udp", r.Addrs()[0])
		wg.Go(func() {
			buf := make([]byte, 4096)
			for round := range rounds {
				open := map[uint16]bool{}
				for i := range burst {
					id := uint16(k*rounds*burst + round*burst + i)
					open[id] = true
					if _, err := c.Write(query(t, id, "www.x.test.")); err != nil {
						t.Error(err)
						return
					}
				}
				for len(open) > 0 {
					n, err := c.Read(buf)
					if err != nil {
						t.Errorf("%d answers missing: %v", len(open), err)
						return
					}
					id := binary.BigEndian.Uint16(buf)
					if !open[id] || n < 12 {
						t.Errorf("answer %d is not for this client", id)
						return
					}
					delete(open, id)
				}
			}
		})
	}
	wg.Wait()
	if got := r.metric(t, `rhumb_dns_queries_total{rcode="NOERROR",transport="udp",type="A",zone="x.test."}`); got != clients*rounds*burst {
		t.Errorf("counted %v queries, want %d", got, clients*rounds*burst)
	}
	if got := r.metric(t, `rhumb_answers_total{pool="one",service="www.x.test."}`); got != clients*rounds*burst {
		t.Errorf("counted %v answers, want %d", got, clients*rounds*burst)
	}
}

// TestUDPReplySource asks a wildcard socket at an address that is not the one
// the routing table would answer from.
func TestUDPReplySource(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("127.0.0.2 exists on Linux only")
	}
	r := start(t, Options{}, "0.0.0.0:0")
	for _, to := range []string{"127.0.0.2", "127.0.0.1", "127.9.9.9"} {
		// The client's socket is connected, so an answer from anywhere else
		// does not arrive.
		c := dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(to), r.Addrs()[0].Port()))
		for id := range uint16(3) {
			if rcode, n := ask(t, c, id, "www.x.test."); rcode != 0 || n != 1 {
				t.Errorf("%s: rcode %d, %d answers", to, rcode, n)
			}
		}
	}
	r6 := start(t, Options{}, "[::]:0")
	c := dial(t, "udp", netip.AddrPortFrom(netip.IPv6Loopback(), r6.Addrs()[0].Port()))
	if rcode, n := ask(t, c, 1, "www.x.test."); rcode != 0 || n != 1 {
		t.Errorf("::1: rcode %d, %d answers", rcode, n)
	}
}

func TestUDPGarbage(t *testing.T) {
	r := start(t, Options{Workers: 1}, "127.0.0.1:0")
	c := dial(t, "udp", r.Addrs()[0])
	response := query(t, 1, "www.x.test.")
	response[2] |= 0x80
	long := append(query(t, 2, "www.x.test."), make([]byte, 5000)...)
	for _, b := range [][]byte{{}, {1}, make([]byte, 11), response, long} {
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if rcode, _ := check(t, buf[:n], 2); rcode != 1 {
		t.Errorf("a query with 5,000 bytes behind it: rcode %d, want FORMERR", rcode)
	}
	if rcode, _ := ask(t, c, 3, "www.x.test."); rcode != 0 {
		t.Errorf("rcode %d after garbage", rcode)
	}
	if got := r.metric(t, `rhumb_dns_dropped_total{reason="not_a_query"}`); got != 4 {
		t.Errorf("%v packets counted as no query, want 4", got)
	}
}

func TestUDPNeverTooLarge(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	c := dial(t, "udp", r.Addrs()[0])
	if _, err := c.Write(query(t, 1, "big.x.test.")); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8192)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	if n > 1232 || buf[2]&2 == 0 {
		t.Errorf("256 addresses: %d bytes, flags %x; want TC and at most 1232", n, buf[2:4])
	}
}

// lines collects what is logged.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// TestPanicCostsOneAnswer breaks the snapshot under the workers.
func TestPanicCostsOneAnswer(t *testing.T) {
	var log lines
	r := start(t, Options{Workers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))}, "127.0.0.1:0")
	good := r.snap.Load()
	r.snap.Store(&resolve.Snapshot{Table: good.Table}) // without health
	c := dial(t, "udp", r.Addrs()[0])
	for id := range uint16(5) {
		if _, err := c.Write(query(t, id, "www.x.test.")); err != nil {
			t.Fatal(err)
		}
	}
	// A query that does not need health is answered behind those that do.
	if rcode, _ := ask(t, c, 9, "none.x.test."); rcode != 3 {
		t.Errorf("rcode %d, want NXDOMAIN", rcode)
	}
	stream := dial(t, "tcp", r.Addrs()[0])
	send(t, stream, query(t, 1, "www.x.test."), query(t, 2, "none.x.test."))
	if rcode, _ := check(t, receive(t, stream), 2); rcode != 3 {
		t.Errorf("over TCP: rcode %d, want NXDOMAIN", rcode)
	}
	r.snap.Store(good)
	if rcode, n := ask(t, c, 10, "www.x.test."); rcode != 0 || n != 1 {
		t.Errorf("mended: rcode %d, %d answers", rcode, n)
	}
	if got := r.metric(t, `rhumb_dns_panics_total`); got != 6 {
		t.Errorf("%v panics counted, want 6", got)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	if got := strings.Count(log.b.String(), "panic="); got != 1 {
		t.Errorf("logged %d times, want once:\n%s", got, log.b.String())
	}
	if !strings.Contains(log.b.String(), "goroutine ") {
		t.Error("logged without a stack")
	}
}

// TestUnsnapped asks before there is anything to answer from.
func TestUnsnapped(t *testing.T) {
	r := start(t, Options{Workers: 1}, "127.0.0.1:0")
	good := r.snap.Swap(nil)
	c := dial(t, "udp", r.Addrs()[0])
	if _, err := c.Write(query(t, 1, "www.x.test.")); err != nil {
		t.Fatal(err)
	}
	for r.metric(t, `rhumb_dns_dropped_total{reason="not_ready"}`) != 1 {
		runtime.Gosched()
	}
	r.snap.Store(good)
	if rcode, _ := ask(t, c, 2, "www.x.test."); rcode != 0 {
		t.Errorf("rcode %d", rcode)
	}
}

// TestUDPAllocatesNothing counts the allocations of the whole process while
// queries go through it, on a wildcard socket and from a proxy. The client's own
// are none.
func TestUDPAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		name    string
		proxies []netip.Prefix
		head    []byte
	}{
		{"plain", nil, nil},
		{"behind a proxy", loopback, proxyFor("[2001:db8::7]:4711", 0x22, 1, 0, 1, 7)},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := startSetup(t, Options{Workers: 1}, Setup{Listen: addresses("0.0.0.0:0"), Proxies: c.proxies})
			allocatesNothing(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.Addrs()[0].Port()),
				append(c.head, query(t, 1, "www.x.test.")...))
		})
	}
}

func allocatesNothing(t *testing.T, to netip.AddrPort, msg []byte) {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	allocs := testing.AllocsPerRun(2000, func() {
		for range 8 {
			if _, err := c.WriteToUDPAddrPort(msg, to); err != nil {
				t.Fatal(err)
			}
		}
		for range 8 {
			if _, _, err := c.ReadFromUDPAddrPort(buf); err != nil {
				t.Fatal(err)
			}
		}
	})
	if allocs >= 1 {
		t.Errorf("%v allocations for 8 queries, want 0", allocs)
	}
}
