package health

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rhumb-dns/rhumb/spec"
)

func TestFirstRoundIsAtOnceAndInParallel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.took = time.Second
		r := newRig(t, f, nil)
		c := check("web")
		var ts []Target
		for n := range 500 {
			ts = append(ts, target(n, c))
		}
		r.apply(ts...)
		begun := time.Now()
		r.run()
		defer r.stop()
		synctest.Wait()
		if n := f.peak(); n != 500 {
			t.Errorf("%d probes at once, want all 500", n)
		}
		<-r.Settled()
		if took := time.Since(begun); took.Round(10*time.Millisecond) != time.Second {
			t.Errorf("the first round took %v, want that of one probe", took)
		}
		for i := range ts {
			r.want(i, Up)
		}
	})
}

func TestGaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000
		f := newFake()
		f.took = 30 * time.Millisecond
		r := newRig(t, f, nil)
		c := check("web")
		c.Timeout = time.Second
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, c))
		}
		r.apply(ts...)
		begun := time.Now()
		r.run()
		defer r.stop()
		after(61 * time.Second)

		second := map[int]int{} // how many probes in each second after the first round
		most := c.Timeout
		for i := range n {
			starts := f.starts(at(i))
			for k := range starts {
				if s := starts[k].Sub(begun); s > time.Second {
					second[int(s/time.Second)]++
				}
				if k == 0 {
					continue
				}
				gap := starts[k].Sub(starts[k-1])
				switch {
				case k == 1 && (gap < c.Interval/20-tick || gap > c.Interval*105/100+time.Millisecond):
					t.Fatalf("the first gap of %s is %v", at(i), gap)
				case k > 1 && (gap < c.Interval*95/100-tick || gap > c.Interval*105/100+time.Millisecond):
					t.Fatalf("gap %d of %s is %v", k, at(i), gap)
				}
				most = max(most, gap)
			}
		}
		// 1,000 a second is even.
		for s := 1; s < 61; s++ {
			if k := second[s]; k < 850 || k > 1150 {
				t.Errorf("second %d had %d probes, want about 1000", s, k)
			}
		}
	})
}

// A probe that waits for its timeout is made as often as one that is refused.
func TestGapIsFromStartToStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hung[at(1)] = true
		r := newRig(t, f, nil)
		c := check("web")
		c.Timeout = 9 * time.Second
		r.apply(target(1, c))
		r.run()
		defer r.stop()
		after(10 * time.Minute)
		starts := f.starts(at(1))
		if len(starts) < 55 || len(starts) > 65 {
			t.Fatalf("%d probes in 10 minutes at an interval of 10s", len(starts))
		}
	})
}

func TestTimeoutIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hung[at(1)] = true
		r := newRig(t, f, nil)
		slow := with(check("web"), func(c *spec.Check) { c.Timeout = 1500 * time.Millisecond })
		r.apply(target(1, slow))
		r.run()
		defer r.stop()
		after(2999 * time.Millisecond) // two of them: a lost packet decides nothing
		r.want(0, Unknown)
		after(2 * time.Millisecond)
		r.want(0, Down)
		if got := r.View().Detail(0, nil).Reason; got != "check web: no answer" {
			t.Errorf("reason %q", got)
		}
	})
}

func TestParallelBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		f := newFake()
		f.took = time.Second
		r := newRig(t, f, nil)
		c := check("web") // 2 seconds of timeout in 10: 1000 slots are needed, and 1024 the least there are
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, c))
		}
		r.apply(ts...)
		begun := time.Now()
		r.run()
		defer r.stop()
		<-r.Settled()
		if got := f.peak(); got != minParallel {
			t.Errorf("%d probes at once, want %d", got, minParallel)
		}
		if took := time.Since(begun); took.Round(10*time.Millisecond) != 5*time.Second {
			t.Errorf("the first round took %v, want 5 times a second", took)
		}
	})
}

