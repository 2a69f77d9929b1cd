package controller_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// fedWorld is a controller that has the zone's records from another one.
const fedWorld = `
zones: {gslb.test: {nameservers: {ns1: 192.0.2.53}}}
sources: [{controller: {endpoint: http://controller.test, secret: shared-with-edges, zone: gslb.test}}]
controller: {secret: shared-with-edges, zones: [gslb.test]}
`

// feed hands over records of the zone: A, by name without the zone, and names without any.
func (n *node) feed(addresses map[string][]byte, bare ...string) {
	n.t.Helper()
	b := zone.NewBuilder(name(n.t, "gslb.test"))
	add := func(r text.Record) {
		if err := b.Add(&r); err != nil {
			n.t.Fatal(err)
		}
	}
	for _, r := range n.engine.Apex(name(n.t, "gslb.test")) {
		add(r)
	}
	for owner, last := range addresses {
		for _, a := range last {
			add(text.Record{Owner: name(n.t, owner+".gslb.test"), Type: dnswire.TypeA, TTL: 30, Data: []byte{192, 0, 2, a}})
		}
	}
	for _, owner := range bare {
		if err := b.AddName(name(n.t, owner+".gslb.test")); err != nil {
			n.t.Fatal(err)
		}
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		n.t.Fatal(faults)
	}
	if err := n.engine.Feed(d.Name, d); err != nil {
		n.t.Fatal(err)
	}
}

// A controller that has not been told yet what there is says so: an edge that took what it
// knows would deny all other names.
func TestNotFedYet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fedWorld)
		gslb := name(t, "gslb.test")
		f, err := n.Follow(gslb, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for range 2 {
			if st, err := n.Ask(t.Context(), gslb, nil); !errors.Is(err, controller.ErrWaits) {
				t.Fatalf("%v, %v", st, err)
			}
		}
		if st, _, _, _ := f.Since(""); st != nil {
			t.Errorf("a follower is told of %d records", st.Len())
		}
		n.feed(map[string][]byte{"www": {1}})
		if got, want := lines(t, n.now()), "ns1 A 3600 192.0.2.53\nwww A 30 192.0.2.1\n"; got != want {
			t.Errorf("%swant\n%s", got, want)
		}
		if st, _, _, _ := f.Since(""); st == nil || st.Hash != n.now().Hash {
			t.Error("a follower is told nothing")
		}
	})
}

// What records do not say of a name they say all the same: that it is there, and in which
// order its addresses are answered.
func TestFedAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := start(t, fedWorld)
		n.feed(map[string][]byte{"two": {2, 1}}, "bare", "*.wild")
		want := "*.wild A 1  enabled=false\nbare A 1  enabled=false\nns1 A 3600 192.0.2.53\ntwo A 30 192.0.2.2,192.0.2.1\n"
		if got := lines(t, n.now()); got != want {
			t.Errorf("%swant\n%s", got, want)
		}
		before := n.now().Hash
		n.feed(map[string][]byte{"two": {1, 2}}, "bare", "*.wild")
		if n.now().Hash == before {
			t.Error("another order of addresses is the same version")
		}
	})
}

// A service without any endpoint is there, as its node answers.
func TestServiceWithoutEndpoints(t *testing.T) {
	n := start(t, "pools: {none: {endpoints: [{address: 192.0.2.1, enabled: false}]}}\nzones: {gslb.test: {nameservers: {ns1.example.net.: []}, services: {www: {pools: [none]}}}}\n"+
		"controller: {secret: shared-with-edges, zones: [gslb.test]}\n")
	if got, want := lines(t, n.now()), "www A 30  enabled=false\n"; got != want {
		t.Errorf("%swant\n%s", got, want)
	}
}
