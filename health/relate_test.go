package health

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec"
)

// telling is a rig whose board tells a history.
func telling(t *testing.T, f *fake) (*rig, *history.Log) {
	t.Helper()
	l, err := history.Open(history.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return tellingTo(t, f, l, nil), l
}

func tellingTo(t *testing.T, f *fake, l *history.Log, k Keeper) *rig {
	t.Helper()
	b, err := New(Options{Prober: f.prober, History: l, Keeper: k})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Board: b, t: t, fake: f, log: &logs{}}
}

// told is what a history has been told since it was last asked.
type told struct {
	*history.Log
	after uint64
}

func (l *told) want(t *testing.T, want ...string) {
	t.Helper()
	all, _ := l.Read(history.Query{After: max(l.after, 1)}, 0)
	var got []string
	for _, e := range all {
		l.after = e.ID
		words := []string{e.Endpoint, e.Was + ">" + e.Type}
		for _, w := range []string{e.Check, e.Class, e.Service, e.On, e.Who} {
			if w != "" {
				words = append(words, w)
			}
		}
		if e.Lasted > 0 {
			words = append(words, "lasted")
		}
		got = append(got, strings.Join(words, " "))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("at %s\ngot  %q\nwant %q", clock(), got, want)
	}
}

// How long an endpoint was degraded counts from when it was, and not from when what
// made it so began, which was hidden behind that it was down.
func TestLasted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r, l := telling(t, f)
		web, slow := check("web"), with(check("slow"), func(c *spec.Check) { c.OnlyDegrades, c.DegradedShare, ask(c).Path = true, 0.5, "/slow" })
		r.apply(target(1, web, slow))
		r.run()
		defer r.stop()
		after(time.Minute)
		f.fail(at(1) + " web")
		f.fail(at(1) + " slow")
		after(time.Hour)
		f.mend(at(1) + " web")
		after(time.Minute)
		f.mend(at(1) + " slow")
		after(time.Minute)
		all, _ := l.Read(history.Query{Types: []string{history.Degraded, history.Up}}, 0)
		all = all[max(len(all)-2, 0):] // it may have been degraded before it was down
		if len(all) != 2 || all[0].Was != history.Down || all[0].Lasted < 59*time.Minute || all[1].Was != history.Degraded || all[1].Lasted > 2*time.Minute {
			t.Errorf("%+v", all)
		}
	})
}

// shares is what a history has been told since of the shares of an endpoint that is
// degraded.
func (l *told) shares() string {
	all, _ := l.Read(history.Query{After: max(l.after, 1)}, 0)
	var got []string
	for _, e := range all {
		l.after = e.ID
		got = append(got, fmt.Sprintf("%s>%s to %.0f%%", e.Was, e.Type, 100*e.Share))
	}
	return strings.Join(got, ", ")
}

// lesser is a check that only degrades, at once.
func lesser(name string, share float64) *spec.Check {
	return with(check(name), func(c *spec.Check) {
		c.Rise, c.Fall, c.OnlyDegrades, c.DegradedShare, ask(c).Path = 1, 1, true, share, "/"+name
	})
}

// Of an endpoint that stays degraded it is told that its share has sunk, and that it has
// risen, by steps that matter and not as often as it flaps.
func TestRelateShares(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r, l := telling(t, f)
		h := &told{Log: l}
		want := func(want string) {
			t.Helper()
			if got := h.shares(); got != want {
				t.Errorf("at %s\ngot  %s\nwant %s", clock(), got, want)
			}
		}
		web, half, near, fifth := check("web"), lesser("half", 0.5), lesser("near", 0.45), lesser("fifth", 0.2)
		r.apply(target(1, web, half, near, fifth))
		r.run()
		defer r.stop()
		after(time.Minute)
		fail := func(check string) { f.fail(at(1) + " " + check) }
		mend := func(check string) { f.mend(at(1) + " " + check) }

		fail("half")
		after(5 * time.Minute)
		want("up>degraded to 50%")
		fail("near") // by no step
		after(5 * time.Minute)
		want("")
		fail("fifth") // at once
		after(half.Interval + time.Second)
		want("degraded>degraded to 20%")
		mend("fifth") // later
		after(half.Interval + time.Second)
		want("")
		after(time.Minute + 2*shareLook)
		want("degraded>degraded to 45%")
		after(time.Hour)
		want("")

		// What flaps is told twice a minute at most.
		begun := time.Now()
		for range 50 {
			fail("fifth")
			after(half.Interval)
			mend("fifth")
			after(half.Interval)
		}
		after(2 * time.Minute)
		minutes := int(time.Since(begun)/time.Minute) + 1
		if got := h.shares(); strings.Count(got, "to 20%") > minutes || !strings.HasSuffix(got, "to 45%") {
			t.Errorf("in %d minutes: %s", minutes, got)
		}

		// What it is by another statement is told as well; what it rose to meanwhile is
		// told no more when it is up.
		tenth := with(near, func(c *spec.Check) { c.DegradedShare = 0.1 })
		r.apply(target(1, web, half, tenth, fifth))
		after(time.Second)
		want("degraded>degraded to 10%")
		mend("near")
		after(half.Interval + time.Second)
		mend("half")
		after(half.Interval + time.Second)
		want("degraded>up to 0%")
		after(time.Hour)
		want("")
		if n := len(r.unsaid); n != 0 {
			t.Errorf("%d are yet to be told", n)
		}
	})
}

