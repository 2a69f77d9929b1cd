package health

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// A first round that takes long makes no probe of the second one late, nor the gap
// before it longer than an interval, and the second ones are spread evenly all the same.
func TestLongFirstRound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 6000 // 6 seconds of the interval's 10
		f := newFake()
		f.took = 100 * time.Millisecond
		reg := prometheus.NewRegistry()
		b, err := New(Options{Prober: f.prober, Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		b.room = 100 // at once, which is a thousand in a second
		r := &rig{Board: b, t: t, fake: f, log: &logs{}}
		c := check("web")
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, c))
		}
		r.apply(ts...)
		begun := time.Now()
		r.run()
		defer r.stop()
		after(46 * time.Second)

		second := map[int]int{}
		for i := range n {
			starts := f.starts(at(i))
			for k := range starts {
				s := starts[k].Sub(begun)
				second[int(s/time.Second)]++
				if k == 1 && s < 5*time.Second {
					t.Fatalf("%s is probed again %v after the begin, while others have not been probed at all", at(i), s)
				}
				if k == 0 {
					continue
				}
				if gap := starts[k].Sub(starts[k-1]); gap > c.Interval*105/100+time.Millisecond {
					t.Errorf("gap %d of %s is %v from %v", k, at(i), gap, s-gap)
				}
			}
		}
		for s := 7; s < 45; s++ {
			if k := second[s]; k < n/10*7/10 || k > n/10*13/10 {
				t.Errorf("second %d had %d probes, want about %d", s, k, n/10)
			}
		}
		if all, inTime := lateness(t, reg, .5); all < 3*n || inTime != all {
			t.Errorf("%d of %d probes began late", all-inTime, all)
		}
	})
}
