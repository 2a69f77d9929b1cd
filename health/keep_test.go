package health

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

func TestVerdictsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		f.fail(at(2))
		r := newRig(t, f, k)
		c := check("web")
		ask(c).Headers = map[string]string{"Authorization": "hunter2"}
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(10 * time.Millisecond)
		recs := k.records()
		if len(recs) != 2 {
			t.Fatalf("first verdicts were not written at once: %v", recs)
		}
		for key, rec := range recs {
			if strings.Contains(key+rec, "hunter2") {
				t.Errorf("a secret is on disk: %s %s", key, rec)
			}
			if !strings.HasPrefix(key, "10.0.0.1 http:80 ") && !strings.HasPrefix(key, "10.0.0.2 http:80 ") {
				t.Errorf("key %s", key)
			}
		}
		writes := len(k.saves())
		after(5 * time.Minute)
		// Confirmations: the shortest interval, here the only one, is 10 seconds.
		if got := len(k.saves()) - writes; got < 28 || got > 31 {
			t.Errorf("%d writes in 5 minutes without a change, want one every 10 seconds", got)
		}
		// A change, at once.
		f.fail(at(1))
		for r.View().State(0) == Up {
			after(100 * time.Millisecond)
		}
		all := k.saves()
		if since := time.Since(all[len(all)-1].at); since > 110*time.Millisecond {
			t.Errorf("a change was not written at once: the last write was %v ago", since)
		}
		// What is removed.
		r.apply(target(1, c))
		after(11 * time.Second)
		if recs := k.records(); len(recs) != 1 {
			t.Errorf("records %v, want that of the endpoint there is", recs)
		}
	})
}

func TestShortestIntervalIsTheCadence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		r := newRig(t, f, k)
		every := func(d time.Duration) *spec.Check {
			return with(check("web"), func(c *spec.Check) { c.Interval, c.Timeout = d, min(d, time.Second) })
		}
		r.run()
		defer r.stop()
		for _, w := range []struct {
			interval, cadence time.Duration
		}{
			{10 * time.Minute, maxSave}, {3 * time.Second, 3 * time.Second}, {100 * time.Millisecond, minSave},
		} {
			r.apply(target(1, every(w.interval)), target(2, every(20*time.Minute)))
			after(time.Minute)
			r.mu.Lock()
			got := r.saveEvery
			r.mu.Unlock()
			if got != w.cadence {
				t.Errorf("interval %v is written every %v, want %v", w.interval, got, w.cadence)
			}
		}
	})
}

func TestRestart(t *testing.T) {
	for _, c := range []struct {
		name  string
		away  time.Duration // until the restart
		state [2]State      // of a good and a bad endpoint right after it
		by    Authority
	}{
		{"at once", 0, [2]State{Up, Down}, Restored},
		{"within three intervals", 29 * time.Second, [2]State{Up, Down}, Restored},
		{"after three intervals", 30 * time.Second, [2]State{Unknown, Unknown}, NoAuthority},
		{"from the future", -time.Minute, [2]State{Unknown, Unknown}, NoAuthority},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, k := newFake(), newDisk()
				f.fail(at(2))
				chk := check("web")
				time.Sleep(time.Hour)
				r := newRig(t, f, k)
				r.apply(target(1, chk), target(2, chk))
				r.run()
				soon()
				r.stop()
				if c.away < 0 {
					// The clock was an hour ahead, and has been set right.
					k.set(func() {
						for key, raw := range k.kept[verdictBucket] {
							k.kept[verdictBucket][key] = []byte(strings.Replace(string(raw), `"seen":"2000-01-01T01`, `"seen":"2000-01-01T02`, 1))
						}
					})
				}
				time.Sleep(max(c.away-2*publishGap, 0))

				f.took = time.Second
				r = newRig(t, f, k)
				v := r.apply(target(1, chk), target(2, chk), target(3, chk))
				for i, s := range c.state {
					r.want(i, s)
					d := v.Detail(i, nil)
					if d.Authority != c.by {
						t.Errorf("target %d by %v, want %v", i, d.Authority, c.by)
					}
					if (d.Since.IsZero() || d.Reason == "check has not run yet") == (c.by == Restored) {
						t.Errorf("detail %+v", d)
					}
				}
				// When it was last up is a fact, whatever is believed of its state.
				if known := !v.Detail(0, nil).LastUp.IsZero(); known != (c.away >= 0) {
					t.Errorf("last up %v", v.Detail(0, nil).LastUp)
				}
				r.want(2, Unknown)
				if isClosed(r.Settled()) {
					t.Error("settled without a verdict on what is new")
				}
				r.run()
				defer r.stop()
				after(1100 * time.Millisecond)
				for i, s := range []State{Up, Down, Up} {
					r.want(i, s)
					if d := r.View().Detail(i, nil); d.Authority != Validation {
						t.Errorf("after a probe: %+v", d)
					}
				}
				if !isClosed(r.Settled()) {
					t.Error("not settled")
				}
			})
		})
	}
}

// What is known of all endpoints is enough to answer from.
func TestRestartSettlesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		c := check("web")
		r := newRig(t, f, k)
		r.apply(target(1, c))
		r.run()
		after(time.Minute)
		r.stop()
		r = newRig(t, f, k)
		r.apply(target(1, c))
		if !isClosed(r.Settled()) {
			t.Error("not settled")
		}
	})
}

