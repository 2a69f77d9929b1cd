package server

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// udpSockets is how many UDP sockets of this process are on a port of IPv4. It
// asks the descriptors: /proc/net/udp repeats and leaves out rows when sockets
// of anybody come and go while it is read.
func udpSockets(t *testing.T, port uint16) (n int) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		fd, err := strconv.Atoi(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
		if err != nil || kind != unix.SOCK_DGRAM {
			continue
		}
		addr, err := unix.Getsockname(fd)
		if v4, ok := addr.(*unix.SockaddrInet4); err == nil && ok && v4.Port == int(port) {
			n++
		}
	}
	return n
}

// threadsIn are the processors that the threads waiting in a system call may run
// on, each with how many threads have exactly that set.
func threadsIn(t *testing.T, call int) map[string]int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	sets := map[string]int{}
	for _, task := range tasks {
		now, err := os.ReadFile("/proc/self/task/" + task.Name() + "/syscall")
		if err != nil || !strings.HasPrefix(string(now), fmt.Sprint(call, " ")) {
			continue
		}
		status, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
		for line := range strings.Lines(string(status)) {
			if set, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				sets[strings.TrimSpace(set)]++
			}
		}
	}
	return sets
}

// eventually waits until got is want.
func eventually[T any](t *testing.T, what string, want T, equal func(a, b T) bool, got func() T) {
	t.Helper()
	var last T
	for end := time.Now().Add(patience); time.Now().Before(end); runtime.Gosched() {
		if last = got(); equal(last, want) {
			return
		}
	}
	t.Fatalf("%s: %v, want %v", what, last, want)
}

// TestUDPLayout changes workers and pinning while the server runs.
func TestUDPLayout(t *testing.T) {
	if _, err := os.ReadFile("/proc/self/task/" + fmt.Sprint(unix.Gettid()) + "/syscall"); err != nil {
		t.Skipf("SKIPPED: what threads do cannot be seen: %v", err)
	}
	if errAllowed != nil {
		t.Fatal(errAllowed)
	}
	cores := allowed
	// Not that of the process, which is of its first thread: that one does not
	// end with the pinned worker that it may have run.
	status, _ := os.ReadFile("/proc/thread-self/status")
	_, all, _ := strings.Cut(string(status), "Cpus_allowed_list:")
	all = strings.TrimSpace(strings.Split(all, "\n")[0])
	r := startSetup(t, Options{Workers: 2}, Setup{Listen: addresses("127.0.0.1:0")})
	port := r.Addrs()[0].Port()
	for _, u := range []UDP{{}, {Workers: 3, Pin: true}, {Workers: 1, Pin: true}, {Workers: 2}} {
		r.change(t, Setup{Listen: r.Addrs(), UDP: u})
		n := u.Workers
		if n == 0 {
			n = 2
		}
		if got := udpSockets(t, port); got != n {
			t.Errorf("%+v: %d sockets, want %d", u, got, n)
		}
		want := map[string]int{}
		for i := range n {
			set := all
			if u.Pin {
				set = fmt.Sprint(cores[i%len(cores)])
			}
			want[set]++
		}
		eventually(t, fmt.Sprintf("%+v: cores of the workers", u), want, maps.Equal, func() map[string]int {
			return threadsIn(t, unix.SYS_RECVMMSG)
		})
		ask(t, dial(t, "udp", r.Addrs()[0]), 1, "www.x.test.")
	}
	// A pinned thread ends with its worker: nobody else is kept to its core.
	r.stop(t)
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(cores) > 1 {
		for _, task := range tasks {
			status, _ := os.ReadFile("/proc/self/task/" + task.Name() + "/status")
			if i := fmt.Sprint(unix.Getpid()); task.Name() != i && len(status) > 0 && !strings.Contains(string(status), "Cpus_allowed_list:\t"+all+"\n") {
				t.Errorf("a thread is left that is pinned:\n%s", status)
			}
		}
	}
}

// TestUDPLayoutLosesNothing lays the sockets out anew, and prepares to and does
// not, while clients ask.
func TestUDPLayoutLosesNothing(t *testing.T) {
	r := startSetup(t, Options{Workers: 1}, Setup{Listen: addresses("0.0.0.0:0")})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.Addrs()[0].Port())
	done := make(chan struct{})
	var clients sync.WaitGroup
	asked := make([]int, 4)
	for k := range asked {
		c := dial(t, "udp", to)
		clients.Go(func() {
			buf := make([]byte, 4096)
			for id := uint16(0); ; id++ {
				select {
				case <-done:
					return
				default:
				}
				if _, err := c.Write(query(t, id, "www.x.test.")); err != nil {
					t.Error(err)
					return
				}
				if n, err := c.Read(buf); err != nil || n < 12 || binary.BigEndian.Uint16(buf) != id {
					t.Errorf("answer to %d: %d bytes, error %v", id, n, err)
					return
				}
				asked[k]++
			}
		})
	}
	for i := range 12 {
		c, err := r.Bind(Setup{Listen: r.Addrs(), UDP: UDP{Workers: 1 + (i+1)%3, Pin: i%2 == 0}})
		if err != nil {
			t.Fatal(err)
		}
		if i%4 == 3 {
			c.Abort()
		} else {
			c.Commit()
		}
	}
	close(done)
	clients.Wait()
	total := 0
	for _, n := range asked {
		total += n
	}
	if got := r.metric(t, `rhumb_dns_queries_total{rcode="NOERROR",transport="udp",type="A",zone="x.test."}`); got != float64(total) {
		t.Errorf("counted %v queries, want %d", got, total)
	}
	for reason := range dropNames {
		if n := r.metric(t, fmt.Sprintf("rhumb_dns_dropped_total{reason=%q}", dropNames[reason])); n != 0 {
			t.Errorf("%v dropped: %s", n, dropNames[reason])
		}
	}
}

