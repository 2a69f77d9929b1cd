//go:build linux

package health

import (
	"fmt"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// BenchmarkCensus is what the board does for one round while everybody waits: of
// 100,000 probes at 20 places, of which so many are silent.
func BenchmarkCensus(b *testing.B) {
	const n, places = 100_000, 20
	for _, silent := range []int{10_000, 50_000, n} {
		board, err := New(Options{Prober: func(Check) (probe.Prober, error) { return &instant{}, nil }})
		if err != nil {
			b.Fatal(err)
		}
		sizes := make([]int, places)
		for i := range sizes {
			sizes[i] = n / places
		}
		targets, pools, _ := sites(sizes, check("tcp"))
		plan, err := board.Prepare(targets, locator(nil))
		if err != nil {
			b.Fatal(err)
		}
		plan.Health, plan.Pools = spec.Health{SuspectShare: .8, SuspectMin: 3, SuspectFor: time.Minute}, pools
		board.Apply(plan)
		for i, r := range board.runners {
			r.verdict.state, r.runs = Up, 1
			r.mark(markProves, true)
			if i*7919%n < silent {
				r.mark(markProves, false)
				r.mark(markQuiet, true)
			}
			board.remember(r, probe.Result{OK: !r.is(markQuiet)})
		}
		now := time.Now()
		b.Run(fmt.Sprintf("group/%d", silent), func(b *testing.B) {
			for b.Loop() {
				board.aware.groups = [groupings][][]int32{}
				board.group()
			}
		})
		b.Run(fmt.Sprintf("settles/%d", silent), func(b *testing.B) {
			for b.Loop() {
				board.settles()
			}
		})
		b.Run(fmt.Sprintf("round/%d", silent), func(b *testing.B) {
			for b.Loop() {
				now = now.Add(time.Second)
				board.aware.suspect, board.aware.next = false, nil
				board.consult(nil, now)
				board.conclude(now)
			}
		})
		b.Run(fmt.Sprintf("suspect/%d", silent), func(b *testing.B) {
			for b.Loop() {
				now = now.Add(time.Second)
				board.aware.suspect, board.aware.held, board.aware.bound = true, 1, now.Add(time.Hour)
				board.consult(nil, now)
				board.conclude(now)
			}
		})
	}
}
