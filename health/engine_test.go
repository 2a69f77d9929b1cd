//go:build linux

package health

import (
	"context"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/spec"
)

const patience = 30 * time.Second

// tcpCheck is a real one.
func tcpCheck(name string, port uint16) *spec.Check {
	return &spec.Check{Name: name, Type: spec.CheckTCP, Port: port, Interval: patience, Timeout: patience, Rise: 1, Fall: 1}
}

// loopback is target n of this machine, all of which are one listener.
func loopback(n int, c *spec.Check) Target {
	return Target{Addr: netip.AddrFrom4([4]byte{127, 1, byte(n >> 8), byte(n)}), Checks: []Check{{Check: c}}}
}

// deaf is the port of a listener that is on all addresses of this machine and whose
// queue is full: who connects waits.
func deaf(t *testing.T, wait int) uint16 {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	// Nobody from elsewhere finds it.
	if err := syscall.SetsockoptString(fd, syscall.SOL_SOCKET, syscall.SO_BINDTODEVICE, "lo"); err != nil {
		t.Skip("SKIPPED: ", err)
	}
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, wait); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	return uint16(sa.(*syscall.SockaddrInet4).Port)
}

// engineRig runs a board with real probes until the test ends.
func engineRig(t *testing.T, reg prometheus.Registerer, ts ...Target) *Board {
	t.Helper()
	b, err := New(Options{Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	p, err := b.Prepare(ts, locator(ts))
	if err != nil {
		t.Fatal(err)
	}
	b.Apply(p)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return b
}

func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			t.Fatalf("%s has not come", what)
		}
		<-time.After(time.Millisecond)
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("SKIPPED: ", err)
	}
	return len(d)
}

func TestEngineJudges(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	c := tcpCheck("tcp", ln.Addr().(*net.TCPAddr).AddrPort().Port())
	c.Interval, c.Timeout = 50*time.Millisecond, 50*time.Millisecond
	b := engineRig(t, nil, Target{Addr: netip.MustParseAddr("127.0.0.1"), Checks: []Check{{Check: c}}})
	<-b.Settled()
	if d := b.View().Detail(0, nil); d.State != Up || d.Reason != "check tcp passed" {
		t.Errorf("%+v", d)
	}
	ln.Close()
	await(t, "down", func() bool { return b.View().State(0) == Down })
	if d := b.View().Detail(0, nil); d.Reason != "check tcp: connection refused" {
		t.Errorf("%+v", d)
	}
}

// Probes under way have no goroutine each, and end with Run.
func TestEngineNeedsNoGoroutines(t *testing.T) {
	const n = 500
	c := tcpCheck("tcp", deaf(t, 0))
	var ts []Target
	for i := range n {
		ts = append(ts, loopback(i, c))
	}
	goroutinesBefore, filesBefore := goroutines(), openFiles(t)
	t.Run("", func(t *testing.T) {
		engineRig(t, nil, ts...)
		await(t, "all under way", func() bool { return openFiles(t) >= filesBefore+n })
		if more := goroutines() - goroutinesBefore; more > 5 {
			t.Errorf("%d goroutines for %d probes under way", more, n)
		}
	})
	// Whoever has said that it ended may not have quite.
	await(t, "the end of its goroutines", func() bool { return goroutines() <= goroutinesBefore })
	if now := openFiles(t); now > filesBefore {
		t.Errorf("%d files, %d before", now, filesBefore)
	}
}

func TestEngineOfMany(t *testing.T) {
	const n = 3000
	c := tcpCheck("tcp", deaf(t, 4096))
	c.Timeout = time.Second
	var ts []Target
	for i := range n {
		ts = append(ts, loopback(i, c))
	}
	b := engineRig(t, nil, ts...)
	<-b.Settled()
	for i := range ts {
		if d := b.View().Detail(i, nil); d.State != Up {
			t.Fatalf("target %d: %+v", i, d)
		}
	}
}
