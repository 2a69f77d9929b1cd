//go:build linux

package interop

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// gslbExample is the example of CoreDNS behind dnsdist in two datacenters.
var gslbExample = filepath.Join("..", "examples", "coredns-gslb")

// ready is the ready CoreDNS, built where rhumb is the first time that it is wanted.
// With the flags of all other tests it takes a link, once those of its module have
// been run, and minutes without.
func ready(t *testing.T) string {
	t.Helper()
	conversation(t)
	path := filepath.Join(filepath.Dir(rhumb), "coredns")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", path, "./cmd/coredns")
	cmd.Dir = filepath.Join("..", "coredns")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// machine is a machine of a network: a thread with a network namespace of its own.
type machine struct {
	t      *testing.T
	thread int
	tasks  chan func()
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, tasks: make(chan func())}
	begun := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := syscall.Unshare(syscall.CLONE_NEWNET)
		m.thread = syscall.Gettid()
		begun <- err
		for f := range m.tasks {
			f()
		}
	}()
	t.Cleanup(func() { close(m.tasks) })
	if err := <-begun; err != nil {
		t.Fatalf("unshare: %v", err)
	}
	return m
}

// there runs a function on the machine.
func (m *machine) there(f func() error) error {
	done := make(chan error)
	m.tasks <- func() { done <- f() }
	return <-done
}

// must runs one that must not fail.
func (m *machine) must(f func() error) {
	m.t.Helper()
	if err := m.there(f); err != nil {
		m.t.Fatal(err)
	}
}

// dial opens a connection from the machine.
func (m *machine) dial(_ context.Context, network, address string) (nc net.Conn, err error) {
	err = m.there(func() error {
		nc, err = net.DialTimeout(network, address, 5*time.Second)
		return err
	})
	return nc, err
}

// ip runs commands of the program ip.
func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, out)
		}
	}
	return nil
}

// start starts a program on the machine; it runs until it is stopped, or the test ends.
func (m *machine) start(dir string, env []string, name string, args ...string) *daemon {
	m.t.Helper()
	d := &daemon{cmd: exec.Command(name, args...), ended: make(chan struct{})}
	d.cmd.Dir, d.cmd.Env = dir, append(os.Environ(), env...)
	d.cmd.Stdout, d.cmd.Stderr = &d.logs, &d.logs
	m.must(d.cmd.Start)
	go func() {
		_ = d.cmd.Wait()
		close(d.ended)
	}()
	m.t.Cleanup(func() {
		d.kill()
		if m.t.Failed() {
			lines := strings.SplitAfter(d.logs.String(), "\n")
			m.t.Logf("%v %s:\n%s", env, filepath.Base(name), strings.Join(lines[max(0, len(lines)-40):], ""))
		}
	})
	return d
}

func (d *daemon) kill() {
	_ = d.cmd.Process.Kill()
	<-d.ended
}

// datacenter is one of the two: a machine with dnsdist and the instances of CoreDNS,
// and one with the endpoints, behind a switch.
//
//	clients ---- br0 --+-- up0 [dc1: br0] lan0 ---- eth0 [its endpoints]
//	                   |
//	                   +-- up0 [dc2: br0] lan0 ---- eth0 [its endpoints]
type datacenter struct {
	t         *testing.T
	network   string // its first three numbers
	other     string
	dir       string // of the example
	coredns   string
	servers   *machine
	hosts     *machine
	instances map[string]*daemon
	serving   map[string]*http.Server
}

const (
	clientOne = "198.51.100.7" // of the location dc1
	clientTwo = "203.0.113.7"  // of the location dc2
	nobodys   = "192.0.2.7"    // of none
)

// gslbInstances are those of a datacenter, by the last part of their addresses.
var gslbInstances = map[string]string{"11": "web", "12": "web", "21": "api", "31": "db"}

// gslbHosts are the endpoints of a datacenter, likewise.
var gslbHosts = []string{"101", "102", "111", "112", "121", "122"}

