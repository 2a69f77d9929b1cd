package resolve_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
)

// stage is a configuration whose pools conduct themselves, in a bubble of synctest.
type stage struct {
	t        *testing.T
	snap     *resolve.Snapshot
	director *conduct.Director
	states   states
}

// onStage runs f with a director that keeps time.
func onStage(t *testing.T, config string, f func(k *stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		k := &stage{t: t, snap: compile(t, config), states: states{}}
		var err error
		if k.director, err = conduct.New(conduct.Options{}); err != nil {
			t.Fatal(err)
		}
		k.director.Apply(k.snap.Table.Courses, k.snap.Health)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- k.director.Run(ctx) }()
		f(k)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// say has health say something of endpoints: "down 192.0.2.1 192.0.2.2".
func (k *stage) say(what string) *stage {
	k.t.Helper()
	f := strings.Fields(what)
	for _, a := range f[1:] {
		known(k.t, k.snap.Table, a)
		d := health.Detail{State: map[string]health.State{"up": health.Up, "down": health.Down, "unknown": health.Unknown}[f[0]]}
		if k.states[a].State != health.Down || d.State == health.Up {
			d.LastUp = time.Now()
		}
		k.states[a] = d
	}
	next := *k.snap
	next.Health = k.states.view(next.Table)
	k.director.Follow(next.Health)
	k.snap = &next
	return k
}

func (k *stage) wait(d time.Duration) *stage {
	time.Sleep(d)
	synctest.Wait()
	return k
}

// now is the snapshot of what there is.
func (k *stage) now() *resolve.Snapshot {
	s := *k.snap
	s.Conduct = k.director.View()
	return &s
}

// want are the endpoints that answers have, and their TTL.
func (k *stage) want(name, want string) *stage {
	k.t.Helper()
	s, c := k.now(), resolve.NewScratch(1, 2)
	q := parsed(query(k.t, name, dns.TypeA), dnswire.UDP)
	seen, ttl := map[string]bool{}, map[uint32]bool{}
	for range 200 {
		m := sound(k.t, q, s.Append(nil, q, c))
		for _, rr := range m.Answer {
			seen[rr.(*dns.A).A.String()], ttl[rr.Header().Ttl] = true, true
		}
	}
	got := fmt.Sprint(slices.Sorted(maps.Keys(seen)), slices.Sorted(maps.Keys(ttl)))
	if got = strings.NewReplacer("[", "", "]", "").Replace(got); got != want {
		k.t.Errorf("%s has %s, want %s", name, got, want)
	}
	return k
}

// share holds the share of answers, of clients all over the place, that an
// endpoint has against what it is to be.
func (k *stage) share(name, endpoint string, want float64) *stage {
	k.t.Helper()
	answers := rounds(20_000)
	s, c := k.now(), resolve.NewScratch(3, 4)
	q := parsed(query(k.t, name, dns.TypeA), dnswire.UDP)
	has := netip.MustParseAddr(endpoint).As4()
	got := 0
	var buf []byte
	for i := range answers {
		q.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 53)
		buf = s.Append(buf[:0], q, c)
		if string(buf[len(buf)-4:]) == string(has[:]) {
			got++
		}
	}
	// Chi-square with one degree of freedom, five standard deviations.
	p, n := want, float64(answers)
	switch {
	case p == 0 || p == 1:
		if float64(got) != p*n {
			k.t.Errorf("%s has %s in %d of %d answers, want share %.4f", name, endpoint, got, answers, p)
		}
	case math.Pow(float64(got)-p*n, 2)/(p*(1-p)*n) > 25:
		k.t.Errorf("%s has %s in %d of %d answers, want share %.4f", name, endpoint, got, answers, p)
	}
	return k
}

const conducted = `
checks: {c: {type: tcp, port: 1, interval: 5s}}
pools:
  eu: {checks: [c], place: {country: IE}, endpoints: [192.0.2.1, 192.0.2.2]}
  us: {checks: [c], endpoints: [198.51.100.1]}
  big: {checks: [c], endpoints: [203.0.113.1, 203.0.113.2, 203.0.113.3, 203.0.113.4]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      at-once: {pools: [eu, us], steer: failover}
      later: {pools: [eu, us], steer: failover, failover_delay: 30s, failback_delay: 60s}
      manual: {pools: [eu, us], steer: failover, failback: manual, ttl: 60, transition_ttl: 5}
      above: {pools: [{service: later}, us], steer: failover, ttl: 45}
      short: {pools: [eu, us], steer: failover, failover_delay: 30s, ttl: 60, transition_ttl: 5}
      over: {pools: [{service: short}], ttl: 40}
      weighted: {pools: [eu], steer: weighted, slow_start: 60s}
      random: {pools: [eu], steer: random, slow_start: 60s}
      turns: {pools: [eu], slow_start: 60s}
      sticky: {pools: [eu], steer: sticky, slow_start: 60s}
      first: {pools: [eu], steer: [first: [[{geofence: {levels: country, strict: true}}, weighted], [rotate]]], slow_start: 60s}
      inside: {pools: [{service: turns}, us], steer: failover}
      capped: {pools: [big], answers: 0, max_ejected: 50%}
      uncapped: {pools: [big], answers: 0}
      damped: {pools: [eu], answers: 0, damping: {changes: 2, within: 10m, hold: 1m}}
`

