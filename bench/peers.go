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
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// peer is a server to be measured.
type peer struct {
	name  string
	plain bool // it echoes
	cmd   *exec.Cmd
	addr  netip.AddrPort
	start time.Time
}

// end kills the server and what it started.
func (p *peer) end() {
	for _, pid := range family(p.cmd.Process.Pid) {
		if pr, err := os.FindProcess(pid); err == nil {
			_ = pr.Kill()
		}
	}
	_ = p.cmd.Wait()
}

// pinned is a command bound to one core, where taskset is there to do it.
func pinned(ctx context.Context, core int, name string, args ...string) *exec.Cmd {
	if t, err := exec.LookPath("taskset"); err == nil {
		return exec.CommandContext(ctx, t, append([]string{"-c", fmt.Sprint(core), name}, args...)...)
	}
	return exec.CommandContext(ctx, name, args...)
}

// The servers have the first core and the load the second.
const (
	serverCore = 0
	loadCore   = 1
)

func freeAddr() (netip.AddrPort, error) {
	l, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, err
	}
	defer func() { _ = l.Close() }()
	return l.LocalAddr().(*net.UDPAddr).AddrPort(), nil
}

// launch starts a server and waits until it answers for the last of its names.
func launch(p *peer, names int) (*peer, error) {
	p.start = time.Now()
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	if err := answers(p.addr, serviceName(names-1), time.Minute); err != nil {
		p.end()
		return nil, fmt.Errorf("%s: %w", p.name, err)
	}
	return p, nil
}

// answers asks until there is an answer with records.
func answers(to netip.AddrPort, name string, patience time.Duration) error {
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
		if k, err := conn.Read(b); err == nil && k > dnswire.HeaderLen && b[7] > 0 {
			return nil
		}
	}
	return errors.New("no answer within " + patience.String())
}

func startRhumb(ctx context.Context, s settings, name, config string, names int) (*peer, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, "rhumb.yaml")
	config = fmt.Sprintf("dns: {listen: [%q]}\nadmin: {listen: 127.0.0.1:0}\nlog: {level: error}\n", addr) + config
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return launch(&peer{name: name, addr: addr, cmd: pinned(ctx, serverCore, s.rhumb, "serve", "-c", path)}, names)
}

// startStatic starts rhumb with the zone file that the others have.
func startStatic(ctx context.Context, s settings, names int) (*peer, error) {
	zone, err := zoneFile(s, names)
	if err != nil {
		return nil, err
	}
	return startRhumb(ctx, s, "rhumb", fmt.Sprintf("zones: {%s: {file: %q}}\n", zoneName, zone), names)
}

func startEcho(ctx context.Context, s settings) (*peer, error) {
	p := &peer{name: "UDP echo", plain: true, cmd: pinned(ctx, serverCore, s.self, "echo")}
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

// zoneFile is a static zone with the names of the services.
func zoneFile(s settings, names int) (string, error) {
	path := zonePath(s, names)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	f, err := os.Create(path)
	if err != nil {
		return "", err
	}
	w := bufio.NewWriter(f)
	_, _ = fmt.Fprintf(w, "$ORIGIN %s.\n$TTL 30\n@ SOA ns1 hostmaster 1 3600 600 604800 30\n@ NS ns1\nns1 A 127.0.0.1\n", zoneName)
	for i := range names {
		_, _ = fmt.Fprintf(w, "n%07d A 10.1.0.1\n", i)
	}
	return path, errors.Join(w.Flush(), f.Close())
}

func zonePath(s settings, names int) string {
	return filepath.Join(s.dir, fmt.Sprintf("zone-%d", names))
}

// lookProgram finds a program also where daemons are kept.
func lookProgram(name string) (string, bool) {
	for _, p := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(p); err == nil {
			return path, true
		}
	}
	return "", false
}

func startNSD(ctx context.Context, s settings, names int) (*peer, error) {
	program, ok := lookProgram("nsd")
	if !ok {
		return nil, nil
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	zone, err := zoneFile(s, names)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, "nsd.conf")
	text := fmt.Sprintf(`server:
  ip-address: %s@%d
  server-count: 1
  reuseport: no
  username: ""
  chroot: ""
  zonesdir: %q
  pidfile: %q
  logfile: %q
  xfrdfile: %q
  zonelistfile: %q
  rrl-ratelimit: 0
  minimal-responses: yes
remote-control:
  control-enable: no
zone:
  name: %s
  zonefile: %q
`, addr.Addr(), addr.Port(), s.dir, s.dir+"/nsd.pid", s.dir+"/nsd.log", s.dir+"/nsd.xfrd", s.dir+"/nsd.zones", zoneName, zone)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return launch(&peer{name: "NSD", addr: addr, cmd: pinned(ctx, serverCore, program, "-d", "-c", path)}, names)
}

func startKnot(ctx context.Context, s settings, names int) (*peer, error) {
	program, ok := lookProgram("knotd")
	if !ok {
		return nil, nil
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	zone, err := zoneFile(s, names)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, "knot.conf")
	text := fmt.Sprintf(`server:
    rundir: %q
    listen: %s@%d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
log:
  - target: stderr
    any: error
database:
    storage: %q
zone:
  - domain: %s
    file: %q
    zonefile-sync: -1
    journal-content: none
`, s.dir, addr.Addr(), addr.Port(), s.dir, zoneName, zone)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return launch(&peer{name: "Knot DNS", addr: addr, cmd: pinned(ctx, serverCore, program, "-c", path)}, names)
}