// datacenters makes the network and starts everything in it. The example's files are as
// they are but for the network in the zone files: loopback does not go over wires.
func datacenters(t *testing.T) (dcs [2]*datacenter) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "coredns-gslb")
	if err := os.CopyFS(dir, os.DirFS(gslbExample)); err != nil {
		t.Fatal(err)
	}
	zones, err := filepath.Glob(filepath.Join(dir, "db.*.yml"))
	if err != nil || len(zones) != 6 {
		t.Fatalf("zone files: %v, %v", zones, err)
	}
	for _, z := range zones {
		write(t, z, strings.ReplaceAll(read(t, z), "127.0.", "10.53."))
	}
	if err := ip("link add name br0 type bridge"); err != nil {
		t.Skipf("SKIPPED: the kernel has no bridges: %v", err)
	}
	if err := ip("link set br0 up", "addr add 10.53.0.1/24 dev br0", "addr add "+clientOne+"/32 dev br0",
		"addr add "+clientTwo+"/32 dev br0", "addr add "+nobodys+"/32 dev br0", "route add 10.53.0.0/16 dev br0",
		"route add local 100.64.0.0/10 dev lo"); err != nil {
		t.Fatal(err)
	}
	coredns := ready(t)
	for i := range dcs {
		d := &datacenter{
			t: t, network: fmt.Sprintf("10.53.%d", i+1), other: fmt.Sprintf("10.53.%d", 2-i), dir: dir, coredns: coredns,
			servers: newMachine(t), hosts: newMachine(t), instances: map[string]*daemon{}, serving: map[string]*http.Server{},
		}
		dcs[i] = d
		wire := fmt.Sprintf("dc%d", i+1)
		if err := ip(
			fmt.Sprintf("link add name %s type veth peer name up0 netns %d", wire, d.servers.thread),
			fmt.Sprintf("link set %s up", wire), fmt.Sprintf("link set %s master br0", wire),
		); err != nil {
			t.Skipf("SKIPPED: the kernel has no veth: %v", err)
		}
		d.servers.must(func() error {
			commands := []string{
				"link set lo up", "link add name br0 type bridge", fmt.Sprintf("link add name lan0 type veth peer name eth0 netns %d", d.hosts.thread),
				"link set up0 up", "link set lan0 up", "link set br0 up", "link set up0 master br0", "link set lan0 master br0",
				"addr add " + d.network + ".1/24 dev br0", "route add default dev br0",
			}
			for last := range gslbInstances {
				commands = append(commands, "addr add "+d.network+"."+last+"/24 dev br0")
			}
			return ip(commands...)
		})
		d.hosts.must(func() error {
			commands := []string{"link set lo up", "link set eth0 up"}
			for _, last := range gslbHosts {
				commands = append(commands, "addr add "+d.network+"."+last+"/24 dev eth0")
			}
			return ip(append(commands, "route add default dev eth0")...)
		})
		for _, last := range gslbHosts {
			d.open(last)
		}
	}
	for _, d := range dcs {
		for last := range gslbInstances {
			d.begin(last)
		}
		d.servers.start(dir, []string{"HERE=" + d.network, "THERE=" + d.other}, program(t, "dnsdist"), "--supervised", "--disable-syslog", "-C", "dnsdist.conf")
	}
	return dcs
}

// begin starts an instance.
func (d *datacenter) begin(last string) {
	d.t.Helper()
	d.instances[last] = d.servers.start(d.dir, []string{"ADDR=" + d.network + "." + last}, d.coredns, "-conf", "Corefile."+gslbInstances[last])
}

// open starts an endpoint.
func (d *datacenter) open(last string) {
	d.t.Helper()
	var l net.Listener
	d.hosts.must(func() (err error) {
		l, err = net.Listen("tcp", d.network+"."+last+":8080")
		return err
	})
	srv := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	d.serving[last] = srv
	go func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			d.t.Errorf("endpoint %s.%s: %v", d.network, last, err)
		}
	}()
	d.t.Cleanup(func() { _ = srv.Close() })
}

// shut ends endpoints.
func (d *datacenter) shut(last ...string) {
	for _, l := range last {
		_ = d.serving[l].Close()
	}
}

// inquiry is what is asked, from where and whom.
type inquiry struct {
	name, from, to string
	typ            uint16        // A by default
	subnet         string        // of the client, stated by it
	within         time.Duration // 2 s by default
	on             *machine      // the clients' by default
}

