//go:build linux

package interop

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// cached is a node whose services answer for any name below them: each name is
// another lifetime in a cache, and nobody has to wait for one to end. The endpoint
// of the pool short that ends in 4 is down.
const cached = `
geo: {networks: {127.0.0.0/8: {country: IE, at: [53.35, -6.26]}}}
checks:
  closed: {type: tcp, port: %s, interval: 10s, timeout: 1s, fall: 1}
pools:
  all:
    place: {country: IE, at: [53.35, -6.26]}
    endpoints:
      - {address: 192.0.2.1, weight: 70}
      - {address: 192.0.2.2, weight: 20}
      - {address: 192.0.2.3, weight: 10}
      - {address: "2001:db8::1", weight: 70}
      - {address: "2001:db8::2", weight: 30}
  short:
    endpoints:
      - {address: 192.0.2.1, weight: 70}
      - {address: 192.0.2.2, weight: 20}
      - {address: 192.0.2.3, weight: 10}
      - {address: 127.0.0.4, weight: 900, checks: [closed]}
  gone: {checks: [closed], endpoints: [127.0.0.5]}
  two: {endpoints: [{address: 192.0.2.1, weight: 70}, {address: 192.0.2.2, weight: 30}]}
zones:
  gslb.test:
    nameservers: {ns: 127.0.0.13}
    services:
      www: {pools: [all], steer: weighted, ttl: 600}
      "*.weighted": {pools: [all], steer: weighted, ttl: 600}
      "*.down": {pools: [short], steer: weighted, ttl: 600}
      "*.drawn": {pools: [gone, short], steer: [tier, weighted], ttl: 600}
      "*.near": {pools: [all, gone], steer: nearest, ttl: 600}
      "*.random": {pools: [short], steer: random, ttl: 600}
      "*.shuffled": {pools: [gone, all], steer: [tier, {limit: 2}, shuffle], ttl: 600}
      "*.turns": {pools: [short], ttl: 600}
      "*.first": {pools: [gone, short], steer: failover, ttl: 600}
      "*.sticky": {pools: [short], steer: sticky, ttl: 600}
      "*.pairs": {pools: [short], steer: weighted, answers: 2, ttl: 600}
      "*.two": {pools: [two], steer: weighted, ttl: 600}
      "*.fair": {pools: [two], ttl: 600}
`

func serveCached(t *testing.T) *node {
	t.Helper()
	n := serve(t, config(t, fmt.Sprintf(cached, freePort(t))))
	n.judged()
	return n
}

// judged waits until every endpoint has a verdict.
func (n *node) judged() {
	n.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); <-tick.C {
		res, err := http.Get(n.api + "/api/v1/ready")
		if err != nil {
			n.t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return
		}
	}
	n.t.Fatalf("the endpoints are not judged:\n%s", n.logs())
}

// plain is what a resolver of this file has in its configuration besides.
const plain = "server:\n  verbosity: 1\n  msg-cache-size: 32m\n  rrset-cache-size: 64m\n"

// TestWeightsThroughCaches asks for many lifetimes of a cache, through unbound and
// beside it: the shares of both are those of the configuration, and what comes from
// the cache is what was put there.
func TestWeightsThroughCaches(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	r := inFront(t, freePort(t), plain+stub("gslb.test", n.port))
	through, beside := dial(t, r.port), dial(t, n.port)
	const lifetimes = 1500
	for _, c := range []struct {
		service string
		typ     dnswire.Type
		want    string
	}{
		{"weighted", dnswire.TypeA, "1 70, 2 20, 3 10"},
		{"weighted", dnswire.TypeAAAA, "1 70, 2 30"},
		{"down", dnswire.TypeA, "1 70, 2 20, 3 10"},
		{"drawn", dnswire.TypeA, "1 70, 2 20, 3 10"},
		{"near", dnswire.TypeA, "1 70, 2 20, 3 10"},
		{"random", dnswire.TypeA, "1, 2, 3"},
		{"shuffled", dnswire.TypeA, "1, 2"},
		{"turns", dnswire.TypeA, "1, 2, 3"},
		{"first", dnswire.TypeA, "1, 2, 3"},
	} {
		what := fmt.Sprintf("%s %s", c.service, c.typ)
		asked := names(lifetimes, c.service, c.typ)
		queries := func() float64 { return metric(t, fmt.Sprintf(`rhumb_dns_queries_total{.*type="%s".*}`, c.typ), n) }
		before := queries()
		first := outcomes(t, through, asked)
		agrees(t, what+" through unbound", count(first), shares(c.want))
		between := queries()
		if between-before < lifetimes {
			t.Errorf("%s: %v queries reached the node for %d lifetimes", what, between-before, lifetimes)
		}
		if again := outcomes(t, through, asked); !slices.Equal(first, again) {
			t.Errorf("%s: the second answers are not those of the cache", what)
		}
		if after := queries(); after != between {
			t.Errorf("%s: %v queries reached the node for what is in the cache", what, after-between)
		}
		agrees(t, what+" beside unbound", count(outcomes(t, beside, asked)), shares(c.want))
	}
	r.content()
}

