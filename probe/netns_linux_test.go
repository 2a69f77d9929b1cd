package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inNamespace is set in a process that alone has started.
const inNamespace = "RHUMB_TEST_NAMESPACE"

// alone runs a test once more, in a process with a network namespace of its own.
// It is true there. Where there are no namespaces, what the test is about goes
// untested, and is said so.
func alone(t *testing.T, what string) bool {
	t.Helper()
	if os.Getenv(inNamespace) != "" {
		return true
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skipf("SKIPPED: %s: the program ip is not installed (iproute2)", what)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), inNamespace+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Skipf("SKIPPED: %s: no network namespace can be had: %v", what, err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case strings.Contains(string(out), "--- SKIP"):
		t.Skipf("%s", out)
	}
	return false
}

// thread starts a thread that is not used for anything else, after prepare.
func thread(t *testing.T, prepare func() error) (there func(f func())) {
	t.Helper()
	tasks, ready := make(chan func()), make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		ready <- prepare()
		for f := range tasks {
			f()
		}
	}()
	t.Cleanup(func() { close(tasks) })
	if err := <-ready; err != nil {
		t.Skipf("SKIPPED: %v", err)
	}
	return func(f func()) {
		done := make(chan struct{})
		tasks <- func() {
			defer close(done)
			f()
		}
		<-done
	}
}

// ip runs commands of the program ip, divided by semicolons. It does not end the
// test, since it may run on another goroutine than the test's.
func ip(t *testing.T, commands string) {
	t.Helper()
	for command := range strings.SplitSeq(commands, ";") {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Errorf("ip %s: %v: %s", command, err, out)
		}
	}
}

func sysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/net/"+name, []byte(value), 0o600); err != nil {
		t.Errorf("%v", err)
	}
}

// cable is a wire between two hosts that loses what it is told to.
type cable struct {
	ends [2]*os.File
	// loses says of each packet, by its direction, whether it is lost.
	loses atomic.Pointer[func(to int, packet []byte) bool]
	ended sync.WaitGroup
}

// plug makes the interface "cable" in the namespace of the thread.
func (c *cable) plug(end int) error {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq("cable")
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		_ = unix.Close(fd)
		return fmt.Errorf("/dev/net/tun: %w", err)
	}
	c.ends[end] = os.NewFile(uintptr(fd), "cable")
	return nil
}

// carry carries packets until the cable is cut.
func (c *cable) carry() {
	for to := range c.ends {
		c.ended.Go(func() {
			b := make([]byte, 2048)
			for {
				n, err := c.ends[1-to].Read(b)
				if errors.Is(err, os.ErrClosed) {
					return
				}
				if loses := c.loses.Load(); n == 0 || loses != nil && (*loses)(to, b[:n]) {
					continue
				}
				_, _ = c.ends[to].Write(b[:n])
			}
		})
	}
}

func (c *cable) cut() {
	for _, e := range c.ends {
		_ = e.Close()
	}
	c.ended.Wait()
}

func (c *cable) lose(f func(to int, packet []byte) bool) { c.loses.Store(&f) }

// isEcho is whether a packet is an echo request or reply.
func isEcho(b []byte) bool {
	if b[0]>>4 == 4 {
		return len(b) >= 21 && b[9] == protoICMP4 && (b[20] == echoRequest4 || b[20] == echoReply4)
	}
	return len(b) >= 41 && b[6] == protoICMP6 && (b[40] == echoRequest6 || b[40] == echoReply6)
}

// patiently makes a probe again while this machine was too busy for it. Before each
// it prepares.
func patiently(t *testing.T, o ICMP, target Target, prepare func()) (r Result) {
	t.Helper()
	for range 20 {
		prepare()
		r = must(t, o).Probe(ctxFor(t, time.Second), target)
		if !strings.HasPrefix(r.Detail, "this machine was too busy") {
			break
		}
	}
	return r
}