// ask is one query over UDP. An error is that there was no answer.
func (q inquiry) ask(t *testing.T) (*dns.Msg, error) {
	t.Helper()
	if q.typ == 0 {
		q.typ = dns.TypeA
	}
	if q.within == 0 {
		q.within = 2 * time.Second
	}
	m := new(dns.Msg).SetQuestion(q.name, q.typ)
	if q.typ == dns.TypeTXT {
		m.SetEdns0(1232, false) // they are long
	}
	if q.subnet != "" {
		m.SetEdns0(1232, false)
		m.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: 24, Address: net.ParseIP(q.subnet).To4()}}
	}
	d := net.Dialer{Timeout: q.within}
	if q.from != "" {
		d.LocalAddr = &net.UDPAddr{IP: net.ParseIP(q.from)}
	}
	var nc net.Conn
	var err error
	if q.on != nil {
		nc, err = q.on.dial(t.Context(), "udp", q.to)
	} else {
		nc, err = d.Dial("udp", q.to)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = nc.Close() }()
	if err := nc.SetDeadline(time.Now().Add(q.within)); err != nil {
		t.Fatal(err)
	}
	c := &dns.Conn{Conn: nc, UDPSize: 4096}
	if err := c.WriteMsg(m); err != nil {
		return nil, err
	}
	return c.ReadMsg()
}

// said is an answer as words: the code, unless it is NOERROR, and the addresses or
// texts, without the network of both datacenters.
func said(m *dns.Msg, err error) string {
	if err != nil {
		return "nothing"
	}
	var words []string
	for _, rr := range m.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			words = append(words, strings.TrimPrefix(rr.A.String(), "10.53."))
		case *dns.TXT:
			words = append(words, strings.Join(rr.Txt, ""))
		}
	}
	slices.Sort(words)
	if m.Rcode != dns.RcodeSuccess {
		words = append([]string{dns.RcodeToString[m.Rcode]}, words...)
	}
	return strings.Join(words, " ")
}

// becomes asks until what is said is one of some things.
func (q inquiry) becomes(t *testing.T, wanted ...string) {
	t.Helper()
	got := ""
	eventually(t, func() bool {
		got = said(q.ask(t))
		return slices.Contains(wanted, got)
	}, func() string {
		return fmt.Sprintf("%s from %s to %s: %q, want one of %q", q.name, q.from, q.to, got, wanted)
	})
}

// eventually waits until something is so, for a minute.
func eventually(t *testing.T, so func() bool, otherwise func() string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(otherwise())
		}
	}
}

func (d *datacenter) front() string               { return d.network + ".1:5300" }
func (d *datacenter) instance(last string) string { return d.network + "." + last + ":5301" }

// metric adds up the series of an instance whose names and labels match; -1 is that
// it does not answer.
func (d *datacenter) metric(last, series string) (sum float64) {
	d.t.Helper()
	c := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.servers.dial}}
	res, err := c.Get("http://" + d.network + "." + last + ":9153/metrics")
	if err != nil {
		return -1
	}
	b, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		return -1
	}
	for _, m := range regexp.MustCompile(`(?m)^`+series+` (\S+)$`).FindAllStringSubmatch(string(b), -1) {
		v, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			d.t.Fatal(err)
		}
		sum += v
	}
	return sum
}

