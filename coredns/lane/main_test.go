package lane

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	_ "github.com/coredns/coredns/plugin/any"
	_ "github.com/coredns/coredns/plugin/debug"
	_ "github.com/coredns/coredns/plugin/multisocket"
	_ "github.com/coredns/coredns/plugin/shed"
	_ "github.com/coredns/coredns/plugin/tsig"
	_ "github.com/coredns/coredns/plugin/whoami"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/coredns/rig"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

func TestMain(m *testing.M) {
	plugin.Register("spot", setupSpot)
	plugin.Register("frame", setupFrame)
	rig.Main(m, "multisocket", "bind", "debug", "frame", "shed", "prometheus", "errors", "log", "any", "tsig", "cache", "spot", "whoami", "view")
}

const zones = `
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [p]}
      six: {pools: [six]}
      many: {pools: [many], answers: 0, steer: failover}
      far: {pools: [near, other], steer: [geo]}
pools:
  p: {endpoints: [192.0.2.1]}
  six: {endpoints: ["2001:db8::1"]}
  near: {place: {country: IE, continent: EU}, endpoints: [192.0.2.7]}
  other: {place: {country: US, continent: NA}, endpoints: [192.0.2.8]}
  many: {endpoints: [%s]}
`

// snap is what all spots answer from.
var snap = func() *resolve.Snapshot {
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("198.51.100.%d", i+1))
	}
	s, err := spec.Parse("test.yaml", fmt.Appendf(nil, zones, strings.Join(many, ", ")))
	if err != nil {
		panic(err)
	}
	e, err := rhumb.New(rhumb.Options{})
	if err != nil {
		panic(err)
	}
	c, err := e.Prepare(s)
	if err != nil {
		panic(err)
	}
	if err := e.Commit(c); err != nil {
		panic(err)
	}
	return e.Snapshot()
}()

// spot is a plugin as ours are: it answers for x.test, and leaves to the next one what
// is for TXT records.
type spot struct {
	next   plugin.Handler
	off    bool
	mouth  mouth.Mouth
	panics *atomic.Int64 // how often a query for panic.x.test is to panic
}

// panicking is that of the spot that has been set up last, and keeping the keeper of
// its instance.
var (
	panicking atomic.Pointer[atomic.Int64]
	keeping   atomic.Pointer[keeper]
)

func setupSpot(c *caddy.Controller) error {
	off := false
	for c.Next() {
		for _, a := range c.RemainingArgs() {
			var err error
			if off, err = Off(c, a); err != nil {
				return err
			}
		}
	}
	panics := new(atomic.Int64)
	panicking.Store(panics)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		return &spot{next: next, off: off, panics: panics}
	})
	Offer(c)
	keeping.Store(c.Get(keeperKey{}).(*keeper))
	return nil
}

// framed is how many answers have been written by frames.
var framed atomic.Int64

// setupFrame sets up a plugin that decorates writers, as shed does.
func setupFrame(c *caddy.Controller) error {
	dnsserver.GetConfig(c).UDPDecorateWriterFunc = func(*dnsserver.Server) dns.DecorateWriter {
		return func(w dns.Writer) dns.Writer { return frame{w} }
	}
	return nil
}

type frame struct{ dns.Writer }

func (f frame) Write(b []byte) (int, error) {
	framed.Add(1)
	return f.Writer.Write(b)
}

func (s *spot) Name() string { return "spot" }
func (s *spot) Lane() bool   { return !s.off }

func (s *spot) Answer(d *mouth.Draft) bool {
	s.panic(d)
	d.Decide(snap)
	return s.settled(d)
}

func (s *spot) panic(d *mouth.Draft) {
	if strings.HasPrefix(string(d.Name()), "\x05panic") && s.panics.Add(-1) >= 0 {
		panic("as it was told to")
	}
}

func (s *spot) settled(d *mouth.Draft) bool { return d.Zone() >= 0 && d.Type() != dnswire.TypeTXT }

func (s *spot) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	if r.Opcode != dns.OpcodeQuery {
		return plugin.NextOrFailure(s.Name(), s.next, ctx, w, r)
	}
	d := s.mouth.Draft(snap, w, r)
	if d == nil {
		return dns.RcodeServerFailure, nil
	}
	defer d.Done()
	s.panic(d)
	if s.settled(d) {
		return d.Send(w)
	}
	return plugin.NextOrFailure(s.Name(), s.next, ctx, w, r)
}

// instance is a CoreDNS that ends with the test.
type instance struct {
	t testing.TB
	*rig.Instance
}

// start starts CoreDNS and waits for its lanes.
func start(t testing.TB, lanes int, text string) *instance {
	t.Helper()
	i := &instance{t, rig.Start(t, text)}
	i.await(lanes)
	return i
}

// reload reloads CoreDNS.
func (i *instance) reload(lanes int, text string) {
	i.t.Helper()
	if err := i.Reload(text); err != nil {
		i.t.Fatal(err)
	}
	i.await(lanes)
}

// addr is where a server of it is.
func (i *instance) addr(server int) netip.AddrPort {
	return i.Servers()[server].LocalAddr().(*net.UDPAddr).AddrPort()
}

// open is how many lanes are open now, and where the kernel gives something to.
func open() (n int) {
	groups.Lock()
	defer groups.Unlock()
	for _, g := range groups.of {
		g.mu.Lock()
		for _, l := range g.lanes {
			if l.place >= 0 {
				n++
			}
		}
		g.mu.Unlock()
	}
	return n
}

func (i *instance) await(lanes int) {
	i.t.Helper()
	rig.Until(i.t, fmt.Sprintf("%d lanes are not open", lanes), func() bool { return open() == lanes })
}

// dial makes a client of a server.
func dial(t testing.TB, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(rig.Patience)); err != nil {
		t.Fatal(err)
	}
	return c
}

// exchange sends a message and returns the next one that comes.
func exchange(t testing.TB, c *net.UDPConn, msg []byte) []byte {
	t.Helper()
	if _, err := c.Write(msg); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, err := c.Read(b)
	if err != nil {
		t.Fatalf("%x: %v", msg, err)
	}
	return b[:n]
}

// ask asks for a name.
func ask(t testing.TB, to netip.AddrPort, name string, typ uint16, with ...func(*dns.Msg)) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetQuestion(name, typ)
	for _, f := range with {
		f(m)
	}
	b, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	got := new(dns.Msg)
	if err := got.Unpack(exchange(t, dial(t, to), b)); err != nil {
		t.Fatal(err)
	}
	return got
}

// short is an answer in a line.
func short(m *dns.Msg) string {
	s := dns.RcodeToString[m.Rcode]
	for _, rr := range m.Answer {
		s += " " + strings.ReplaceAll(strings.TrimPrefix(rr.String(), rr.Header().String()), "\t", " ")
	}
	return s
}

// sum is what the lanes of all servers have counted.
func sum() (answered, handed uint64) {
	all.Lock()
	defer all.Unlock()
	for _, t := range all.of {
		answered += t.answered.Load()
		handed += t.handed.Load()
	}
	return answered, handed
}

// counting calls f and returns how many datagrams lanes have answered meanwhile, and
// how many they have handed over. Totals are added to after the answers are sent.
func counting(t testing.TB, answered, handed uint64, f func()) {
	t.Helper()
	a, h := sum()
	f()
	rig.Until(t, fmt.Sprintf("lanes have not answered %d and handed over %d", answered, handed), func() bool {
		a2, h2 := sum()
		return a2-a == answered && h2-h == handed
	})
}