// TestConductFailover: a pool that falls is answered for the delay, from those
// that were up last, and waits before it is answered again.
func TestConductFailover(t *testing.T) {
	onStage(t, conducted, func(k *stage) {
		for _, name := range []string{"at-once.x.test", "later.x.test", "above.x.test"} {
			k.want(name, "192.0.2.1 192.0.2.2 30")
		}
		k.wait(time.Minute).say("down 192.0.2.1").wait(time.Minute).want("later.x.test", "192.0.2.2 30")
		k.say("down 192.0.2.2")
		k.want("over.x.test", "192.0.2.2 5")
		k.want("at-once.x.test", "198.51.100.1 30").want("later.x.test", "192.0.2.2 10").want("above.x.test", "192.0.2.2 10")
		k.wait(29*time.Second).want("later.x.test", "192.0.2.2 10")
		k.wait(2*time.Second).want("over.x.test", "198.51.100.1 40").want("later.x.test", "198.51.100.1 30").want("above.x.test", "198.51.100.1 30")
		k.say("up 192.0.2.1")
		k.want("at-once.x.test", "192.0.2.1 30").want("later.x.test", "198.51.100.1 10")
		k.wait(40 * time.Second).say("down 192.0.2.1").wait(time.Second).say("up 192.0.2.1") // from the beginning
		k.wait(40*time.Second).want("later.x.test", "198.51.100.1 10")
		k.wait(21*time.Second).want("later.x.test", "192.0.2.1 30").want("above.x.test", "192.0.2.1 30")
		// Where no pool stands, none is out.
		k.say("down 192.0.2.1 198.51.100.1").wait(31 * time.Second)
		k.want("later.x.test", "192.0.2.1 192.0.2.2 30")
	})
}

// TestConductFailback: a pool whose failback is manual waits for an operator, and
// nothing is in transition meanwhile.
func TestConductFailback(t *testing.T) {
	onStage(t, conducted, func(k *stage) {
		k.wait(time.Minute).want("manual.x.test", "192.0.2.1 192.0.2.2 60")
		k.say("down 192.0.2.1 192.0.2.2").want("manual.x.test", "198.51.100.1 60")
		k.wait(time.Minute).say("up 192.0.2.1 192.0.2.2").wait(24*time.Hour).want("manual.x.test", "198.51.100.1 60")
		if done, err := k.director.Failback("eu"); !done || err != nil {
			k.t.Fatal(done, err)
		}
		k.want("manual.x.test", "192.0.2.1 192.0.2.2 60")
	})
}

// TestConductSlowStart: whatever chooses, an endpoint that comes up has a share
// that grows from 5% to all of its traffic.
func TestConductSlowStart(t *testing.T) {
	onStage(t, conducted, func(k *stage) {
		// Of two endpoints, of which one has the share s.
		drawn := func(s float64) float64 { return s / (1 + s) }
		thinned := func(s float64) float64 { return s / 2 }
		services := map[string]func(float64) float64{
			"weighted": drawn, "random": drawn, "sticky": drawn, "turns": thinned, "first": thinned,
			"inside": func(s float64) float64 { return s / 2 },
		}
		check := func(s float64) {
			k.t.Helper()
			for name, share := range services {
				k.share(name+".x.test", "192.0.2.1", share(s))
			}
		}
		k.wait(time.Minute)
		check(1)
		k.say("down 192.0.2.1").wait(time.Minute)
		check(0)
		k.say("up 192.0.2.1")
		last := 0.0
		for _, after := range []time.Duration{1, 15, 30, 45, 59} {
			k.wait(after*time.Second - time.Duration(last*float64(time.Second)))
			last = float64(after)
			// The steps of docs/conduct.md.
			check(0.05 + 0.95*math.Floor(last/1.2)/50)
			k.want("weighted.x.test", "192.0.2.1 192.0.2.2 10").want("inside.x.test", "192.0.2.1 192.0.2.2 10")
		}
		k.wait(3 * time.Second)
		check(1)
		k.want("weighted.x.test", "192.0.2.1 192.0.2.2 30").want("inside.x.test", "192.0.2.1 192.0.2.2 30")
	})
}

// TestConductCap: no more of a pool is out than max_ejected says; those that fell
// last are given all the same.
func TestConductCap(t *testing.T) {
	onStage(t, conducted, func(k *stage) {
		k.wait(time.Minute).want("capped.x.test", "203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4 30")
		k.say("down 203.0.113.3").wait(time.Minute).say("down 203.0.113.2").wait(time.Minute)
		k.want("capped.x.test", "203.0.113.1 203.0.113.4 30")
		k.say("down 203.0.113.4").want("capped.x.test", "203.0.113.1 203.0.113.4 10").want("uncapped.x.test", "203.0.113.1 30")
		k.wait(time.Minute).say("down 203.0.113.1").want("capped.x.test", "203.0.113.1 203.0.113.4 10")
		k.wait(time.Minute).say("up 203.0.113.3").want("capped.x.test", "203.0.113.1 203.0.113.3 10")
		k.say("up 203.0.113.1 203.0.113.2 203.0.113.4").want("capped.x.test", "203.0.113.1 203.0.113.2 203.0.113.3 203.0.113.4 30")
	})
}

// TestConductDamping: an endpoint that flaps is out although it is up.
func TestConductDamping(t *testing.T) {
	onStage(t, conducted, func(k *stage) {
		k.wait(time.Minute).say("down 192.0.2.1").wait(10*time.Second).want("damped.x.test", "192.0.2.2 30")
		k.say("up 192.0.2.1").want("damped.x.test", "192.0.2.2 10")
		k.wait(59*time.Second).want("damped.x.test", "192.0.2.2 10")
		k.wait(2*time.Second).want("damped.x.test", "192.0.2.1 192.0.2.2 30")
	})
}
