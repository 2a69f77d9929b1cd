package datagram_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

// receiving starts Receive and returns when its thread waits in the kernel.
func receiving(t *testing.T, s *datagram.Socket) chan error {
	t.Helper()
	done, thread := make(chan error, 1), make(chan int)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		thread <- unix.Gettid()
		n, err := s.Receive(0)
		if n != 0 {
			t.Errorf("received %d datagrams that nobody sent", n)
		}
		done <- err
	}()
	file := fmt.Sprintf("/proc/self/task/%d/syscall", <-thread)
	want := fmt.Sprintf("%d ", unix.SYS_RECVMMSG)
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Skipf("SKIPPED: whether a thread waits cannot be seen: %v", err)
		}
		if strings.HasPrefix(string(b), want) {
			return done
		}
	}
	t.Fatal("Receive does not wait in the kernel")
	return nil
}

func awaitEnd(t *testing.T, done chan error, want error) {
	t.Helper()
	select {
	case err := <-done:
		if !errors.Is(err, want) {
			t.Errorf("Receive ended with %v, want %v", err, want)
		}
	case <-time.After(patience):
		t.Fatal("Receive is not woken")
	}
}

// TestWaitersAreWoken stops and closes sockets whose threads wait in the kernel,
// alone and with several on one address.
func TestWaitersAreWoken(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for _, sockets := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s %d", addr, sockets), func(t *testing.T) {
				for _, end := range []struct {
					want error
					call func(*datagram.Socket)
				}{
					{os.ErrDeadlineExceeded, (*datagram.Socket).Stop},
					{net.ErrClosed, func(s *datagram.Socket) {
						if err := s.Close(); err != nil {
							t.Error(err)
						}
					}},
				} {
					all := []*datagram.Socket{listen(t, addr)}
					for len(all) < sockets {
						s, err := datagram.Listen(all[0].Addr(), true)
						if err != nil {
							t.Fatal(err)
						}
						t.Cleanup(func() { _ = s.Close() })
						all = append(all, s)
					}
					var waits []chan error
					for _, s := range all {
						waits = append(waits, receiving(t, s))
					}
					for i, s := range all {
						end.call(s)
						awaitEnd(t, waits[i], end.want)
						if n := s.ReceiveRest(); n != 0 {
							t.Errorf("%d datagrams left that nobody sent", n)
						}
					}
				}
			})
		}
	}
}

// TestStopUnderLoad stops one of several sockets of an address while clients
// ask: each query is answered by the one or the other.
func TestStopUnderLoad(t *testing.T) {
	first := listen(t, "0.0.0.0:0")
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), first.Addr().Port())
	serve := func(s *datagram.Socket) {
		answer := func(n int) bool {
			for i := range n {
				msg, from := s.Message(i)
				if from.Port() == 0 || len(msg) == 0 {
					t.Errorf("a datagram that nobody sent: %d bytes from %v", len(msg), from)
				}
				s.Reply(i, append(s.Room(), msg...))
			}
			failed, err := s.Send()
			if failed > 0 {
				t.Errorf("%d answers failed", failed)
			}
			return err == nil
		}
		for {
			n, err := s.Receive(0)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				break
			}
			if err != nil || !answer(n) {
				return
			}
		}
		for empty := 0; empty < 1000; runtime.Gosched() {
			n := s.ReceiveRest()
			if n == 0 {
				empty++
			}
			if !answer(n) {
				return
			}
		}
		_ = s.Close()
	}
	var servers sync.WaitGroup
	servers.Go(func() { serve(first) })
	done := make(chan struct{})
	var clients sync.WaitGroup
	for k := range 4 {
		c := dial(t, to)
		clients.Go(func() {
			buf := make([]byte, 64)
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				if _, err := fmt.Fprintf(c, "%d %d", k, i); err != nil {
					t.Error(err)
					return
				}
				n, err := c.Read(buf)
				if want := fmt.Sprintf("%d %d", k, i); err != nil || string(buf[:n]) != want {
					t.Errorf("%q, error %v; want %q", buf[:n], err, want)
					return
				}
			}
		})
	}
	old := first
	for range 50 {
		next, err := datagram.Listen(first.Addr(), true)
		if err != nil {
			t.Fatal(err)
		}
		servers.Go(func() { serve(next) })
		old.Stop()
		old = next
	}
	close(done)
	clients.Wait()
	old.Stop()
	servers.Wait()
}

// TestDescriptorIsNotPolled: a descriptor in the runtime's poller would wake it
// with every query.
func TestDescriptorIsNotPolled(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	want := fmt.Sprintf("socket:[%d]", inode(t, s.Addr().Port()))
	fds, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	found, polled := "", ""
	for _, fd := range fds {
		link, _ := os.Readlink("/proc/self/fd/" + fd.Name())
		if link == want {
			if found != "" {
				t.Error("the socket has two descriptors")
			}
			found = fd.Name()
		}
		if strings.Contains(link, "[eventpoll]") {
			b, _ := os.ReadFile("/proc/self/fdinfo/" + fd.Name())
			polled += string(b)
		}
	}
	if found == "" {
		t.Fatal("the socket has no descriptor")
	}
	for line := range strings.Lines(polled) {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == "tfd:" && f[1] == found {
			t.Errorf("polled: %s", line)
		}
	}
	flags, err := os.ReadFile("/proc/self/fdinfo/" + found)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(flags), "flags:\t02000002") {
		t.Errorf("flags of the descriptor, want read-write and close-on-exec only:\n%s", flags)
	}
}

// inode is that of the UDP socket on a port.
func inode(t *testing.T, port uint16) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			if _, err := fmt.Sscan(f[9], &n); err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no socket on port %d", port)
	return 0
}

func TestReceiveBuffer(t *testing.T) {
	s := listen(t, "127.0.0.1:0")
	if got := s.SetReceiveBuffer(100_000); got != 100_000 {
		t.Errorf("%d bytes, want 100000", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if got := s.SetReceiveBuffer(100_000); got != 0 {
		t.Errorf("%d bytes of a closed socket", got)
	}
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close: %v, want closed", err)
	}
}

func TestTurnAllocatesNothing(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		s := listen(t, addr)
		c := dial(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.Addr().Port()))
		msg, buf := []byte("x"), make([]byte, 16)
		if n := testing.AllocsPerRun(500, func() {
			if _, err := c.Write(msg); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Receive(0); err != nil {
				t.Fatal(err)
			}
			in, _ := s.Message(0)
			s.Reply(0, append(s.Room(), in...))
			if _, err := s.Send(); err != nil {
				t.Fatal(err)
			}
			if _, err := c.Read(buf); err != nil {
				t.Fatal(err)
			}
		}); n >= 1 {
			t.Errorf("%s: %v allocations", addr, n)
		}
	}
}
