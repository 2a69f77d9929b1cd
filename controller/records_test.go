package controller_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/controller"
)

const world = `
geo:
  networks: {10.0.0.0/8: {region: lan, country: DE}}
  regions: {iberia: {countries: [ES, PT]}, oceania: {continents: [OC]}}
pools:
  eu: {place: {region: eu-west, country: IE}, endpoints: [192.0.2.10, {address: 192.0.2.11, weight: 0}, "2001:db8::10"]}
  us: {place: {region: us-east, country: US, at: [40.7, -74]}, endpoints: [198.51.100.10, 198.51.100.11]}
  au: {place: {country: AU}, endpoints: [203.0.113.10]}
  far: {endpoints: [www.example.net]}
  both: {pools: [eu, us], steer: round-robin}
zones:
  gslb.test:
    nameservers: {ns1: 192.0.2.53}
    records:
      - "mail 600 A 192.0.2.25"
      - "mail AAAA 2001:db8::25"
      - "alias 60 CNAME www.gslb.test."
      - "txt TXT hello"
      - "sub NS ns.sub"
      - "ns.sub A 192.0.2.99"
      - "*.wild A 192.0.2.77"
      - "zero 0 A 192.0.2.30"
    services:
      "@": {pools: [us], ttl: 20}
      www: {pools: [eu, us], steer: failover, ttl: 20}
      all: {pools: [eu, us], ttl: 0}
      geo: {pools: [eu, us, au], steer: geo}
      near: {pools: [eu, us, au], steer: nearest}
      heavy: {pools: [eu], steer: weighted}
      one: {pools: [eu, us], steer: [tier, limit: 1], answers: 1}
      some: {pools: [us], steer: [shuffle, limit: 1]}
      cdn: {pools: [far], ttl: 60}
      nest: {pools: [both]}
      "*.any": {pools: [us]}
  other.test:
    nameservers: {ns1: 192.0.2.53}
    services: {www: {pools: [us]}}
controller:
  secret: shared-with-edges
  zones: [gslb.test]
  failover: {www.gslb.test: www.backup.test, near.gslb.test: near.backup.test}
`

// TestRecords: the records are all that a client of a region may be answered with.
func TestRecords(t *testing.T) {
	n := start(t, world)
	static := `*.wild A 3600 192.0.2.77
alias A 60  failover=www.gslb.test
mail A 600 192.0.2.25
mail AAAA 3600 2001:db8::25
ns1 A 3600 192.0.2.53
txt A 1  enabled=false
zero A 1 192.0.2.30
`
	same := `*.any A 30 198.51.100.10,198.51.100.11
all A 1 192.0.2.10,192.0.2.11,198.51.100.10,198.51.100.11
all AAAA 1 2001:db8::10
cdn A 60  failover=www.example.net
gslb.test A 20 198.51.100.10,198.51.100.11
heavy A 30 192.0.2.10
heavy AAAA 30 2001:db8::10
nest A 30 192.0.2.10,192.0.2.11,198.51.100.10,198.51.100.11
nest AAAA 30 2001:db8::10
one A 30 192.0.2.10
one AAAA 30 2001:db8::10
some A 30 198.51.100.10,198.51.100.11
www A 20 192.0.2.10,192.0.2.11
www AAAA 20 2001:db8::10
` + static
	eu := "A 30 192.0.2.10,192.0.2.11\n"
	eu6 := "AAAA 30 2001:db8::10\n"
	everywhere := "A 30 192.0.2.10,192.0.2.11,198.51.100.10,198.51.100.11,203.0.113.10\n"
	for _, c := range []struct {
		regions string
		geo     string // of the service geo
		near    string
	}{
		// Of nobody it is known where they are.
		{"", "geo " + everywhere + "geo " + eu6, "near " + strings.Replace(everywhere, "192.0.2.11,", "", 1) + "near " + eu6},
		{"eu-west", "geo " + eu + "geo " + eu6, "near A 30 192.0.2.10\nnear " + eu6},
		{"us-east", "geo A 30 198.51.100.10,198.51.100.11\ngeo " + eu6, "near A 30 198.51.100.10,198.51.100.11\nnear " + eu6},
		// One after the other, each once.
		{"us-east,eu-west", "geo A 30 198.51.100.10,198.51.100.11,192.0.2.10,192.0.2.11\ngeo " + eu6, "near A 30 198.51.100.10,198.51.100.11,192.0.2.10\nnear " + eu6},
		// A region of networks, one of countries and one of a continent.
		{"lan", "geo " + eu + "geo " + eu6, "near A 30 192.0.2.10\nnear " + eu6},
		{"iberia", "geo " + eu + "geo " + eu6, "near A 30 192.0.2.10\nnear " + eu6},
		{"oceania", "geo A 30 203.0.113.10\ngeo " + eu6, "near A 30 203.0.113.10\nnear " + eu6},
	} {
		var regions []string
		if c.regions != "" {
			regions = strings.Split(c.regions, ",")
		}
		want := sortedLines(same + c.geo + c.near)
		if got := lines(t, n.now(regions...)); got != want {
			t.Errorf("regions %q:\n%swant\n%s", c.regions, got, want)
		}
	}
	for zone, want := range map[string]error{"other.test": controller.ErrNoZone, "www.gslb.test": controller.ErrNoZone, "test": controller.ErrNoZone} {
		if _, err := n.Ask(t.Context(), name(t, zone), nil); !errors.Is(err, want) {
			t.Errorf("%s: %v", zone, err)
		}
	}
	if _, err := n.Ask(t.Context(), name(t, "gslb.test"), []string{"eu-west", "nowhere"}); !errors.Is(err, controller.ErrNoRegion) {
		t.Errorf("a region that no place has: %v", err)
	}
}

