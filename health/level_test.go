package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// limited is a check whose successes may take 300 ms.
func limited(name string, share float64) *spec.Check {
	return with(check(name), func(c *spec.Check) { c.DegradedAbove, c.DegradedShare = 300*time.Millisecond, share })
}

func TestWeigh(t *testing.T) {
	// Results: . is quick, n is near the limit of 300 ms and below it, s takes
	// longer, w is said to be degraded by the probe, - fails. Levels after each: u is
	// up, d degraded, x down.
	for _, c := range []struct {
		name, results, levels string
	}{
		{"fall 3 in a row", "..s.sss", "uuuuuud"},
		{"rise 2 in a row", "..sss.s..", "uuuudddd" + "u"},
		{"near the limit it stays what it is", ".nnnsssnnnn.n..", "uuuuuuddddddd" + "du"},
		{"the first result decides", "s.", "dd"},
		{"and so ends it, in rise", "s..", "ddu"},
		{"the probe's word counts likewise", ".www..", "uuudd" + "u"},
		{"of either kind", ".sws", "uuud"},
		{"failures between are left aside", ".s-s-s", "uuuuud"},
		{"failures alone take it down", ".sss---", "uuuddd" + "x"},
		{"it comes up with its last result", "---.s", "xxxxd"},
		{"or well", "---s.", "xxxxu"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chk := Check{Check: limited("web", 0.5)}
			var v verdict
			now := time.Unix(1e9, 0)
			got := ""
			was := false
			for _, r := range c.results {
				now = now.Add(time.Second)
				res := map[rune]probe.Result{
					'.': {OK: true, RTT: 50 * time.Millisecond}, 'n': {OK: true, RTT: 290 * time.Millisecond},
					's': {OK: true, RTT: 301 * time.Millisecond}, 'w': {OK: true, Degraded: true, Detail: "ends soon"},
					'-': {Class: probe.ClassRefused},
				}[r]
				v.apply(res, chk, now)
				if moved := v.weigh(res, chk, now); moved != (v.degraded() != was) {
					t.Errorf("moved is %t from degraded %t to %t", moved, was, v.degraded())
				}
				was = v.degraded()
				switch {
				case v.state == Down:
					got += "x"
				case was:
					got += "d"
				default:
					got += "u"
				}
			}
			if got != c.levels {
				t.Errorf("%s\ngot  %s\nwant %s", c.results, got, c.levels)
			}
			if v.degraded() && v.level.reason == "" {
				t.Error("degraded for no reason")
			}
		})
	}
}

// share is what an endpoint has for a service without overrides.
func (r *rig) share(i int) float64 { return float64(r.View().Share(i, nil)) / Whole }

func TestDegradedByLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		r.apply(target(1, limited("web", 0.25)), target(2, limited("web", 0.25)))
		r.run()
		defer r.stop()
		after(30 * time.Second)
		if s := r.share(0); s != 1 || r.View().Marked(0) {
			t.Errorf("share %v of what is well", s)
		}
		f.delay(at(1), 412*time.Millisecond)
		after(45 * time.Second)
		r.want(0, Up)
		v := r.View()
		d := v.Detail(0, nil)
		if r.share(0) != 0.25 || !v.Marked(0) || v.Forced(0) || d.Cause != ByLatency || d.Authority != Validation || d.Since.IsZero() ||
			d.Reason != "degraded to 25%: check web: took 412ms, more than 300ms" {
			t.Errorf("share %v: %+v", r.share(0), d)
		}
		if r.share(1) != 1 || v.Left(1) != Whole {
			t.Errorf("the other has a share of %v", r.share(1))
		}
		if c := r.log.count(`msg="endpoint degraded"`); c != 1 {
			t.Errorf("%d lines say that it is degraded", c)
		}
		f.delay(at(1), 0)
		after(45 * time.Second)
		if d := r.View().Detail(0, nil); r.share(0) != 1 || d.Reason != "check web passed" || d.Cause != NotDegraded {
			t.Errorf("well again, with a share of %v: %+v", r.share(0), d)
		}
		if c := r.log.count(`msg="endpoint no longer degraded"`); c != 1 {
			t.Errorf("%d lines say that it is well again", c)
		}
		if r.View().Raw()[0] != Up {
			t.Errorf("raw state %#x", r.View().Raw()[0])
		}
	})
}

// A check that only degrades takes nothing down, whatever becomes of it.
func TestOnlyDegrades(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		deep := with(check("deep"), func(c *spec.Check) { c.Port, c.OnlyDegrades, c.DegradedShare = 81, true, 0.5 })
		deeper := with(check("deeper"), func(c *spec.Check) { c.Port, c.OnlyDegrades, c.DegradedShare = 82, true, 0.1 })
		f.fail(at(1) + " deep")
		f.fail(at(3) + " deep")
		f.hung[at(2)] = true
		r.apply(target(1, check("web"), deep, deeper), target(2, deep), target(3, deep))
		before := r.View()
		r.run()
		defer r.stop()
		if d := before.Detail(1, nil); d.State != Up || d.Authority != Unchecked {
			t.Errorf("with nothing known, what only degrades says %+v", d)
		}
		after(10 * time.Second)
		r.want(0, Up)
		if d := r.View().Detail(0, nil); r.share(0) != 0.5 || d.Cause != ByCheck || d.Reason != "degraded to 50%: check deep: connection refused" {
			t.Errorf("share %v: %+v", r.share(0), d)
		}
		if d := r.View().Detail(2, nil); d.State != Up || d.Share != Whole/2 || d.Authority != Unchecked {
			t.Errorf("of one check that only degrades: %+v", d)
		}
		f.fail(at(1) + " deeper")
		after(45 * time.Second)
		if d := r.View().Detail(0, nil); r.share(0) != float64(Whole/10)/Whole || !strings.HasPrefix(d.Reason, "degraded to 10%: check deeper: ") {
			t.Errorf("the least share counts: %v: %+v", r.share(0), d)
		}
		f.fail(at(1) + " web")
		after(45 * time.Second)
		r.want(0, Down)
		if d := r.View().Detail(0, nil); d.Share != 0 || d.Cause != NotDegraded || r.View().Marked(0) {
			t.Errorf("down, not degraded: %+v", d)
		}
	})
}

