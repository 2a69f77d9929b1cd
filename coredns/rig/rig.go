package rig

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/log"
	_ "github.com/coredns/coredns/plugin/metrics"
	_ "github.com/coredns/coredns/plugin/view"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
)

// Patience is how long a test waits for what must come.
const Patience = 20 * time.Second

// Main is TestMain with a CoreDNS whose plugins are asked in this order.
func Main(m *testing.M, directives ...string) {
	dnsserver.Quiet, caddy.Quiet = true, true
	if err := dnsserver.SetDirectives(directives); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// Corefile is the text of one.
type Corefile string

// Body implements caddy.Input.
func (c Corefile) Body() []byte { return []byte(c) }

// Path implements caddy.Input.
func (c Corefile) Path() string { return "Corefile" }

// ServerType implements caddy.Input.
func (c Corefile) ServerType() string { return "dns" }

// Instance is a CoreDNS that ends with the test.
type Instance struct {
	t testing.TB
	*caddy.Instance
}

// Start starts CoreDNS.
func Start(t testing.TB, text string) *Instance {
	t.Helper()
	i, err := caddy.Start(Corefile(text))
	if err != nil {
		t.Fatal(err)
	}
	in := &Instance{t, i}
	t.Cleanup(in.Stop)
	return in
}

// Stop ends it. Done a second time it does nothing.
func (i *Instance) Stop() {
	i.t.Helper()
	if i.Instance == nil {
		return
	}
	for _, err := range i.ShutdownCallbacks() {
		i.t.Error(err)
	}
	if err := i.Instance.Stop(); err != nil {
		i.t.Error(err)
	}
	i.Instance = nil
}

// Reload has another Corefile take the place of the one that there is.
func (i *Instance) Reload(text string) error {
	next, err := i.Restart(Corefile(text))
	i.Instance = next
	return err
}

// Ask asks the first server over UDP.
func (i *Instance) Ask(name string, typ uint16, with ...func(*dns.Msg)) *dns.Msg {
	i.t.Helper()
	return i.AskOver("udp", name, typ, with...)
}

// AskOver asks over UDP or TCP.
func (i *Instance) AskOver(network, name string, typ uint16, with ...func(*dns.Msg)) *dns.Msg {
	i.t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	for _, f := range with {
		f(m)
	}
	s := i.Servers()[0]
	addr := s.LocalAddr()
	if network == "tcp" {
		addr = s.Addr()
	}
	got, _, err := (&dns.Client{Net: network}).Exchange(m, addr.String())
	if err != nil {
		i.t.Fatalf("%s %s: %v", name, dns.TypeToString[typ], err)
	}
	return got
}

// Short is an answer as a line: the code, the records of the answer, and what stands in
// the authority section.
func Short(m *dns.Msg) string {
	words := []string{dns.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		f := strings.Fields(rr.String())
		words = append(words, fmt.Sprintf("%s/%s/%s", f[3], f[1], strings.Join(f[4:], " ")))
	}
	for _, rr := range m.Ns {
		words = append(words, "+"+dns.TypeToString[rr.Header().Rrtype])
	}
	if !m.Authoritative {
		words = append(words, "not authoritative")
	}
	return strings.Join(words, " ")
}

// Until waits until f is true.
func Until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for late := time.Now().Add(Patience); !f(); <-time.After(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal(what)
		}
	}
}

// Door is where a plugin listens by HTTP, of which each gives the address.
func Door(t testing.TB, each func(func(address string))) string {
	t.Helper()
	addr := ""
	each(func(a string) { addr = a })
	if addr == "" {
		t.Fatal("nothing listens")
	}
	return "http://" + addr
}

// Metric is the sum of the counters and gauges of a name that have all of these labels,
// each as name=value.
func Metric(t testing.TB, name string, labels ...string) (sum float64) {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			has := 0
			for _, l := range m.GetLabel() {
				for _, want := range labels {
					if l.GetName()+"="+l.GetValue() == want {
						has++
					}
				}
			}
			if f.GetName() == name && has == len(labels) {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}
