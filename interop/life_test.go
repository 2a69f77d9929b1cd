//go:build unix

package interop

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// given are the ports that freePort has given.
var given sync.Map

// freePort is a port of 127.0.0.1 for a program that cannot be told to have the
// system choose one: free for UDP and TCP, given once, and not among those that the
// system gives to sockets without a port, one of which would be there first now and
// then.
func freePort(t testing.TB) string {
	t.Helper()
	const first, count = 20_000, 12_000
	for range 1000 {
		port := strconv.Itoa(first + rand.IntN(count))
		if _, twice := given.LoadOrStore(port, true); twice {
			continue
		}
		u, err := net.ListenPacket("udp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		_ = u.Close()
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		_ = l.Close()
		return port
	}
	t.Fatal("no port is free")
	return ""
}

// background runs a program until the test ends.
func background(t testing.TB, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(name, args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	return cmd
}

var (
	perfLost = regexp.MustCompile(`Queries lost:\s+(\d+)`)
	perfDone = regexp.MustCompile(`Queries completed:\s+(\d+)`)
)

// TestReloadUnderLoad reloads good and bad files while dnsperf asks, and no
// query is lost.
func TestReloadUnderLoad(t *testing.T) {
	dnsperf := program(t, "dnsperf")
	n := serve(t, config(t, zoneText()))
	queries := filepath.Join(t.TempDir(), "queries")
	if err := os.WriteFile(queries, []byte("www.interop.test A\nV4.interop.test AAAA\nnone.interop.test A\nmany.interop.test A\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	const rate, seconds = 20000, 6
	perf := exec.Command(dnsperf, "-s", "127.0.0.1", "-p", n.port, "-d", queries,
		"-Q", strconv.Itoa(rate), "-l", strconv.Itoa(seconds), "-c", "4", "-t", "5")
	var out strings.Builder
	perf.Stdout, perf.Stderr = &out, &out
	if err := perf.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- perf.Wait() }()
	reloads := 0
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for running := true; running; {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("dnsperf: %v\n%s", err, &out)
			}
			running = false
		case <-tick.C:
			text := zoneText()
			if reloads%3 == 2 {
				text += "rubbish: [\n"
			}
			rewrite(t, n.config, text+fmt.Sprintf("# %d\n", reloads))
			if err := n.cmd.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			reloads++
		}
	}
	lost, done := perfLost.FindStringSubmatch(out.String()), perfDone.FindStringSubmatch(out.String())
	if lost == nil || done == nil {
		t.Fatalf("dnsperf said\n%s", &out)
	}
	t.Logf("%s queries answered, %s lost, %d reloads", done[1], lost[1], reloads)
	if lost[1] != "0" {
		t.Errorf("%s queries lost\n%s", lost[1], &out)
	}
	if !strings.Contains(n.logs(), "configuration reloaded") || !strings.Contains(n.logs(), "configuration not reloaded") {
		t.Errorf("good and bad files were to be reloaded:\n%s", n.logs())
	}
}

// TestKillAndRestart cuts the node off and starts it again: it knows what it knew.
func TestKillAndRestart(t *testing.T) {
	a := newSite(t, "127.0.0.1:0")
	a.broken.Store(true)
	newSite(t, fmt.Sprintf("127.0.0.2:%d", a.port))
	data := t.TempDir()
	text := func(interval string) string {
		return fmt.Sprintf(`
node: {data_dir: %q}
checks:
  web: {type: http, port: %d, interval: %s, timeout: 200ms}
pools:
  one: {checks: [web], endpoints: [127.0.0.1]}
  two: {checks: [web], endpoints: [127.0.0.2]}
zones:
  interop.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [one, two], steer: failover}
`, data, a.port, interval)
	}
	path := config(t, text("200ms"))
	n := serve(t, path)
	n.until("127.0.0.2", "www.interop.test", "A")
	n.kill()
	// Mended meanwhile; but one success does not make what was down up, so the
	// node still says what it knew.
	a.broken.Store(false)
	rewrite(t, path, text("1m"))
	n = serve(t, path)
	if got := strings.TrimSpace(n.dig("www.interop.test", "A", "+short")); got != "127.0.0.2" {
		t.Errorf("after kill and restart the answer is %q, want the one that was known to be up\n%s", got, n.logs())
	}
}

// TestPausedEndpoint stops an endpoint's process, so that it accepts and says
// nothing, and lets it go on.
func TestPausedEndpoint(t *testing.T) {
	python := program(t, "python3")
	port, _ := strconv.Atoi(freePort(t))
	dir := t.TempDir()
	one := background(t, python, "-m", "http.server", strconv.Itoa(port), "--bind", "127.0.0.1", "--directory", dir)
	newSite(t, fmt.Sprintf("127.0.0.2:%d", port))
	n := serve(t, config(t, fmt.Sprintf(`
checks:
  web: {type: http, port: %d, interval: 200ms, timeout: 150ms, rise: 1, fall: 1}
pools:
  one: {checks: [web], endpoints: [127.0.0.1]}
  two: {checks: [web], endpoints: [127.0.0.2]}
zones:
  interop.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [one, two], steer: failover}
`, port)))
	n.until("127.0.0.1", "www.interop.test", "A")
	if err := one.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n.until("127.0.0.2", "www.interop.test", "A")
	if err := one.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n.until("127.0.0.1", "www.interop.test", "A")
}

// TestMisuse is the codes and words of a start that fails.
func TestMisuse(t *testing.T) {
	conversation(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	path := config(t, fmt.Sprintf("dns: {listen: [%q]}\n", taken)+zoneText())
	out, err := exec.Command(rhumb, "serve", "-c", path).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), taken) {
		t.Errorf("an address that is taken: %v\n%s", err, out)
	}
}
