package table

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/steer"
)

const steered = `
checks: {web: {type: http, host: www.example.com}}
pools:
  ie:
    place: {country: IE, continent: EU, at: [53.35, -6.26]}
    checks: [web]
    hard_limit: 100
    soft_limit: 50
    endpoints: [192.0.2.1, "2001:db8::1", {address: 192.0.2.2, place: {country: IE, continent: EU, city: Cork, at: [51.9, -8.47]}, priority: 1, hard_limit: 80, tags: [a]}]
  us: {place: {country: US, continent: NA, at: [40.71, -74.01]}, checks: [web], endpoints: [{address: 198.51.100.1, tags: [a, b]}, edge.example.net]}
  far: {endpoints: [203.0.113.1, {address: "2001:db8::9", place: {country: IE, continent: EU, at: [53.35, -6.26]}}]}
policies:
  hours:
    - schedule:
        - {pools: [ie], days: [mon-fri], from: "08:00", to: "20:00", zone: Europe/Dublin}
        - {pools: [us, far], from: "20:00", to: "08:00"}
        - {pools: [ie], days: [sun]}
    - rotate
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      near: {pools: [ie, us], steer: [geofence: country, nearest, weighted], all_down: far, flatten: true}
      sticky: {pools: [ie, us], steer: sticky, flatten: true}
      shed: {pools: [ie, us], steer: [shed, rotate], flatten: true}
      shed2: {pools: [ie, us], steer: [shed, weighted], flatten: true}
      latency: {pools: [ie, us], steer: latency, flatten: true}
      spill: {pools: [ie, us], steer: [tier: {min_healthy: 100%}, rotate], flatten: true}
      hours: {pools: [ie, us], steer: hours, flatten: true}
      again: {pools: [us, ie], steer: hours, flatten: true}
      late: {pools: [ie, us], steer: [rotate, nearest], flatten: true}
      first:
        pools: [ie, us]
        flatten: true
        all_down: nodata
        steer:
          - first:
              - [geofence: {levels: continent, strict: true}, tags: [b], weighted]
              - [tags: [a], rotate, limit: 1]
          - tags: [a, b]
      tails:
        pools: [ie, us]
        flatten: true
        all_down: nodata
        steer:
          - first:
              - [geofence: {levels: continent, strict: true}, weighted]
              - [rotate, limit: 1]
`

// A pool of which the country alone is stated is as near as its country is: its
// clients are known no better.
func TestSiteOfCountry(t *testing.T) {
	tab := compile(t, nil, `
pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.1]}
  us: {place: {country: US, at: [40.71, -74.01]}, endpoints: [198.51.100.1]}
zones:
  x.test: {nameservers: {ns1: 192.0.2.53}, services: {near: {pools: [ie, us], steer: nearest}}}
`)
	sites := tab.plan(t, "near.x.test.").Sites
	want := geo.Place{Country: "IE", Continent: "EU"}
	want.Fill()
	if len(sites) != 2 || sites[0] != want || !sites[0].Located || sites[1].Lat != 40.71 {
		t.Errorf("the sites are %+v", sites)
	}
}

