package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lossProcess runs an order in a process with a network namespace of its own, and
// returns what it prints.
func lossProcess(ctx context.Context, s *settings, order string, patience time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.self, "loss", order)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("loss: %w", err)
	}
	return out, nil
}

// elsewhere runs tasks on a thread that has another network namespace. What they
// open stays there.
func elsewhere() (do func(func() error) error, err error) {
	tasks, done := make(chan func() error), make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		done <- os.NewSyscallError("unshare", syscall.Unshare(syscall.CLONE_NEWNET))
		for f := range tasks {
			done <- f()
		}
	}()
	return func(f func() error) error {
		tasks <- f
		return <-done
	}, <-done
}

// ipLines runs lines of commands of the program ip.
func ipLines(lines ...string) error {
	for _, l := range lines {
		if out, err := exec.Command("ip", strings.Fields(l)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", l, err, out)
		}
	}
	return nil
}

// lossCommand plays node, road and endpoints as ordered, and prints what it found as
// JSON. It is in a network namespace of its own, where the node is as well.
func lossCommand(text string) error {
	var o lossOrder
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	far, err := elsewhere()
	if err != nil {
		return err
	}
	r := newRoad(o.Burst)
	if err := errors.Join(r.plug(0), far(func() error { return r.plug(1) })); err != nil {
		return err
	}
	// Queues are long, so that nothing is lost but on the road.
	err = errors.Join(
		ipLines("link set lo up", "link set road txqueuelen 20000 up", "addr add 10.79.0.1/24 dev road", "route add default via 10.79.0.2"),
		os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0o600),
		far(func() error {
			return errors.Join(
				ipLines("link set lo up", "link set road txqueuelen 20000 up", "addr add 10.79.0.2/24 dev road", "route add local 10.80.0.0/12 dev lo"),
				lossServers(o.Cert, o.Key))
		}))
	if err != nil {
		return err
	}
	r.carry()
	f, err := o.watch()
	if err != nil {
		return err
	}
	f.Carried, f.Lost, f.Runs = r.counts()
	return json.NewEncoder(os.Stdout).Encode(f)
}

// watch starts a node, and says after a time what it has found.
func (o *lossOrder) watch() (*lossFound, error) {
	dir, err := os.MkdirTemp(o.Dir, "loss")
	if err != nil {
		return nil, err
	}
	conf, journal := filepath.Join(dir, "rhumb.yaml"), filepath.Join(dir, "log")
	if err := os.WriteFile(conf, []byte(o.text()), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(journal)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	node := exec.Command(o.Rhumb, "serve", "-c", conf)
	node.Stdout, node.Stderr = log, log
	node.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// A signal at the death of the parent is one at that of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	begin := time.Now()
	if err := node.Start(); err != nil {
		return nil, err
	}
	time.Sleep(o.For)
	p := &peer{admin: netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), 8080)}
	m, err := p.metrics(context.Background())
	f := &lossFound{Took: time.Since(begin), Probes: map[string]int{}, Failed: map[string]map[string]int{}}
	_ = node.Process.Signal(os.Interrupt)
	_ = node.Wait()
	if err != nil {
		said, _ := os.ReadFile(journal)
		return nil, fmt.Errorf("loss: rhumb: %w\n%s", err, tail(string(said), 1000))
	}
	f.count(m)
	return f, f.read(journal)
}

// leftOut is a line in place of many.
var leftOut = regexp.MustCompile(`message="endpoint down" lines=(\d+)`)

var probesTotal = regexp.MustCompile(`^rhumb_probes_total\{check="([^"]*)",result="([^"]*)"\}$`)

func (f *lossFound) count(m samples) {
	f.Up = int(m.value(`rhumb_targets{state="up"}`))
	f.Suspected, f.Stalls = int(m.value("rhumb_health_suspect_total")), int(m.value("rhumb_health_stalls_total"))
	for k, v := range m {
		s := probesTotal.FindStringSubmatch(k)
		if s == nil || v == 0 {
			continue
		}
		f.Probes[s[2]] += int(v)
		if s[2] != "ok" {
			if f.Failed[s[1]] == nil {
				f.Failed[s[1]] = map[string]int{}
			}
			f.Failed[s[1]][s[2]] += int(v)
		}
	}
}

// read takes the false alarms from a log.
func (f *lossFound) read(journal string) error {
	in, err := os.Open(journal)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if !strings.Contains(lines.Text(), "endpoint down") {
			continue
		}
		times := 1
		if m := leftOut.FindStringSubmatch(lines.Text()); m != nil {
			times, _ = strconv.Atoi(m[1])
		}
		f.Alarms = append(f.Alarms, slices.Repeat([]string{lines.Text()}, times)...)
	}
	return lines.Err()
}

// lossServers are what the endpoints run, on all addresses of the namespace that it is
// called in.
func lossServers(cert, key string) error {
	for port, play := range map[int]func(net.Conn){
		7000: func(net.Conn) {},
		6379: says("+PONG\r\n"),
		8080: says("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n# TYPE up gauge\nup 1\n"),
		5432: says("R\x00\x00\x00\x0c\x00\x00\x00\x05salt"),
		25:   lossMail,
	} {
		l, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err != nil {
			return err
		}
		go accept(l, play)
	}
	var l librarySockets
	var all [5]error
	l.web, all[0] = net.Listen("tcp4", ":8443")
	l.calls, all[1] = net.Listen("tcp4", ":50051")
	l.names, all[2] = net.Listen("tcp4", ":53")
	l.quick, all[3] = net.ListenPacket("udp4", ":8443")
	l.questions, all[4] = net.ListenPacket("udp4", ":53")
	if err := errors.Join(all[:]...); err != nil {
		return err
	}
	return l.serve(cert, key)
}

// says is an endpoint that says what it has to when somebody has said something, and
// hangs up when that one has.
func says(what string) func(net.Conn) {
	return func(c net.Conn) {
		b := make([]byte, 4096)
		if _, err := c.Read(b); err != nil {
			return
		}
		if _, err := c.Write([]byte(what)); err != nil {
			return
		}
		_ = c.(*net.TCPConn).CloseWrite()
		_, _ = c.Read(b)
	}
}

// lossMail is a mail server up to the mail (RFC 5321 section 4.2).
func lossMail(c net.Conn) {
	_, _ = fmt.Fprint(c, "220 mx ESMTP\r\n")
	for in := bufio.NewScanner(c); in.Scan(); {
		if strings.HasPrefix(strings.ToUpper(in.Text()), "QUIT") {
			_, _ = fmt.Fprint(c, "221 bye\r\n")
			return
		}
		_, _ = fmt.Fprint(c, "250 mx\r\n")
	}
}
