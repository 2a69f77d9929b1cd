package health

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

const ms = uint32(1000) // in microseconds

// The average against the sum that defines it: the first samples count alike, of
// the later ones each a fifth against all before it.
func TestTripSmooths(t *testing.T) {
	var tr trip
	now := time.Duration(0)
	var want float64
	for i, took := range []time.Duration{40, 10, 10, 20, 20, 100, 20, 20, 0, 35} {
		now += 10 * time.Second
		tr.add(took*time.Millisecond, 10*time.Second, now)
		x := float64(took) * 1000
		if i < 5 {
			want = (want*float64(i) + x) / float64(i+1)
		} else {
			want = 0.8*want + 0.2*x
		}
		if math.Abs(float64(tr.smoothed)-want) > 1e-6*want {
			t.Errorf("after %d samples %v, want %v", i+1, tr.smoothed, want)
		}
		if known := tr.known(10*time.Second, now); (known > 0) != (i >= 2) {
			t.Errorf("after %d samples %d is known", i+1, known)
		}
	}
	if tr.known(10*time.Second, now+30*time.Second) == 0 || tr.known(10*time.Second, now+31*time.Second) != 0 {
		t.Error("a sample counts for three intervals")
	}
	tr.add(7*time.Millisecond, 10*time.Second, now+time.Minute)
	if tr.samples != 1 || tr.smoothed != 7000 {
		t.Errorf("after a gap: %+v", tr)
	}
}

func TestMoved(t *testing.T) {
	for _, c := range []struct {
		was, is uint32
		want    bool
	}{
		{0, 0, false},
		{0, 1, true},
		{1, 0, true},
		{300, 1300, false},
		{300, 1301, true},
		{100 * ms, 105 * ms, false},
		{100 * ms, 105*ms + 1, true},
		{100 * ms, 94 * ms, true},
	} {
		if got := moved(c.was, c.is); got != c.want {
			t.Errorf("from %d to %d: %t", c.was, c.is, got)
		}
	}
}

func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.move(at(1), 10*time.Millisecond)
		f.move(at(2), 80*time.Millisecond)
		f.move(at(3), 30*time.Millisecond)
		f.move(at(3)+" near", 20*time.Millisecond)
		web, near := check("web"), with(check("web"), func(c *spec.Check) { c.Name, c.Port = "near", 81 })
		targets := []Target{target(1, web), target(2, web), target(3, web, near), target(4), target(5, web)}
		r := newRig(t, f, nil)
		r.applyFor(Uses{Latency: true}, targets...)
		r.run()
		defer r.stop()
		want := func(when string, want ...uint32) {
			t.Helper()
			if got := r.View().Latency(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		soon()
		want("after one sample", 0, 0, 0, 0, 0)
		// The second probe of each comes within one interval and a bit, the third one later.
		after(23 * time.Second)
		want("after three samples", 10*ms, 80*ms, 20*ms, 0, 0)

		// The view that is there does not change, and none is made for noise.
		old := r.View()
		f.move(at(1), 10*time.Millisecond+900*time.Microsecond)
		f.move(at(2), 83*time.Millisecond)
		after(time.Minute)
		if r.View() != old {
			t.Error("a view was made for noise")
		}
		f.move(at(2), 160*time.Millisecond)
		after(3 * time.Minute)
		if got := r.View().Latency()[1]; got < 145*ms || got > 160*ms {
			t.Errorf("three minutes after it moved to 160 ms: %d", got)
		}
		if old.Latency()[1] != 80*ms {
			t.Error("an old view has changed")
		}

		// One that is down has none, and one that comes back begins anew after a gap.
		f.fail(at(1))
		after(35 * time.Second)
		r.want(0, Down)
		want("down", 0, r.View().Latency()[1], 20*ms, 0, 0)
		f.mend(at(1))
		f.move(at(1), 200*time.Millisecond)
		after(22 * time.Second)
		r.want(0, Up)
		after(12 * time.Second)
		if got := r.View().Latency()[0]; got != 200*ms {
			t.Errorf("after it came back at 200 ms: %d", got)
		}

		// Of a probe that this machine cannot make nothing is known for long.
		f.set(f.local, at(3), true)
		after(42 * time.Second)
		r.want(2, Up)
		if got := r.View().Latency()[2]; got != 0 {
			t.Errorf("without a sample for 40 s: %d", got)
		}

		// A reload keeps what was measured; one that does not ask has none.
		v := r.applyFor(Uses{Latency: true}, targets[1], targets[0])
		if got := v.Latency(); len(got) != 2 || got[0] < 145*ms || got[1] != 200*ms {
			t.Errorf("after a reload: %v", got)
		}
		if v := r.apply(targets...); v.Latency() != nil {
			t.Errorf("nobody asked: %v", v.Latency())
		}
		soon()
		old = r.View()
		f.move(at(2), time.Millisecond)
		after(time.Minute)
		if r.View() != old {
			t.Error("a view was made for what nobody asked for")
		}
	})
}

