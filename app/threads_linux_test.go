package app_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// udpSockets is how many UDP sockets there are on a port.
func udpSockets(t *testing.T, port uint16) (n int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/net/udp")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
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
	if got := udpSockets(t, port); !explicit && got != three-3 {
		t.Errorf("by default %d sockets, want one for each of %d cores", got, three-3)
	}
	if got := addresses(n.ask("www.app.test.", 1)); got != "192.0.2.1" {
		t.Errorf("answer %q", got)
	}
}