// When a site is cut off, all its probes hang until their timeouts. The others
// must be probed on time all the same.
func TestHungProbesDoNotStarveOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n, hung = 4_000, 3_000
		f := newFake()
		r := newRig(t, f, nil)
		c := check("web")
		c.Timeout = 5 * time.Second
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, c))
			f.hung[at(i)] = i < hung
		}
		r.apply(ts...)
		r.run()
		defer r.stop()
		after(30 * time.Second)
		f.fail(at(n - 1))
		failed := time.Now()
		for range 200 {
			after(250 * time.Millisecond)
			if r.View().State(n-1) == Down {
				break
			}
		}
		r.want(n-1, Down)
		if took := time.Since(failed); took > 32*time.Second {
			t.Errorf("down after %v, want at most 3 intervals", took)
		}
		if got := f.peak(); got > n/2+1 {
			t.Errorf("%d probes at once", got)
		}
	})
}

// lateness is how many probes were begun, and how many of them not later than that.
func lateness(t *testing.T, reg prometheus.Gatherer, limit float64) (begun, inTime uint64) {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var h *dto.Histogram
	for _, f := range all {
		if f.GetName() == "rhumb_probe_lateness_seconds" {
			h = f.GetMetric()[0].GetHistogram()
		}
	}
	for _, bucket := range h.GetBucket() {
		if bucket.GetUpperBound() == limit {
			return h.GetSampleCount(), bucket.GetCumulativeCount()
		}
	}
	t.Fatalf("no limit %v in %v", limit, h)
	return 0, 0
}

// The first round of many is spread, so that it is as fast as it can be; those after it
// are in time, and what has to wait for a place is late, and the metric says so.
func TestLateness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const (
			n      = 5 * minParallel
			places = 64
		)
		for _, took := range []time.Duration{0, time.Second} {
			f := newFake()
			f.took = took
			reg := prometheus.NewRegistry()
			b, err := New(Options{Prober: f.prober, Registerer: reg})
			if err != nil {
				t.Fatal(err)
			}
			if took > 0 {
				b.room = places // of which 5,120 probes of a second in ten need 512
			}
			r := &rig{Board: b, t: t, fake: f, log: &logs{}}
			c := check("web")
			var ts []Target
			for i := range n {
				ts = append(ts, target(i, c))
			}
			r.apply(ts...)
			r.run()
			synctest.Wait()
			if now := f.total(); took == 0 && (now < firstBurst || now > firstBurst+int(tick/firstGap)) || took > 0 && now != places {
				t.Errorf("%d probes of %v at once", now, took)
			}
			after((n-firstBurst)*firstGap + 2*tick)
			if now := f.total(); took == 0 && now < n || took > 0 && now != places {
				t.Errorf("%d probes of %v each so far", now, took)
			}
			<-b.Settled()
			after(30 * time.Second)
			begun, inTime := lateness(t, reg, .5)
			if late := begun - inTime; begun < places || took == 0 && (begun < 2*n || late != 0) || took > 0 && late < begun/2 {
				t.Errorf("%d probes of %v each, %d of them late", begun, took, late)
			}
			r.stop()
		}
	})
}

// The batch is due at once, the next one after it, and the last one in time.
func TestOpeningIsExact(t *testing.T) {
	for _, c := range []struct {
		h                   spec.Health
		n                   int
		batch, after, final time.Duration // of the last one of the batch, the next one, and the last one
	}{
		{spec.Health{StartBatch: 100}, 1100, 0, firstGap, 1000 * firstGap},
		{spec.Health{StartBatch: 100, StartWithin: time.Hour}, 1100, 0, firstGap, 1000 * firstGap},
		{spec.Health{StartBatch: 100, StartWithin: time.Millisecond}, 1100, 0, time.Microsecond, time.Millisecond},
		{spec.Health{StartBatch: 100, StartWithin: time.Millisecond}, 101, 0, firstGap, firstGap},
	} {
		b := c.h.StartBatch
		if x, y, z := opening(&c.h, b-1, c.n), opening(&c.h, b, c.n), opening(&c.h, c.n-1, c.n); x != c.batch || y != c.after || z != c.final {
			t.Errorf("%+v: %v, %v, %v", c, x, y, z)
		}
	}
	if d := opening(&spec.Health{StartBatch: 1, StartWithin: time.Second}, 0, 1); d != 0 {
		t.Errorf("of one: %v", d)
	}
}

