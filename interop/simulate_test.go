//go:build linux

package interop

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/simulate"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// supposed is a configuration whose endpoints are loopback addresses: those that
// something listens at are up. %[2]d is the weight of the one that ends in 11, and
// %[3]d that of both of the pool us.
const supposed = `
checks: {web: {type: tcp, port: %[1]d, interval: 1m, timeout: 1s, rise: 1, fall: 1}}
pools:
  eu:
    place: {country: IE, continent: EU, at: [53.35, -6.26]}
    checks: [web]
    endpoints: [{address: 127.0.0.11, weight: %[2]d}, {address: 127.0.0.12, weight: 20}, {address: 127.0.0.13, weight: 10}]
  us:
    place: {country: US, continent: NA, at: [39.04, -77.49]}
    checks: [web]
    endpoints: [{address: 127.0.0.21, weight: %[3]d}, {address: 127.0.0.22, weight: %[3]d}]
  sg:
    place: {country: SG, continent: AS, at: [1.35, 103.82]}
    checks: [web]
    endpoints: [127.0.0.31]
  spare: {endpoints: [127.0.0.41]}
  pair: {checks: [web], min_healthy: 2, endpoints: [127.0.0.11, 127.0.0.12]}
  near: {pools: [eu, us], steer: [nearest, weighted]}
zones:
  gslb.test:
    nameservers: {ns: 127.0.0.13}
    services:
      weighted: {pools: [eu, us, sg], steer: weighted}
      random: {pools: [eu, us], steer: random}
      turns: {pools: [eu, us]}
      failover: {pools: [pair, us, eu], steer: failover}
      drawn: {pools: [eu, us], steer: [tier, weighted]}
      geo: {pools: [eu, us, sg], steer: geo}
      nearest: {pools: [eu, us, sg], steer: nearest}
      wide: {pools: [eu, us, sg], steer: [{nearest: {tolerance: 100%%, within: 3000km}}, weighted]}
      spill: {pools: [eu, us, sg], steer: [{tier: {min_healthy: 100%%, spill: 80%%}}, weighted]}
      composed: {pools: [near, sg], steer: [tier, weighted]}
      nested: {pools: [{service: drawn}, sg], steer: random}
      pairs: {pools: [eu, us], steer: weighted, answers: 2}
      panic: {pools: [eu, us], steer: weighted, panic: 0.5}
      sticky: {pools: [eu, us, sg], steer: sticky}
      close: {pools: [eu, us, sg], steer: [nearest, sticky]}
      one: {pools: [eu, us, sg], steer: [geofence: [country, continent], tier, limit: 1]}
      strict: {pools: [eu, us, sg], steer: [{geofence: {levels: continent, strict: true}}, sticky], all_down: nodata}
      reserve: {pools: [eu], steer: [tier, limit: 1], all_down: spare}
      refuses: {pools: [eu], steer: sticky, all_down: servfail}
`

// certain are the services that give each client the same every time.
var certain = []string{"sticky", "close", "one", "strict", "reserve", "refuses"}

// weights are who asks, and how often.
var weights = []struct {
	client string
	weight int
}{
	{"81.2.69.0/24", 6},
	{"17.0.0.0/24", 5},
	{"1.0.16.0/24", 3},
	{"5.9.0.0/24", 4},
	{"8.8.8.0/24", 2},
	{"41.0.0.0/24", 1},
	{"103.6.84.0/24", 3},
	{"131.107.0.0/24", 2},
	{"177.0.0.0/24", 3},
	{"194.0.0.0/24", 1},
	{"202.12.27.0/24", 2},
	{"46.4.0.0/24", 1},
	{"2a00:1450:4000::/56", 2},
	{"2001:200::/56", 1},
	{"2600:1f00::/56", 2},
	{"10.0.0.0/24", 2},
}