// TestPingOverALossyCable pings a host in another namespace, over a cable that
// loses packets, that is pulled, and with both kinds of sockets.
func TestPingOverALossyCable(t *testing.T) {
	const what = "echo requests between hosts"
	if !alone(t, what) {
		return
	}
	c := new(cable)
	far := thread(t, func() error {
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			return fmt.Errorf("%s: unshare: %w", what, err)
		}
		return c.plug(1)
	})
	if err := c.plug(0); err != nil {
		t.Skipf("SKIPPED: %s: %v", what, err)
	}
	defer c.cut()
	ip(t, "link set lo up;link set cable txqueuelen 20000 up;addr add 10.77.0.1/24 dev cable;addr add fd77::1/64 dev cable nodad;"+
		"route add 10.80.0.0/16 via 10.77.0.2;route add 10.88.0.0/24 via 10.77.0.2")
	far(func() {
		ip(t, "link set lo up;link set cable txqueuelen 20000 up;addr add 10.77.0.2/24 dev cable;addr add fd77::2/64 dev cable nodad;"+
			"route add local 10.80.0.0/16 dev lo;route add unreachable 10.88.0.0/24")
		sysctl(t, "ipv4/ip_forward", "1")
		sysctl(t, "ipv4/icmp_ratelimit", "0")
	})
	if t.Failed() {
		return
	}
	c.carry()
	four, six := Target{Addr: netip.MustParseAddr("10.77.0.2")}, Target{Addr: netip.MustParseAddr("fd77::2")}

	for _, socket := range []struct {
		name, groups string
		kind         int
	}{
		{"datagram", "0 2147483647", unix.SOCK_DGRAM},
		{"raw", "1 0", unix.SOCK_RAW},
	} {
		t.Run(socket.name, func(t *testing.T) {
			sysctl(t, "ipv4/ping_group_range", socket.groups)
			for _, v6 := range []bool{false, true} {
				conn, err := openEcho(v6)
				if err != nil {
					t.Fatal(err)
				}
				kind, err := unix.GetsockoptInt(int(conn.(*echoFD).f.Fd()), unix.SOL_SOCKET, unix.SO_TYPE)
				if err != nil || kind != socket.kind {
					t.Errorf("a socket of type %d: %v", kind, err)
				}
				_ = conn.close()
			}
			for _, loss := range []struct {
				word   string // of requests and replies as they come: a dot is lost
				o      ICMP
				class  Class
				warn   bool
				detail string
			}{
				{"aaaaaa", ICMP{Count: 3, MaxLoss: .5}, ClassNone, false, ""},
				{".aaaa", ICMP{Count: 3, MaxLoss: .5}, ClassNone, false, ""},
				{"a.aaaa", ICMP{Count: 3, MaxLoss: .5, WarnLoss: true}, ClassNone, true, "1 of 3 echo requests without a reply (33%), more than 0%"},
				{".a.aa", ICMP{Count: 3, MaxLoss: .5}, ClassValue, false, "2 of 3 echo requests without a reply (67%), at most 50%"},
				{"...", ICMP{Count: 3, MaxLoss: 1}, ClassTimeout, false, "no reply to 3 echo requests"},
			} {
				var carried [7]atomic.Int32 // by version of IP
				c.lose(func(_ int, b []byte) bool {
					if !isEcho(b) {
						return false
					}
					i := int(carried[b[0]>>4].Add(1)) - 1
					return i < len(loss.word) && loss.word[i] == '.'
				})
				var both sync.WaitGroup
				for _, target := range []Target{four, six} {
					both.Go(func() {
						version := 4
						if target.Addr.Is6() {
							version = 6
						}
						r := patiently(t, loss.o, target, func() { carried[version].Store(0) })
						if r.Class != loss.class || r.Degraded != loss.warn || r.Detail != loss.detail {
							t.Errorf("%v, %s: %+v", target.Addr, loss.word, r)
						}
					})
				}
				both.Wait()
			}
			c.lose(func(int, []byte) bool { return false })

			// Many at once: nothing is dropped on this machine's side.
			var wg sync.WaitGroup
			var lost atomic.Int32
			p := must(t, ICMP{Count: 1})
			for i := range 3000 {
				wg.Go(func() {
					a := netip.AddrFrom4([4]byte{10, 80, byte(i >> 8), byte(i)})
					if r := p.Probe(ctxFor(t, 10*time.Second), Target{Addr: a}); !r.OK {
						lost.Add(1)
					}
				})
			}
			wg.Wait()
			if n := lost.Load(); n > 0 {
				t.Errorf("%d of 3000 pings at once were lost", n)
			}

			// What a router says is heard by raw sockets alone.
			r := patiently(t, ICMP{}, Target{Addr: netip.MustParseAddr("10.88.0.1")}, func() {})
			if want := map[int]Class{unix.SOCK_DGRAM: ClassTimeout, unix.SOCK_RAW: ClassUnreachable}[socket.kind]; r.Class != want {
				t.Errorf("no such host: %+v, want %s", r, want)
			}

			ip(t, "link set cable down")
			for _, target := range []Target{four, six} {
				check(t, patiently(t, ICMP{}, target, func() {}), ClassUnreachable, "unreachable")
			}
			ip(t, "link set cable up;addr replace fd77::1/64 dev cable nodad;route replace 10.80.0.0/16 via 10.77.0.2;route replace 10.88.0.0/24 via 10.77.0.2")
			for _, target := range []Target{four, six} {
				check(t, patiently(t, ICMP{}, target, func() {}), ClassNone, "")
			}
		})
	}

	t.Run("neither", func(t *testing.T) {
		sysctl(t, "ipv4/ping_group_range", "1 0")
		weak := thread(t, func() error {
			head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData // a version 3 has two
			return unix.Capset(&head, &none[0])
		})
		weak(func() {
			check(t, must(t, ICMP{}).Probe(ctxFor(t, time.Second), four), ClassLocal, "icmp sockets are not permitted to this process: put its group into net.ipv4.ping_group_range, or give it CAP_NET_RAW")
		})
	})
}
