package app_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/app"
)

// patience is how long a test waits for something that happens at once on a
// machine that is not overloaded.
const patience = 30 * time.Second

// node is a running node of a test.
type node struct {
	*app.App
	t      testing.TB
	config string
	log    *syncBuffer
	stop   func() error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// header is what every configuration here begins with: ports of the system's choice.
const header = "dns: {listen: [127.0.0.1:0]}\nadmin: {listen: 127.0.0.1:0}\n"

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// start runs a node until the test ends or its stop is called.
func start(t testing.TB, config string) *node {
	t.Helper()
	n := &node{t: t, config: config, log: &syncBuffer{}}
	a, err := app.New(app.Options{Config: config, Version: "test", LogWriter: n.log})
	if err != nil {
		t.Fatal(err)
	}
	n.App = a
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	n.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() {
		if err := n.stop(); err != nil {
			t.Errorf("run: %v\n%s", err, n.log)
		}
	})
	select {
	case <-a.Started():
	case err := <-done:
		t.Fatalf("ended before it started: %v\n%s", err, n.log)
	case <-time.After(patience):
		t.Fatalf("not started\n%s", n.log)
	}
	return n
}

func startText(t testing.TB, text string) *node {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rhumb.yaml")
	write(t, path, header+text)
	return start(t, path)
}

// ask is one query over UDP.
func (n *node) ask(name string, typ uint16) *dns.Msg {
	n.t.Helper()
	m := new(dns.Msg)
	m.SetQuestion(dns.Fqdn(name), typ)
	c := &dns.Client{Timeout: patience}
	r, _, err := c.Exchange(m, n.DNSAddrs()[0].String())
	if err != nil {
		n.t.Fatalf("%s: %v", name, err)
	}
	return r
}

// addresses is the record data of an answer, joined.
func addresses(r *dns.Msg) string {
	var got []string
	for _, rr := range r.Answer {
		switch rr := rr.(type) {
		case *dns.A:
			got = append(got, rr.A.String())
		case *dns.AAAA:
			got = append(got, rr.AAAA.String())
		}
	}
	return strings.Join(got, " ")
}

// until asks until the addresses of the answer are as wanted.
func (n *node) until(name, want string) {
	n.t.Helper()
	n.turns(name, addresses, want)
}

// turns asks for addresses until the answer is what is wanted, in the words of says.
func (n *node) turns(name string, says func(*dns.Msg) string, want string) {
	n.t.Helper()
	deadline := time.Now().Add(patience)
	var got string
	for time.Now().Before(deadline) {
		if got = says(n.ask(name, dns.TypeA)); got == want {
			return
		}
		runtime.Gosched()
	}
	n.t.Fatalf("%s: still %q, want %q\n%s", name, got, want, n.log)
}

// site is an HTTP endpoint that can be broken.
type site struct {
	addr   netip.AddrPort
	broken atomic.Bool
}

