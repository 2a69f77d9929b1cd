//go:build unix

package interop

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	engine "github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// facts are what is so while a server is asked, by address or host name: all else
// is up, idle and not measured.
type facts struct {
	down, unknown string // a list with blanks between
	load          map[string]float64
	latency       map[string]time.Duration
	drained       map[string]uint16 // what is left of the share, of health.Whole
	closed        bool              // the windows of schedules
}

// local is a whole server in this process, without probes: what they would find is
// said by facts.
type local struct {
	t      *testing.T
	engine *engine.Engine
	facts  atomic.Pointer[resolve.Snapshot]
	conn   net.Conn
}

func serveLocally(t *testing.T, text string) *local {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	w := &local{t: t}
	if w.engine, err = engine.New(engine.Options{}); err != nil {
		t.Fatal(err)
	}
	change, err := w.engine.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.engine.Commit(change); err != nil {
		t.Fatal(err)
	}
	w.suppose(facts{})
	srv := server.New(server.Options{Snapshot: w.facts.Load})
	bound, err := srv.Bind(server.Setup{Listen: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	bound.Commit()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if w.conn, err = net.Dial("udp", srv.Addrs()[0].String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.conn.Close() })
	return w
}

// suppose puts facts in force.
func (w *local) suppose(f facts) {
	w.t.Helper()
	now := *w.engine.Snapshot()
	states, missed := map[int]health.Detail{}, map[string]bool{}
	for state, list := range map[health.State]string{health.Down: f.down, health.Unknown: f.unknown} {
		for _, name := range strings.Fields(list) {
			missed[name] = true
			for i := range now.Table.Targets {
				if now.Table.Targets[i].String() == name {
					states[i] = health.Detail{State: state, Authority: health.Validation}
					delete(missed, name)
				}
			}
		}
	}
	figures := health.Figures{Shares: map[dnswire.Name]map[int]uint16{}}
	for i := range now.Table.Targets {
		name := now.Table.Targets[i].String()
		if d, ok := f.latency[name]; ok {
			figures.Latency = filled(figures.Latency, len(now.Table.Targets), 0)
			figures.Latency[i] = uint32(d.Microseconds())
		}
		if l, ok := f.load[name]; ok {
			figures.Load = filled(figures.Load, len(now.Table.Targets), math.MaxUint32)
			figures.Load[i] = health.LoadUnits(l)
		}
		if share, ok := f.drained[name]; ok {
			now.Table.EachService(func(n *table.Node, _ *table.Plan) bool {
				service := now.Table.Name(n)
				if figures.Shares[service] == nil {
					figures.Shares[service] = map[int]uint16{}
				}
				figures.Shares[service][i] = share
				return true
			})
		}
	}
	if len(missed) > 0 {
		w.t.Fatalf("there are no endpoints %v", missed)
	}
	now.Health = health.Fixed(len(now.Table.Targets), states).With(figures)
	if now.Hours != nil && f.closed {
		now.Hours = &resolve.Hours{Open: make([]bool, len(now.Hours.Open))}
	}
	now.Settle(w.facts.Load())
	w.facts.Store(&now)
}

func filled(s []uint32, n int, with uint32) []uint32 {
	for len(s) < n {
		s = append(s, with)
	}
	return s
}

// asks asks once for each client and counts the outcomes.
func (w *local) asks(name string, typ dnswire.Type, clients []netip.Prefix) map[string]int {
	w.t.Helper()
	asked := make([]quick, len(clients))
	for i := range clients {
		asked[i] = quick{name, typ, clients[i]}
	}
	return count(outcomes(w.t, w.conn, asked))
}

// networks are different client subnets of a network.
func networks(rng *rand.Rand, of string, n int) []netip.Prefix {
	p := netip.MustParsePrefix(of)
	bits := 24
	if p.Addr().Is6() {
		bits = 56
	}
	room := 1 << (bits - p.Bits())
	var all []netip.Prefix
	for _, k := range rng.Perm(room)[:min(n, room)] {
		b := p.Addr().AsSlice()
		at := k << (8*len(b) - bits - max(0, 8*len(b)-64)) // within the first 64 bits
		for i := min(len(b), 8) - 1; at > 0; i, at = i-1, at>>8 {
			b[i] |= byte(at)
		}
		a, _ := netip.AddrFromSlice(b)
		all = append(all, netip.PrefixFrom(a, bits))
	}
	return all
}

// policies are services that are steered in every way. An endpoint is called by
// what its address ends in: 1x are in Dublin, 2x in Virginia, 3x in London.
const policies = `
checks: {web: {type: tcp, port: 1}}
geo:
  networks:
    10.0.0.0/10: {country: IE, continent: EU, at: [53.35, -6.26]}
    10.64.0.0/10: {country: US, continent: NA, at: [41.88, -87.63]}
    10.128.0.0/10: {country: FR, continent: EU, at: [48.86, 2.35]}
    2001:db8::/34: {country: IE, continent: EU, at: [53.35, -6.26]}
pools:
  ie:
    place: {country: IE, continent: EU, at: [53.35, -6.26]}
    checks: [web]
    endpoints:
      - {address: 192.0.2.11, weight: 70, soft_limit: 100, hard_limit: 200}
      - {address: 192.0.2.12, weight: 20, soft_limit: 100, hard_limit: 200, tags: [big]}
      - {address: 192.0.2.13, weight: 10, priority: 1, tags: [big]}
      - {address: 192.0.2.14, weight: 0, priority: 2}
      - {address: "2001:db8::11", weight: 300}
      - {address: "2001:db8::12"}
  us:
    place: {country: US, continent: NA, at: [39.04, -77.49]}
    checks: [web]
    endpoints: [{address: 192.0.2.21, weight: 50}, {address: 192.0.2.22, weight: 150}, "2001:db8::21"]
  gb:
    place: {country: GB, continent: EU, at: [51.51, -0.13]}
    checks: [web]
    endpoints: [{address: 192.0.2.31, weight: 100}]
  pair:
    checks: [web]
    min_healthy: 2
    endpoints: [{address: 192.0.2.41, weight: 60}, {address: 192.0.2.42, weight: 40}]
  names:
    checks: [web]
    endpoints: [{address: edge.h1, weight: 75}, {address: edge.h2, weight: 25}]
  three:
    checks: [web]
    soft_limit: 100
    hard_limit: 200
    endpoints: [{address: 192.0.2.11, weight: 70}, {address: 192.0.2.12, weight: 20}, {address: 192.0.2.13, weight: 10}]
  inside: {pools: [three], steer: weighted}
policies:
  close: [geofence: [country, continent], nearest]
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      round-robin: {pools: [three, us]}
      random: {pools: [three, us], steer: random}
      weighted: {pools: [ie, us], steer: weighted}
      failover: {pools: [ie, us], steer: failover}
      geo: {pools: [ie, us, gb], steer: geo}
      nearest: {pools: [ie, us, gb], steer: nearest}
      latency: {pools: [ie, us], steer: latency}
      sticky: {pools: [ie, us], steer: sticky}
      drawn: {pools: [ie, us], steer: [tier, weighted]}
      pairs: {pools: [three], steer: weighted, answers: 2}
      orders: {pools: [three], steer: shuffle, answers: 0}
      turns: {pools: [three], steer: [tier, rotate], answers: 2}
      few: {pools: [three], steer: [shuffle, limit: 2, weighted]}
      big: {pools: [ie, us], steer: [tags: [big], weighted]}
      wide: {pools: [ie, us, gb], steer: [{nearest: {tolerance: 0%, within: 500km}}, weighted]}
      close: {pools: [ie, us, gb], steer: [close, weighted]}
      strict: {pools: [ie, us], steer: [{geofence: {levels: country, strict: true}}, weighted], all_down: nodata}
      near-latency: {pools: [ie, us], steer: [{latency: {tolerance: 0%, within: 1ms, max: 50ms}}, weighted]}
      spill: {pools: [three, us, gb], steer: [{tier: {min_healthy: 100%, spill: 100%}}, weighted]}
      half: {pools: [three, us], steer: [{tier: {min_healthy: 3, spill: 50%}}, random]}
      shed: {pools: [ie], steer: [shed, weighted]}
      shed-sticky: {pools: [ie], steer: [shed, sticky]}
      shed-random: {pools: [three], steer: [shed, shuffle]}
      shed-turns: {pools: [ie], steer: [tier, shed, rotate]}
      hours: {pools: [ie, us], steer: [{schedule: [{pools: [us], days: [mon-sun]}]}, tier, weighted]}
      firsts: {pools: [ie, us], steer: [first: [[{geofence: {levels: country, strict: true}}, weighted], [tier, random]]]}
      pair: {pools: [pair, us], steer: [tier, weighted]}
      panic: {pools: [three, us], steer: weighted, panic: 0.5}
      serve-all: {pools: [three], steer: weighted}
      nodata: {pools: [three], steer: weighted, all_down: nodata}
      servfail: {pools: [three], steer: weighted, all_down: servfail}
      reserve: {pools: [three], steer: weighted, all_down: us}
      nested: {pools: [{service: drawn}, gb], steer: [tier, random]}
      composed: {pools: [inside, us], steer: random}
      named: {pools: [names], steer: weighted}
      twice: {pools: [three, ie], steer: weighted}
`

const (
	d1, d2, d3, d4 = "192.0.2.11 ", "192.0.2.12 ", "192.0.2.13 ", "192.0.2.14 "
	v1, v2         = "192.0.2.21 ", "192.0.2.22 "
	irish          = "10.0.0.0/10"
	american       = "10.64.0.0/10"
	french         = "10.128.0.0/10"
	nowhere        = "10.192.0.0/10"
)

// TestShares asks a server over UDP for services that are steered in every way,
// with endpoints up and down, and compares the shares with what they are to be: by
// chi-square, or to the last answer where each has its turn.
func TestShares(t *testing.T) {
	w := serveLocally(t, policies)
	rng := rand.New(rand.NewPCG(5, 1))
	from := map[string][]netip.Prefix{}
	const asked = 5000
	const few = 500 // where chance has no say
	loads := map[string]float64{"192.0.2.11": 150, "192.0.2.12": 175, "192.0.2.13": 1e6}
	overloads := map[string]float64{"192.0.2.11": 150, "192.0.2.12": 200}
	times := map[string]time.Duration{
		"192.0.2.11": 10 * time.Millisecond, "192.0.2.12": 11 * time.Millisecond, "192.0.2.13": 60 * time.Millisecond,
		"192.0.2.14": 70 * time.Millisecond, "192.0.2.21": 15 * time.Millisecond, "192.0.2.22": 100 * time.Millisecond,
	}
	for _, c := range []struct {
		service string
		facts   facts
		from    string // IE unless stated
		want    string
		exact   bool // each has its turn
	}{
		{"round-robin", facts{}, "", "11, 12, 13, 21, 22", true},
		{"round-robin", facts{down: d2 + v1}, "", "11, 13, 22", true},
		{"round-robin", facts{down: d1 + d2 + d3 + v1}, "", "22", true},
		{"random", facts{}, "", "11, 12, 13, 21, 22", false},
		{"random", facts{down: d1 + d3}, "", "12, 21, 22", false},
		{"weighted", facts{}, "", "11 70, 12 20, 13 10, 21 50, 22 150", false},
		{"weighted", facts{down: v2}, "", "11 70, 12 20, 13 10, 21 50", false},
		{"weighted", facts{down: d1 + d2 + d3 + v1}, "", "22", false},
		{"weighted", facts{drained: map[string]uint16{"192.0.2.22": health.Whole / 3}}, "", "11 70, 12 20, 13 10, 21 50, 22 49.95", false},
		{"weighted", facts{unknown: v1 + v2}, "", "11 70, 12 20, 13 10", false},
		{"weighted", facts{unknown: v1 + v2, down: d1 + d2 + d3 + d4}, "", "21 50, 22 150", false},
		{"failover", facts{}, "", "11, 12", true},
		{"failover", facts{down: d1}, "", "12", true},
		{"failover", facts{down: d1 + d2}, "", "13", true},
		{"failover", facts{down: d1 + d2 + d3 + d4}, "", "21, 22", true},
		{"geo", facts{}, irish, "11, 12, 13, 14", true},
		{"geo", facts{}, american, "21, 22", true},
		{"geo", facts{}, french, "11, 12, 13, 14, 31", true},
		{"geo", facts{down: d1 + d3}, irish, "12, 14", true},
		{"geo", facts{down: d1 + d2 + d3 + d4}, irish, "31", true},
		{"geo", facts{}, nowhere, "11, 12, 13, 14, 21, 22, 31", true},
		{"nearest", facts{}, irish, "11 70, 12 20, 13 10", false},
		{"nearest", facts{down: d1}, irish, "12 20, 13 10", false},
		{"nearest", facts{down: d1 + d2 + d3 + d4}, irish, "31", false},
		{"nearest", facts{down: v1}, american, "22", false},
		{"nearest", facts{}, american, "21 50, 22 150", false},
		{"nearest", facts{}, nowhere, "11 70, 12 20, 13 10, 21 50, 22 150, 31 100", false},
		{"wide", facts{}, irish, "11 70, 12 20, 13 10, 31 100", false},
		{"wide", facts{down: d1 + d2}, irish, "13 10, 31 100", false},
		{"close", facts{}, french, "31", false},
		{"close", facts{down: "192.0.2.31"}, french, "11 70, 12 20, 13 10", false},
		{"latency", facts{latency: times}, "", "11 70, 12 20, 21 50", false},
		{"latency", facts{latency: times, down: d1}, "", "12 20, 21 50", false},
		{"latency", facts{latency: times, down: d1 + d2 + v1}, "", "13", false},
		{"latency", facts{}, "", "11 70, 12 20, 13 10, 21 50, 22 150", false},
		{"latency", facts{latency: map[string]time.Duration{"192.0.2.21": time.Millisecond}}, "", "11 70, 12 20, 13 10, 21 50, 22 150", false},
		{"near-latency", facts{latency: times}, "", "11 70, 12 20", false},
		{"near-latency", facts{latency: times, down: d1 + d2 + v1}, "", "13", false},
		{"sticky", facts{}, irish, "11 70, 12 20, 13 10, 21 50, 22 150", false},
		{"sticky", facts{}, "10.0.0.0/8", "11 70, 12 20, 13 10, 21 50, 22 150", false},
		{"sticky", facts{down: v2 + d2}, irish, "11 70, 13 10, 21 50", false},
		{"drawn", facts{}, "", "11 70, 12 20", false},
		{"drawn", facts{down: d1 + d2 + d3 + d4}, "", "21 50, 22 150", false},
		{"pairs", facts{}, "", "11+12 0.46667, 11+13 0.23333, 12+11 0.175, 12+13 0.025, 13+11 0.07778, 13+12 0.02222", false},
		{"pairs", facts{down: d2}, "", "11+13 70, 13+11 10", false},
		{"orders", facts{}, "", "11+12+13, 11+13+12, 12+11+13, 12+13+11, 13+11+12, 13+12+11", false},
		{"orders", facts{down: d1}, "", "12+13, 13+12", false},
		{"turns", facts{}, "", "11+12, 12+13, 13+11", true},
		{"turns", facts{down: d2}, "", "11+13, 13+11", true},
		{"few", facts{}, "", "11 0.550926, 12 0.296296, 13 0.152778", false},
		{"big", facts{}, "", "12 20, 13 10", false},
		{"big", facts{down: d2}, "", "13", false},
		{"big", facts{down: d2 + d3}, "", "12 20, 13 10", false},
		{"strict", facts{}, irish, "11 70, 12 20, 13 10", false},
		{"strict", facts{}, french, "NOERROR", false},
		{"strict", facts{down: v1 + v2}, american, "NOERROR", false},
		{"spill", facts{}, "", "11 70, 12 20, 13 10", false},
		{"spill", facts{down: d3}, "", "11 51.8519, 12 14.8148, 21 8.3333, 22 25", false},
		{"spill", facts{down: d2 + d3 + v1}, "", "11, 22, 31", false},
		{"half", facts{down: d2 + d3}, "", "11 0.6, 21 0.2, 22 0.2", false},
		{"half", facts{down: d1 + d2 + d3}, "", "21, 22", false},
		{"shed", facts{load: loads}, "", "11 35, 12 5, 13 10", false},
		{"shed", facts{load: overloads}, "", "11 35, 13 10", false},
		{"shed", facts{load: overloads, down: d3 + d4}, "", "11", false},
		{"shed", facts{load: map[string]float64{"192.0.2.11": 300, "192.0.2.12": 200}, down: d3 + d4}, "", "12", false},
		{"shed-sticky", facts{load: overloads}, irish, "11 35, 13 10", false},
		{"shed-random", facts{load: overloads}, "", "11 1, 13 2", false},
		{"shed-turns", facts{load: overloads}, "", "11", false},
		{"shed-turns", facts{load: map[string]float64{"192.0.2.12": 150}}, "", "11 3, 12 1", false},
		{"hours", facts{closed: true}, "", "11 70, 12 20", false},
		{"hours", facts{closed: true, down: d1 + d2 + d3 + d4}, "", "21 50, 22 150", false},
		{"hours", facts{down: d1 + d2 + d3 + d4}, "", "21 50, 22 150", false},
		{"firsts", facts{}, irish, "11 70, 12 20, 13 10", false},
		{"firsts", facts{}, american, "21 50, 22 150", false},
		{"firsts", facts{}, french, "11, 12", false},
		{"firsts", facts{down: v1 + v2}, american, "11, 12", false},
		{"pair", facts{}, "", "41 60, 42 40", false},
		{"pair", facts{down: "192.0.2.42"}, "", "21 50, 22 150", false},
		{"pair", facts{down: "192.0.2.42 " + v1 + v2}, "", "41", false},
		{"panic", facts{down: d1 + d2}, "", "13 10, 21 50, 22 150", false},
		{"panic", facts{down: d1 + d2 + d3 + v1}, "", "11 70, 12 20, 13 10, 21 50, 22 150", false},
		{"serve-all", facts{down: d1 + d2 + d3}, "", "11 70, 12 20, 13 10", false},
		{"nodata", facts{down: d1 + d2 + d3}, "", "NOERROR", false},
		{"servfail", facts{down: d1 + d2 + d3}, "", "SERVFAIL", false},
		{"reserve", facts{down: d1 + d2 + d3}, "", "21 50, 22 150", false},
		{"reserve", facts{down: d1 + d2 + d3 + v2}, "", "21", false},
		{"nested", facts{}, "", "11 70, 12 20", false},
		{"nested", facts{down: d1 + d2 + d3 + d4}, "", "21 50, 22 150", false},
		{"nested", facts{down: d1 + d2 + d3 + d4 + v1 + v2}, "", "31", false},
		{"composed", facts{}, "", "11 70, 12 20, 13 10, 21 100, 22 100", false},
		{"composed", facts{down: d1}, "", "12 20, 13 10, 21 30, 22 30", false},
		{"named", facts{}, "", "edge.h1. 75, edge.h2. 25", false},
		{"named", facts{down: "edge.h1"}, "", "edge.h2.", false},
		{"twice", facts{}, "", "11 70, 12 20, 13 10", false},
		{"AAAA weighted", facts{}, "", "11 300, 12 100, 21 100", false},
		{"AAAA weighted", facts{down: "2001:db8::12"}, "", "11 300, 21 100", false},
		{"AAAA sticky", facts{}, "2001:db8::/34", "11 300, 12 100, 21 100", false},
		{"AAAA sticky", facts{down: "2001:db8::11"}, "2001:db8::/34", "12, 21", false},
		{"AAAA nearest", facts{}, "2001:db8::/34", "11 300, 12 100", false},
	} {
		if c.from == "" {
			c.from = irish
		}
		if from[c.from] == nil {
			from[c.from] = networks(rng, c.from, asked)
		}
		clients, chances := from[c.from], shares(c.want)
		if c.exact || len(chances) == 1 {
			clients = clients[:few]
		}
		what := fmt.Sprintf("%s %+v from %s", c.service, c.facts, c.from)
		w.suppose(c.facts)
		service, six := strings.CutPrefix(c.service, "AAAA ")
		typ := dnswire.TypeA
		if six {
			typ = dnswire.TypeAAAA
		}
		counts := w.asks(service+".x.test", typ, clients)
		if !c.exact {
			agrees(t, what, counts, chances)
			continue
		}
		for outcome, p := range chances {
			if got := float64(counts[outcome]); math.Abs(got-p*few) >= 1 {
				t.Errorf("%s: %s has %v turns of %d\n%v", what, outcome, got, few, counts)
			}
		}
	}
}