// names are questions of the names below a service.
func names(n int, service string, typ dnswire.Type) []quick {
	asked := make([]quick, n)
	for i := range asked {
		asked[i] = quick{name: fmt.Sprintf("n%d.%s.gslb.test", i, service), typ: typ}
	}
	return asked
}

// TestWeightsOfLifetimes has one name live in a cache many times over: it is removed
// from there, as its TTL would. All of a resolver's clients are given the same until
// then, and over all lifetimes the shares are the weights.
func TestWeightsOfLifetimes(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	path := filepath.Join(t.TempDir(), "control")
	r := inFront(t, freePort(t), plain+stub("gslb.test", n.port)+
		fmt.Sprintf("remote-control:\n  control-enable: yes\n  control-interface: %q\n  control-use-cert: no\n", path))
	conn := dial(t, r.port)
	const lifetimes, clients = 1500, 3
	var got []string
	for range lifetimes {
		same := outcomes(t, conn, slices.Repeat([]quick{{name: "www.gslb.test", typ: dnswire.TypeA}}, clients))
		if slices.ContainsFunc(same, func(o string) bool { return o != same[0] }) {
			t.Fatalf("clients of one lifetime are given %v", same)
		}
		got = append(got, same[0])
		control(t, path, "flush_type www.gslb.test A")
	}
	agrees(t, "one name over many lifetimes", count(got), shares("1 70, 2 20, 3 10"))
}

// control tells unbound something, as unbound-control does.
func control(t *testing.T, path, command string) {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(10 * patience))
	if _, err := fmt.Fprintf(conn, "UBCT1 %s\n", command); err != nil {
		t.Fatal(err)
	}
	if reply, err := bufio.NewReader(conn).ReadString('\n'); err != nil && err != io.EOF || !strings.HasPrefix(reply, "ok") {
		t.Fatalf("%s: %q, %v", command, reply, err)
	}
}

// TestFewResolvers has three resolvers, with a half, three tenths and a fifth of the
// clients, and looks at what the clients get in one lifetime: the share of an
// endpoint is right in the mean, and the spread of it is that of so few draws.
func TestFewResolvers(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	parts := []float64{0.5, 0.3, 0.2}
	const lifetimes, weight = 4000, 0.7
	asked := names(lifetimes, "two", dnswire.TypeA)
	var got [][]string
	for range parts {
		r := inFront(t, freePort(t), plain+stub("gslb.test", n.port))
		got = append(got, outcomes(t, dial(t, r.port), asked))
		r.content()
	}
	counts := map[string]int{}
	sum, squares := 0.0, 0.0
	for i := range asked {
		share, key := 0.0, ""
		for j, part := range parts {
			if key += got[j][i]; got[j][i] == "1" {
				share += part
			}
		}
		counts[key]++
		sum += share
		squares += share * share
	}
	// Each resolver draws for itself.
	chances := map[string]float64{}
	for set := range 1 << len(parts) {
		key, p := "", 1.0
		for j := range parts {
			if set>>j&1 == 0 {
				key, p = key+"1", p*weight
			} else {
				key, p = key+"2", p*(1-weight)
			}
		}
		chances[key] = p
	}
	agrees(t, "three resolvers", counts, chances)
	mean := sum / lifetimes
	t.Logf("clients given the endpoint of weight %.0f%%: %.1f%% in the mean, standard deviation %.1f%%; by the formula %.1f%%",
		100*weight, 100*mean, 100*math.Sqrt(squares/lifetimes-mean*mean), 100*spread(weight, parts, 1))
}