// One probe serves a check that takes down here and only degrades there.
func TestOneProbeForBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fail(at(1))
		r := newRig(t, f, nil)
		web := check("web")
		lesser := with(web, func(c *spec.Check) { c.OnlyDegrades, c.DegradedShare, c.Variant = true, 0.5, "x" })
		r.apply(target(1, web), target(1, lesser))
		r.run()
		defer r.stop()
		soon()
		if n := f.count(at(1)); n != 1 {
			t.Errorf("%d probes", n)
		}
		r.want(0, Down)
		r.want(1, Up)
		if r.share(1) != 0.5 {
			t.Errorf("share %v", r.share(1))
		}
	})
}

func TestDegradedAndOperators(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(f.worse, at(1), true)
		r := newRig(t, f, nil)
		r.apply(target(1, limited("web", 0.5)))
		r.run()
		defer r.stop()
		soon()
		const text = "a.example."
		service, err := dnswire.ParseName(text)
		if err != nil {
			t.Fatal(err)
		}
		set := func(o Overriding) {
			o.Service, o.Endpoint, o.Since = text, at(1), time.Now()
			if err := r.SetOverride(o); err != nil {
				t.Fatal(err)
			}
		}
		if s := r.View().Share(0, []byte(service)); s != Whole/2 {
			t.Errorf("share %d", s)
		}
		set(Overriding{Drain: true, Over: 100 * time.Second})
		after(50*time.Second + 2*figureGap)
		v := r.View()
		if s := v.Share(0, []byte(service)); s < Whole/5 || s > Whole/4 {
			t.Errorf("half drained and half degraded: %d of %d", s, Whole)
		}
		d := v.Detail(0, []byte(service))
		if d.Authority != Draining || d.State != Up || !strings.HasPrefix(d.Reason, "draining, ") || !strings.HasSuffix(d.Reason, "; degraded to 50%: check web: certificate ends soon") {
			t.Errorf("both: %+v", d)
		}
		if s := v.Share(0, nil); s != Whole/2 {
			t.Errorf("for others the share is %d", s)
		}
		set(Overriding{Healthy: true})
		if d := r.View().Detail(0, []byte(service)); r.View().Share(0, []byte(service)) != Whole || d.Cause != NotDegraded || d.Authority != Override {
			t.Errorf("an operator says that it is well: %+v", d)
		}
		if err := r.ClearOverride(service, at(1), audit.By{}); err != nil {
			t.Fatal(err)
		}
		if s := r.View().Share(0, []byte(service)); s != Whole/2 || r.View().Forced(0) {
			t.Errorf("share %d", s)
		}
	})
}

// What is degraded stays so over a restart, and a reload.
func TestDegradedIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, disk := newFake(), newDisk()
		f.set(f.worse, at(1), true)
		r := newRig(t, f, disk)
		r.apply(target(1, limited("web", 0.5)))
		r.run()
		after(25 * time.Second)
		since := r.View().Detail(0, nil).Since
		longer := with(limited("web", 0.25), func(c *spec.Check) { c.Interval = 11 * time.Second })
		r.apply(target(1, longer), target(1, limited("web", 0.5)))
		for i, want := range []float64{0.25, 0.5} {
			if d := r.View().Detail(i, nil); r.share(i) != want || !d.Since.Equal(since) {
				t.Errorf("after a reload the share of %d is %v: %+v", i, r.share(i), d)
			}
		}
		// Two probes of one origin: what becomes of one is not the other's.
		if x, y := r.onTarget[0][0], r.onTarget[1][0]; x == y || x.verdict.level == y.verdict.level || x.past == y.past {
			t.Error("two probes share what they know")
		}
		r.stop()
		again := newRig(t, f, disk)
		again.apply(target(1, limited("web", 0.5)))
		if d := again.View().Detail(0, nil); again.share(0) != 0.5 || d.Authority != Restored || !d.Since.Equal(since) || d.Cause != ByProbe {
			t.Errorf("after a restart the share is %v: %+v", again.share(0), d)
		}
	})
}

func TestDegradedTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.set(f.worse, at(1), true)
		r := newRig(t, f, nil)
		r.apply(target(1, limited("web", 1)), target(2, limited("web", 1)))
		r.run()
		defer r.stop()
		after(20 * time.Second)
		// A share of all of it is only to be seen.
		if d := r.View().Detail(0, nil); d.Cause != ByProbe || r.share(0) != 1 || r.View().Marked(0) {
			t.Errorf("share %v: %+v", r.share(0), d)
		}
		count := func() [causes]int {
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.degraded
		}
		if n := count(); n[ByProbe] != 1 || n[NotDegraded] != 1 {
			t.Errorf("counts %v", n)
		}
		f.set(f.worse, at(1), false)
		after(30 * time.Second)
		if n := count(); n[ByProbe] != 0 || n[NotDegraded] != 2 {
			t.Errorf("counts %v", n)
		}
	})
}
