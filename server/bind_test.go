package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/resolve"
)

func TestBindErrorText(t *testing.T) {
	for _, c := range []struct {
		addr, network string
		errno         syscall.Errno
		want          string
	}{
		{"192.0.2.1:53", "udp", denied, "(ports below 1024 need root or CAP_NET_BIND_SERVICE: setcap cap_net_bind_service=+ep rhumb, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit)"},
		{"127.0.0.1:53", "udp", inUse, "(another program has it, perhaps systemd-resolved: ss -lntup 'sport = :53' shows which)"},
		{"[::1]:5300", "tcp", inUse, "(another program has it: ss -lntup 'sport = :5300' shows which)"},
		{"192.0.2.1:53", "tcp", notOurs, "(no interface of this machine has this address: ip address shows them)"},
		{"192.0.2.1:5300", "tcp", denied, ""},
	} {
		err := bindError(netip.MustParseAddrPort(c.addr), c.network, &net.OpError{Op: "listen", Err: c.errno})
		want := strings.TrimSpace(fmt.Sprintf("listen on %s/%s: %v %s", c.addr, c.network, c.errno, c.want))
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
		if !errors.Is(err, c.errno) {
			t.Errorf("%s: is not %v", err, c.errno)
		}
	}
}

// TestBindAllOrNothing has two bad addresses among good ones.
func TestBindAllOrNothing(t *testing.T) {
	taken, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close() //nolint:errcheck // a test's
	r := start(t, Options{}, "127.0.0.1:0")
	before := r.Addrs()
	free := freePort(t)

	_, err = r.Bind(Setup{Listen: addresses("127.0.0.1:0", taken.Addr().String(), fmt.Sprintf("127.0.0.1:%d", free), "192.0.2.77:5300")})
	if err == nil {
		t.Fatal("bound a taken address")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 2 ||
		!strings.HasPrefix(lines[0], fmt.Sprintf("listen on %s/tcp: address already in use (", taken.Addr())) ||
		!strings.HasPrefix(lines[1], "listen on 192.0.2.77:5300/udp: cannot assign requested address (") {
		t.Errorf("error:\n%v", err)
	}
	if !errors.Is(err, inUse) || !errors.Is(err, notOurs) {
		t.Error("a reason cannot be told from the error")
	}
	if got := r.Addrs(); len(got) != 1 || got[0] != before[0] {
		t.Errorf("addresses %v, want %v", got, before)
	}
	// What was opened on the way is closed again.
	pc, err := net.ListenPacket("udp4", fmt.Sprintf("127.0.0.1:%d", free))
	if err != nil {
		t.Fatal(err)
	}
	_ = pc.Close()
	ask(t, dial(t, "udp", before[0]), 1, "www.x.test.")
}

// freePort is a port that is free for UDP and TCP.
func freePort(t *testing.T) uint16 {
	t.Helper()
	s := New(Options{Snapshot: func() *resolve.Snapshot { return nil }})
	c, err := s.Bind(Setup{Listen: addresses("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	c.Commit()
	port := s.Addrs()[0].Port()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return port
}

// TestSecondServer must be told, although sockets that share a port exist.
func TestSecondServer(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	s := New(Options{Snapshot: r.snap.Load})
	_, err := s.Bind(Setup{Listen: r.Addrs()})
	if !errors.Is(err, inUse) {
		t.Errorf("error %v, want address in use", err)
	}
	_, err = s.Bind(Setup{Listen: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), r.Addrs()[0].Port())}})
	if !errors.Is(err, inUse) {
		t.Errorf("wildcard: error %v, want address in use", err)
	}
}

func TestBindSpellings(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	var port uint16
	for try := 1; ; try++ {
		port = freePort(t)
		c, err := r.Bind(Setup{Listen: addresses(fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("[::ffff:127.0.0.1]:%d", port), fmt.Sprintf("[::1]:%d", port), fmt.Sprintf("0.0.0.0:%d", port))})
		if err == nil {
			c.Commit()
			break
		}
		if !errors.Is(err, inUse) || try == portTries { // another program was quicker
			t.Fatal(err)
		}
	}
	if got := r.Addrs(); len(got) != 3 {
		t.Errorf("addresses %v", got)
	}
	for _, a := range []string{"127.0.0.1", "::1", "127.0.0.5"} {
		if a == "127.0.0.5" && runtime.GOOS != "linux" {
			continue
		}
		ask(t, dial(t, "udp", netip.AddrPortFrom(netip.MustParseAddr(a), port)), 1, "www.x.test.")
	}
	if _, err := New(Options{}).Bind(Setup{Listen: []netip.AddrPort{{}}}); err == nil {
		t.Error("bound no address")
	}
}

// asker sends queries without a pause, several at a time, until its stop, and
// fails the test when one stays without an answer.
type asker struct {
	asked atomic.Uint64
	quit  chan struct{}
	wg    sync.WaitGroup
}

func (a *asker) stop() {
	close(a.quit)
	a.wg.Wait()
}

func startAsker(t *testing.T, to netip.AddrPort) *asker {
	t.Helper()
	a := &asker{quit: make(chan struct{})}
	for range 4 {
		c := dial(t, "udp", to)
		a.wg.Go(func() {
			buf := make([]byte, 4096)
			for id := uint16(0); ; id += 8 {
				select {
				case <-a.quit:
					return
				default:
				}
				// Each round has patience of its own: the test may be long.
				if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
					t.Error(err)
					return
				}
				for i := range uint16(8) {
					if _, err := c.Write(query(t, id+i, "www.x.test.")); err != nil {
						t.Errorf("sending: %v", err)
						return
					}
				}
				for range 8 {
					if _, err := c.Read(buf); err != nil {
						t.Errorf("lost after %d queries: %v", a.asked.Load(), err)
						return
					}
					if got := binary.BigEndian.Uint16(buf) - id; got >= 8 {
						t.Errorf("answer %d is late or not for us", got)
						return
					}
					a.asked.Add(1)
				}
			}
		})
	}
	a.more(t)
	return a
}