// How many of the first probes begin at once, and within what time the others do, is as
// stated.
func TestOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 3000
		for _, c := range []struct {
			batch  int
			within time.Duration
			all    time.Duration // by then
		}{
			{batch: 100, all: (n - 100) * firstGap},
			{batch: 100, within: time.Minute, all: (n - 100) * firstGap},
			{batch: 100, within: 50 * time.Millisecond, all: 50 * time.Millisecond},
			{batch: 1, within: time.Millisecond},
			{batch: n},
			{batch: 1_000_000, within: time.Minute},
		} {
			f := newFake()
			r := newRig(t, f, nil)
			web := check("web")
			var ts []Target
			for i := range n {
				ts = append(ts, target(i, web))
			}
			r.applyAware(spec.Health{StartBatch: c.batch, StartWithin: c.within}, nil, ts...)
			r.run()
			synctest.Wait()
			once := n // of those due now, and until the next tick
			if c.all > 0 {
				once = c.batch + int(float64(n-c.batch)*float64(tick)/float64(c.all)) + 1
			}
			if now := f.total(); now < min(c.batch, n) || now > once {
				t.Errorf("%d within %v: %d probes at once", c.batch, c.within, now)
			}
			if c.all > 2*tick {
				after(c.all - 2*tick)
				if now := f.total(); now == n {
					t.Errorf("%d within %v: all before %v", c.batch, c.within, c.all)
				}
			}
			after(4 * tick)
			if now := f.total(); now != n {
				t.Errorf("%d within %v: %d probes after %v", c.batch, c.within, now, c.all)
			}
			r.stop()
		}
	})
}

// What is new and does not begin, such as what others report, makes the others no faster.
func TestOpeningAmongReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 1000
		f := newFake()
		r := newRig(t, f, nil)
		web, ext := check("web"), external("ext", false)
		var ts []Target
		for i := range n {
			ts = append(ts, target(i, web))
		}
		for i := range 4 * n {
			ts = append(ts, target(n+i, ext))
		}
		r.applyAware(spec.Health{StartBatch: 1, StartWithin: n * firstGap}, nil, ts...)
		r.run()
		defer r.stop()
		after(n * firstGap / 2)
		if now := f.total(); now > n*3/4 {
			t.Errorf("%d probes of %d in half of the time", now, n)
		}
		after(n*firstGap/2 + 4*tick)
		if now := f.total(); now != n {
			t.Errorf("%d probes of %d", now, n)
		}
	})
}

func TestManyResultsMakeFewViews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.took = time.Second
		r := newRig(t, f, nil)
		c := check("web")
		var ts []Target
		for i := range 1000 {
			ts = append(ts, target(i, c))
		}
		r.apply(ts...)
		<-r.Changed()
		r.run()
		defer r.stop()
		views := map[*View]bool{}
		begun := time.Now()
		for time.Since(begun) < 2*time.Second {
			time.Sleep(500 * time.Microsecond)
			synctest.Wait()
			views[r.View()] = true
		}
		// The first that comes in is published at once, the rest together.
		if len(views) > 3 {
			t.Errorf("1000 results of one instant made %d views", len(views))
		}
		select {
		case <-r.Changed():
		default:
			t.Error("nobody was told of the new view")
		}
	})
}

func TestScheduleKeepsOrder(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	s := schedule{}
	at := map[*runner]time.Duration{} // a slow schedule beside it
	var all []*runner
	for range 20_000 {
		switch k := rnd.IntN(10); {
		case k < 5:
			r := &runner{due: time.Duration(rnd.IntN(2000)) * time.Millisecond, index: -1}
			s.add(r)
			at[r] = r.due
			all = append(all, r)
		case k < 7 && len(all) > 0:
			r := all[rnd.IntN(len(all))]
			s.remove(r) // at rest or not
			delete(at, r)
			if r.index != -1 {
				t.Fatalf("index %d after its removal", r.index)
			}
		case s.Len() > 0:
			next := s.next()
			r := s.pop()
			for _, due := range at {
				if next > due || at[r]-next >= tick || at[r] < next || at[r]-due >= tick {
					t.Fatalf("popped what is due at %v, at %v, before what is due at %v", at[r], next, due)
				}
			}
			delete(at, r)
		}
		if s.Len() != len(at) {
			t.Fatalf("%d at rest, want %d", s.Len(), len(at))
		}
	}
}
