package controller_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/controller"
	"github.com/rhumb-dns/rhumb/health"
)

// edge is what somebody makes of what a follower tells.
type edge struct {
	t        testing.TB
	f        *controller.Follower
	hash     string
	has      map[api.Key]string
	resets   int
	told     int
	snapshot func() *controller.State
}

func (n *node) edge(regions ...string) *edge {
	n.t.Helper()
	f, err := n.Follow(name(n.t, "gslb.test"), regions)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(f.Close)
	return &edge{t: n.t, f: f, has: map[api.Key]string{}, snapshot: func() *controller.State { return n.now(regions...) }}
}

// reach follows until it has a version.
func (e *edge) reach(hash string) {
	e.t.Helper()
	end := time.After(30 * time.Second)
	for {
		st, steps, ok, moved := e.f.Since(e.hash)
		switch {
		case st == nil:
		case !ok:
			e.resets++
			st = e.snapshot()
			e.hash, e.has = st.Hash, map[api.Key]string{}
			st.Records(func(r api.Record) bool {
				e.has[api.Key{Name: r.Name, Type: r.Type}] = line(r)
				return true
			})
			continue
		default:
			for i := range steps {
				e.take(steps[i].Change)
			}
		}
		if e.hash == hash {
			return
		}
		select {
		case <-moved:
		case <-end:
			e.t.Fatalf("version %s does not come; %s is there", hash, e.hash)
		}
	}
}

func (e *edge) take(c *api.Change) {
	e.t.Helper()
	if c.From != e.hash {
		e.t.Fatalf("a change of %s, and there is %s", c.From, e.hash)
	}
	e.told += len(c.Records) + len(c.Deletes)
	for _, r := range c.Records {
		e.has[api.Key{Name: r.Name, Type: r.Type}] = line(r)
	}
	for _, k := range c.Deletes {
		if _, ok := e.has[k]; !ok {
			e.t.Errorf("%v goes, and was not there", k)
		}
		delete(e.has, k)
	}
	e.hash = c.VersionHash
}

func (e *edge) lines() string {
	var all []string
	for _, l := range e.has {
		all = append(all, l)
	}
	return sortedLines(strings.Join(all, "\n"))
}

// TestFollow: whoever applies what it is told of changes has what there is, and what there
// is is the same whether it was computed bit by bit or at once.
func TestFollow(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 9))
	config := func() string {
		var b strings.Builder
		b.WriteString("pools:\n")
		for i := range 4 {
			fmt.Fprintf(&b, "  p%d: {place: {region: r%d}, endpoints: [192.0.2.%d, 192.0.2.%d, \"2001:db8::%d\"]}\n", i, i%2, 10*i+1, 10*i+2, i)
		}
		b.WriteString("  h: {endpoints: [h1.example.net, h2.example.net]}\nzones:\n  gslb.test:\n    nameservers: {ns1.example.net.: []}\n    records:\n")
		for i := range 6 {
			switch r.IntN(4) {
			case 0:
				fmt.Fprintf(&b, "      - \"s%d A 203.0.113.%d\"\n", i, 1+r.IntN(2))
			case 1:
				fmt.Fprintf(&b, "      - \"s%d CNAME x%d.example.net.\"\n", i, r.IntN(2))
			}
		}
		kinds := make([]int, 12)
		for i := range kinds { // names that are services now and then
			if kinds[i] = r.IntN(7); kinds[i] == 6 {
				fmt.Fprintf(&b, "      - \"w%d A 203.0.113.%d\"\n", i, i)
			}
		}
		b.WriteString("      - \"last A 203.0.113.9\"\n    services:\n      base: {pools: [p0, p1]}\n")
		for i := range 12 {
			switch kinds[i] {
			case 0:
				fmt.Fprintf(&b, "      w%d: {pools: [h]}\n", i)
			case 1, 2:
				fmt.Fprintf(&b, "      w%d: {pools: [p%d, p%d], steer: [geofence: region, rotate]}\n", i, r.IntN(2), 2+r.IntN(2))
			case 3, 4:
				fmt.Fprintf(&b, "      w%d: {pools: [p%d], ttl: %d, all_down: nodata}\n", i, r.IntN(4), 10+r.IntN(2))
			case 5:
				fmt.Fprintf(&b, "      w%d: {pools: [{service: base}, p2], steer: failover}\n", i)
			}
		}
		b.WriteString("controller:\n  secret: shared-with-edges\n  zones: [gslb.test]\n  failover: {base.gslb.test: b.example.net}\n")
		return b.String()
	}
	now := config()
	n := start(t, now)
	edges := map[string]*edge{"": n.edge(), "r0": n.edge("r0"), "r1 r0": n.edge("r1", "r0")}
	for step := range 25 {
		switch r.IntN(6) {
		case 0:
			now = config()
			n.configure(now)
		case 1, 2: // which is for all services alike
			if all := n.engine.Maintenance(); len(all) > 1 {
				if err := n.engine.CancelMaintenance(all[r.IntN(len(all))].ID, audit.By{}); err != nil {
					t.Fatal(err)
				}
			}
			at := []string{"192.0.2.1", "192.0.2.2", "192.0.2.11", "192.0.2.12", "192.0.2.21", "2001:db8::", "2001:db8::1"}[r.IntN(7)]
			n.maintain(health.Maintenance{Select: health.Selection{Endpoints: []string{at}}, Until: time.Now().Add(time.Hour)})
		case 3:
			if all := n.engine.Overrides(); len(all) > 0 {
				o := all[r.IntN(len(all))]
				if err := n.engine.ClearOverride(o.Service, o.Endpoint, audit.By{}); err != nil {
					t.Fatal(err)
				}
			}
		default:
			at := []string{"base.gslb.test"}
			for i := range 12 {
				if strings.Contains(now, fmt.Sprintf(" w%d: {pools: [p", i)) {
					at = append(at, fmt.Sprintf("w%d.gslb.test", i))
				}
			}
			service := at[r.IntN(len(at))]
			// What the service does not have is refused, which changes nothing.
			for _, e := range []string{"192.0.2.1", "192.0.2.2", "2001:db8::", "192.0.2.11", "192.0.2.12", "2001:db8::1"} {
				if r.IntN(2) == 0 {
					_ = n.tryOverride(service, e, r.IntN(3) == 0)
				}
			}
		}
		fresh := start(t, now)
		for _, m := range n.engine.Maintenance() {
			fresh.maintain(m.Maintenance)
		}
		for _, o := range n.engine.Overrides() {
			_ = fresh.tryOverride(o.Service, o.Endpoint, o.Healthy)
		}
		for regions, e := range edges {
			is, want := n.now(strings.Fields(regions)...), fresh.now(strings.Fields(regions)...)
			if got, want := lines(t, is), lines(t, want); got != want {
				t.Fatalf("step %d, regions %q: bit by bit\n%sat once\n%s\n%s", step, regions, got, want, now)
			}
			if is.Hash != want.Hash {
				t.Fatalf("step %d, regions %q: hash %s bit by bit, %s at once", step, regions, is.Hash, want.Hash)
			}
			e.reach(is.Hash)
			if got, want := e.lines(), lines(t, is); got != want {
				t.Fatalf("step %d, regions %q: the edge has\n%sand there is\n%s", step, regions, got, want)
			}
		}
	}
	for regions, e := range edges {
		if e.resets != 1 || e.told == 0 {
			t.Errorf("regions %q: %d resets, %d records told", regions, e.resets, e.told)
		}
	}
}