// TestChangeBeforeRunLosesNothing changes the addresses and the layout, and
// prepares to and does not, before Run: what lies in the sockets that go is
// answered, and Run answers the rest.
func TestChangeBeforeRunLosesNothing(t *testing.T) {
	r := prepare(t, Options{Workers: 1}, Setup{Listen: addresses("0.0.0.0:0")})
	port := r.Addrs()[0].Port()
	wild := []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)}
	one := []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port)}
	// Each step has its own clients, so that the answers fit into their buffers,
	// and several, so that all sockets get some; together they send more than a
	// batch.
	const clients, queries = 4, 20
	type asking struct {
		what string
		conn net.Conn
		sent int
	}
	var all []*asking
	send := func(some []*asking) {
		for _, c := range some {
			for range queries {
				if _, err := c.conn.Write(query(t, uint16(c.sent), "www.x.test.")); err != nil {
					t.Fatal(err)
				}
				c.sent++
			}
		}
	}
	for _, step := range []struct {
		what  string
		setup Setup
		abort bool
	}{
		{"an address in place of the same", Setup{Listen: wild}, false},
		{"more sockets", Setup{Listen: wild, UDP: UDP{Workers: 3}}, false},
		{"fewer sockets, pinned", Setup{Listen: wild, UDP: UDP{Workers: 1, Pin: true}}, false},
		{"more sockets, not done", Setup{Listen: wild, UDP: UDP{Workers: 2}}, true},
		{"one address, not done", Setup{Listen: one}, true},
		{"one address", Setup{Listen: one}, false},
		{"all addresses", Setup{Listen: wild}, false},
	} {
		var some []*asking
		for range clients {
			some = append(some, &asking{what: step.what, conn: dial(t, "udp", one[0])})
		}
		all = append(all, some...)
		send(some)
		c, err := r.Bind(step.setup)
		if err != nil {
			t.Fatal(err)
		}
		send(some)
		if step.abort {
			c.Abort()
		} else {
			c.Commit()
		}
	}
	r.run(t)
	total := 0
	buf := make([]byte, 4096)
	for _, c := range all {
		answered := map[uint16]bool{}
		for len(answered) < c.sent {
			n, err := c.conn.Read(buf)
			if err != nil || n < 12 {
				t.Fatalf("%s: %d of %d queries answered, then %d bytes, error %v", c.what, len(answered), c.sent, n, err)
			}
			answered[binary.BigEndian.Uint16(buf)] = true
		}
		total += c.sent
	}
	if got := r.metric(t, `rhumb_dns_queries_total{rcode="NOERROR",transport="udp",type="A",zone="x.test."}`); got != float64(total) {
		t.Errorf("counted %v queries, want %d", got, total)
	}
}

// TestReceiveBuffer asks for more than any system gives.
func TestReceiveBuffer(t *testing.T) {
	var log lines
	r := startSetup(t, Options{Workers: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))}, Setup{Listen: addresses("127.0.0.1:0")})
	r.change(t, Setup{Listen: r.Addrs(), UDP: UDP{ReceiveBuffer: 128 << 10}})
	if strings.Contains(log.text(), "receive_buffer") {
		t.Errorf("warned of a buffer that the system gives:\n%s", log.text())
	}
	r.change(t, Setup{Listen: r.Addrs(), UDP: UDP{ReceiveBuffer: 1 << 30}})
	if !strings.Contains(log.text(), "dns.udp.receive_buffer: the system gives") {
		t.Errorf("not warned of a smaller buffer:\n%s", log.text())
	}
}

func TestPinAround(t *testing.T) {
	if errAllowed != nil {
		t.Fatal(errAllowed)
	}
	cores := allowed
	for i := range 2 * len(cores) {
		done := make(chan error)
		go func() { // its thread ends with it
			err := pinThread(i)
			var set unix.CPUSet
			if err == nil {
				err = unix.SchedGetaffinity(0, &set)
			}
			if err == nil && (set.Count() != 1 || !set.IsSet(cores[i%len(cores)])) {
				err = fmt.Errorf("may run on %d cores", set.Count())
			}
			done <- err
		}()
		if err := <-done; err != nil {
			t.Errorf("%d: %v", i, err)
		}
	}
	if !slices.IsSorted(cores) {
		t.Errorf("cores %v", cores)
	}
}
