package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// TestStallExcuses: what probes say of a time in which the process did not run is no
// verdict, and what they say of a time in which it did is one.
func TestStallExcuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := check("web") // a timeout of 2s
		for name, tc := range map[string]struct {
			class   probe.Class
			took    time.Duration
			stalls  [][2]time.Duration // from and to, after the probe was begun
			excused bool
		}{
			"no stall":             {probe.ClassTimeout, 2 * time.Second, nil, false},
			"late by itself":       {probe.ClassTimeout, 5 * time.Second, nil, true},
			"late by a little":     {probe.ClassTimeout, 2100 * time.Millisecond, nil, false},
			"stalled":              {probe.ClassTimeout, 2 * time.Second, [][2]time.Duration{{0, time.Second}}, true},
			"stalled, then hung":   {probe.ClassSlow, 2 * time.Second, [][2]time.Duration{{0, time.Second}}, true},
			"stalled, then reset":  {probe.ClassReset, 2 * time.Second, [][2]time.Duration{{0, time.Second}}, true},
			"no name server":       {probe.ClassDNS, 2 * time.Second, [][2]time.Duration{{0, time.Second}}, true},
			"no such name":         {probe.ClassDNS, time.Second, nil, false},
			"refused all the same": {probe.ClassRefused, 2 * time.Second, [][2]time.Duration{{0, time.Second}}, false},
			"for a moment":         {probe.ClassTimeout, 2 * time.Second, [][2]time.Duration{{0, 200 * time.Millisecond}}, false},
			"for some moments":     {probe.ClassTimeout, 2 * time.Second, [][2]time.Duration{{0, 200 * time.Millisecond}, {500 * time.Millisecond, 900 * time.Millisecond}}, true},
			"before":               {probe.ClassTimeout, 2 * time.Second, [][2]time.Duration{{-3 * time.Second, -time.Second}}, false},
			"for the most before":  {probe.ClassTimeout, 2 * time.Second, [][2]time.Duration{{-3 * time.Second, 100 * time.Millisecond}}, false},
		} {
			r := newRig(t, newFake(), nil)
			time.Sleep(time.Hour)
			began := time.Now()
			time.Sleep(tc.took)
			for _, s := range tc.stalls {
				r.stalled(began.Add(s[0]), began.Add(s[1]))
			}
			o := outcome{r: &runner{asking: &asking{check: Check{Check: c}}}, began: began, result: probe.Result{Class: tc.class, RTT: tc.took}}
			got := r.excuse(&o, time.Now())
			if got != tc.excused || (o.result.Class == probe.ClassLocal) != tc.excused {
				t.Errorf("%s: %t, %+v", name, got, o.result)
			}
			if o.r.excused = maxExcused; r.excuse(&o, time.Now()) {
				t.Errorf("%s: excused for ever", name)
			}
		}
	})
}

// TestLateWaking has the loop wake late, and sees it noticed.
func TestLateWaking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		r.woke(time.Now())
		r.wakes(time.Now().Add(time.Second))
		time.Sleep(time.Second + minStall - 1)
		r.woke(time.Now())
		if a := r.Awareness(); a.Stalls != 0 {
			t.Errorf("in time: %+v", a)
		}
		for range 3 {
			r.wakes(time.Now().Add(200 * time.Millisecond))
			time.Sleep(700 * time.Millisecond)
			r.woke(time.Now())
		}
		if a := r.Awareness(); a.Stalls != 3 || a.Long != 500*time.Millisecond {
			t.Errorf("%+v", a)
		}
		if n := r.log.count("stood still"); n != 1 {
			t.Errorf("said %d times", n)
		}
	})
}

// clocked is a board whose clock on the wall can be set.
func clocked(t *testing.T, k Keeper) (r *rig, set func(by time.Duration)) {
	r = newRig(t, newFake(), k)
	var by time.Duration
	r.wall = func() time.Time { return time.Now().Add(by).Round(0) }
	return r, func(d time.Duration) {
		r.mu.Lock()
		defer r.mu.Unlock()
		by += d
	}
}

// TestClockJump sets the clock while an endpoint answers nothing: the probe that was
// under way says nothing, those that follow do; and it is said.
func TestClockJump(t *testing.T) {
	for _, by := range []time.Duration{5 * time.Hour, -5 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			r, set := clocked(t, nil)
			c := with(check("web"), func(c *spec.Check) { c.Fall, c.Confirm = 1, time.Second })
			r.apply(target(1, c), target(2, c))
			r.run()
			defer r.stop()
			after(time.Minute)
			set(100 * time.Millisecond) // as it is disciplined
			after(time.Minute)
			if a := r.Awareness(); a.Jumps != 0 {
				t.Errorf("%+v", a)
			}
			r.fake.set(r.fake.hung, at(1), true)
			for before := r.fake.count(at(1)); r.fake.count(at(1)) == before; {
				after(100 * time.Millisecond)
			}
			set(by)
			after(2 * time.Second)
			r.want(0, Up)
			r.want(1, Up)
			after(5 * time.Second)
			r.want(0, Down)
			r.want(1, Up)
			if a := r.Awareness(); a.Jumps != 1 || (a.By-by).Abs() > time.Second || r.log.count("clock jumped") != 1 {
				t.Errorf("%+v", a)
			}
		})
	}
}

// TestClockAgesNothing: verdicts of before the restart and results that were reported
// count for as long as they do, whatever becomes of the clock on the wall.
func TestClockAgesNothing(t *testing.T) {
	now := time.Now()
	v := record{State: Up, Since: now.Add(-time.Hour), Seen: now.Add(-5 * time.Second).Round(0)}.verdict(now, 10*time.Second)
	// What has a monotonic reading says so.
	if s := v.seen.String(); !strings.Contains(s, " m=") {
		t.Errorf("%s", s)
	}
	if got := now.Sub(v.seen); got != 5*time.Second {
		t.Errorf("%v old", got)
	}
	r := &runner{asking: &asking{check: Check{Check: &spec.Check{Interval: time.Minute}}}, report: &reported{index: -1}}
	b := newRig(t, newFake(), nil)
	b.restored = map[string]record{r.request(): {
		State: Up, Seen: now.Add(-time.Second).Round(0), Report: &keptReport{Until: now.Add(30 * time.Second).Round(0)},
	}}
	b.expect(r, nil, now)
	if s := r.report.until.String(); !strings.Contains(s, " m=") || r.report.until.Sub(now) != 30*time.Second {
		t.Errorf("%s", s)
	}
}

// TestClockEndsWords: what is bound to the clock on the wall follows it at once.
func TestClockEndsWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, set := clocked(t, nil)
		r.apply(target(1, check("web")))
		r.run()
		defer r.stop()
		after(time.Minute)
		if err := r.SetOverride(Overriding{Service: "www.example", Endpoint: at(1), Reason: "x", Source: "x", Since: time.Now(), Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		set(2 * time.Hour)
		r.mu.Lock()
		r.woke(time.Now())
		due := r.wordStep.After(time.Now())
		r.mu.Unlock()
		if due {
			t.Error("words are not looked at")
		}
		if s, by := r.View().Of(0, []byte(mustName(t, "www.example"))); s != Down || !by {
			t.Errorf("%v %t", s, by)
		}
	})
}

func mustName(t *testing.T, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