// TestFollowFar: who is too far behind, or changes too much at once, begins anew.
func TestFollowFar(t *testing.T) {
	config := func(services int, ttl int) string {
		var b strings.Builder
		b.WriteString("pools: {a: {endpoints: [192.0.2.1]}}\nzones:\n  gslb.test:\n    nameservers: {ns1.example.net.: []}\n    services:\n")
		for i := range services {
			fmt.Fprintf(&b, "      n%d: {pools: [a], ttl: %d}\n", i, ttl)
		}
		b.WriteString("controller: {secret: shared-with-edges, zones: [gslb.test]}\n")
		return b.String()
	}
	n := start(t, config(10_000, 5))
	e := n.edge()
	older := n.now().Hash
	e.reach(older)
	n.configure(config(10_001, 5))
	e.reach(n.now().Hash)
	_, steps, ok, _ := e.f.Since(older)
	if !ok || len(steps) != 1 || e.told != 1 {
		t.Fatalf("one more: %t %v", ok, steps)
	}
	if _, again, _, _ := n.edge().f.Since(older); &again[0].JSON()[0] != &steps[0].JSON()[0] {
		t.Error("who follows has a text of his own")
	}
	n.configure(config(10_001, 6))
	e.reach(n.now().Hash)
	if e.resets != 2 || e.told != 1 {
		t.Errorf("10,001 records change: %d resets, %d told", e.resets, e.told)
	}
	if _, _, ok, _ := e.f.Since(older); ok {
		t.Error("what leads on from before that is said to be known")
	}
	n.configure(config(10_000, 6))
	e.reach(n.now().Hash)
	if e.resets != 2 || e.told != 2 {
		t.Errorf("one goes: %d resets, %d told", e.resets, e.told)
	}
	if _, _, ok, _ := e.f.Since("0123"); ok {
		t.Error("a version that never was is known")
	}
	n.configure("zones: {gslb.test: {nameservers: {ns1.example.net.: []}}}\n")
	if !e.f.Ended() {
		t.Error("the zone is no longer told of, and the follower goes on")
	}
	if _, err := n.Follow(name(t, "gslb.test"), nil); err == nil {
		t.Error("a new one may follow")
	}
}
