package simulate_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/app"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/simulate"
)

// patience is how long a test waits for what must come. It is never waited for
// when all is well.
const patience = 20 * time.Second

// serve runs a node of a configuration, and gives the address of its DNS when it
// has a verdict of every endpoint.
func serve(t *testing.T, config string) netip.AddrPort {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rhumb.yaml")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	node, err := app.New(app.Options{Config: file, LogWriter: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the node ended: %v", err)
		}
	})
	select {
	case err := <-ended:
		ended <- nil
		t.Fatalf("the node ended: %v", err)
	case <-node.Started():
	}
	select {
	case <-node.Engine().Settled():
	case <-time.After(patience):
		t.Fatal("the endpoints are not judged")
	}
	return node.DNSAddrs()[0]
}

// answered asks a node for A records over UDP, for one client subnet after the
// other, and counts the addresses.
func answered(t *testing.T, at netip.AddrPort, of dnswire.Name, clients []simulate.Client, times int) map[string]float64 {
	t.Helper()
	c, err := net.Dial("udp", at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	counts := map[string]float64{}
	buf := make([]byte, 2048)
	for i := range times {
		q := dnswire.AppendQuery(nil, of, dnswire.TypeA, clients[i%len(clients)].Subnet)
		q[0], q[1] = byte(i>>8), byte(i)
		if _, err := c.Write(q); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		const record = 16 // a pointer to the name, and an address
		end := 12 + len(of) + 4 + record
		if n < end || buf[0] != q[0] || buf[1] != q[1] || buf[7] != 1 {
			t.Fatalf("answer %d: %x", i, buf[:n])
		}
		counts[netip.AddrFrom4([4]byte(buf[end-4:end])).String()]++
	}
	return counts
}

// chiSquare is the sum over (observed - expected)^2 / expected, and its degrees of
// freedom. What is not expected at all must not be there.
func chiSquare(t *testing.T, counts map[string]float64, shares map[string]float64) (x float64, freedom int) {
	t.Helper()
	total := 0.0
	for _, n := range counts {
		total += n
	}
	for at, n := range counts {
		if shares[at] == 0 && n > 0 {
			t.Errorf("%v answers with %s, which the simulation never gave", n, at)
		}
	}
	for at, share := range shares {
		if share > 0 {
			d := counts[at] - share*total
			x += d * d / (share * total)
			freedom++
		}
	}
	return x, freedom - 1
}

// vacant is a port that nothing listens on.
func vacant(t *testing.T) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return netip.MustParseAddrPort(l.Addr().String()).Port()
}

// deviations is how much greater x is than what chance makes of it with so many
// degrees of freedom, in standard deviations (Wilson and Hilferty, The distribution
// of chi-square, 1931).
func deviations(x float64, freedom int) float64 {
	if freedom == 0 {
		return 0
	}
	k := 2 / (9 * float64(freedom))
	return (math.Cbrt(x/float64(freedom)) - (1 - k)) / math.Sqrt(k)
}

// TestServer holds that a simulation says what a node then does: the same
// configuration, of which the same endpoints are down, and the same clients. The
// node's own chance is not ours to seed, so that what is taken for chance is what
// happens once in a thousand million times.
func TestServer(t *testing.T) {
	config := fmt.Sprintf(`
dns: {listen: [127.0.0.1:0], ecs: true}
admin: {listen: 127.0.0.1:0}
checks:
  closed: {type: tcp, port: %d, interval: 10s, timeout: 1s, fall: 1}
pools:
  eu:
    place: {country: IE, at: [53.35, -6.26]}
    endpoints:
      - 192.0.2.10
      - {address: 192.0.2.11, weight: 250}
      - {address: 127.0.0.4, weight: 300, checks: [closed]}
  us:
    place: {country: US, at: [39, -77.5]}
    endpoints: [198.51.100.10, {address: 198.51.100.11, weight: 30}]
  gone:
    checks: [closed]
    endpoints: [127.0.0.5, {address: 127.0.0.6, weight: 50}]
zones:
  a.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      weighted: {pools: [eu, us], steer: weighted}
      failover: {pools: [gone, us, eu], steer: failover}
      both: {pools: [gone, us, eu], steer: [tier, weighted]}
      random: {pools: [eu, us, gone], steer: random}
      turns: {pools: [eu, us, gone]}
      all-down: {pools: [gone], steer: weighted}
      reserve: {pools: [gone], steer: weighted, all_down: us}
      near: {pools: [eu, us, gone], steer: nearest}
      fence: {pools: [eu, us], steer: [geofence: continent, weighted]}
      sticky: {pools: [eu, us], steer: sticky}
      nested: {pools: [{service: near}, gone], steer: [tier, weighted]}
`, vacant(t))
	at := serve(t, config)
	mix, err := simulate.Prefixes("x", strings.NewReader("1.0.0.0/16\n17.0.0.0/16\n81.0.0.0/16\n150.0.0.0/16"), 1)
	if err != nil {
		t.Fatal(err)
	}
	before := world(t, config)
	after := world(t, config, suppose(t, simulate.Down, "pool=gone"), suppose(t, simulate.Down, "endpoint=127.0.0.4"))
	services := []string{"weighted", "failover", "both", "random", "turns", "all-down", "reserve", "near", "fence", "sticky", "nested"}
	if raced {
		services = services[:1]
	}
	for _, service := range services {
		t.Run(service, func(t *testing.T) {
			of := name(t, service+".a.test")
			r := run(t, simulate.Options{Before: before, After: after, Mix: mix, Queries: 60_000, Services: []dnswire.Name{of}})
			shares := map[string]float64{}
			for _, p := range r.Pools {
				for _, e := range p.Endpoints {
					shares[e.Name] += e.Share.After
				}
			}
			counts := answered(t, at, of, mix.Clients, 4000)
			if x, freedom := chiSquare(t, counts, shares); deviations(x, freedom) > 6 {
				t.Errorf("chi-square is %v with %d degrees of freedom: the node answered %v, the simulation says %v", x, freedom, counts, shares)
			}
		})
	}
}
