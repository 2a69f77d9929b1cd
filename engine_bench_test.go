package rhumb_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
)

// flipping is a prober whose endpoint is up at every other probe. It says when
// each of its results was ready.
type flipping struct {
	up    bool
	ready chan time.Time
}

func (f *flipping) Probe(ctx context.Context, t probe.Target) probe.Result {
	if t.Addr.String() != "192.0.2.1" {
		return probe.Result{OK: true}
	}
	f.up = !f.up
	select {
	case f.ready <- time.Now():
	case <-ctx.Done():
	}
	return probe.Result{OK: f.up, Class: probe.ClassRefused}
}

// BenchmarkHealthToSnapshot is the time from the result of a probe that changes
// a verdict to the snapshot that has it, among services. The budget is 10 ms.
func BenchmarkHealthToSnapshot(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text strings.Builder
			text.WriteString(strings.NewReplacer("interval: 10s, timeout: 2s", "interval: 100ms, timeout: 100ms").Replace(config))
			for i := range n {
				fmt.Fprintf(&text, "      s%d: {pools: [eu]}\n", i)
			}
			f := &flipping{ready: make(chan time.Time)}
			e := newEngine(b, rhumb.Options{Prober: func(health.Check) (probe.Prober, error) { return f, nil }})
			commit(b, e, parse(b, text.String()))
			text.Reset()
			stop := run(b, e)
			defer stop()
			target := -1
			s := e.Snapshot()
			for i := range s.Table.Targets {
				if s.Table.Targets[i].String() == "192.0.2.1" {
					target = i
				}
			}
			<-f.ready
			var total, worst time.Duration
			for b.Loop() {
				before := e.Snapshot().Health.State(target)
				begun := <-f.ready
				for e.Snapshot().Health.State(target) == before {
					runtime.Gosched()
				}
				took := time.Since(begun)
				total += took
				worst = max(worst, took)
			}
			b.ReportMetric(float64(total.Microseconds())/float64(b.N), "µs/change")
			b.ReportMetric(float64(worst.Microseconds()), "µs-worst")
			b.ReportMetric(0, "ns/op")
			go func() {
				for range f.ready { // nobody waits for it any more
				}
			}()
		})
	}
}
