package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
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
		kind, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_TYPE)
		if err != nil || kind != syscall.SOCK_DGRAM {
			continue
		}
		addr, err := syscall.Getsockname(fd)
		if v4, ok := addr.(*syscall.SockaddrInet4); err == nil && ok && v4.Port == int(port) {
			n++
		}
	}
	return n
}

// TestUDPWorkers states the number of workers, changes it, and sees that the
// process has room for their threads.
func TestUDPWorkers(t *testing.T) {
	explicit := os.Getenv("GOMAXPROCS") != ""
	config := filepath.Join(t.TempDir(), "rhumb.yaml")
	const text = "dns: {listen: [127.0.0.1:0]%s}\nadmin: {listen: 127.0.0.1:0}\n"
	state := func(udp string) string {
		return fmt.Sprintf(text, udp) + fmt.Sprintf(staticZone, "192.0.2.1")
	}
	write(t, config, state(", udp: {workers: 3}"))
	n := start(t, config)
	port := n.DNSAddrs()[0].Port()
	three := runtime.GOMAXPROCS(0)
	if got := udpSockets(t, port); got != 3 {
		t.Errorf("%d sockets, want 3", got)
	}
	write(t, config, state(", udp: {workers: 5, pin: true, receive_buffer: 128KiB}"))
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := udpSockets(t, port); got != 5 {
		t.Errorf("after the reload %d sockets, want 5", got)
	}
	if got := runtime.GOMAXPROCS(0); !explicit && got != three+2 {
		t.Errorf("GOMAXPROCS %d with two workers more, want %d", got, three+2)
	}
	if got := addresses(n.ask("www.app.test.", 1)); got != "192.0.2.1" {
		t.Errorf("answer %q", got)
	}
	write(t, config, state(""))
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := udpSockets(t, port); !explicit && got != three-4 {
		t.Errorf("by default %d sockets, want one for each of %d cores", got, three-4)
	}
	if got := addresses(n.ask("www.app.test.", 1)); got != "192.0.2.1" {
		t.Errorf("answer %q", got)
	}
}
