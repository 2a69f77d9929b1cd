package health

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// TestScattered takes down a part of every site, as a release that hangs does: most of
// those that were asked answer, so this node hears.
func TestScattered(t *testing.T) {
	for _, tc := range []struct {
		name  string
		sizes []int
		part  int // one of so many falls silent
		c     *spec.Check
	}{
		{"many", []int{700, 700, 700}, 5, check("web")},
		{"half", []int{700, 700, 700}, 2, check("web")},
		{"one site", []int{2000}, 5, check("web")},
		{"patient", []int{10, 10, 10}, 5, with(check("web"), func(c *spec.Check) { c.Timeout = 6 * time.Second })},
		{"scripts", []int{10, 10, 10}, 5, with(check("web"), func(c *spec.Check) { c.Type, c.Ask = spec.CheckScript, &spec.ScriptCheck{} })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.c.Confirm = time.Second
			bubble(t, doubting, tc.sizes, tc.c, func(r *rig, of [][]string, n int) {
				for _, names := range of {
					for i := 0; i < len(names); i += tc.part {
						r.fake.hang(true, names[i:i+1])
					}
				}
				after(10500*time.Millisecond + 3*max(tc.c.Timeout, tc.c.Confirm) + 100*time.Millisecond)
				at := 0
				wrong := 0
				for _, names := range of {
					for i := range names {
						want := Up
						if i%tc.part == 0 {
							want = Down
						}
						if r.View().State(at) != want {
							wrong++
						}
						at++
					}
				}
				if wrong > 0 || r.log.count("verdicts are held") > 0 {
					t.Errorf("%d of %d are wrong: %+v", wrong, n, r.Awareness())
				}
			})
			if len(tc.sizes) == 1 {
				return
			}
			// The same, when this node is cut off.
			bubble(t, doubting, tc.sizes, tc.c, func(r *rig, of [][]string, n int) {
				r.fake.hang(true, of...)
				after(time.Minute)
				r.wantAll(n, Up)
				if !r.Awareness().Suspect {
					t.Error("not suspect")
				}
				r.fake.hang(false, of...)
				after(30 * time.Second)
				r.wantAll(n, Up)
				if a := r.Awareness(); a.Suspect || a.Held != 0 {
					t.Errorf("%+v", a)
				}
			})
		})
	}
}

// TestScriptsBesideOthers: what the others say of the network is what scripts are judged
// by, however few the others are.
func TestScriptsBesideOthers(t *testing.T) {
	script := with(check("own"), func(c *spec.Check) { c.Type, c.Ask, c.Confirm = spec.CheckScript, &spec.ScriptCheck{}, time.Second })
	web := with(check("web"), func(c *spec.Check) { c.Confirm = time.Second })
	for _, cut := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newFake(), nil)
			targets, pools, of := sites([]int{20, 20, 1}, script)
			targets[40].Checks = []Check{{Check: web}}
			r.applyAware(doubting, pools, targets...)
			r.run()
			defer r.stop()
			after(time.Minute)
			r.wantAll(len(targets), Up)
			for i := range 2 {
				r.fake.hang(true, of[i][:4])
			}
			if cut {
				r.fake.hang(true, of...)
			}
			after(17 * time.Second)
			for i := range 40 {
				want := Up
				if i%20 < 4 && !cut {
					want = Down
				}
				r.want(i, want)
			}
			if is := r.Awareness().Suspect; is != cut {
				t.Errorf("suspect is %t, cut %t", is, cut)
			}
		})
	}
}

// TestLapseOfHeld: what is no longer believed since the restart is not held either.
func TestLapseOfHeld(t *testing.T) {
	bubble(t, doubting, []int{2, 2}, check("web"), func(r *rig, of [][]string, n int) {
		r.fake.hang(true, of...)
		after(time.Minute)
		r.wantAll(n, Up)
		r.mu.Lock()
		b := r.Board
		one := b.runners[0]
		one.verdict.restored, one.verdict.seen = true, time.Now().Add(-time.Hour)
		b.doubtful = append(b.doubtful, one)
		b.mu.Unlock()
		notify(b.wake)
		after(time.Second)
		r.want(0, Unknown)
		if a := r.Awareness(); a.Held != n-1 {
			t.Errorf("%+v", a)
		}
	})
}