func TestChain(t *testing.T) {
	tab := compile(t, nil, steered)
	p := tab.plan(t, "near.x.test.")
	var got []string
	for _, s := range p.Sites {
		got = append(got, s.Country+s.City)
	}
	if want := []string{"IE", "IECork", "US", ""}; !slices.Equal(got, want) {
		t.Errorf("sites %q, want %q", got, want)
	}
	at := 0
	p.each(func(ms *Members) {
		for i, e := range ms.Endpoints {
			c := ms.Candidates[i]
			if int(c.Member) != at {
				t.Errorf("%s is member %d, want %d", e, c.Member, at)
			}
			if e.Place != nil && p.Sites[c.Site] != e.Place.Geo() {
				t.Errorf("%s is at %+v", e, p.Sites[c.Site])
			}
			at++
		}
	})
	for _, c := range []struct {
		service string
		needs   steer.Needs
		chances int
		settles bool
		rotates bool
		chain   string
	}{
		{"near", steer.Places | steer.Chance | steer.Weights, 2, true, false, "geofence: country; nearest: {tolerance: 10%, within: 100km}; weighted"},
		{"sticky", steer.Subnets | steer.Weights, 0, true, false, "sticky"},
		{"shed", steer.Loads | steer.Chance | steer.Weights, 0, true, true, "shed; rotate"},
		{"shed2", steer.Loads | steer.Chance | steer.Weights, 1, true, false, "shed; weighted"},
		{"latency", steer.Latencies | steer.Chance | steer.Weights, 1, true, false, "latency: {tolerance: 15%, within: 10ms}; weighted"},
		{"spill", steer.Chance, 0, true, true, "tier: {min_healthy: 100%, spill: 100%}; rotate"},
		{"late", steer.Places | steer.Chance, 0, false, true, "rotate; nearest: {tolerance: 10%, within: 100km}"},
		{"first", steer.Places | steer.Chance | steer.Weights, 0, false, true, "first: [[geofence: {levels: continent, strict: true}, tags: [b], weighted], [tags: [a], rotate, limit: 1]]; tags: [a, b]"},
		{"tails", steer.Places | steer.Chance | steer.Weights, 0, true, true, "first: [[geofence: {levels: continent, strict: true}, weighted], [rotate, limit: 1]]"},
	} {
		p := tab.plan(t, c.service+".x.test.")
		var chain []string
		for _, f := range p.Chain {
			chain = append(chain, f.String())
		}
		if got := strings.Join(chain, "; "); got != c.chain {
			t.Errorf("%s: %s, want %s", c.service, got, c.chain)
		}
		if p.Needs != c.needs || p.Link.Chances != c.chances || p.Settles != (c.settles && c.needs&steer.Places != 0) || p.Rotates != c.rotates {
			t.Errorf("%s: needs %b, chances %d, settles %t, rotates %t", c.service, p.Needs, p.Link.Chances, p.Settles, p.Rotates)
		}
		if placed := len(p.Placed()) > 0; placed != (c.needs&steer.Places != 0) {
			t.Errorf("%s: placed %t", c.service, placed)
		}
	}
	if l := tab.plan(t, "latency.x.test.").Chain[0].(*steer.Latency); !l.Drawn {
		t.Error("the order is made although weighted comes next")
	}
	if got := tab.plan(t, "first.x.test.").Members[V4].Candidates; got[0].Marks != 0 || got[1].Marks != 2 || got[2].Marks != 7 {
		t.Errorf("marks %b %b %b", got[0].Marks, got[1].Marks, got[2].Marks)
	}
}

// TestChainsChoose applies chains as the table makes them.
func TestChainsChoose(t *testing.T) {
	tab := compile(t, nil, steered)
	choose := func(service string, f Family, q *steer.Query) []string {
		p := tab.plan(t, service+".x.test.")
		ms := &p.Members[f]
		if q.Rand == nil {
			q.Rand = rand.NewPCG(1, 1)
		}
		if q.Place == nil {
			q.Place = &geo.Place{}
		}
		q.Targets = ms.Targets
		set := slices.Clone(ms.Candidates)
		for _, f := range p.Chain {
			set = f.Apply(q, set)
		}
		var out []string
		for _, c := range set {
			out = append(out, ms.Endpoints[c.Index].String())
		}
		slices.Sort(out)
		return out
	}
	number := func(v uint32) []uint32 { return slices.Repeat([]uint32{v}, len(tab.Targets)) }
	for _, c := range []struct {
		service string
		family  Family
		q       *steer.Query
		want    string
	}{
		{"near", V4, &steer.Query{Place: &geo.Place{Country: "US", Continent: "NA"}}, "198.51.100.1 edge.example.net"},
		{"near", V4, &steer.Query{Place: &geo.Place{Country: "IE", Lat: 51.9, Lon: -8.5, Located: true}}, "192.0.2.2"},
		{"near", V6, &steer.Query{Place: &geo.Place{Country: "IE", Lat: 51.9, Lon: -8.5, Located: true}}, "2001:db8::1"},
		{"near", V4, &steer.Query{}, "192.0.2.1 192.0.2.2 198.51.100.1 edge.example.net"},
		{"first", V4, &steer.Query{Place: &geo.Place{Continent: "NA"}}, "198.51.100.1"},
		{"first", V4, &steer.Query{Place: &geo.Place{Continent: "EU"}, Seq: 1}, "198.51.100.1"},
		{"shed", V4, &steer.Query{Load: number(80_000)}, "192.0.2.1 198.51.100.1 edge.example.net"},
		{"shed", V4, &steer.Query{Load: number(100_000)}, "198.51.100.1 edge.example.net"},
		{"hours", V4, &steer.Query{Open: []bool{false, true, false}}, "198.51.100.1 edge.example.net"},
		{"hours", V4, &steer.Query{Open: []bool{false, false, true}}, "192.0.2.1 192.0.2.2"},
	} {
		// The shares of shed are chances; 80 of 50 to 100 leaves two fifths.
		got := strings.Join(choose(c.service, c.family, c.q), " ")
		for range 50 {
			if got == c.want {
				break
			}
			got = strings.Join(choose(c.service, c.family, c.q), " ")
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.service, got, c.want)
		}
	}
	// The IPv6 endpoint is the same one for health and steering by address.
	s := tab.plan(t, "sticky.x.test.").Chain[0].(*steer.Sticky)
	if len(s.IDs) != 6 || s.IDs[3] != s.IDs[5] || s.IDs[0] != steer.Identity("192.0.2.1") {
		t.Errorf("identities %x", s.IDs)
	}
}

