package rhumb_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
)

// miles are how far the endpoints are, by address.
type miles map[string]time.Duration

func (m miles) Probe(_ context.Context, t probe.Target) probe.Result {
	time.Sleep(time.Millisecond)
	return probe.Result{OK: true, Connect: m[t.Addr.String()]}
}

const measured = `
checks:
  web: {type: tcp, port: 80, interval: 10s, timeout: 2s}
pools:
  eu:
    checks: [web]
    hard_limit: 0.9
    endpoints: [192.0.2.1, 192.0.2.2]
  us: {endpoints: [198.51.100.1]}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services:
      near: {pools: [eu], steer: [latency, weighted], answers: 0}
      idle: {pools: [eu], steer: [shed, weighted], answers: 0}
      night: {pools: [eu, us], steer: [schedule: [{pools: [eu], from: "00:00", to: "06:00"}], weighted], answers: 0}
`

// What is measured, reported and the time of day reach the answers.
func TestFiguresSteer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		far := miles{"192.0.2.1": 10 * time.Millisecond, "192.0.2.2": 90 * time.Millisecond}
		e := newEngine(t, rhumb.Options{Prober: func(health.Check) (probe.Prober, error) { return far, nil }})
		commit(t, e, parse(t, measured))
		defer run(t, e)()
		want := func(when, name string, want ...string) {
			t.Helper()
			if got := addresses(t, e, name+".example.com"); !slices.Equal(got, want) {
				t.Errorf("%s: %s is %v, want %v", when, name, got, want)
			}
		}
		after(time.Second)
		want("nothing measured", "near", "192.0.2.1", "192.0.2.2")
		after(30 * time.Second)
		want("measured", "near", "192.0.2.1")

		want("nothing reported", "idle", "192.0.2.1", "192.0.2.2")
		now := time.Now()
		if unknown := e.SetLoads([]health.Load{{Endpoint: "192.0.2.1", Load: 0.9, At: now, Until: now.Add(time.Minute)}}); len(unknown) > 0 {
			t.Error(unknown)
		}
		after(time.Second)
		want("at its limit", "idle", "192.0.2.2")
		after(time.Minute)
		want("too old", "idle", "192.0.2.1", "192.0.2.2")

		want("at midnight", "night", "192.0.2.1", "192.0.2.2", "198.51.100.1") // the bubble's time begins there
		after(7 * time.Hour)
		want("by day", "night", "198.51.100.1")
		after(18 * time.Hour)
		want("the next night", "night", "192.0.2.1", "192.0.2.2", "198.51.100.1")
	})
}