// TestAskerGone: who waits for the round that another one has asked for gets it, when
// that one is taken away by a reload.
func TestAskerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		targets, pools, _ := sites([]int{2, 2}, check("web"))
		r.applyAware(doubting, pools, targets...)
		a := &r.Board.aware
		stays, goes := r.runners[0], r.runners[3]
		a.waiting, a.next = []*runner{stays, goes}, goes
		stays.mark(markWaits, true)
		r.applyAware(doubting, pools, targets[:3]...)
		if a.next != stays || len(a.waiting) != 1 {
			t.Errorf("the next round is for %p, want %p; %d wait", a.next, stays, len(a.waiting))
		}
	})
}

// TestFirstVerdictWhereThisNodeLacks: what is to be asked once more at once is not asked
// at once again and again while this machine cannot ask.
func TestFirstVerdictWhereThisNodeLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		r.fake.took = time.Millisecond
		r.fake.set(r.fake.hung, at(1), true)
		r.apply(target(1, check("web")))
		r.run()
		defer r.stop()
		after(time.Second)
		r.fake.set(r.fake.hung, at(1), false)
		r.fake.set(r.fake.local, at(1), true)
		after(20 * time.Second)
		if n := r.fake.count(at(1)); n > 30 {
			t.Errorf("%d probes in 20 s", n)
		}
		r.fake.set(r.fake.local, at(1), false)
		after(2 * time.Second)
		r.want(0, Up)
	})
}

// TestScriptOverItsTime: a script that cannot be killed takes longer than it may, which
// says nothing of this process.
func TestScriptOverItsTime(t *testing.T) {
	script := with(check("own"), func(c *spec.Check) { c.Type, c.Ask = spec.CheckScript, &spec.ScriptCheck{} })
	for c, want := range map[*spec.Check]bool{script: false, check("web"): true} {
		r := newRig(t, newFake(), nil)
		r.apply(target(1, c))
		began := time.Now()
		o := outcome{r: r.runners[0], result: probe.Result{Class: probe.ClassTimeout, RTT: c.Timeout + time.Second}, began: began}
		if got := r.excuse(&o, began.Add(c.Timeout+time.Second)); got != want {
			t.Errorf("%s: excused %t, want %t", c.Type, got, want)
		}
	}
}

// TestRoundBeforeBacklog: a round is made although there are more probes due than may be
// under way, since that is when most is silent.
func TestRoundBeforeBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		r.room = 30
		c := with(check("web"), func(c *spec.Check) { c.Confirm = time.Second })
		targets, pools, of := sites([]int{100, 100, 100}, c)
		r.applyAware(doubting, pools, targets...)
		r.run()
		defer r.stop()
		after(time.Minute)
		for _, names := range of {
			r.fake.hang(true, names[:30])
		}
		after(90 * time.Second)
		for i := range targets {
			want := Up
			if i%100 < 30 {
				want = Down
			}
			r.want(i, want)
		}
		if n := r.log.count("verdicts are held"); n > 0 {
			t.Errorf("held %d times", n)
		}
	})
}

// TestLatencyOfIdle is known although it is measured more rarely.
func TestLatencyOfIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		targets, pools, _ := sites([]int{1}, check("web"))
		r.fake.move(at(1), 20*time.Millisecond)
		h := doubting
		h.IdleMultiplier = 6
		r.applyAware(h, pools, targets...)
		r.run()
		defer r.stop()
		after(time.Minute)
		r.SetIdle(r.View().Generation(), []bool{true})
		after(time.Hour)
		if l := r.Latency(r.View().Generation(), 0); l != 20*time.Millisecond {
			t.Errorf("%v", l)
		}
	})
}