func TestHours(t *testing.T) {
	tab := compile(t, nil, steered)
	if len(tab.Schedules) != 3 {
		t.Fatalf("%d windows, want those of one policy, each once", len(tab.Schedules))
	}
	open, until := tab.Hours(time.Date(2026, 7, 1, 6, 30, 0, 0, time.UTC)) // a Wednesday, 07:30 in Dublin
	if !slices.Equal(open, []bool{false, true, false}) || !until.Equal(time.Date(2026, 7, 1, 7, 0, 0, 0, time.UTC)) {
		t.Errorf("%v until %v", open, until)
	}
	open, until = compile(t, nil, sharing).Hours(time.Now())
	if len(open) != 0 || !until.IsZero() {
		t.Errorf("without windows: %v until %v", open, until)
	}
	// Tables that are made of others have them as well.
	next := compile(t, tab, strings.Replace(steered, "ttl: 5", "ttl: 6", 1))
	if len(next.Schedules) != 3 {
		t.Errorf("%d windows", len(next.Schedules))
	}
}

// TestWavers: what chance cuts and a filter behind it may find empty is not
// settled before the query.
func TestWavers(t *testing.T) {
	for steer, settles := range map[string]bool{
		"[geofence: country, tags: [a], rotate]":                                         true,
		"[geofence: country, shuffle, tags: [a]]":                                        true,  // all of them are shuffled
		"[geofence: country, shuffle, limit: 1, tags: [a]]":                              false, // perhaps the wrong one is left
		"[geofence: country, rotate, tags: [a]]":                                         false, // shares are thinned before
		"[geofence: country, tier: {min_healthy: 2}, rotate]":                            true,
		"[geofence: country, tier: {min_healthy: 2}, weighted]":                          false, // the second tier has no weight
		"[geofence: country, shed, sticky]":                                              true,
		"[first: [[geofence: {levels: country, strict: true}, weighted], [rotate]]]":     true,
		"[first: [[tier: {min_healthy: 2}, tags: [a]], [nearest, shuffle]]]":             false,
		"[limit: 9, shuffle, limit: 1, first: [[geofence: country, tags: [a]], [tier]]]": false,
	} {
		tab := compile(t, nil, `
pools:
  ie: {place: {country: IE}, hard_limit: 9, endpoints: [{address: 192.0.2.1, tags: [a]}]}
  us: {place: {country: US}, endpoints: [{address: 198.51.100.1, tags: [a], weight: 0}]}
zones: {x.test: {nameservers: {ns1: 192.0.2.53}, services: {www: {pools: [ie, us], steer: `+steer+`, all_down: nodata}}}}
`)
		if p := tab.plan(t, "www.x.test."); p.Settles != settles {
			t.Errorf("%s: settles %t", steer, p.Settles)
		}
	}
}
