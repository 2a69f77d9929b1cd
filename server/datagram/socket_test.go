package datagram_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func listen(t *testing.T, addr string) *datagram.Socket {
	t.Helper()
	s, err := datagram.Listen(netip.MustParseAddrPort(addr), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func dial(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

func write(t *testing.T, c *net.UDPConn, format string, args ...any) {
	t.Helper()
	if _, err := fmt.Fprintf(c, format, args...); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, c *net.UDPConn) string {
	t.Helper()
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	return string(buf[:n])
}

// turn echoes one batch, with "re: " before each datagram.
func turn(t *testing.T, s *datagram.Socket) int {
	t.Helper()
	n, err := s.Receive(0)
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		msg, _ := s.Message(i)
		s.Reply(i, append(append(s.Room(), "re: "...), msg...))
	}
	if failed, err := s.Send(); failed != 0 || err != nil {
		t.Fatalf("%d replies failed, error %v", failed, err)
	}
	return n
}

func TestRoundTrip(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		s := listen(t, addr)
		a, b := dial(t, s.Addr()), dial(t, s.Addr())
		const each = 150 // more than two batches
		for i := range each {
			write(t, a, "a%d", i)
			write(t, b, "b%d", i)
		}
		for got := 0; got < 2*each; {
			got += turn(t, s)
		}
		for i := range each {
			if got, want := read(t, a), fmt.Sprintf("re: a%d", i); got != want {
				t.Fatalf("%s: %q, want %q", addr, got, want)
			}
			if got, want := read(t, b), fmt.Sprintf("re: b%d", i); got != want {
				t.Fatalf("%s: %q, want %q", addr, got, want)
			}
		}
		write(t, a, "")
		write(t, a, "who")
		for seen := 0; seen < 2; {
			n, err := s.Receive(0)
			if err != nil {
				t.Fatal(err)
			}
			for i := range n {
				if _, from := s.Message(i); from != a.LocalAddr().(*net.UDPAddr).AddrPort() {
					t.Errorf("from %v, want %v", from, a.LocalAddr())
				}
			}
			seen += n
		}
	}
}

// TestSendGoesOn has one reply in a batch that no network takes, one that is
// nothing, and one in memory of its own.
func TestSendGoesOn(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	c := dial(t, s.Addr())
	for i := range 4 {
		write(t, c, "%d", i)
	}
	for i := 0; i < 4; {
		n, err := s.Receive(0)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for k := range n {
			switch i {
			case 1:
				s.Reply(k, make([]byte, 70_000))
				want = 1
			case 2:
				s.Reply(k, nil)
			case 3:
				s.Reply(k, []byte("own"))
			default:
				s.Reply(k, append(s.Room(), "room"...))
			}
			i++
		}
		if failed, err := s.Send(); failed != want || err != nil {
			t.Errorf("%d failed, error %v; want %d", failed, err, want)
		}
	}
	if a, b := read(t, c), read(t, c); a != "room" || b != "own" {
		t.Errorf("%q and %q", a, b)
	}
}

// TestGoneClient answers a client that has closed: the kernel's report about it
// must not cost the next one its answer.
func TestGoneClient(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	for range 20 {
		gone := dial(t, s.Addr())
		write(t, gone, "x")
		if err := gone.Close(); err != nil {
			t.Fatal(err)
		}
		turn(t, s)
	}
	c := dial(t, s.Addr())
	write(t, c, "y")
	turn(t, s)
	if got := read(t, c); got != "re: y" {
		t.Errorf("%q", got)
	}
}

func TestLongDatagramIsCut(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	c := dial(t, s.Addr())
	write(t, c, "%5000d", 1)
	if _, err := s.Receive(0); err != nil {
		t.Fatal(err)
	}
	if msg, _ := s.Message(0); len(msg) != 2048 {
		t.Errorf("%d bytes", len(msg))
	}
}

func TestStop(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	c := dial(t, s.Addr())
	write(t, c, "before")
	s.Stop()
	if _, err := s.Receive(0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Receive: %v, want a deadline", err)
	}
	if runtime.GOOS == "linux" {
		// Nothing of this address takes it now, and the kernel says so.
		write(t, c, "after")
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after Stop the client got %v, want connection refused", err)
		}
	}
	if n := s.ReceiveRest(); n != 1 {
		t.Fatalf("%d left, want 1", n)
	}
	msg, _ := s.Message(0)
	s.Reply(0, append(s.Room(), msg...))
	if failed, err := s.Send(); failed != 0 || err != nil {
		t.Errorf("%d failed, error %v", failed, err)
	}
	if got := read(t, c); got != "before" {
		t.Errorf("%q", got)
	}
	if n := s.ReceiveRest(); n != 0 {
		t.Errorf("%d left, want 0", n)
	}
}

func TestCloseEndsReceive(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	done := make(chan error)
	go func() {
		_, err := s.Receive(0)
		done <- err
	}()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v, want closed", err)
	}
	if n := s.ReceiveRest(); n != 0 {
		t.Errorf("%d of a closed socket", n)
	}
}

func TestSharing(t *testing.T) {
	if !datagram.SharesLoad {
		t.Skip("not on this system")
	}
	first := listen(t, "127.0.0.1:0")
	if s, err := datagram.Listen(first.Addr(), false); err == nil {
		_ = s.Close()
		t.Error("opened an address that somebody has")
	}
	second, err := datagram.Listen(first.Addr(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close() //nolint:errcheck // a test's
	// Both are chosen sooner or later: each client keeps to one of them.
	var clients []*net.UDPConn
	for range 64 {
		c := dial(t, first.Addr())
		write(t, c, "x")
		clients = append(clients, c)
	}
	n := turn(t, first)
	if n += turn(t, second); n != len(clients) {
		t.Errorf("%d datagrams in two turns, want %d", n, len(clients))
	}
	for _, c := range clients {
		read(t, c)
	}
}

func TestKernelDrops(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux says")
	}
	s := listen(t, "127.0.0.1:0")
	c := dial(t, s.Addr())
	big := make([]byte, 2000)
	for range 20_000 { // 40 MB into a buffer of 4
		if _, err := c.Write(big); err != nil {
			t.Fatal(err)
		}
	}
	if s.KernelDrops() == 0 {
		t.Error("no drops although the buffer must have been full")
	}
}

// TestRoom fills a batch: behind the last reply there is still room for a whole
// message, to be cut.
func TestRoom(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	c := dial(t, s.Addr())
	const datagrams = 64
	for range datagrams {
		if _, err := c.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	reply := make([]byte, 1232)
	for got := 0; got < datagrams; {
		n, err := s.Receive(0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if room := cap(s.Room()); room < 80<<10 {
				t.Fatalf("reply %d of %d has room for %d bytes", i, n, room)
			}
			s.Reply(i, append(s.Room(), reply...))
		}
		if _, err := s.Send(); err != nil {
			t.Fatal(err)
		}
		got += n
	}
}
