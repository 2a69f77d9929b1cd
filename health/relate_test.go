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
	b, err := New(Options{Prober: f.prober, History: l})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Board: b, t: t, fake: f, log: &logs{}}, l
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
