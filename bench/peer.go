package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// peer is a server to be measured, while it runs.
type peer struct {
	name  string
	dir   string // its own, for configuration and state
	cmd   *exec.Cmd
	addr  netip.AddrPort // UDP and TCP
	tls   netip.AddrPort
	admin netip.AddrPort // rhumb's HTTP
	ctl   []string       // the command that makes it read its data again; none: SIGHUP
	start time.Time
	first time.Duration // from the start to the first answer
}

func (p *peer) pid() int { return p.cmd.Process.Pid }

// reload makes the server read its data again, and does not wait for it.
func (p *peer) reload() error {
	if len(p.ctl) == 0 {
		return p.cmd.Process.Signal(syscall.SIGHUP)
	}
	c := exec.Command(p.ctl[0], p.ctl[1:]...)
	if err := c.Start(); err != nil {
		return err
	}
	go func() { _ = c.Wait() }()
	return nil
}

// end kills the server and what it started.
func (p *peer) end() {
	for _, pid := range family(p.pid()) {
		if pr, err := os.FindProcess(pid); err == nil {
			_ = pr.Kill()
		}
	}
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.dir)
}

// wants is what a server is started with.
type wants struct {
	names int
	// steer is "" for static data, or one of the words of steered.
	steer string
	world *world // where clients are, for steerPlace
	// measured is where the endpoints of the sites listen, when they have checks.
	measured []netip.AddrPort
	tls      bool
	cores    []int
}

// starter starts a server. Without an error it may return nil: the server is not
// installed, or cannot do what is wanted, and that has been said.
type starter func(ctx context.Context, s *settings, w wants) (*peer, error)

// pinned is a command bound to cores, where taskset is there to do it.
func pinned(ctx context.Context, cores []int, name string, args ...string) *exec.Cmd {
	if t, err := exec.LookPath("taskset"); err == nil {
		list := strings.ReplaceAll(strings.Trim(fmt.Sprint(cores), "[]"), " ", ",")
		return exec.CommandContext(ctx, t, append([]string{"-c", list, name}, args...)...)
	}
	return exec.CommandContext(ctx, name, args...)
}

// freeAddr is an address of which neither the UDP nor the TCP port is taken.
func freeAddr() (netip.AddrPort, error) {
	for range 20 {
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return netip.AddrPort{}, err
		}
		a := l.LocalAddr().(*net.UDPAddr).AddrPort()
		t, err := net.Listen("tcp", a.String())
		_ = l.Close()
		if err == nil {
			return a, t.Close()
		}
	}
	return netip.AddrPort{}, errors.New("no port that is free for UDP and TCP")
}

// prepare makes a peer with a folder and addresses of its own.
func prepare(s *settings, name string) (*peer, error) {
	p := &peer{name: name}
	var err error
	if p.dir, err = os.MkdirTemp(s.dir, "peer"); err != nil {
		return nil, err
	}
	if p.addr, err = freeAddr(); err != nil {
		return nil, err
	}
	p.tls, err = freeAddr()
	return p, err
}

// write makes a file in the peer's folder and returns its path.
func (p *peer) write(name, text string) (string, error) {
	path := filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, []byte(text), 0o600)
}

// launch starts a server and waits until it answers for the last of its names.
func (p *peer) launch(names int) (*peer, error) {
	var said strings.Builder
	p.cmd.Stderr = &said
	p.start = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	if err := answers(p.addr, serviceName(names-1), time.Minute); err != nil {
		p.end()
		return nil, fmt.Errorf("%s: %w\n%s", p.name, err, tail(said.String(), 500))
	}
	p.first = time.Since(p.start)
	return p, nil
}

func tail(s string, n int) string { return s[max(0, len(s)-n):] }

// answers asks until there is an answer with records.
func answers(to netip.AddrPort, name string, patience time.Duration) error {
	return awaitAnswer(to, name, patience, func(b []byte) bool { return b[7] > 0 })
}

// awaitAnswer asks until there is an answer as it should be.
func awaitAnswer(to netip.AddrPort, name string, patience time.Duration, good func([]byte) bool) error {
	n, err := dnswire.ParseName(name)
	if err != nil {
		return err
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	q := dnswire.AppendQuery(nil, n, dnswire.TypeA, netip.Prefix{})
	b := make([]byte, 1500)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		_ = conn.SetDeadline(time.Now().Add(5 * time.Millisecond))
		if _, err := conn.Write(q); err != nil {
			time.Sleep(time.Millisecond) // nobody listens yet
			continue
		}
		if k, err := conn.Read(b); err == nil && k > dnswire.HeaderLen && good(b[:k]) {
			return nil
		}
		time.Sleep(500 * time.Microsecond) // what the server does meanwhile is what is measured
	}
	return errors.New("no answer within " + patience.String())
}

func startEcho(ctx context.Context, s *settings, w wants) (*peer, error) {
	p, err := prepare(s, "UDP echo")
	if err != nil {
		return nil, err
	}
	p.cmd = pinned(ctx, w.cores, s.self, "echo")
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		p.end()
		return nil, err
	}
	p.addr, err = netip.ParseAddrPort(strings.TrimSpace(line))
	return p, err
}

// zoneFile is a static zone with the names of the services, made once.
func zoneFile(s *settings, names int) (string, error) {
	path := filepath.Join(s.dir, fmt.Sprintf("zone-%d", names))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	return path, writeZone(path, names, func(int) string { return "A 10.1.0.1" })
}

// writeZone makes a zone with a record, or several lines of them, for each name.
func writeZone(path string, names int, record func(i int) string) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	_, _ = fmt.Fprintf(w, "$ORIGIN %s.\n$TTL 30\n@ SOA ns1 hostmaster 1 3600 600 604800 30\n@ NS ns1\nns1 A 127.0.0.1\n", zoneName)
	for i := range names {
		_, _ = fmt.Fprintf(w, "n%0*d %s\n", digits, i, record(i))
	}
	return errors.Join(w.Flush(), f.Close())
}

// lookProgram finds a program also where daemons are kept. It says once, and
// loudly, what is missing.
func (s *settings) lookProgram(name, install string) (string, bool) {
	for _, p := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path, true
		}
	}
	s.missing(name, install)
	return "", false
}

// missing says once that something is not there.
func (s *settings) missing(what, remedy string) {
	if s.said[what] {
		return
	}
	s.said[what] = true
	fmt.Fprintf(os.Stderr, "\nMISSING: %s: it is left out. %s\n\n", what, remedy)
}