// TestCoreDNSGSLB runs examples/coredns-gslb, with a network of its own for either
// datacenter, and has clients in both places ask while endpoints, instances and a
// datacenter go away.
func TestCoreDNSGSLB(t *testing.T) {
	ready(t)
	if !namespace(t, "dnsdist") {
		return
	}
	dcs := datacenters(t)
	one, two := dcs[0], dcs[1]
	step := func(name string, f func(t *testing.T)) {
		t.Helper()
		begun := time.Now()
		if !t.Run(name, f) {
			t.FailNow() // what comes next begins where this ends
		}
		t.Logf("%s: %.1f s", name, time.Since(begun).Seconds())
	}
	// well is what clients are answered while everything is.
	well := func(t *testing.T) {
		t.Helper()
		for _, d := range dcs {
			for from, web := range map[string]string{clientOne: "1", clientTwo: "2", nobodys: "1"} {
				want := web + ".101 " + web + ".102"
				if from == nobodys {
					want = web + ".101" // the lowest priority
				}
				inquiry{name: "www.shop.example.com.", from: from, to: d.front()}.becomes(t, want)
				inquiry{name: "v1.api.example.com.", from: from, to: d.front()}.becomes(t, "1.111")
				inquiry{name: "primary.sql.example.com.", from: from, to: d.front()}.becomes(t, "1.121")
				inquiry{name: "reports.sql.example.com.", from: from, to: d.front()}.becomes(t, "2.122")
				inquiry{name: "login.auth.example.com.", from: from, to: d.front()}.becomes(t, "1.111", "2.111")
			}
			inquiry{name: "replica.search.example.com.", from: clientOne, to: d.front()}.becomes(t, "1.122")
			inquiry{name: "replica.search.example.com.", from: clientTwo, to: d.front()}.becomes(t, "2.122")
		}
	}
	step("all well", well)
	step("round robin", func(t *testing.T) {
		first := ""
		eventually(t, func() bool { // each turn as long as the cache keeps it
			got := said(inquiry{name: "www.news.example.com.", from: clientOne, to: one.front()}.ask(t))
			if first == "" {
				first = got
			}
			return len(got) == len("1.101") && got != first
		}, func() string { return "always " + first })
	})
	step("client subnet", func(t *testing.T) { subnets(t, one) })
	step("cache", func(t *testing.T) { scopes(t, one) })
	step("zones", func(t *testing.T) { whose(t, dcs) })

	step("an endpoint dies", func(t *testing.T) {
		one.shut("101", "111", "121")
		for _, d := range dcs {
			inquiry{name: "www.shop.example.com.", from: clientOne, to: d.front()}.becomes(t, "1.102")
			inquiry{name: "v1.api.example.com.", from: clientTwo, to: d.front()}.becomes(t, "1.112")
			inquiry{name: "primary.sql.example.com.", from: clientOne, to: d.front()}.becomes(t, "2.121")
			inquiry{name: "login.auth.example.com.", from: clientOne, to: d.front()}.becomes(t, "2.111")
		}
		one.shut("102", "112")
		for _, d := range dcs {
			inquiry{name: "www.shop.example.com.", from: clientOne, to: d.front()}.becomes(t, "2.101")
			inquiry{name: "v1.api.example.com.", from: clientTwo, to: d.front()}.becomes(t, "2.111")
		}
		for _, last := range []string{"101", "102", "111", "112", "121"} {
			one.open(last)
		}
		well(t)
	})
	step("an instance dies", func(t *testing.T) { instances(t, one, two) })
	step("a datacenter dies", func(t *testing.T) { apart(t, one, two) })
	step("all well again", well)
}

// subnets has clients state where they are.
func subnets(t *testing.T, d *datacenter) {
	for from, web := range map[string]string{clientTwo: "1", clientOne: "2"} {
		subnet := map[string]string{"1": "198.51.100.0", "2": "203.0.113.0"}[web]
		q := inquiry{name: "www.shop.example.com.", from: from, to: d.front(), subnet: subnet}
		q.becomes(t, web+".101 "+web+".102")
		m, err := q.ask(t)
		if err != nil {
			t.Fatal(err)
		}
		back := ""
		for _, o := range m.IsEdns0().Option {
			back = o.String()
		}
		if back != subnet+"/24/24" {
			t.Errorf("the subnet %s comes back as %q", subnet, back)
		}
	}
	// What dnsdist has put in does not come out.
	m, err := inquiry{name: "www.shop.example.com.", from: clientOne, to: d.front()}.ask(t)
	if err != nil {
		t.Fatal(err)
	}
	if o := m.IsEdns0(); o != nil && len(o.Option) > 0 {
		t.Errorf("options that nobody asked for: %v", o)
	}
}

// scopes has clients of several networks ask for what depends on none of them: only
// the first of them reaches an instance. Their networks are new each time, so that they
// have no entries of their own.
func scopes(t *testing.T, d *datacenter) {
	const asked = `gslb_record_resolution_total{name="v1\.api\.example\.com\.",.*}`
	n := 0
	eventually(t, func() bool {
		inquiry{name: "v1.api.example.com.", from: nobodys, to: d.front()}.becomes(t, "1.111")
		before := d.metric("21", asked)
		for range 3 {
			n++
			inquiry{name: "v1.api.example.com.", from: fmt.Sprintf("100.%d.%d.7", 64+n/256, n%256), to: d.front()}.becomes(t, "1.111")
		}
		return before > 0 && d.metric("21", asked) == before
	}, func() string { return "networks have entries of their own for an answer with scope 0" })
}

