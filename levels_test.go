package rhumb_test

import (
	"context"
	"fmt"
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// world plays endpoints by address, port and path.
type world struct {
	mu   sync.Mutex
	bad  map[string]bool
	took map[string]time.Duration
	asks map[string]int
}

type visitor struct {
	w    *world
	path string
}

func (w *world) prober(c health.Check) (probe.Prober, error) {
	path := ""
	if a, ok := c.Ask.(*spec.HTTPCheck); ok {
		path = a.Path
	}
	return visitor{w, path}, nil
}

// Probe implements probe.Prober.
func (v visitor) Probe(_ context.Context, t probe.Target) probe.Result {
	v.w.mu.Lock()
	defer v.w.mu.Unlock()
	at := fmt.Sprintf("%v:%d%s", t.Addr, t.Port, v.path)
	v.w.asks[at]++
	if v.w.bad[at] {
		return probe.Result{Class: probe.ClassRefused, Detail: "connection refused"}
	}
	return probe.Result{OK: true, RTT: v.w.took[at]}
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

const leveled = `
check_defaults: {interval: 10s, rise: 1, fall: 2, degraded_above: 300ms}
checks:
  web: {type: http, host: www.example.com, path: /}
  port: {type: tcp, port: 443}
  both: {type: calculated, all: [web, port]}
  batch: {type: external}
pools:
  eu:
    checks: [web, {check: web-deep, on_fail: degraded, degraded_share: 20%}]
    endpoints:
      - 192.0.2.1
      - 192.0.2.2
      - {address: 192.0.2.3, checks: [{check: web, path: /other, port: 8081}]}
      - {address: 192.0.2.4, checks: [both]}
      - {address: 192.0.2.5, checks: [batch]}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services:
      www: {pools: [eu], steer: weighted, answers: 0}
`

// TestLevels goes from the configuration to answers.
func TestLevels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{bad: map[string]bool{}, took: map[string]time.Duration{}, asks: map[string]int{}}
		e := newEngine(t, rhumb.Options{Prober: w.prober})
		commit(t, e, parse(t, leveled, "checks:\n  web:", "checks:\n  web-deep: {type: http, host: www.example.com, path: /deep}\n  web:"))
		defer run(t, e)()
		<-e.Settled()
		after(time.Minute)
		w.set(func() {
			for _, at := range []string{"192.0.2.1:80/", "192.0.2.1:80/deep", "192.0.2.3:8081/other", "192.0.2.4:80/", "192.0.2.4:443"} {
				if w.asks[at] < 5 {
					t.Errorf("%s was asked %d times", at, w.asks[at])
				}
			}
			if w.asks["192.0.2.3:80/"] > 0 || w.asks["192.0.2.5:80/"] > 0 {
				t.Errorf("asked %v", w.asks)
			}
		})
		stands := func(at string) string {
			tr, err := e.Explain(rhumb.Question{Name: "www.example.com"})
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range tr.Endpoints {
				if x.Address == at {
					share := 1.0 // which is not said
					if x.Share > 0 {
						share = x.Share
					}
					return fmt.Sprintf("%s %t %v", x.State, x.Degraded, math.Round(100*share))
				}
			}
			return "absent"
		}
		want := func(at, what string) {
			t.Helper()
			if got := stands(at); got != what {
				t.Errorf("%s is %s, want %s", at, got, what)
			}
		}
		want("192.0.2.1", "up false 100")
		want("192.0.2.5", "unknown false 100")
		if _, err := e.Report(health.Report{Check: "batch", Endpoint: "192.0.2.5", OK: true, Degraded: true, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		w.set(func() {
			w.bad["192.0.2.1:80/deep"], w.bad["192.0.2.4:443"], w.bad["192.0.2.3:8081/other"] = true, true, true
			w.took["192.0.2.2:80/"] = 400 * time.Millisecond
		})
		after(25 * time.Second)
		want("192.0.2.1", "up true 20")
		want("192.0.2.2", "up true 50")
		want("192.0.2.3", "down false 100")
		want("192.0.2.4", "down false 100")
		want("192.0.2.5", "up true 50")
		after(time.Minute)
		want("192.0.2.5", "unknown false 100")
	})
}