func newSite(t testing.TB, address string) *site {
	t.Helper()
	s := &site{}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("%s cannot be had here: %v", address, err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s.broken.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	_ = srv.Listener.Close()
	srv.Listener = l
	srv.Start()
	t.Cleanup(srv.Close)
	s.addr = l.Addr().(*net.TCPAddr).AddrPort()
	return s
}

const staticZone = `
pools:
  p: {endpoints: [%s]}
zones:
  app.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [p]}
`

func TestAnswersFollowHealth(t *testing.T) {
	a := newSite(t, "127.0.0.1:0")
	b := newSite(t, fmt.Sprintf("127.0.0.2:%d", a.addr.Port()))
	n := startText(t, fmt.Sprintf(`
checks:
  web: {type: http, port: %d, interval: 100ms, timeout: 100ms, rise: 1, fall: 1}
pools:
  one: {checks: [web], endpoints: [127.0.0.1]}
  two: {checks: [web], endpoints: [127.0.0.2]}
zones:
  app.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [one, two], steer: failover}
      none: {pools: [one, two], steer: failover, all_down: nodata}
`, a.addr.Port()))
	n.until("www.app.test", "127.0.0.1")
	a.broken.Store(true)
	n.until("www.app.test", "127.0.0.2")
	b.broken.Store(true)
	n.until("none.app.test", "")
	if r := n.ask("none.app.test", dns.TypeA); r.Rcode != dns.RcodeSuccess || len(r.Ns) != 1 {
		t.Errorf("nothing healthy, all_down nodata: %v", r)
	}
	a.broken.Store(false)
	n.until("none.app.test", "127.0.0.1")
	if r := n.ask("wWw.aPP.test", dns.TypeAAAA); r.Rcode != dns.RcodeSuccess || len(r.Answer) != 0 || len(r.Ns) != 1 {
		t.Errorf("AAAA of an IPv4-only service: %v", r)
	}
}

func TestReloadByFile(t *testing.T) {
	zone := func(ip string) string { return header + fmt.Sprintf(staticZone, ip) }
	t.Run("in place", func(t *testing.T) {
		n := startText(t, fmt.Sprintf(staticZone, "192.0.2.1"))
		n.until("www.app.test", "192.0.2.1")
		write(t, n.config, zone("192.0.2.22"))
		n.until("www.app.test", "192.0.2.22")
	})
	t.Run("rename", func(t *testing.T) {
		n := startText(t, fmt.Sprintf(staticZone, "192.0.2.1"))
		next := n.config + ".new"
		write(t, next, zone("192.0.2.33"))
		if err := os.Rename(next, n.config); err != nil {
			t.Fatal(err)
		}
		n.until("www.app.test", "192.0.2.33")
	})
	t.Run("configmap", func(t *testing.T) {
		dir := t.TempDir()
		for i, ip := range []string{"192.0.2.1", "192.0.2.44"} {
			d := filepath.Join(dir, fmt.Sprintf("..data%d", i))
			if err := os.Mkdir(d, 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(d, "rhumb.yaml"), zone(ip))
		}
		link := func(to, at string) {
			if err := os.Symlink(to, filepath.Join(dir, at)); err != nil {
				t.Skip(err)
			}
		}
		link("..data0", "..data")
		link(filepath.Join("..data", "rhumb.yaml"), "rhumb.yaml")
		n := start(t, filepath.Join(dir, "rhumb.yaml"))
		n.until("www.app.test", "192.0.2.1")
		link("..data1", "..next")
		if err := os.Rename(filepath.Join(dir, "..next"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
		n.until("www.app.test", "192.0.2.44")
	})
}

func TestBadReloadChangesNothing(t *testing.T) {
	n := startText(t, fmt.Sprintf(staticZone, "192.0.2.1"))
	good := header + fmt.Sprintf(staticZone, "192.0.2.2")
	write(t, n.config, header+fmt.Sprintf(staticZone, "192.0.2.2")+"  nonsense: 1\n")
	err := n.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Fatalf("reload of a bad file: %v", err)
	}
	n.until("www.app.test", "192.0.2.1")
	if c := n.Condition(); c.ReloadError != err.Error() || c.ReloadErrorAt.IsZero() {
		t.Errorf("condition %+v does not show %v", c, err)
	}
	write(t, n.config, good)
	if err := n.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.until("www.app.test", "192.0.2.2")
	if c := n.Condition(); c.ReloadError != "" {
		t.Errorf("mended, and still: %s", c.ReloadError)
	}
}

func TestReloadLosesNoQuery(t *testing.T) {
	n := startText(t, fmt.Sprintf(staticZone, "192.0.2.1"))
	to := n.DNSAddrs()[0].String()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asking sync.WaitGroup
	var asked, lost atomic.Int64
	for range 4 {
		asking.Go(func() {
			c := &dns.Client{Timeout: patience}
			co, err := c.Dial(to)
			if err != nil {
				t.Error(err)
				return
			}
			defer func() { _ = co.Close() }()
			for ctx.Err() == nil {
				m := new(dns.Msg)
				m.SetQuestion("www.app.test.", dns.TypeA)
				r, _, err := c.ExchangeWithConn(m, co)
				asked.Add(1)
				if err != nil || len(r.Answer) != 1 {
					lost.Add(1)
				}
			}
		})
	}
	for i := range 30 {
		text := header + fmt.Sprintf(staticZone, fmt.Sprintf("192.0.2.%d", i+1))
		if i%3 == 2 {
			text += "broken: [\n"
		}
		write(t, n.config, text)
		if err := n.Reload(t.Context()); (err != nil) != (i%3 == 2) {
			t.Errorf("reload %d: %v", i, err)
		}
	}
	cancel()
	asking.Wait()
	if lost.Load() > 0 || asked.Load() < 30 {
		t.Errorf("%d of %d queries lost over 30 reloads", lost.Load(), asked.Load())
	}
}

func TestReloadListensElsewhere(t *testing.T) {
	n := startText(t, fmt.Sprintf(staticZone, "192.0.2.1"))
	var free string
	for try := 1; ; try++ {
		l, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		free = l.LocalAddr().String()
		_ = l.Close()
		write(t, n.config, fmt.Sprintf("dns: {listen: [%q]}\nadmin: {listen: 127.0.0.1:0}\n", free)+fmt.Sprintf(staticZone, "192.0.2.1"))
		err = n.Reload(t.Context())
		if err == nil {
			break
		}
		if try == 10 || !strings.Contains(err.Error(), "in use") { // another program was quicker
			t.Fatal(err)
		}
	}
	if got := n.DNSAddrs(); len(got) != 1 || got[0].String() != free {
		t.Errorf("listens on %v, want %s", got, free)
	}
	n.until("www.app.test", "192.0.2.1")
}

func TestRestartKeepsHealth(t *testing.T) {
	s := newSite(t, "127.0.0.1:0")
	s.broken.Store(true)
	data := t.TempDir()
	text := func(interval string) string {
		return fmt.Sprintf(`
node: {data_dir: %q}
checks:
  web: {type: http, port: %d, interval: %s, timeout: 100ms, rise: 1}
pools:
  p: {checks: [web], endpoints: [127.0.0.1]}
zones:
  app.test:
    nameservers: {ns1: 127.0.0.1}
    services:
      www: {pools: [p], all_down: nodata}
`, filepath.ToSlash(data), s.addr.Port(), interval)
	}
	n := startText(t, text("100ms"))
	n.until("www.app.test", "")
	down := n.Engine().Endpoints()[0].Detail
	if err := n.stop(); err != nil {
		t.Fatal(err)
	}
	// An hour between probes, so that what is known is what was kept.
	n = startText(t, text("1h"))
	kept := n.Engine().Endpoints()[0].Detail
	if kept.State != down.State || !kept.Since.Equal(down.Since) || kept.Reason != down.Reason {
		t.Errorf("before the restart %+v, after it %+v", down, kept)
	}
}

func TestBindErrors(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	taken := l.Addr().String()
	for _, c := range []struct{ name, text string }{
		{"dns", fmt.Sprintf("dns: {listen: [%q]}\nadmin: {listen: 127.0.0.1:0}\n", taken)},
		{"admin", fmt.Sprintf("dns: {listen: [127.0.0.1:0]}\nadmin: {listen: %q}\n", taken)},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "rhumb.yaml")
			write(t, path, c.text+fmt.Sprintf(staticZone, "192.0.2.1"))
			a, err := app.New(app.Options{Config: path, LogWriter: &syncBuffer{}})
			if err != nil {
				t.Fatal(err)
			}
			if err := a.Run(t.Context()); err == nil || !strings.Contains(err.Error(), taken) {
				t.Errorf("%v, want an error that names %s", err, taken)
			}
		})
	}
}