// whose has instances asked for zones of theirs and of others.
func whose(t *testing.T, dcs [2]*datacenter) {
	names := map[string]string{"web": "www.shop.example.com.", "api": "v1.api.example.com.", "db": "primary.sql.example.com."}
	for _, d := range dcs {
		for last, group := range gslbInstances {
			for of, name := range names {
				want := "REFUSED"
				if of == group {
					want = "1.101 1.111 1.121"
				}
				got := said(inquiry{name: name, from: nobodys, to: d.instance(last)}.ask(t))
				if got != want && (want == "REFUSED" || !slices.Contains(strings.Fields(want), got)) {
					t.Errorf("%s of %s to the instance %s of %s: %q", name, of, d.instance(last), group, got)
				}
			}
		}
		for name, want := range map[string]string{
			"www.example.org.": "REFUSED", "evilshop.example.com.": "REFUSED", "none.shop.example.com.": "NXDOMAIN", "shop.example.com.": "",
		} {
			inquiry{name: name, from: clientOne, to: d.front()}.becomes(t, want)
		}
	}
}

// instances has those of a group die, one after the other, and come back. The names
// that are asked are new each time, so that no cache has them.
func instances(t *testing.T, one, two *datacenter) {
	asked, n := `coredns_dns_requests_total{.*type="A".*}`, 0
	ask := func() bool {
		n++
		return said(inquiry{name: fmt.Sprintf("n%d.shop.example.com.", n), from: clientOne, to: one.front()}.ask(t)) == "NXDOMAIN"
	}
	// goesOn waits until twenty queries in a row are answered.
	goesOn := func(who string) {
		t.Helper()
		row := 0
		eventually(t, func() bool {
			if row++; !ask() {
				row = 0
			}
			return row == 20
		}, func() string { return who + ": queries are not answered" })
	}
	one.instances["11"].kill()
	before := one.metric("12", asked)
	goesOn("with the second instance")
	if got := one.metric("12", asked); got < before+20 {
		t.Errorf("the second instance was asked %v times, of twenty", got-before)
	}
	one.instances["12"].kill()
	there := func() float64 { return two.metric("11", asked) + two.metric("12", asked) }
	before = there()
	goesOn("with the instances of the other datacenter")
	if got := there(); got < before+20 {
		t.Errorf("the instances of the other datacenter were asked %v times, of twenty", got-before)
	}
	inquiry{name: "www.shop.example.com.", from: clientOne, to: one.front()}.becomes(t, "1.101 1.102")
	inquiry{name: "v1.api.example.com.", from: clientOne, to: one.front()}.becomes(t, "1.111") // not theirs
	one.begin("11")
	one.begin("12")
	eventually(t, func() bool {
		ask()
		return one.metric("11", asked) > 0 && one.metric("12", asked) > 0
	}, func() string { return "those that are back are not asked" })
}

