package health

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		web := check("web")
		named := Target{Host: "www.example.net"}
		targets := []Target{target(9), target(1, web), target(2), target(1), named, target(3)}
		r := newRig(t, newFake(), nil)
		r.applyFor(Uses{Load: true}, targets...)
		r.run()
		defer r.stop()
		soon()
		want := func(when string, want ...uint32) {
			t.Helper()
			if got := r.View().Load(); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", when, got, want)
			}
		}
		for range len(r.Changed()) {
			<-r.Changed()
		}
		want("nothing reported")
		now := time.Now()
		unknown := r.SetLoads([]Load{
			{Endpoint: at(1), Load: 0.83, Source: "agent", At: now, Until: now.Add(time.Minute)},
			{Endpoint: "WWW.example.net.", Load: 12345.6789, At: now, Until: now.Add(30 * time.Second)},
			{Endpoint: at(77), Load: 1, At: now, Until: now.Add(time.Minute)},
		})
		if !slices.Equal(unknown, []string{at(77)}) {
			t.Errorf("unknown: %v", unknown)
		}
		after(figureGap)
		// One endpoint may be several targets; what is beyond the last is not known.
		want("reported", NoLoad, 830, NoLoad, 830, 12345679)
		if !isTold(r) {
			t.Error("nobody was told of a load")
		}
		if all := r.Loads(); len(all) != 2 || all[0].Endpoint != at(1) || all[0].Source != "agent" || all[1].Endpoint != "www.example.net" {
			t.Errorf("%+v", all)
		}

		// A report that says the same makes no view, and holds for longer.
		old := r.View()
		now = time.Now()
		r.SetLoads([]Load{{Endpoint: at(1), Load: 0.83, At: now, Until: now.Add(time.Minute)}})
		after(28 * time.Second)
		if r.View() != old {
			t.Error("a view was made for the same load")
		}
		after(1100 * time.Millisecond) // 30 s after the first reports
		want("one too old", NoLoad, 830, NoLoad, 830)
		if all := r.Loads(); len(all) != 1 {
			t.Errorf("%+v", all)
		}

		// Many reports share a view.
		views, last := 0, r.View()
		for i := range 100 {
			now := time.Now()
			r.SetLoads([]Load{{Endpoint: at(2), Load: float64(i), At: now, Until: now.Add(5 * time.Second)}})
			after(50 * time.Millisecond)
			if v := r.View(); v != last {
				views, last = views+1, v
			}
		}
		if views < 4 || views > 6 {
			t.Errorf("%d views in five seconds", views)
		}
		after(time.Second)
		want("the last of many", NoLoad, 830, 99000, 830)

		// Over a reload that moves them, and for a plan that does not ask.
		if got := r.applyFor(Uses{Load: true}, targets[1], targets[2]).Load(); !slices.Equal(got, []uint32{830, 99000}) {
			t.Errorf("after a reload: %v", got)
		}
		if err := r.ClearLoad(at(2)); err != nil {
			t.Error(err)
		}
		after(time.Second)
		want("cleared", 830)
		if err := r.ClearLoad(at(2)); !errors.Is(err, ErrNotFound) {
			t.Errorf("cleared again: %v", err)
		}
		if got := r.apply(targets...).Load(); got != nil {
			t.Errorf("nobody asked: %v", got)
		}
		after(2 * time.Minute)
		if all := r.Loads(); len(all) != 0 {
			t.Errorf("%+v", all)
		}
		if err := r.ClearLoad(at(1)); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that is too old: %v", err)
		}
	})
}

func TestLoadInViews(t *testing.T) {
	for load, want := range map[float64]uint32{0: 0, 0.0004: 0, 0.0005: 1, 1: 1000, 0.83: 830, MaxLoad: 4e9, 1e300: 4e9, -1: 0} {
		if got := LoadUnits(load); got != want {
			t.Errorf("%v: %d, want %d", load, got, want)
		}
	}
}
