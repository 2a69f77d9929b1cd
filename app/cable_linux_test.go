package app_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/api"
)

// inNamespace is set in a process that alone has started.
const inNamespace = "RHUMB_TEST_NAMESPACE"

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
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.v", "-test.timeout=4m", "-test.run=^"+t.Name()+"$")
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

// host is another host: a thread with a network namespace of its own.
type host struct {
	thread int
	tasks  chan func()
}

func newHost(t *testing.T) *host {
	t.Helper()
	h, tid := &host{tasks: make(chan func())}, make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
			t.Errorf("unshare: %v", err)
		}
		tid <- syscall.Gettid()
		for f := range h.tasks {
			f()
		}
	}()
	t.Cleanup(func() { close(h.tasks) })
	h.thread = <-tid
	return h
}

// on runs f on the host.
func (h *host) on(f func()) {
	done := make(chan struct{})
	h.tasks <- func() {
		defer close(done)
		f()
	}
	<-done
}

// ip runs commands of the program ip, divided by semicolons. It does not end the
// test, since it may run on another goroutine than the test's.
func ip(t *testing.T, commands string) {
	t.Helper()
	for command := range strings.SplitSeq(commands, ";") {
		if out, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput(); err != nil {
			t.Errorf("ip %s: %v: %s", command, err, out)
		}
	}
}

func (h *host) forward(t *testing.T, on string) {
	h.on(func() {
		if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(on), 0o600); err != nil {
			t.Errorf("%v", err)
		}
	})
}

// reach waits until the network leads to all addresses. The kernel tells a link that it is
// up once a second and not at once when many links change on the machine, and until then
// it drops what it is to send: a node that asked so early would find its endpoints down.
func reach(t *testing.T, all []string) {
	t.Helper()
	d := net.Dialer{Deadline: time.Now().Add(patience)}
	for _, addr := range all {
		for {
			c, err := d.DialContext(t.Context(), "tcp", addr+":8080")
			if err == nil {
				_ = c.Close()
				break
			}
			if time.Now().After(d.Deadline) {
				t.Fatal(err)
			}
		}
	}
}

// condition waits until something is so.
func (n *node) condition(what string, is func() bool) {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-tick.C {
		if is() {
			return
		}
	}
	n.t.Fatalf("not so: %s\n%s", what, n.log)
}