// apart cuts a datacenter off from the other and from the clients, then its servers
// from its own endpoints as well.
func apart(t *testing.T, one, two *datacenter) {
	if err := ip("link set dc1 down"); err != nil {
		t.Fatal(err)
	}
	// The clients go to the other one, as resolvers do, and learn who is left.
	if got := said(inquiry{name: "www.shop.example.com.", from: clientOne, to: one.front(), within: 500 * time.Millisecond}.ask(t)); got != "nothing" {
		t.Errorf("over a link that is cut: %s", got)
	}
	for from, web := range map[string]string{clientOne: "2.101", clientTwo: "2.101 2.102"} {
		inquiry{name: "www.shop.example.com.", from: from, to: two.front()}.becomes(t, web)
		inquiry{name: "v1.api.example.com.", from: from, to: two.front()}.becomes(t, "2.111")
		inquiry{name: "primary.sql.example.com.", from: from, to: two.front()}.becomes(t, "2.121")
	}
	// Within the one that is cut off, its own endpoints are answered, to everybody.
	inside := func(name, subnet string, wanted ...string) {
		t.Helper()
		inquiry{name: name, on: one.servers, to: one.front(), subnet: subnet}.becomes(t, wanted...)
	}
	inside("www.shop.example.com.", "198.51.100.0", "1.101 1.102")
	inside("www.shop.example.com.", "203.0.113.0", "1.101")
	inside("v1.api.example.com.", "", "1.111")
	// Those of which none is seen are answered all the same.
	state := func(last, name string) string {
		return said(inquiry{name: name, on: one.servers, to: one.instance(last), typ: dns.TypeTXT}.ask(t))
	}
	eventually(t, func() bool {
		return strings.Contains(state("31", "reports.sql.example.com."), "Status: unhealthy")
	}, func() string { return "what cannot be reached is not down" })
	inside("reports.sql.example.com.", "", "2.122")

	// Now it is the servers that hear nobody: that says nothing of anybody else, so
	// those who were up stay up.
	one.servers.must(func() error { return ip("link set lan0 down") })
	const failures = `gslb_healthcheck_total{address="10\.53\.1\.11.",.*,result="fail",.*}`
	before := one.metric("21", failures)
	eventually(t, func() bool { return one.metric("21", failures) >= before+8 }, func() string { return "checks that nobody hears do not fail" })
	if got := state("21", "v1.api.example.com."); strings.Count(got, "Status: healthy") != 2 {
		t.Errorf("the servers are alone, and say of the endpoints beside them: %s", got)
	}
	inside("v1.api.example.com.", "", "1.111")

	one.servers.must(func() error { return ip("link set lan0 up") })
	if err := ip("link set dc1 up"); err != nil {
		t.Fatal(err)
	}
}

// TestCoreDNSGSLBReadme types the commands of the example's README into a shell, on
// loopback. A dig has behind it what it must come to.
func TestCoreDNSGSLBReadme(t *testing.T) {
	coredns := ready(t)
	program(t, "python3")
	program(t, "dig")
	if !namespace(t, "dnsdist") {
		return
	}
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(read(t, filepath.Join(gslbExample, "README.md")), -1)
	if len(blocks) < 3 || blocks[0][1] != "make coredns\nPATH=$PWD/bin:$PATH\ncd examples/coredns-gslb\n" {
		t.Fatalf("%d blocks, the first: %v", len(blocks), blocks)
	}
	cmd := exec.Command("bash")
	cmd.Dir = gslbExample
	cmd.Env = append(os.Environ(), "TMPDIR="+t.TempDir(), "PATH="+filepath.Dir(coredns)+":"+os.Getenv("PATH")+":/usr/sbin")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var errs logBuffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	// typed runs lines and returns what they print.
	typed := func(text string) []string {
		t.Helper()
		const end = "that is all"
		if _, err := io.WriteString(in, text+"\necho "+end+"\n"); err != nil {
			t.Fatal(err)
		}
		var all []string
		for lines.Scan() {
			if lines.Text() == end {
				slices.Sort(all)
				return all
			}
			all = append(all, lines.Text())
		}
		t.Fatalf("the shell has ended: %v\n%s", lines.Err(), errs.String())
		return nil
	}
	asked := 0
	for _, b := range blocks[1:] {
		commands := ""
		for line := range strings.Lines(b[1]) {
			if !strings.HasPrefix(line, "dig ") {
				commands += line
				continue
			}
			typed(commands)
			commands = ""
			asked++
			dig, want, stated := strings.Cut(strings.TrimSpace(line), " # ")
			var got string
			eventually(t, func() bool {
				got = strings.Join(typed(dig+" +timeout=2 +tries=1"), " ")
				return stated && got == want || !stated && strings.Contains(got, "Status: healthy")
			}, func() string { return fmt.Sprintf("%s: %q\n%s", line, got, errs.String()) })
		}
		typed(commands)
	}
	if asked == 0 {
		t.Error("nothing was asked")
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the shell: %v", err)
	}
	// The shell says of each program how it has ended; nothing else.
	for line := range strings.Lines(errs.String()) {
		if !strings.Contains(line, "Terminated") {
			t.Errorf("the shell says: %s", line)
		}
	}
}