// However often latencies move, there is a view a second for them.
func TestLatencyCoalesces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		web := with(check("web"), func(c *spec.Check) { c.Interval, c.Timeout = time.Second, 500*time.Millisecond })
		var targets []Target
		for i := range 200 {
			targets = append(targets, target(i, web))
		}
		r := newRig(t, f, nil)
		r.applyFor(Uses{Latency: true}, targets...)
		r.run()
		defer r.stop()
		after(10 * time.Second)
		views, last := 0, r.View()
		var at_ []time.Time
		for i := range 1000 { // ten seconds
			for k := range 200 {
				f.move(at(k), time.Duration(10+90*(i/100%2))*time.Millisecond)
			}
			after(10 * time.Millisecond)
			if v := r.View(); v != last {
				views, last = views+1, v
				at_ = append(at_, time.Now())
			}
		}
		if views < 8 || views > 11 {
			t.Errorf("%d views in ten seconds: %v", views, at_)
		}
	})
}

// What was measured is known after a restart for as long as a sample counts.
func TestLatencyOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		f := newFake()
		f.move(at(1), 10*time.Millisecond)
		f.move(at(2), 80*time.Millisecond)
		web := check("web")
		r := newRig(t, f, k)
		r.applyFor(Uses{Latency: true}, target(1, web), target(2, web))
		r.run()
		after(time.Minute)
		f.fail(at(2))
		after(time.Minute)
		r.stop()

		again := newRig(t, f, k)
		if got := again.applyFor(Uses{Latency: true}, target(1, web), target(2, web)).Latency(); !slices.Equal(got, []uint32{10 * ms, 0}) {
			t.Errorf("after a restart: %v", got)
		}
		after(time.Minute)
		late := newRig(t, f, k)
		if got := late.applyFor(Uses{Latency: true}, target(1, web), target(2, web)).Latency(); !slices.Equal(got, []uint32{0, 0}) {
			t.Errorf("a minute later: %v", got)
		}
	})
}

// An endpoint that is down has no latency, however young its samples are, and a
// check that is asked more often keeps those it has.
func TestLatencyOfState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.move(at(1), 10*time.Millisecond)
		f.move(at(2), 20*time.Millisecond)
		web := with(check("web"), func(c *spec.Check) { c.Fall, c.Rise = 1, 1 })
		r := newRig(t, f, nil)
		r.applyFor(Uses{Latency: true}, target(1, web), target(2, web))
		r.run()
		defer r.stop()
		after(time.Minute)
		f.fail(at(1))
		for range 110 { // until one probe has failed, and no longer
			if after(100 * time.Millisecond); r.View().State(0) == Down {
				break
			}
		}
		f.mend(at(1))
		after(figureGap)
		r.want(0, Down)
		if got := r.View().Latency(); !slices.Equal(got, []uint32{0, 20 * ms}) {
			t.Errorf("after one failure: %v", got)
		}
		after(12 * time.Second)
		if got := r.View().Latency(); !slices.Equal(got, []uint32{10 * ms, 20 * ms}) {
			t.Errorf("up again: %v", got)
		}
		often := with(web, func(c *spec.Check) { c.Interval = 9 * time.Second })
		if got := r.applyFor(Uses{Latency: true}, target(1, often), target(2, often)).Latency(); !slices.Equal(got, []uint32{10 * ms, 20 * ms}) {
			t.Errorf("asked more often: %v", got)
		}
	})
}