// more waits until further queries have been answered.
func (a *asker) more(t *testing.T) {
	t.Helper()
	for want := a.asked.Load() + 200; a.asked.Load() < want && !t.Failed(); {
		runtime.Gosched()
	}
}

// TestChangesLoseNothing changes everything but one address under load.
func TestChangesLoseNothing(t *testing.T) {
	r := start(t, Options{}, "127.0.0.1:0")
	kept := r.Addrs()[0]
	a := startAsker(t, kept)
	for range 8 {
		r.rebind(t, "127.0.0.1:0", "[::1]:0")
		other := r.Addrs()[1]
		ask(t, dial(t, "udp", other), 1, "www.x.test.")
		a.more(t)
		c, err := r.Bind(Setup{Listen: addresses("127.0.0.1:0", "127.0.0.2:0")})
		if err != nil {
			t.Fatal(err)
		}
		c.Abort()
		if got := r.Addrs(); len(got) != 2 || got[1] != other {
			t.Fatalf("after Abort: %v", got)
		}
		r.rebind(t, "127.0.0.1:0")
		if got := r.Addrs(); len(got) != 1 || got[0] != kept {
			t.Fatalf("after removal: %v", got)
		}
		a.more(t)
	}
	a.stop()
}

// TestWildcardTakesOver goes back and forth between an address and the wildcard
// that contains it: the queries to it must always have a socket, and what one
// socket has received it must answer before it goes.
func TestWildcardTakesOver(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux takes a socket out of choice before it is closed")
	}
	r := start(t, Options{}, "127.0.0.1:0")
	to := r.Addrs()[0]
	single, wildcard := to.String(), fmt.Sprintf("0.0.0.0:%d", to.Port())
	a := startAsker(t, to)
	for range 10 {
		r.rebind(t, wildcard)
		a.more(t)
		c, err := r.Bind(Setup{Listen: addresses(wildcard, single)})
		if err != nil {
			t.Fatal(err)
		}
		// Their queries wait now for what is decided.
		c.Abort()
		a.more(t)
		r.rebind(t, single)
		a.more(t)
	}
	a.stop()
	if t.Failed() {
		t.Log(gather(t, r.registry))
	}
	if got := r.metric(t, `rhumb_answers_total{pool="one",service="www.x.test."}`); got != float64(a.asked.Load()) {
		t.Errorf("counted %v answers, want %v: those of sockets that are closed count too", got, a.asked.Load())
	}
}

// TestStopAnswersWhatCame ends the server with queries in its buffers.
func TestStopAnswersWhatCame(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux gives what is in a buffer after it was shut")
	}
	r := start(t, Options{}, "127.0.0.1:0")
	udp := dial(t, "udp", r.Addrs()[0])
	tcp := dial(t, "tcp", r.Addrs()[0])
	send(t, tcp, query(t, 0, "www.x.test."))
	check(t, receive(t, tcp), 0) // it is accepted
	var all [][]byte
	for id := range uint16(200) {
		all = append(all, query(t, id, "www.x.test."))
		if _, err := udp.Write(query(t, id, "www.x.test.")); err != nil {
			t.Fatal(err)
		}
	}
	send(t, tcp, all...)
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > patience/2 {
		t.Errorf("took %v", took)
	}
	buf := make([]byte, 4096)
	for i := range 200 { // what a default socket buffer of the client holds
		if _, err := udp.Read(buf); err != nil {
			t.Fatalf("UDP answer %d: %v", i, err)
		}
		check(t, receive(t, tcp), uint16(i))
	}
	ends(t, tcp)
	if len(r.Addrs()) != 0 {
		t.Errorf("addresses %v after the end", r.Addrs())
	}
	c, err := r.Bind(Setup{Listen: addresses("127.0.0.1:0")})
	if err != nil {
		t.Fatal(err)
	}
	c.Commit() // closes, since nobody would serve
}

// TestStopIsBounded has a client that takes no answers.
func TestStopIsBounded(t *testing.T) {
	r := startSetup(t, Options{Grace: time.Millisecond}, Setup{Listen: addresses("127.0.0.1:0"), Limits: Limits{Idle: time.Hour}})
	c := dial(t, "tcp", r.Addrs()[0])
	if err := c.(*net.TCPConn).SetReadBuffer(1024); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		many := []byte{}
		for range 1000 {
			many = append(many, frame(query(t, 1, "big.x.test."))...)
		}
		for {
			if _, err := c.Write(many); err != nil {
				return // the server has closed
			}
		}
	})
	for r.metric(t, `rhumb_dns_queries_total{rcode="NOERROR",transport="tcp",type="A",zone="x.test."}`) < 100 {
		runtime.Gosched()
	}
	r.stop(t)
	wg.Wait()
}
