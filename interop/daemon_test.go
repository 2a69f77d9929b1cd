//go:build linux

package interop

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// room is a directory for servers that do not run as root, and who they run as.
type room struct {
	t   testing.TB
	dir string
	as  *syscall.Credential // nil: as the test
}

func newRoom(t testing.TB) *room {
	t.Helper()
	// Not t.TempDir: nobody else may look into that. And sockets need a short path.
	dir, err := os.MkdirTemp("", "rhumb")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	r := &room{t: t, dir: dir}
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			t.Fatal(err)
		}
		uid, _ := strconv.Atoi(nobody.Uid)
		gid, _ := strconv.Atoi(nobody.Gid)
		r.as = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		r.own(dir)
	}
	return r
}

func (r *room) own(path string) {
	r.t.Helper()
	if r.as != nil {
		if err := os.Chown(path, int(r.as.Uid), int(r.as.Gid)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *room) path(name string) string { return filepath.Join(r.dir, name) }

// file writes a file that the servers may read, and nobody else.
func (r *room) file(name, text string) string {
	r.t.Helper()
	p := write(r.t, r.path(name), text)
	r.own(p)
	return p
}

func (r *room) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "HOME="+r.dir, "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: r.as}
	return cmd
}

// run runs a program to its end.
func (r *room) run(stdin, name string, args ...string) {
	r.t.Helper()
	cmd := r.command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

// daemon is a server that runs until the test ends.
type daemon struct {
	port  string
	cmd   *exec.Cmd
	logs  logBuffer
	ended chan struct{}
}

// start starts a server, whose port is in args, and waits until it accepts
// connections.
func (r *room) start(port, name string, args ...string) *daemon {
	r.t.Helper()
	d := &daemon{port: port, cmd: r.command(name, args...), ended: make(chan struct{})}
	d.cmd.Stdout, d.cmd.Stderr = &d.logs, &d.logs
	if err := d.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	r.t.Cleanup(d.stop)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if c, err := net.Dial("tcp", "127.0.0.1:"+port); err == nil {
			_ = c.Close()
			return d
		}
		select {
		case <-d.ended:
			r.t.Fatalf("%s ended:\n%s", name, d.logs.String())
		case <-tick.C:
		}
	}
	r.t.Fatalf("%s does not listen:\n%s", name, d.logs.String())
	return nil
}

// stop ends a server in order and, where it does not obey, by force.
func (d *daemon) stop() {
	// SIGINT is PostgreSQL's fast shutdown; it would wait for us on SIGTERM.
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	_ = d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-d.ended:
	case <-time.After(10 * time.Second):
		_ = d.cmd.Process.Kill()
		<-d.ended
	}
}

// installed finds a program that may be in a directory of its package.
func installed(t testing.TB, name, pattern string) string {
	t.Helper()
	conversation(t)
	if found, _ := filepath.Glob(filepath.Join(pattern, name)); len(found) > 0 {
		return found[len(found)-1]
	}
	return program(t, name)
}

// tcpPort is a free one.
func tcpPort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
}

// probed makes one probe of a check, as the configuration has it.
func probed(t testing.TB, port, keys string) probe.Result {
	t.Helper()
	s, _, err := spec.Load(config(t, "checks:\n  c: {"+keys+", port: "+port+"}\n"), spec.Options{})
	if err != nil {
		t.Fatalf("%s: %v", keys, err)
	}
	c := s.Checks["c"]
	p, err := health.NewProber(health.Check{Check: c, Host: c.Host})
	if err != nil {
		t.Fatalf("%s: %v", keys, err)
	}
	timeout := c.Timeout
	if !strings.Contains(keys, "timeout:") {
		timeout = 20 * time.Second // on a machine that is busy
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return p.Probe(ctx, probe.Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: c.Port})
}

// expected is a probe and what must come of it.
type expected struct {
	keys, class, detail string
	degraded            bool
}

// judge makes probes of a kind and holds their results against what they must be.
func judge(t *testing.T, kind string, d *daemon, all []expected) {
	t.Helper()
	for _, w := range all {
		keys := "type: " + kind
		if w.keys != "" {
			keys += ", " + w.keys
		}
		w.hold(t, keys, probed(t, d.port, keys))
	}
}

func (w expected) hold(t *testing.T, keys string, r probe.Result) {
	t.Helper()
	if string(r.Class) != w.class || !strings.Contains(r.Detail, w.detail) || r.Degraded != w.degraded ||
		w.class == "" && w.detail == "" && r.Detail != "" || strings.Contains(r.Detail, secretWord) {
		t.Errorf("%s: %+v, want class %q, detail %q, degraded %v", keys, r, w.class, w.detail, w.degraded)
	}
}

// becomes probes until the result is as stated.
func becomes(t *testing.T, kind string, d *daemon, w expected) {
	t.Helper()
	var r probe.Result
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		r = probed(t, d.port, "type: "+kind+", "+w.keys)
		if string(r.Class) == w.class && strings.Contains(r.Detail, w.detail) && r.Degraded == w.degraded {
			return
		}
	}
	t.Fatalf("%s: still %+v, want class %q, detail %q, degraded %v\n%s", w.keys, r, w.class, w.detail, w.degraded, d.logs.String())
}

// secretWord is the password of every account.
const secretWord = "correct-horse-battery"