// TestSimulation supposes something of a configuration, and then has it be so: what
// a node answers the same clients is what `rhumb simulate` has said, to the last answer
// where nothing is left to chance.
func TestSimulation(t *testing.T) {
	conversation(t)
	dir := t.TempDir()
	var csv strings.Builder
	for _, w := range weights {
		fmt.Fprintf(&csv, "%s, %d\n", w.client, w.weight)
	}
	clients := write(t, filepath.Join(dir, "clients.csv"), csv.String())
	all := []int{11, 12, 13, 21, 22, 31}
	for _, c := range []struct {
		flags   []string
		down    []int
		drained []int
		weights [2]int // of 11, and of the pool us
	}{
		{nil, nil, nil, [2]int{70, 100}},
		{[]string{"--down", "pool=eu"}, []int{11, 12, 13}, nil, [2]int{70, 100}},
		{[]string{"--down", "endpoint=127.0.0.11", "--down", "endpoint=127.0.0.22"}, []int{11, 22}, nil, [2]int{70, 100}},
		{[]string{"--weight", "endpoint=127.0.0.11=300", "--weight", "pool=us=25"}, nil, nil, [2]int{300, 25}},
		{[]string{"--drain", "endpoint=127.0.0.12", "--down", "endpoint=127.0.0.21"}, []int{21}, []int{12}, [2]int{70, 100}},
		{[]string{"--down", "pool=us", "--down", "pool=sg", "--weight", "endpoint=127.0.0.11=0"}, []int{21, 22, 31}, nil, [2]int{0, 100}},
		{[]string{"--down", "pool=eu", "--down", "pool=us", "--down", "pool=sg"}, all, nil, [2]int{70, 100}},
	} {
		t.Run(strings.Join(c.flags, " "), func(t *testing.T) {
			up := slices.DeleteFunc(slices.Clone(all), func(e int) bool { return slices.Contains(c.down, e) })
			port := listenAt(t, up)
			before := config(t, fmt.Sprintf(supposed, port, 70, 100))
			n := serve(t, config(t, fmt.Sprintf(supposed, port, c.weights[0], c.weights[1])))
			n.judged()
			conn := dial(t, n.port)
			sim := simulation(t, before, clients, c.flags)
			drain(t, n, conn, sim.services, c.drained)
			rng := rand.New(rand.NewPCG(5, 7))
			mixed := map[string]int{}
			for _, service := range sim.services {
				var asked []quick
				for _, w := range weights {
					q := quick{service, dnswire.TypeA, netip.MustParsePrefix(w.client)}
					asked = append(asked, slices.Repeat([]quick{q}, times*w.weight)...)
				}
				counts := map[string]int{}
				for _, o := range outcomes(t, conn, asked) {
					records := strings.Split(o, "+")
					one := records[rng.IntN(len(records))] // a client takes one
					counts[one]++
					mixed[one]++
				}
				if short, _, _ := strings.Cut(service, "."); slices.Contains(certain, short) {
					same(t, service, counts, sim.run(t, service, 20_000))
				} else {
					agrees(t, service, counts, merged(sim.run(t, service, 50_000), counts))
				}
			}
			want := sim.command(t, before, clients, c.flags)
			agrees(t, "all services by the command", mixed, merged(want, mixed))
		})
	}
}

// times is how often a client of weight 1 asks for a service.
const times = 60

// listenAt listens at loopback addresses, on one port of all.
func listenAt(t *testing.T, ends []int) (port int) {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", "127.0.0.1:0") // so that nobody else is given the port
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		port = l.Addr().(*net.TCPAddr).Port
		free := true
		for _, end := range ends {
			if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.%d:%d", end, port)); err != nil {
				free = false
				break
			}
			t.Cleanup(func() { _ = l.Close() })
		}
		if free {
			return port
		}
	}
	t.Fatal("no port is free at all addresses")
	return 0
}

// drain takes endpoints out of all services, and waits until they are.
func drain(t *testing.T, n *node, conn net.Conn, services []string, ends []int) {
	t.Helper()
	if len(ends) == 0 {
		return
	}
	c, err := api.New(n.api, api.Options{})
	if err != nil {
		t.Fatal(err)
	}
	// The one that is looked at comes last.
	for _, service := range append(slices.Clone(services), "weighted.gslb.test") {
		for _, end := range ends {
			_, err := c.SetOverride(t.Context(), service, fmt.Sprintf("127.0.0.%d", end), api.OverrideRequest{State: api.OverrideDrain, Reason: "a test", Source: "test"})
			var problem *api.Problem
			if err != nil && !(errors.As(err, &problem) && problem.Status == http.StatusNotFound) {
				t.Fatal(err) // a nested service has no word of its own on the endpoints in it
			}
		}
	}
	var one []quick
	for range 500 {
		one = append(one, quick{"weighted.gslb.test", dnswire.TypeA, netip.Prefix{}})
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		counts := count(outcomes(t, conn, one))
		if !slices.ContainsFunc(ends, func(end int) bool { return counts[fmt.Sprint(end)] > 0 }) {
			return
		}
	}
	t.Fatal("what is drained is still answered")
}