// A restored verdict stands until fall or rise results say otherwise.
func TestRestoredVerdictIsNotDecidedByOneResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		c := check("web")
		r := newRig(t, f, k)
		r.apply(target(1, c))
		r.run()
		after(time.Minute)
		r.stop()

		f.fail(at(1))
		r = newRig(t, f, k)
		r.apply(target(1, c))
		r.run()
		defer r.stop()
		soon()
		r.want(0, Up)
		if d := r.View().Detail(0, nil); d.Authority != Restored {
			t.Errorf("detail %+v: a failure confirms no success", d)
		}
		after(22 * time.Second)
		r.want(0, Down)
	})
}

// Nobody believes a verdict from before the restart for more than three
// intervals, also when no probe comes to an end.
func TestRestoredVerdictLapses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		c := check("web")
		c.Timeout = c.Interval
		r := newRig(t, f, k)
		r.apply(target(1, c), target(2, c))
		r.run()
		soon()
		r.stop()
		time.Sleep(25 * time.Second)

		f.set(f.hung, at(1), true)
		r = newRig(t, f, k)
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(4 * time.Second)
		r.want(0, Up)
		after(2 * time.Second)
		r.want(0, Unknown)
		r.want(1, Up)
		if n := r.log.count("not confirmed since the restart"); n != 1 {
			t.Errorf("logged %d times", n)
		}
		after(17 * time.Second)
		r.want(0, Down) // and then the first result decides, when it is confirmed
	})
}

func TestUnclaimedRecordsAreRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		c := check("web")
		r := newRig(t, f, k)
		r.apply(target(1, c), target(2, c))
		r.run()
		soon()
		r.stop()
		k.set(func() {
			k.kept[verdictBucket]["10.0.0.9 garbage"] = []byte("{")
			k.kept[verdictBucket]["10.0.0.1 state"] = []byte(`{"state":200}`)
		})
		r = newRig(t, f, k)
		r.apply(target(1, c))
		r.run()
		after(20 * time.Second)
		r.stop()
		for key := range k.records() {
			if strings.HasPrefix(key, at(2)) {
				t.Errorf("%s is still there", key)
			}
		}
	})
}

func TestKeeperThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		k.broken = true
		r := newRig(t, f, k)
		c := check("web")
		c.Interval = time.Hour // so that no confirmation repeats what was lost
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(10 * time.Minute)
		r.want(0, Up)
		if n := r.log.count("health not kept"); n != 1 {
			t.Errorf("the failure was logged %d times, want once", n)
		}
		k.set(func() { k.broken = false })
		after(time.Minute)
		if recs := k.records(); len(recs) != 2 {
			t.Errorf("what could not be written was not written later: %v", recs)
		}
		if n := r.log.count("health kept again"); n != 1 {
			t.Errorf("the end was logged %d times", n)
		}
	})
}

type deafKeeper struct{ *disk }

func (deafKeeper) Load(string) (map[string][]byte, error) { return nil, errDisk }

func TestKeeperThatCannotBeRead(t *testing.T) {
	if _, err := New(Options{Keeper: deafKeeper{newDisk()}}); !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "health: restore: ") {
		t.Errorf("error %v", err)
	}
}

func TestSlowKeeper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		k.slow = time.Minute
		r := newRig(t, f, k)
		c := check("web")
		c.Fall = 1
		r.apply(target(1, c))
		r.run()
		after(5 * time.Second)
		f.fail(at(1))
		after(11 * time.Second)
		r.want(0, Down) // while the first verdict is being written
		begun := time.Now()
		r.stop() // one write ends, and then the change is written
		if took := time.Since(begun); took < time.Minute || took > 2*time.Minute {
			t.Errorf("stopping took %v", took)
		}
		for key, rec := range k.records() {
			if !strings.Contains(rec, `"state":2`) {
				t.Errorf("%s: %s, want the change", key, rec)
			}
		}
	})
}

func TestShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		r := newRig(t, f, k)
		c := check("web")
		r.apply(target(1, c), target(2, c), target(3, c))
		r.run()
		after(15 * time.Second) // confirmations wait for their time
		f.set(f.hung, at(1), true)
		f.set(f.hung, at(2), true)
		after(10500 * time.Millisecond)
		r.mu.Lock()
		waiting := len(r.unsaved)
		r.mu.Unlock()
		before := r.View()
		r.stop()
		f.mu.Lock()
		under := f.now
		f.mu.Unlock()
		if under != 0 {
			t.Errorf("%d probes are under way after Run has returned", under)
		}
		if len(r.unsaved) != 0 {
			t.Errorf("%d records were not written, of %d", len(r.unsaved), waiting)
		}
		if r.View() != before {
			t.Error("probes that were canceled have changed the view")
		}
		total := f.total()
		after(time.Minute)
		if f.total() != total {
			t.Error("probes after the end")
		}
		// It can be run again, and probes all that it probed before.
		f.set(f.hung, at(1), false)
		f.set(f.hung, at(2), false)
		counts := [3]int{f.count(at(1)), f.count(at(2)), f.count(at(3))}
		r.run()
		after(12 * time.Second)
		r.stop()
		for n := range 3 {
			if f.count(at(n+1)) == counts[n] {
				t.Errorf("%s is no longer probed", at(n+1))
			}
		}
	})
}
