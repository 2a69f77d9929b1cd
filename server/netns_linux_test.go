package server

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// inNamespace is set in a process that alone has started.
const inNamespace = "RHUMB_TEST_NAMESPACE"

// TestAnswersLeaveWhereQueriesCame asks wildcard sockets of a host with several
// addresses on several interfaces, from another host on the same wires. Every
// client's socket is connected, so an answer from another address, or over
// another wire to a link-local one, does not arrive.
func TestAnswersLeaveWhereQueriesCame(t *testing.T) {
	if alone(t, "answers from a host with several interfaces") {
		severalAddresses(t)
	}
}

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
	cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^"+t.Name()+"$")
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

// host starts another host, a thread with a network namespace of its own. There
// runs a function on it.
func host(t *testing.T) (thread int, there func(f func())) {
	t.Helper()
	tasks, tid := make(chan func()), make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
		}
		tid <- syscall.Gettid()
		for f := range tasks {
			f()
		}
	}()
	t.Cleanup(func() { close(tasks) })
	return <-tid, func(f func()) {
		done := make(chan struct{})
		tasks <- func() {
			defer close(done)
			f()
		}
		<-done
	}
}

// ip runs the program ip with one command. It does not end the test, since it
// may run on another goroutine than the test's.
func ip(t *testing.T, command string) {
	t.Helper()
	if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
		t.Errorf("ip %s: %v: %s", command, err, out)
	}
}

// severalAddresses is the test, in the namespace of the host that answers.
func severalAddresses(t *testing.T) {
	if out, err := exec.Command("ip", "link", "add", "near0", "type", "veth", "peer", "name", "far0").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: answers from a host with several interfaces: the kernel has no veth: %s", out)
	}
	ip(t, "link add near1 type veth peer name far1")
	ip(t, "link set lo up")

	thread, there := host(t) // that asks

	// Both wires have the same link-local addresses, as they may: only the
	// interface tells them apart.
	for i, commands := range []string{
		"addr add 10.77.0.1/24 dev near0;addr add 10.77.0.2/24 dev near0;addr add 10.99.0.1/32 dev lo;" +
			"addr add fd77::1/64 dev near0 nodad;addr add fd77::2/64 dev near0 nodad;addr add fd99::1/128 dev lo",
		"addr add 10.88.0.1/24 dev near1;addr add fd88::1/64 dev near1 nodad",
	} {
		ip(t, fmt.Sprintf("link set far%d netns %d", i, thread))
		ip(t, fmt.Sprintf("link set near%d addrgenmode none", i))
		ip(t, fmt.Sprintf("link set near%d up", i))
		ip(t, fmt.Sprintf("addr add fe80::77/64 dev near%d nodad", i))
		ip(t, fmt.Sprintf("addr add fe80::78/64 dev near%d nodad", i))
		for c := range strings.SplitSeq(commands, ";") {
			ip(t, c)
		}
	}
	there(func() {
		for _, c := range []string{
			"link set lo up", "link set far0 addrgenmode none", "link set far1 addrgenmode none",
			"link set far0 up", "link set far1 up",
			"addr add 10.77.0.9/24 dev far0", "addr add 10.88.0.9/24 dev far1", "route add default via 10.77.0.1",
			"addr add fd77::9/64 dev far0 nodad", "addr add fd88::9/64 dev far1 nodad", "-6 route add default via fd77::1",
			"addr add fe80::99/64 dev far0 nodad", "addr add fe80::99/64 dev far1 nodad",
		} {
			ip(t, c)
		}
	})
	if t.Failed() {
		return
	}

	r := start(t, Options{}, "0.0.0.0:0", "[::]:0")
	for _, a := range []string{
		"10.77.0.1", "10.77.0.2", "10.88.0.1", "10.99.0.1",
		"fd77::1", "fd77::2", "fd88::1", "fd99::1", "fe80::77%far0", "fe80::77%far1",
		"fe80::78%far0", "fe80::78%far1",
	} {
		to := netip.AddrPortFrom(netip.MustParseAddr(a), r.Addrs()[0].Port())
		if to.Addr().Is6() {
			to = netip.AddrPortFrom(to.Addr(), r.Addrs()[1].Port())
		}
		t.Run(strings.ReplaceAll(a, "%", " "), func(t *testing.T) {
			var conns [2]net.Conn
			for i, network := range []string{"udp", "tcp"} {
				var err error
				there(func() { conns[i], err = net.Dial(network, to.String()) })
				if err != nil {
					t.Fatal(err)
				}
				defer conns[i].Close() //nolint:errcheck // a test's
				if err := conns[i].SetDeadline(time.Now().Add(patience)); err != nil {
					t.Fatal(err)
				}
			}
			udp, tcp := conns[0], conns[1]
			for id := range uint16(3) {
				if rcode, n := ask(t, udp, id, "www.x.test."); rcode != 0 || n != 1 {
					t.Errorf("rcode %d, %d answers", rcode, n)
				}
			}
			send(t, tcp, query(t, 9, "www.x.test."))
			check(t, receive(t, tcp), 9)
		})
	}
}