// simulated is a configuration of which something is supposed.
type simulated struct {
	world    *simulate.World
	mix      *simulate.Mix
	services []string
}

func simulation(t *testing.T, file, clients string, flags []string) *simulated {
	t.Helper()
	s, _, err := spec.Load(file, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var all []simulate.Supposition
	for i := 0; i < len(flags); i += 2 {
		act := map[string]simulate.Act{"--down": simulate.Down, "--drain": simulate.Drain, "--weight": simulate.Weight}[flags[i]]
		one, err := simulate.ParseSupposition(act, flags[i+1])
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, one)
	}
	sim := &simulated{}
	if sim.world, err = simulate.NewWorld(s, all, simulate.Facts{}); err != nil {
		t.Fatal(err)
	}
	if sim.mix, err = simulate.Prefixes(clients, strings.NewReader(read(t, clients)), 1); err != nil {
		t.Fatal(err)
	}
	tab := sim.world.Snapshot.Table
	tab.EachService(func(n *table.Node, _ *table.Plan) bool {
		sim.services = append(sim.services, tab.Name(n).String())
		return true
	})
	return sim
}

// run simulates so many queries for one service.
func (s *simulated) run(t *testing.T, service string, queries int) map[string]float64 {
	t.Helper()
	name, err := dnswire.ParseName(service)
	if err != nil {
		t.Fatal(err)
	}
	r, err := simulate.Run(t.Context(), simulate.Options{
		Before: s.world, Mix: s.mix, Services: []dnswire.Name{name}, Types: []dnswire.Type{dnswire.TypeA}, Queries: queries, Seed: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	return ends(r)
}

// command is what `rhumb simulate` says of all services.
func (s *simulated) command(t *testing.T, file, clients string, flags []string) map[string]float64 {
	t.Helper()
	args := append([]string{"simulate", "-c", file, "--clients", clients, "--type", "A", "--queries", "500000", "--json"}, flags...)
	out, err := exec.Command(rhumb, args...).Output()
	if err != nil {
		t.Fatalf("rhumb %s: %v", strings.Join(args, " "), err)
	}
	var r simulate.Result
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	return ends(&r)
}

// ends are the shares of a result by what addresses end in, and by code where there
// is none.
func ends(r *simulate.Result) map[string]float64 {
	all := map[string]float64{}
	for _, p := range r.Pools {
		for _, e := range p.Endpoints {
			all[e.Name[strings.LastIndexByte(e.Name, '.')+1:]] += e.Share.After
		}
	}
	for _, why := range r.Reasons {
		all[map[string]string{"no data": "NOERROR"}[why.Text]+strings.TrimPrefix(why.Text, "no data")] += why.Share.After
	}
	return all
}

// merged are chances of which those too small for what was counted are one with the
// next larger.
func merged(chances map[string]float64, counts map[string]int) map[string]float64 {
	total := 0
	for _, n := range counts {
		total += n
	}
	var order []string
	for outcome, p := range chances {
		if p > 0 {
			order = append(order, outcome)
		}
	}
	slices.SortFunc(order, func(a, b string) int { return cmp.Compare(chances[a], chances[b]) })
	all := map[string]float64{}
	for i, outcome := range order {
		all[outcome] += chances[outcome]
		if all[outcome]*float64(total) >= fewest || i == len(order)-1 {
			continue
		}
		next := order[i+1]
		all[next] += all[outcome]
		counts[next] += counts[outcome]
		delete(all, outcome)
		delete(counts, outcome)
	}
	return all
}

// same fails when shares are not what was simulated, but for the rest that is left
// when queries are allotted to clients.
func same(t *testing.T, what string, counts map[string]int, want map[string]float64) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	all := maps.Clone(want)
	for outcome := range counts {
		all[outcome] += 0
	}
	for outcome := range all {
		if got := float64(counts[outcome]) / float64(total); math.Abs(got-want[outcome]) > 1e-3 {
			t.Errorf("%s: %s has share %.4f, and by the simulation %.4f", what, outcome, got, want[outcome])
		}
	}
}