// TestPulledCable pulls a node's own cable in three ways: nothing is declared dead, it
// is said, and answers stay. Then it pulls that of one site, which is.
func TestPulledCable(t *testing.T) {
	const what = "a node whose cable is pulled"
	if !alone(t, what) {
		return
	}
	if out, err := exec.Command("ip", "link", "add", "near", "type", "veth", "peer", "name", "core0").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED: %s: the kernel has no veth: %s", what, out)
	}
	core := newHost(t)
	ip(t, fmt.Sprintf("link set core0 netns %d;link set lo up;addr add 10.77.0.1/24 dev near;link set near up;route add default via 10.77.0.2", core.thread))
	core.on(func() { ip(t, "link set lo up;addr add 10.77.0.2/24 dev core0;link set core0 up") })
	core.forward(t, "1")
	const sites, each = 3, 3
	var hosts []*host
	var all []string
	config := header + "checks:\n  web: {type: tcp, port: 8080, interval: 500ms, timeout: 250ms, confirm: 100ms, fall: 3, rise: 1}\npools:\n"
	for k := range sites {
		h := newHost(t)
		hosts = append(hosts, h)
		core.on(func() {
			ip(t, fmt.Sprintf("link add site%d type veth peer name far%d;link set far%d netns %d;addr add 10.78.%d.1/24 dev site%d;link set site%d up;route add 10.80.%d.0/24 via 10.78.%d.2",
				k, k, k, h.thread, k, k, k, k, k))
		})
		var ends []string
		h.on(func() {
			ip(t, fmt.Sprintf("link set lo up;addr add 10.78.%d.2/24 dev far%d;link set far%d up;route add default via 10.78.%d.1", k, k, k, k))
			for i := range each {
				addr := fmt.Sprintf("10.80.%d.%d", k, i+1)
				ip(t, "addr add "+addr+"/32 dev lo")
				ends = append(ends, addr)
			}
			ln, err := net.Listen("tcp", ":8080")
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			t.Cleanup(func() { _ = ln.Close() })
			go func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					_ = c.Close()
				}
			}()
		})
		all = append(all, ends...)
		config += fmt.Sprintf("  site%d: {checks: [web], endpoints: [%s]}\n", k, strings.Join(ends, ", "))
	}
	if t.Failed() {
		return
	}
	reach(t, all)
	config += "zones:\n  example.com:\n    nameservers: {ns1.example.net.: []}\n    services:\n      www: {pools: [site0, site1, site2], answers: 0}\n"
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, config)
	n := start(t, path)
	client, err := api.New("http://"+n.AdminAddr().String(), api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	answers := func() []string {
		got := strings.Fields(addresses(n.ask("www.example.com", dns.TypeA)))
		slices.Sort(got)
		return got
	}
	status := func() *api.Status {
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	n.condition("all are up", func() bool { return status().Endpoints.Up == sites*each })

	for _, cable := range []struct {
		name       string
		pull, plug func()
		cut        string
	}{
		{
			"link down", func() { ip(t, "link set near down") },
			func() { ip(t, "link set near up;route add default via 10.77.0.2") }, "no route: network is unreachable",
		},
		{
			"no carrier", func() { core.on(func() { ip(t, "link set core0 down") }) },
			func() { core.on(func() { ip(t, "link set core0 up") }) }, "interface near has no carrier",
		},
		{"packets dropped", func() { core.forward(t, "0") }, func() { core.forward(t, "1") }, ""},
	} {
		before := strings.Count(n.log.String(), "verdicts are held")
		cable.pull()
		n.condition(cable.name+": all verdicts are held", func() bool { return status().Awareness.Held == sites*each })
		a := status().Awareness
		if !a.Suspect || a.Cut != cable.cut || a.Share != 1 {
			t.Errorf("%s: %+v", cable.name, a)
		}
		list, err := client.Servers(t.Context(), api.ServersQuery{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range list.Servers {
			if !s.Suspect || !s.Healthy {
				t.Errorf("%s: %+v", cable.name, s)
			}
		}
		if got := answers(); !slices.Equal(got, all) {
			t.Errorf("%s: answers %v", cable.name, got)
		}
		cable.plug()
		n.condition(cable.name+": it is over", func() bool {
			a := status().Awareness
			return !a.Suspect && a.Held == 0
		})
		n.condition(cable.name+": all answer", func() bool {
			list, err := client.Servers(t.Context(), api.ServersQuery{})
			return err == nil && !slices.ContainsFunc(list.Servers, func(s api.Server) bool { return s.LastError != "" })
		})
		if got := status().Endpoints.Up; got != sites*each {
			t.Errorf("%s: %d are up", cable.name, got)
		}
		if log := n.log.String(); strings.Contains(log, "endpoint down") || strings.Count(log, "verdicts are held") != before+1 {
			t.Errorf("%s: %s", cable.name, log)
		}
	}

	before := strings.Count(n.log.String(), "verdicts are held")
	hosts[1].on(func() { ip(t, "link set far1 down") })
	n.condition("the site is out", func() bool {
		return slices.Equal(answers(), slices.Concat(all[:each], all[2*each:]))
	})
	if got := strings.Count(n.log.String(), "verdicts are held"); got != before {
		t.Errorf("%s", n.log)
	}
}

// TestOwnSegment has a node in one network with its endpoints, behind a switch. Where its
// port there is dead while its interface has a carrier, nothing is declared dead, and
// where the endpoints are, they are.
func TestOwnSegment(t *testing.T) {
	const what = "a node whose port at the switch is dead"
	if !alone(t, what) {
		return
	}
	core, ends, gate := newHost(t), newHost(t), newHost(t)
	here := syscall.Gettid() // of any thread that is no host's
	var bridge []byte
	var err error
	core.on(func() { bridge, err = exec.Command("ip", "link", "add", "br0", "type", "bridge").CombinedOutput() })
	if err != nil {
		t.Skipf("SKIPPED: %s: the kernel has no bridges: %s", what, bridge)
	}
	core.on(func() {
		ip(t, fmt.Sprintf("link set lo up;link set br0 up;link add node type veth peer name near netns %d;link set node master br0 up;"+
			"link add ends type veth peer name far netns %d;link set ends master br0 up;link add gate type veth peer name out netns %d;link set gate master br0 up",
			here, ends.thread, gate.thread))
	})
	gate.on(func() { ip(t, "link set lo up;addr add 10.77.0.254/24 dev out;link set out up") })
	ip(t, "link set lo up;addr add 10.77.0.1/24 dev near;link set near up;route add default via 10.77.0.254")
	// So that the gateway is given up soon, and not after a minute.
	for name, value := range map[string]string{"base_reachable_time_ms": "200", "delay_first_probe_time": "0", "retrans_time_ms": "50"} {
		if err := os.WriteFile("/proc/sys/net/ipv4/neigh/near/"+name, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	all := []string{"10.77.0.11", "10.77.0.12", "10.77.0.13"}
	ends.on(func() {
		for _, addr := range all {
			ip(t, "addr add "+addr+"/24 dev far")
		}
		ip(t, "link set lo up;link set far up")
		ln, err := net.Listen("tcp", ":8080")
		if err != nil {
			t.Errorf("%v", err)
			return
		}
		t.Cleanup(func() { _ = ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
	})
	if t.Failed() {
		return
	}
	reach(t, all)
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, header+"checks:\n  web: {type: tcp, port: 8080, interval: 500ms, timeout: 250ms, confirm: 100ms, fall: 3, rise: 1}\npools:\n  main: {checks: [web], endpoints: ["+
		strings.Join(all, ", ")+"]}\nzones:\n  example.com:\n    nameservers: {ns1.example.net.: []}\n    services:\n      www: {pools: [main], answers: 0}\n")
	n := start(t, path)
	client, err := api.New("http://"+n.AdminAddr().String(), api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	status := func() *api.Status {
		s, err := client.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	n.condition("all are up", func() bool { return status().Endpoints.Up == len(all) })
	core.on(func() { ip(t, "link set node nomaster") })
	n.condition("all verdicts are held", func() bool { return status().Awareness.Held == len(all) })
	n.condition("the gateway is missed", func() bool { return status().Awareness.Cut == "the gateway 10.77.0.254 does not answer" })
	core.on(func() { ip(t, "link set node master br0") })
	n.condition("it is over", func() bool {
		s := status()
		return !s.Awareness.Suspect && s.Awareness.Held == 0 && s.Endpoints.Up == len(all)
	})
	if log := n.log.String(); strings.Contains(log, "endpoint down") || strings.Count(log, "verdicts are held") != 1 {
		t.Errorf("%s", log)
	}

	core.on(func() { ip(t, "link set ends nomaster") })
	n.condition("all are down", func() bool { return status().Endpoints.Down == len(all) })
	if log := n.log.String(); strings.Count(log, "verdicts are held") != 1 {
		t.Errorf("%s", log)
	}
}
