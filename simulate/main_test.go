package simulate_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/simulate"
	"github.com/rhumb-dns/rhumb/spec"
)

// load writes a configuration to a file and loads it.
func load(t testing.TB, text string) *spec.Spec {
	t.Helper()
	file := filepath.Join(t.TempDir(), "rhumb.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _, err := spec.Load(file, spec.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// world is a configuration with suppositions, each with its act before it.
func world(t testing.TB, text string, suppositions ...simulate.Supposition) *simulate.World {
	t.Helper()
	w, err := simulate.NewWorld(load(t, text), suppositions, simulate.Facts{})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func suppose(t testing.TB, act simulate.Act, text string) simulate.Supposition {
	t.Helper()
	s, err := simulate.ParseSupposition(act, text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// queries are what run asks, unless its options say how many.
var queries = rounds(100_000)

// run simulates.
func run(t testing.TB, o simulate.Options) *simulate.Result {
	t.Helper()
	if o.Queries == 0 {
		o.Queries = queries
	}
	if o.Mix == nil {
		o.Mix = anywhere(t)
	}
	r, err := simulate.Run(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func anywhere(t testing.TB) *simulate.Mix {
	t.Helper()
	m, err := simulate.Population(nil, 1000, 1)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// builtIn is the country database that is built in.
var builtIn = sync.OnceValues(func() (*geo.View, error) {
	a := geo.New(geo.Options{})
	c, err := a.Prepare(geo.Config{})
	if err != nil {
		return nil, err
	}
	a.Apply(c)
	return a.View(), nil
})

func places(t testing.TB) *geo.View {
	t.Helper()
	v, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// share is the shares of an endpoint of a pool, or of the pool.
func share(t testing.TB, r *simulate.Result, pool, endpoint string) simulate.Change {
	t.Helper()
	for _, p := range r.Pools {
		if p.Name != pool {
			continue
		}
		if endpoint == "" {
			return p.Share
		}
		for _, e := range p.Endpoints {
			if e.Name == endpoint {
				return e.Share
			}
		}
	}
	t.Fatalf("the result has no endpoint %q of a pool %q: %+v", endpoint, pool, r.Pools)
	return simulate.Change{}
}

// near is whether two shares of 100,000 queries are the same but for chance: five
// times the largest standard deviation that there is.
func near(a, b float64) bool { return math.Abs(a-b) < 5*0.5/math.Sqrt(float64(queries)) }

func name(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

const two = `
pools:
  eu: {place: {region: eu-west, country: IE, at: [53.35, -6.26]}, endpoints: [192.0.2.10, {address: 192.0.2.11, weight: 300}]}
  us: {place: {region: us-east, at: [39, -77.5]}, endpoints: [198.51.100.10]}
zones:
  a.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      www: {pools: [eu, us], steer: weighted}
      api: {pools: [eu, us], steer: failover}
      two: {pools: [eu], answers: 2}
      no: {pools: [us], all_down: nodata}
`
