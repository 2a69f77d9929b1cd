package rhumb_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/resolve"
)

// tally counts probes by address.
type tally struct {
	site
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) prober(health.Check) (probe.Prober, error) { return c, nil }

func (c *tally) Probe(ctx context.Context, t probe.Target) probe.Result {
	c.mu.Lock()
	c.n[t.Addr.String()]++
	c.mu.Unlock()
	return c.site.Probe(ctx, t)
}

// in is how many probes each address has had in a time.
func (c *tally) in(d time.Duration, addr string) int {
	c.mu.Lock()
	before := c.n[addr]
	c.mu.Unlock()
	after(d)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[addr] - before
}

const idleConfig = `
health: {idle_after: 5m, idle_multiplier: 6}
checks:
  web: {type: tcp, port: 80, interval: 10s, timeout: 2s, rise: 1, fall: 3}
pools:
  eu: {checks: [web], endpoints: [192.0.2.1]}
  us: {checks: [web], endpoints: [192.0.2.2]}
  last: {checks: [web], endpoints: [192.0.2.3]}
  all: {pools: [eu, us], steer: failover}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services:
      eu: {pools: [eu], all_down: last}
      us: {pools: [us]}
      both: {pools: [all]}
      outer: {pools: [{service: us}]}
`

// ask has a query answered as the server does.
func ask(e *rhumb.Engine, name string) {
	e.Snapshot().Append(nil, query(name), resolve.NewScratch(1, 2))
}

func idleOnes(e *rhumb.Engine) (all []string) {
	for _, s := range e.Endpoints() {
		if s.Checks[0].Idle {
			all = append(all, s.Endpoint.String())
		}
	}
	return all
}

// TestIdleServices probes endpoints more rarely that nobody asks for, and at once
// when somebody does.
func TestIdleServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &tally{n: map[string]int{}}
		e := newEngine(t, rhumb.Options{Prober: c.prober})
		commit(t, e, parse(t, idleConfig))
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		if n := c.in(4*time.Minute, "192.0.2.1"); n < 22 || n > 26 {
			t.Errorf("%d probes before it is idle", n)
		}
		after(90 * time.Second)
		if got := idleOnes(e); len(got) != 3 || e.Awareness().Idle != 3 {
			t.Errorf("idle: %v, %+v", got, e.Awareness())
		}
		after(time.Minute)
		if n := c.in(10*time.Minute, "192.0.2.1"); n < 9 || n > 11 {
			t.Errorf("%d probes in 10m while it is idle, want 10", n)
		}
		for _, tc := range []struct {
			asked string
			wakes map[string]bool
		}{
			{"eu.example.com", map[string]bool{"192.0.2.1": true, "192.0.2.3": true}}, // its reserve as well
			{"both.example.com", map[string]bool{"192.0.2.1": true, "192.0.2.2": true}},
			{"outer.example.com", map[string]bool{"192.0.2.2": true}},
			{"nobody.example.com", nil},
		} {
			after(10 * time.Minute)
			if got := idleOnes(e); len(got) != 3 {
				t.Fatalf("idle: %v", got)
			}
			if _, err := e.Explain(rhumb.Question{Name: tc.asked}); err != nil { // is no asking
				t.Fatal(err)
			}
			after(5 * time.Second)
			if got := idleOnes(e); len(got) != 3 {
				t.Errorf("explaining woke: %v", got)
			}
			ask(e, tc.asked)
			after(1100 * time.Millisecond)
			for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3"} {
				idle := false
				for _, s := range e.Endpoints() {
					if s.Endpoint.String() == addr {
						idle = s.Checks[0].Idle
						if probed := time.Since(s.Checks[0].At) < 1200*time.Millisecond; tc.wakes[addr] && !probed {
							t.Errorf("%s: %s was not probed at once", tc.asked, addr)
						}
					}
				}
				if idle == tc.wakes[addr] {
					t.Errorf("%s: %s is idle: %t", tc.asked, addr, idle)
				}
			}
		}

		// One that fails is found out about as quickly as any other.
		after(10 * time.Minute)
		c.set("192.0.2.1", true)
		after(66 * time.Second)
		if s := e.Endpoints()[0]; s.Judged != health.Down {
			t.Errorf("%+v", s.Detail)
		}

		// Without the key none is.
		commit(t, e, parse(t, idleConfig, "idle_after: 5m, ", ""))
		after(2 * time.Second)
		if got := idleOnes(e); len(got) != 0 {
			t.Errorf("idle: %v", got)
		}
		if n := c.in(time.Minute, "192.0.2.2"); n < 5 {
			t.Errorf("%d probes in a minute", n)
		}
	})
}
