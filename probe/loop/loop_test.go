//go:build linux

package loop_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rhumb-dns/rhumb/probe/loop"
)

const patience = 30 * time.Second

// rig is a Loop at work.
type rig struct {
	*loop.Loop
	t     *testing.T
	ended chan *loop.Job
	stop  func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, ended: make(chan *loop.Job, 1<<17)}
	l, err := loop.New(func(jobs []*loop.Job) {
		for _, j := range jobs {
			r.ended <- j
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Loop = l
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// do has jobs done and waits for them, in the order in which they end.
func (r *rig) do(jobs ...*loop.Job) []*loop.Job {
	r.t.Helper()
	r.Start(jobs)
	return r.wait(len(jobs))
}

func (r *rig) wait(n int) []*loop.Job {
	r.t.Helper()
	var all []*loop.Job
	late := time.After(patience)
	for range n {
		select {
		case j := <-r.ended:
			all = append(all, j)
		case <-late:
			r.t.Fatalf("%d of %d jobs have ended", len(all), n)
		}
	}
	return all
}

// serve runs a server whose connections handle has, and which it closes after that.
func serve(t *testing.T, network string, handle func(*net.TCPConn)) netip.AddrPort {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "tcp6" {
		addr = "[::1]:0"
	}
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Skipf("SKIPPED: no %s here: %v", network, err)
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
				handle(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		ln.Close()
		wg.Wait()
	})
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

func hold(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }

// closed is an address that nothing listens on.
func closed(t *testing.T) netip.AddrPort {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().(*net.TCPAddr).AddrPort()
}

// full is a listener whose queue is full, so that the kernel ignores who connects.
func full(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port))
	c, err := net.Dial("tcp", to.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return to
}

// words is a Talk that hears until it has heard its end.
type words struct {
	send, until string
	heard       []byte
	last        error
	calls       int
}

func (w *words) Send() []byte { return []byte(w.send) }

func (w *words) Heard(b []byte, err error) bool {
	w.calls++
	w.heard, w.last = bytes.Clone(b), err
	return w.until != "" && bytes.Contains(b, []byte(w.until))
}

func TestConnects(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		r := newRig(t)
		seen := make(chan error, 100)
		to := serve(t, network, func(c *net.TCPConn) {
			_, err := c.Read(make([]byte, 1))
			seen <- err
		})
		// Again and again, so that sockets are used again.
		for range 50 {
			for _, j := range r.do(&loop.Job{To: to, Timeout: patience}, &loop.Job{To: to, Timeout: patience}) {
				if j.Err != nil || j.Connect <= 0 || j.Took < j.Connect || j.Stage != loop.Connecting {
					t.Fatalf("%+v", j)
				}
			}
		}
		for range 100 {
			if err := <-seen; !errors.Is(err, syscall.ECONNRESET) {
				t.Fatalf("the server saw %v, want a reset", err)
			}
		}
	}
}

func TestMappedAddress(t *testing.T) {
	to := serve(t, "tcp4", hold)
	j := newRig(t).do(&loop.Job{To: netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port()), Timeout: patience})[0]
	if j.Err != nil {
		t.Error(j.Err)
	}
}

func TestFails(t *testing.T) {
	r := newRig(t)
	refused := closed(t)
	for range 10 {
		j := r.do(&loop.Job{To: refused, Timeout: patience})[0]
		if !errors.Is(j.Err, syscall.ECONNREFUSED) || j.Connect != 0 {
			t.Errorf("%+v", j)
		}
	}
	j := r.do(&loop.Job{To: full(t), Timeout: 50 * time.Millisecond})[0]
	if !errors.Is(j.Err, os.ErrDeadlineExceeded) || j.Took < 50*time.Millisecond || j.Stage != loop.Connecting || j.Connect != 0 {
		t.Errorf("%+v", j)
	}
	j = r.do(&loop.Job{To: netip.MustParseAddrPort("[fe80::1]:80"), Timeout: 50 * time.Millisecond})[0]
	if j.Err == nil {
		t.Errorf("connected to a link-local address of no link")
	}
}