// So is it of one that was degraded before a restart, and no more than that.
func TestRelateSharesOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		l, err := history.Open(history.Options{})
		if err != nil {
			t.Fatal(err)
		}
		h := &told{Log: l}
		one := target(1, check("web"), lesser("half", 0.5), lesser("fifth", 0.2))
		for _, run := range []struct{ fails, want string }{
			{"none", ""}, {"half", "up>degraded to 50%"}, {"none", ""}, {"fifth", "degraded>degraded to 20%"},
		} {
			f.fail(at(1) + " " + run.fails)
			r := tellingTo(t, f, l, k)
			r.apply(one)
			r.run()
			after(time.Minute)
			if got := h.shares(); got != run.want {
				t.Errorf("got %q, want %q", got, run.want)
			}
			r.stop()
		}
	})
}

// An endpoint in two pools that state different keys of one check is told of as each has
// it; another statement that judges as before is none.
func TestRelateVariants(t *testing.T) {
	for name, change := range map[string]func(*spec.Check){
		"other share": func(c *spec.Check) { c.DegradedShare = 0.2 },
		"down":        func(c *spec.Check) { c.OnlyDegrades = false },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFake()
				r, l := telling(t, f)
				h := &told{Log: l}
				mine := with(lesser("half", 0.5), func(c *spec.Check) { c.Variant = "mine" })
				other := with(mine, func(c *spec.Check) { c.Variant, ask(c).Path = "other", "/other"; change(c) })
				one, two := target(1, check("web"), mine), target(1, check("web"), other)
				r.apply(one, two)
				r.run()
				defer r.stop()
				after(time.Minute)
				f.fail(at(1) + " half")
				after(10 * time.Minute)
				if got := h.shares(); strings.Count(got, "up>degraded to 50%") != 1 || strings.Count(got, "up>") != 2 {
					t.Errorf("when they fail: %s", got)
				}
				mine = with(mine, func(c *spec.Check) { c.Variant = "changed" })
				for _, one := range []Target{one, one, target(1, check("web"), mine)} {
					r.apply(one, two)
					after(10 * time.Minute)
					if got := h.shares(); got != "" {
						t.Errorf("by another statement: %s", got)
					}
				}
				f.mend(at(1) + " half")
				after(10 * time.Minute)
				if got := h.shares(); strings.Count(got, ">up") != 2 {
					t.Errorf("when they are mended: %s", got)
				}
			})
		})
	}
}

// That a variant of a check is another one now tells nothing of what the endpoint is
// by other checks.
func TestRelateVariantChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r, l := telling(t, f)
		h := &told{Log: l}
		web := with(check("web"), func(c *spec.Check) { c.Variant = "one" })
		mail := target(1, with(check("mail"), func(c *spec.Check) { ask(c).Path = "/mail" }))
		r.apply(target(1, web), mail)
		r.run()
		defer r.stop()
		after(time.Minute)
		f.fail(at(1) + " web")
		after(time.Minute)
		h.want(t, at(1)+" up>down web refused lasted")
		for _, name := range []string{"two", "three", "three"} {
			r.apply(target(1, with(web, func(c *spec.Check) { c.Variant = name })), mail)
			after(time.Minute)
			h.want(t)
		}
		f.mend(at(1) + " web")
		after(time.Minute)
		h.want(t, at(1)+" down>up web lasted")
	})
}

