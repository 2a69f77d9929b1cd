//go:build unix

package interop

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// rhumb is the path of the program under test.
var rhumb string

func TestMain(m *testing.M) {
	if os.Getenv("RHUMB_INTEROP") != "1" {
		fmt.Println("SKIPPED: the conversations with other programs; `make interop` runs them")
		os.Exit(m.Run())
	}
	os.Exit(run(m))
}

// inNamespace is set in the process that a test starts in a network namespace of
// its own; its value is the path of the program under test.
const inNamespace = "RHUMB_INTEROP_NAMESPACE"

// conversation marks a test that starts programs.
func conversation(t testing.TB) {
	t.Helper()
	if os.Getenv("RHUMB_INTEROP") != "1" {
		t.Skip("SKIPPED: `make interop` runs it")
	}
}

func run(m *testing.M) int {
	if rhumb = os.Getenv(inNamespace); rhumb != "" {
		return m.Run() // it has been built
	}
	dir, err := os.MkdirTemp("", "rhumb-interop")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	rhumb = filepath.Join(dir, "rhumb")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", rhumb, "../cmd/rhumb").CombinedOutput(); err != nil {
		fmt.Printf("build: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// program finds another program; where it is missing the test skips, and fails
// in CI.
func program(t testing.TB, name string) string {
	t.Helper()
	conversation(t)
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin") {
		if p := filepath.Join(dir, name); exec.Command("test", "-x", p).Run() == nil {
			return p
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("SKIPPED: %s is not installed; .ci/packages installs it", name)
	return ""
}

// node is a process of `rhumb serve`.
type node struct {
	t      testing.TB
	cmd    *exec.Cmd
	config string
	port   string // of DNS on 127.0.0.1
	api    string // of the admin surface, as a URL
	ended  chan struct{}
	state  *os.ProcessState // once ended

	mu  sync.Mutex
	log strings.Builder
}

var (
	dnsLine   = regexp.MustCompile(`msg="dns listens" address=127\.0\.0\.1:(\d+)`)
	adminLine = regexp.MustCompile(`msg="admin listens" address=(\S+)`)
)

// serve starts a node and waits until it answers.
func serve(t testing.TB, config string) *node {
	t.Helper()
	conversation(t)
	n := &node{t: t, config: config, ended: make(chan struct{})}
	n.cmd = exec.Command(rhumb, "serve", "-c", config)
	logs, err := n.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	up := make(chan struct{})
	read := make(chan struct{})
	go func() {
		defer close(read)
		for lines := bufio.NewScanner(logs); lines.Scan(); {
			l := lines.Text()
			n.mu.Lock()
			n.log.WriteString(l + "\n")
			n.mu.Unlock()
			if m := adminLine.FindStringSubmatch(l); m != nil {
				n.api = "http://" + m[1]
			}
			if m := dnsLine.FindStringSubmatch(l); m != nil && n.port == "" {
				n.port = m[1]
				close(up)
			}
		}
	}()
	go func() {
		<-read
		_ = n.cmd.Wait()
		n.state = n.cmd.ProcessState
		close(n.ended)
	}()
	t.Cleanup(func() {
		select {
		case <-n.ended:
		default:
			n.stop()
		}
	})
	select {
	case <-up:
	case <-n.ended:
		t.Fatalf("it did not start:\n%s", n.logs())
	case <-time.After(time.Minute):
		t.Fatalf("it did not answer:\n%s", n.logs())
	}
	return n
}

func (n *node) logs() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.log.String()
}

// stop ends the node as an operator does; it must obey with code 0.
func (n *node) stop() {
	n.t.Helper()
	if err := n.cmd.Process.Signal(os.Interrupt); err != nil {
		n.t.Errorf("interrupt: %v", err)
	}
	select {
	case <-n.ended:
		if code := n.state.ExitCode(); code != 0 {
			n.t.Errorf("exit code %d after an interrupt:\n%s", code, n.logs())
		}
	case <-time.After(30 * time.Second):
		_ = n.cmd.Process.Kill()
		<-n.ended
		n.t.Errorf("it did not end:\n%s", n.logs())
	}
}

// kill ends the node as a power cut does.
func (n *node) kill() {
	n.t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		n.t.Fatal(err)
	}
	<-n.ended
}

// dig asks with dig and returns what it prints.
func (n *node) dig(args ...string) string {
	n.t.Helper()
	return output(n.t, program(n.t, "dig"), append([]string{"@127.0.0.1", "-p", n.port, "+timeout=5", "+tries=1"}, args...)...)
}

func output(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// until asks for a name until dig's short answer is as wanted.
func (n *node) until(want string, args ...string) {
	n.t.Helper()
	var got string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		// A server that has just been started may not listen yet.
		out, err := exec.Command(program(n.t, "dig"), append([]string{"@127.0.0.1", "-p", n.port, "+timeout=5", "+tries=1", "+short"}, args...)...).CombinedOutput()
		if got = strings.TrimSpace(string(out)); err == nil && got == want {
			return
		}
	}
	n.t.Fatalf("%v: still %q, want %q\n%s", args, got, want, n.logs())
}

// config writes a configuration with ports of the system's choice.
func config(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	rewrite(t, path, text)
	return path
}

func rewrite(t testing.TB, path, text string) {
	t.Helper()
	text = "admin: {listen: 127.0.0.1:0}\n" + text
	if !strings.Contains(text, "dns:") {
		text = "dns: {listen: [127.0.0.1:0], nsid: interop}\n" + text
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// site is an HTTP endpoint on a loopback address, which can be broken.
type site struct {
	port   int
	broken atomic.Bool
}

func newSite(t testing.TB, address string) *site {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{port: l.Addr().(*net.TCPAddr).Port}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	return s
}