func TestTalks(t *testing.T) {
	big := string(bytes.Repeat([]byte("abcdefgh"), 20_000))
	echo := func(c *net.TCPConn) { _, _ = io.Copy(c, c) }
	for _, tc := range []struct {
		name   string
		handle func(*net.TCPConn)
		words  words
		err    error
		stage  loop.Stage
		heard  int
	}{
		{"echo", echo, words{send: "hello.", until: "."}, nil, loop.Hearing, 6},
		{"in pieces", func(c *net.TCPConn) {
			for range 5 {
				_, _ = c.Write([]byte("x"))
				_, _ = c.Read(make([]byte, 1))
			}
			_, _ = c.Write([]byte("."))
			hold(c)
		}, words{send: "12345", until: "."}, nil, loop.Hearing, 6},
		{"more than a reading", func(c *net.TCPConn) {
			_, _ = c.Write([]byte(big + "."))
			hold(c)
		}, words{send: "?", until: "."}, nil, loop.Hearing, len(big) + 1},
		{"more than a writing", func(c *net.TCPConn) {
			n, _ := io.ReadFull(c, make([]byte, 50*len(big)))
			if n == 50*len(big) {
				_, _ = c.Write([]byte("."))
			}
			hold(c)
		}, words{send: string(bytes.Repeat([]byte(big), 50)), until: "."}, nil, loop.Hearing, 1},
		{"answers before it has read all", func(c *net.TCPConn) {
			_, _ = c.Write([]byte("."))
			_, _ = io.CopyN(io.Discard, c, int64(50*len(big)))
			hold(c)
		}, words{send: string(bytes.Repeat([]byte(big), 50)), until: "."}, nil, loop.Hearing, 1},
		{"ends early", func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 5))
			_, _ = c.Write([]byte("abc"))
		}, words{send: "hello", until: "."}, io.EOF, loop.Hearing, 3},
		{"says nothing and ends", func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 5))
		}, words{send: "hello"}, io.EOF, loop.Hearing, 0},
		{"resets", func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 5))
			_ = c.SetLinger(0)
		}, words{send: "hello"}, syscall.ECONNRESET, loop.Hearing, 0},
		{"says nothing", hold, words{send: "hello"}, os.ErrDeadlineExceeded, loop.Hearing, 0},
		{"reads nothing", func(c *net.TCPConn) {
			_ = c.SetReadBuffer(4 << 10)
			<-time.After(300 * time.Millisecond)
		}, words{send: string(bytes.Repeat([]byte(big), 100))}, os.ErrDeadlineExceeded, loop.Sending, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := tc.words
			j := &loop.Job{To: serve(t, "tcp4", tc.handle), Timeout: patience, Talk: &w}
			if errors.Is(tc.err, os.ErrDeadlineExceeded) {
				j.Timeout = 100 * time.Millisecond
			}
			newRig(t).do(j)
			if !errors.Is(j.Err, tc.err) || j.Stage != tc.stage || len(w.heard) != tc.heard || j.Connect <= 0 {
				t.Errorf("%v in stage %d, heard %d bytes; want %v in %d, %d bytes", j.Err, j.Stage, len(w.heard), tc.err, tc.stage, tc.heard)
			}
			if tc.stage == loop.Hearing && tc.err != nil && !errors.Is(w.last, tc.err) {
				t.Errorf("Heard was told %v", w.last)
			}
		})
	}
}

func TestEndsWithItsContext(t *testing.T) {
	r := newRig(t)
	to := serve(t, "tcp4", hold)
	w := &words{send: "hello"}
	ready := &loop.Job{To: to, Timeout: patience}
	r.do(ready)
	connecting := &loop.Job{To: full(t), Timeout: patience}
	r.Start([]*loop.Job{connecting, {To: to, Timeout: patience, Talk: w}})
	r.stop()
	for _, j := range r.wait(2) {
		if !errors.Is(j.Err, context.Canceled) {
			t.Errorf("%+v", j)
		}
	}
	r.Start([]*loop.Job{ready})
	if j := r.wait(1)[0]; j != ready || !errors.Is(j.Err, context.Canceled) {
		t.Errorf("after its end: %+v", j)
	}
	if n := len(r.ended); n > 0 {
		t.Errorf("%d jobs ended twice", n)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return len(d)
}

// A connection that leads to itself is what the kernel makes when nobody listens and
// it chooses the port that was asked for.
func TestNoConnectionToItself(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	var lowest, highest int
	if _, err := fmt.Sscan(string(b), &lowest, &highest); err != nil {
		t.Fatal(err)
	}
	// As long as it can the kernel chooses among every second port, from the lowest on.
	to := closed(t)
	for to.Port()%2 != uint16(lowest%2) {
		to = netip.AddrPortFrom(to.Addr(), to.Port()+1)
	}
	r := newRig(t)
	jobs := make([]*loop.Job, 100)
	for range 2 * (highest - lowest) / len(jobs) {
		for i := range jobs {
			jobs[i] = &loop.Job{To: to, Timeout: patience}
		}
		for _, j := range r.do(jobs...) {
			if !errors.Is(j.Err, syscall.ECONNREFUSED) {
				t.Fatalf("%+v", j)
			}
		}
	}
}

func TestDescriptors(t *testing.T) {
	before := descriptors(t)
	r := newRig(t)
	to, gone := serve(t, "tcp4", func(*net.TCPConn) {}), closed(t)
	n := 100_000
	if testing.Short() {
		n = 5_000
	}
	const many = 500
	for done := 0; done < n; done += many {
		jobs := make([]*loop.Job, many)
		for i := range jobs {
			jobs[i] = &loop.Job{To: to, Timeout: patience}
			switch i % 10 {
			case 0:
				jobs[i].To = gone
			case 1:
				jobs[i].Talk = &words{send: "x"}
			}
		}
		r.do(jobs...)
	}
	r.stop()
	// The servers' sides go when their goroutines get to it.
	for end := time.Now().Add(patience); descriptors(t) > before+1 && time.Now().Before(end); {
		<-time.After(10 * time.Millisecond)
	}
	if now := descriptors(t); now > before+1 { // and the listener
		t.Errorf("%d descriptors, %d before", now, before)
	}
}