func TestRelate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fail(at(3))
		r, l := telling(t, f)
		h := &told{Log: l}
		web, slow := check("web"), with(check("slow"), func(c *spec.Check) { c.OnlyDegrades, c.DegradedShare, ask(c).Path = true, 0.5, "/slow" })
		targets := []Target{target(1, web, slow), target(2, web), target(3, web)}
		r.apply(targets...)
		r.run()
		defer r.stop()
		after(time.Minute)
		// That endpoints are up after a start is no news; that one is down is.
		h.want(t, at(3)+" unknown>down web refused")

		f.fail(at(1) + " web")
		after(time.Minute)
		h.want(t, at(1)+" up>down web refused lasted")
		f.mend(at(1) + " web")
		after(time.Minute)
		h.want(t, at(1)+" down>up web lasted")
		f.fail(at(1) + " slow")
		after(time.Minute)
		h.want(t, at(1)+" up>degraded slow refused lasted")

		// Another statement that judges as before is none; one that judges anew is told
		// of those that were not up, when they are.
		r.apply(targets[0], target(3, web))
		after(time.Minute)
		h.want(t)
		f.mend(at(3))
		r.apply(targets[0], target(3, with(web, func(c *spec.Check) { ask(c).Path = "/other" })))
		after(time.Minute)
		h.want(t, at(3)+" down>up web lasted")
		f.mend(at(1) + " slow")
		after(time.Minute)
		h.want(t, at(1)+" degraded>up web lasted")
		// So are those whose checks are others, or count for more.
		f.fail(at(1) + " slow")
		after(time.Minute)
		h.want(t, at(1)+" up>degraded slow refused lasted")
		hard := with(slow, func(c *spec.Check) { c.OnlyDegrades = false })
		r.apply(target(1, web, hard))
		h.want(t, at(1)+" degraded>down slow refused lasted")
		r.apply(target(1, web))
		after(time.Minute)
		h.want(t, at(1)+" down>up web") // it was down for no time
		if n := len(r.troubled); n != 0 {
			t.Errorf("%d are thought to be in trouble", n)
		}
	})
}

// An operator's words are told with who and, of maintenance, for each endpoint.
func TestRelateWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, l := telling(t, newFake())
		h := &told{Log: l}
		r.applyPools(twoPools())
		r.run()
		defer r.stop()
		after(time.Second)
		name, err := dnswire.ParseName("www.example.")
		if err != nil {
			t.Fatal(err)
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(r.SetOverride(Overriding{Service: "www.example.", Endpoint: at(1), Source: "ops", Since: time.Now()}))
		must(r.ClearOverride(name, at(1), audit.By{Who: "eve"}))
		must(r.SetOverride(Overriding{Service: "www.example.", Endpoint: at(1), Source: "ops", Since: time.Now(), Until: time.Now().Add(time.Minute)}))
		after(2 * time.Minute)
		must(r.SetOverride(Overriding{Service: "www.example.", Endpoint: at(1), Source: "ops", Since: time.Now(), Drain: true, Over: time.Minute}))
		h.want(t,
			at(1)+" >override-set www.example. ops", at(1)+" >override-cleared www.example. eve",
			at(1)+" >override-set www.example. ops", at(1)+" >override-lapsed www.example. ops", at(1)+" >drain-set www.example. ops")
		m, err := r.AddMaintenance(Maintenance{Select: Selection{Endpoints: []string{at(1), at(2)}}, Until: time.Now().Add(time.Hour)}, audit.By{Who: "ops", Why: "disks"})
		must(err)
		after(2 * time.Hour)
		h.want(t,
			at(1)+" >maintenance-added "+m.ID+" ops", at(2)+" >maintenance-added "+m.ID+" ops",
			at(1)+" >maintenance-began "+m.ID+" ops", at(2)+" >maintenance-began "+m.ID+" ops",
			at(1)+" >maintenance-ended "+m.ID+" ops", at(2)+" >maintenance-ended "+m.ID+" ops")
		m, err = r.AddMaintenance(Maintenance{Select: Selection{Endpoints: []string{at(1)}}, From: time.Now().Add(time.Hour), Until: time.Now().Add(2 * time.Hour)}, audit.By{Who: "ops"})
		must(err)
		must(r.CancelMaintenance(m.ID, audit.By{Who: "eve"}))
		h.want(t, at(1)+" >maintenance-added "+m.ID+" ops", at(1)+" >maintenance-cancelled "+m.ID+" eve")
	})
}
