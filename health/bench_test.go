//go:build unix

package health

import (
	"context"
	"runtime"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

// instant is a prober of endpoints that are all well and answer at once, so that
// what is measured is the board.
type instant struct{ runs atomic.Int64 }

func (p *instant) Probe(context.Context, probe.Target) probe.Result {
	p.runs.Add(1)
	return probe.Result{OK: true, RTT: time.Millisecond}
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func live() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkSchedule runs 100,000 probes every 10 seconds for 30 seconds of real
// time: the CPU and memory that the board takes for each, without what a probe
// itself costs. Run it with -benchtime 1x.
func BenchmarkSchedule(b *testing.B) {
	const n = 100_000
	for _, keeper := range []struct {
		name string
		k    Keeper
	}{{"memory", nil}, {"kept", newDisk()}} {
		b.Run(keeper.name, func(b *testing.B) {
			for range b.N {
				p := &instant{}
				before := live()
				board, err := New(Options{Keeper: keeper.k, Prober: func(Check) (probe.Prober, error) { return p, nil }})
				if err != nil {
					b.Fatal(err)
				}
				c := check("tcp")
				ts := make([]Target, n)
				for i := range ts {
					ts[i] = target(i, c)
				}
				begun := time.Now()
				plan, err := board.Prepare(ts, locator(nil))
				if err != nil {
					b.Fatal(err)
				}
				prepared := time.Now()
				board.Apply(plan)
				applied := time.Now()
				ctx, cancel := context.WithCancel(context.Background())
				ended := make(chan error, 1)
				go func() { ended <- board.Run(ctx) }()
				<-board.Settled()
				b.ReportMetric(float64(prepared.Sub(begun).Milliseconds()), "prepare-ms")
				b.ReportMetric(float64(applied.Sub(prepared).Milliseconds()), "apply-ms")
				b.ReportMetric(float64(time.Since(applied).Milliseconds()), "first-round-ms")
				<-time.After(10 * time.Second) // past the burst of the first round
				busy, runs, began := cpu(), p.runs.Load(), time.Now()
				<-time.After(20 * time.Second)
				runs, busy = p.runs.Load()-runs, cpu()-busy
				b.ReportMetric(float64(busy.Nanoseconds())/float64(runs), "cpu-ns/probe")
				b.ReportMetric(busy.Seconds()/time.Since(began).Seconds(), "cores")
				b.ReportMetric(float64(runs)/time.Since(began).Seconds(), "probes/s")
				b.ReportMetric(float64(live()-before)/n, "B/probe")
				cancel()
				<-ended
				runtime.KeepAlive(ts)
			}
		})
	}
}

// BenchmarkPublish is one change among many targets: what each costs that does
// not share its view with others.
func BenchmarkPublish(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			board, err := New(Options{Prober: func(Check) (probe.Prober, error) { return &instant{}, nil }})
			if err != nil {
				b.Fatal(err)
			}
			c := check("tcp")
			ts := make([]Target, n)
			for i := range ts {
				ts[i] = target(i, c)
			}
			plan, err := board.Prepare(ts, locator(nil))
			if err != nil {
				b.Fatal(err)
			}
			board.Apply(plan)
			now := time.Now()
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				board.dirty[i%n] = struct{}{}
				now = now.Add(time.Second)
				board.publish(now)
			}
		})
	}
}