// TestTurnsOfResolvers: where turns are taken and resolvers ask in step, each may
// get the same for ever, which drawing does not do.
func TestTurnsOfResolvers(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	var conns []net.Conn
	for range 2 {
		conns = append(conns, dial(t, inFront(t, freePort(t), plain+stub("gslb.test", n.port)).port))
	}
	for _, q := range names(100, "fair", dnswire.TypeA) {
		for i, conn := range conns {
			if got := outcomes(t, conn, []quick{q})[0]; got != fmt.Sprint(i+1) {
				t.Fatalf("%s: resolver %d of two is given %s, of two endpoints in turn", q.name, i+1, got)
			}
		}
	}
}

// TestMoreAnswersThroughCaches has a resolver that puts the records of an answer in
// another order each time, as unbound does unless it is told otherwise: the client
// that takes the first one takes each alike.
func TestMoreAnswersThroughCaches(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	r := inFront(t, freePort(t), plain+"server:\n  rrset-roundrobin: yes\n"+stub("gslb.test", n.port))
	// Unbound goes by the number of the query, which follows the place in the list.
	asked := names(3000, "pairs", dnswire.TypeA)
	rand.New(rand.NewPCG(5, 3)).Shuffle(len(asked), func(i, j int) { asked[i], asked[j] = asked[j], asked[i] })
	var first []string
	for _, o := range outcomes(t, dial(t, r.port), asked) {
		one, _, _ := strings.Cut(o, "+")
		first = append(first, one)
	}
	agrees(t, "the first of two", count(first), shares("1 0.476389, 2 0.344444, 3 0.179167"))
}

// TestSubnetsAndWeights: a resolver that tells of its clients' networks caches for
// each what depends on it. Weights do not, so one answer is for all; with sticky
// the networks are divided by the weights.
func TestSubnetsAndWeights(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	r := inFront(t, freePort(t), plain+subnetCache+stub("gslb.test", n.port))
	conn := dial(t, r.port)
	clients := networks(rand.New(rand.NewPCG(5, 4)), "10.0.0.0/8", 3000)
	for _, service := range []string{"weighted", "sticky"} {
		asked := names(1, service, dnswire.TypeA)
		for _, client := range clients[1:] {
			asked = append(asked, quick{asked[0].name, asked[0].typ, client})
		}
		asked[0].client = clients[0]
		outcomes(t, conn, asked[:1]) // so that what is for all is there before many ask at once
		counts := count(outcomes(t, conn, asked))
		if service == "weighted" {
			if len(counts) != 1 {
				t.Errorf("%s: clients of one cache are given %v", service, counts)
			}
			continue
		}
		agrees(t, service, counts, shares("1 70, 2 20, 3 10"))
	}
	// Without it, all clients of a resolver are one network.
	r = inFront(t, freePort(t), plain+stub("gslb.test", n.port))
	if counts := count(outcomes(t, dial(t, r.port), names(100, "sticky", dnswire.TypeA))); len(counts) != 1 {
		t.Errorf("sticky through a resolver that tells nothing: %v", counts)
	}
}

// TestClampedTTL: a resolver may keep an answer for longer than it is told.
func TestClampedTTL(t *testing.T) {
	program(t, "unbound")
	n := serveCached(t)
	r := inFront(t, freePort(t), plain+"server:\n  cache-min-ttl: 3600\n"+stub("gslb.test", n.port))
	if ttl := r.ask("www.gslb.test.", dns.TypeA).Answer[0].Header().Ttl; ttl < 3000 {
		t.Errorf("TTL %d: a minimum does not show", ttl)
	}
}

// subnetCache has unbound tell of its clients' networks, all of the address where
// the client does, and keep what it is told of each.
const subnetCache = `server:
  module-config: "subnetcache iterator"
  send-client-subnet: 127.0.0.1
  client-subnet-always-forward: yes
  max-client-subnet-ipv4: 32
  max-client-subnet-ipv6: 128
  max-ecs-tree-size-ipv4: 100000
  max-ecs-tree-size-ipv6: 100000
`
