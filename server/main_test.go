package server

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// patience is how long a test waits for what must come. It is never waited for
// when all is well.
const patience = 20 * time.Second

// TestMain fails when a goroutine of this package outlives the tests.
func TestMain(m *testing.M) {
	code := m.Run()
	buf := make([]byte, 1<<20)
	for range 1000 { // what has been told to end gets the processor to do so
		runtime.Gosched()
	}
	stacks := string(buf[:runtime.Stack(buf, true)])
	left := slices.DeleteFunc(strings.Split(stacks, "\n\n"), func(stack string) bool {
		// One that has returned and only waits to be taken down is not left behind.
		return !strings.Contains(stack, "server.(*") || strings.Contains(stack, "\nruntime.goexit1(")
	})
	if code == 0 && len(left) > 0 {
		fmt.Fprintln(os.Stderr, "goroutines left behind:\n"+strings.Join(left, "\n\n"))
		code = 1
	}
	os.Exit(code)
}

const oneService = `
pools:
  one: {endpoints: [192.0.2.1]}
  many:
    endpoints: [%s]
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [one]}
      big: {pools: [many], answers: 0}
`

// snapshot compiles a configuration; without one, that of www.x.test with one
// address and big.x.test with 256.
func snapshot(t testing.TB, text string) *resolve.Snapshot {
	t.Helper()
	return compile(t, nil, text)
}

func compile(t testing.TB, prev *table.Table, text string) *resolve.Snapshot {
	t.Helper()
	if text == "" {
		var many []string
		for i := range 256 {
			many = append(many, fmt.Sprintf("10.0.0.%d", i))
		}
		text = fmt.Sprintf(oneService, strings.Join(many, ", "))
	}
	s, err := spec.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	tab, err := table.Compile(prev, s)
	if err != nil {
		t.Fatal(err)
	}
	return &resolve.Snapshot{Table: tab, Health: health.Fixed(len(tab.Targets), nil)}
}

// node is a Server that serves, and stops at the end of its test.
type node struct {
	*Server
	snap     atomic.Pointer[resolve.Snapshot]
	registry *prometheus.Registry
	cancel   context.CancelFunc
	done     chan error
}

// start serves addresses over UDP and TCP.
func start(t testing.TB, o Options, addrs ...string) *node {
	t.Helper()
	return startSetup(t, o, Setup{Listen: addresses(addrs...)})
}

func startSetup(t testing.TB, o Options, setup Setup) *node {
	t.Helper()
	r := prepare(t, o, setup)
	r.run(t)
	return r
}

// prepare is startSetup but for Run: the sockets are open and nobody serves them.
// The caller calls run.
func prepare(t testing.TB, o Options, setup Setup) *node {
	t.Helper()
	r := &node{registry: prometheus.NewRegistry(), done: make(chan error, 1)}
	r.snap.Store(snapshot(t, ""))
	o.Snapshot, o.Registerer = r.snap.Load, r.registry
	if o.Workers == 0 {
		o.Workers = 2
	}
	r.Server = New(o)
	r.change(t, setup)
	return r
}

func (r *node) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	go func() { r.done <- r.Run(ctx) }()
	t.Cleanup(func() { r.stop(t) })
}

func (r *node) rebind(t testing.TB, addrs ...string) {
	t.Helper()
	r.change(t, Setup{Listen: addresses(addrs...)})
}

func (r *node) change(t testing.TB, setup Setup) {
	t.Helper()
	c, err := r.Bind(setup)
	if err != nil {
		t.Fatal(err)
	}
	c.Commit()
}

// stop ends Run and waits for it. It may be called again.
func (r *node) stop(t testing.TB) {
	t.Helper()
	r.cancel()
	select {
	case err := <-r.done:
		if err != nil {
			t.Error(err)
		}
		r.done <- nil
	case <-time.After(patience):
		buf := make([]byte, 1<<20)
		t.Fatalf("Run does not end:\n%s", buf[:runtime.Stack(buf, true)])
	}
}

// metric is the value of a series such as `name{a="b"}`, 0 when there is none.
func (r *node) metric(t testing.TB, series string) float64 {
	t.Helper()
	return gather(t, r.registry)[series]
}

func gather(t testing.TB, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			name := f.GetName()
			if len(labels) > 0 {
				name += "{" + strings.Join(labels, ",") + "}"
			}
			out[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return out
}

func addresses(texts ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, a := range texts {
		out = append(out, netip.MustParseAddrPort(a))
	}
	return out
}

// query is a packet that asks for the addresses of a name.
func query(t testing.TB, id uint16, name string) []byte {
	t.Helper()
	n, err := dnswire.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	b := dnswire.AppendQuery(nil, n, dnswire.TypeA, netip.Prefix{})
	binary.BigEndian.PutUint16(b, id)
	return b
}

func dial(t testing.TB, network string, addr netip.AddrPort) net.Conn {
	t.Helper()
	c, err := net.Dial(network, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// ask sends a query over UDP and returns the answer's rcode and how many
// records it has.
func ask(t testing.TB, c net.Conn, id uint16, name string) (rcode, answers int) {
	t.Helper()
	if _, err := c.Write(query(t, id, name)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	n, err := c.Read(buf)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	return check(t, buf[:n], id)
}

// check fails when msg is no answer to the query with that ID.
func check(t testing.TB, msg []byte, id uint16) (rcode, answers int) {
	t.Helper()
	if len(msg) < dnswire.HeaderLen {
		t.Fatalf("answer of %d bytes", len(msg))
	}
	if got := binary.BigEndian.Uint16(msg); got != id {
		t.Fatalf("answer to query %d, want %d", got, id)
	}
	if msg[2]&0x80 == 0 {
		t.Fatal("not a response")
	}
	return int(msg[3] & 15), int(binary.BigEndian.Uint16(msg[6:]))
}