// TestTakenOut: what operators have taken out as a whole is not enabled where the service
// says where its clients are to go instead; else the rule all_down says what there is.
func TestTakenOut(t *testing.T) {
	n := start(t, `
pools:
  eu: {endpoints: [192.0.2.10, "2001:db8::10"]}
  us: {endpoints: [198.51.100.10]}
  far: {endpoints: [www.example.net]}
zones:
  gslb.test:
    nameservers: {ns1.example.net.: []}
    services:
      www: {pools: [eu]}
      plain: {pools: [eu]}
      none: {pools: [eu], all_down: nodata, ttl: 0}
      spare: {pools: [eu], all_down: us}
      cdn: {pools: [far]}
      rest: {pools: [us]}
controller:
  secret: shared-with-edges
  zones: [gslb.test]
  failover: {www.gslb.test: www.backup.test, spare.gslb.test: www.backup.test, cdn.gslb.test: cdn.backup.test}
`)
	before := n.now()
	all := `cdn A 30  failover=www.example.net
none A 1 192.0.2.10
none AAAA 1 2001:db8::10
plain A 30 192.0.2.10
plain AAAA 30 2001:db8::10
rest A 30 198.51.100.10
spare A 30 192.0.2.10
spare AAAA 30 2001:db8::10
www A 30 192.0.2.10
www AAAA 30 2001:db8::10
`
	if got := lines(t, before); got != all {
		t.Fatalf("at first:\n%s", got)
	}
	for _, service := range []string{"www", "plain", "none", "spare"} {
		n.override(service+".gslb.test", "192.0.2.10", false)
	}
	n.override("cdn.gslb.test", "www.example.net", false)
	// One family is left: it serves, and nobody is sent elsewhere.
	half := n.now()
	if got := lines(t, half); !strings.Contains(got, "www AAAA 30 2001:db8::10\n") || strings.Contains(got, "www.backup.test") {
		t.Errorf("with one family left:\n%s", got)
	}
	for _, service := range []string{"www", "plain", "none", "spare"} {
		n.override(service+".gslb.test", "2001:db8::10", false)
	}
	out := n.now()
	if got, want := lines(t, out), `cdn A 30  enabled=false failover=cdn.backup.test
none A 1  enabled=false
none AAAA 1  enabled=false
plain A 30 192.0.2.10
plain AAAA 30 2001:db8::10
rest A 30 198.51.100.10
spare A 30 198.51.100.10
www A 30  enabled=false failover=www.backup.test
www AAAA 30  enabled=false failover=www.backup.test
`; got != want {
		t.Errorf("all taken out:\n%swant\n%s", got, want)
	}
	if out.Hash == before.Hash || out.Hash == half.Hash {
		t.Error("the hash is the same")
	}
	for _, o := range n.engine.Overrides() {
		if err := n.engine.ClearOverride(o.Service, o.Endpoint, audit.By{}); err != nil {
			t.Fatal(err)
		}
	}
	if after := n.now(); after.Hash != before.Hash || lines(t, after) != all {
		t.Errorf("back again: %s and not %s\n%s", after.Hash, before.Hash, lines(t, after))
	}
}

// TestHash: the same records have the same hash on every node, in whatever order they are
// stated, and any difference makes another one.
func TestHash(t *testing.T) {
	config := func(services, controller string) string {
		return `
pools:
  a: {endpoints: [192.0.2.1, 192.0.2.2]}
  b: {endpoints: [192.0.2.2, 192.0.2.1]}
  c: {endpoints: [192.0.2.1]}
zones:
  gslb.test:
    nameservers: {ns1.example.net.: []}
    services: {` + services + `}
controller: {secret: shared-with-edges, zones: [gslb.test]` + controller + `}
`
	}
	const these = "x: {pools: [a]}, y: {pools: [c], ttl: 5}"
	first := start(t, config(these, "")).now().Hash
	if len(first) != 32 {
		t.Errorf("hash %q", first)
	}
	for _, same := range []string{these, "y: {pools: [c], ttl: 5}, x: {pools: [b], answers: 0}", "x: {pools: [c, a]}, y: {pools: [c], ttl: 5, steer: random}"} {
		if got := start(t, config(same, "")).now().Hash; got != first {
			t.Errorf("%s has the hash %s and not %s", same, got, first)
		}
	}
	seen := map[string]string{first: these}
	for _, other := range []string{
		"x: {pools: [a]}, y: {pools: [c], ttl: 6}", "x: {pools: [a]}", "x: {pools: [a]}, z: {pools: [c], ttl: 5}",
		"x: {pools: [c]}, y: {pools: [a], ttl: 5}", "", "x: {pools: [a]}, y: {pools: [c], ttl: 5}, z: {pools: [c], ttl: 5}",
	} {
		got := start(t, config(other, "")).now().Hash
		if like := seen[got]; like != "" {
			t.Errorf("%s has the hash of %s", other, like)
		}
		seen[got] = other
	}
}

// TestNobodyRuns: who asks before Run, or of no configuration, is not left waiting.
func TestNobodyRuns(t *testing.T) {
	n := start(t, "log: {level: info}\n")
	if _, err := n.Ask(t.Context(), name(t, "gslb.test"), nil); !errors.Is(err, controller.ErrNoZone) {
		t.Errorf("no section controller: %v", err)
	}
	idle := controller.New(controller.Options{Engine: n.engine})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := idle.Ask(ctx, name(t, "gslb.test"), nil); err == nil {
		t.Error("it does not run and answers")
	}
}
