package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/audit"

	"github.com/rhumb-dns/rhumb/dnswire"
)

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		web := check("web")
		r := newRig(t, f, nil)
		r.apply(target(1, web), target(2, web), target(3))
		r.run()
		defer r.stop()
		soon()
		began := time.Now()
		drain := Overriding{Service: "a.example", Endpoint: at(1), Drain: true, Over: 100 * time.Second, Since: began, Reason: "new disk", Source: "ops"}
		if err := r.SetOverride(drain); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		a, b := []byte(serviceA), []byte(serviceB)
		last, views := r.View(), 0
		for sec := range 100 {
			v := r.View()
			if v != last {
				last, views = v, views+1
			}
			gone := int(time.Since(began) / (2 * time.Second) * 2) // in steps of 2 s
			want := uint16(Whole * (100 - gone) / 100)
			if got := v.Share(0, a); got != want {
				t.Fatalf("after %d s %d of %d are left, want %d", sec, got, Whole, want)
			}
			if s, by := v.Of(0, a); s != Up || by {
				t.Errorf("after %d s: %v, by operator %t", sec, s, by)
			}
			if v.Share(0, b) != Whole || v.Share(1, a) != Whole || v.Share(2, a) != Whole {
				t.Error("others are drained as well")
			}
			after(time.Second)
		}
		if views > 50 {
			t.Errorf("%d views for 50 steps", views)
		}
		synctest.Wait()
		v := r.View()
		if s, by := v.Of(0, a); s != Down || !by || v.Share(0, a) != Whole {
			t.Errorf("after it: %v, by operator %t, share %d", s, by, v.Share(0, a))
		}
		if d := v.Detail(0, a); d.State != Down || d.Authority != Override || d.Reason != "drained: new disk (ops)" || !d.Since.Equal(began.Add(100*time.Second)) {
			t.Errorf("%+v", d)
		}
		if s, _ := v.Of(0, b); s != Up {
			t.Error("down for another service")
		}
		old := r.View()
		after(10 * time.Minute)
		if r.View() != old {
			t.Error("a view was made for a drain that is over")
		}
		if err := r.ClearOverride(serviceA, at(1), audit.By{Who: "ops"}); err != nil {
			t.Fatal(err)
		}
		if s, by := r.View().Of(0, a); s != Up || by || r.View().Share(0, a) != Whole {
			t.Errorf("cleared: %v, by operator %t", s, by)
		}
	})
}

// What is said of an endpoint that is being drained.
func TestDrainDetail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		web := check("web")
		r := newRig(t, f, nil)
		r.apply(target(1, web))
		r.run()
		defer r.stop()
		soon()
		began := time.Now()
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Drain: true, Over: 10 * time.Minute, Since: began}); err != nil {
			t.Fatal(err)
		}
		after(6 * time.Minute)
		d := r.View().Detail(0, []byte(serviceA))
		if d.State != Up || d.Authority != Draining || d.Since != began || d.Reason != "draining, 40% left, out at 2000-01-01T00:10:00Z" {
			t.Errorf("%+v", d)
		}
		if d := r.View().Detail(0, []byte(serviceB)); d.Authority != Validation || d.Reason != "check web passed" {
			t.Errorf("for another service %+v", d)
		}
		// The checks go on to speak.
		f.fail(at(1))
		after(35 * time.Second)
		if s, by := r.View().Of(0, []byte(serviceA)); s != Down || by {
			t.Errorf("failed: %v, by operator %t", s, by)
		}
		d = r.View().Detail(0, []byte(serviceA))
		if d.State != Down || d.Authority != Validation || !strings.HasPrefix(d.Reason, "check web: connection refused; draining, ") {
			t.Errorf("failed: %+v", d)
		}
	})
}

// A drain goes on over a restart and a reload as if neither had been.
func TestDrainOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newDisk()
		r := newRig(t, newFake(), k)
		r.apply(target(1))
		r.run()
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Drain: true, Over: 100 * time.Second, Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
		after(20 * time.Second)
		r.stop()
		after(20 * time.Second)
		a := []byte(serviceA)
		r = newRig(t, newFake(), k)
		if got := r.apply(target(2), target(1)).Share(1, a); got < Whole*59/100 || got > Whole*61/100 {
			t.Errorf("after a restart: %d", got)
		}
		r.run()
		defer r.stop()
		after(30 * time.Second)
		if got := r.apply(target(1)).Share(0, a); got < Whole*29/100 || got > Whole*31/100 {
			t.Errorf("after a reload: %d", got)
		}
		after(10 * time.Second)
		if got := r.View().Share(0, a); got < Whole*19/100 || got > Whole*21/100 {
			t.Errorf("later: %d", got)
		}
		after(21 * time.Second)
		if s, by := r.View().Of(0, a); s != Down || !by {
			t.Errorf("after its end: %v, by operator %t", s, by)
		}
	})
}

// A drain over nothing is out at once, and many drains share their views.
func TestDrainMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		var targets []Target
		for i := range 40 {
			targets = append(targets, target(i))
		}
		r.apply(targets...)
		r.run()
		defer r.stop()
		soon()
		for i := range 40 {
			after(37 * time.Millisecond)
			o := Overriding{Service: "a.example", Endpoint: at(i), Drain: true, Over: time.Duration(i) * 3 * time.Second, Since: time.Now()}
			if err := r.SetOverride(o); err != nil {
				t.Fatal(err)
			}
		}
		a := []byte(serviceA)
		if s, by := r.View().Of(0, a); s != Down || !by {
			t.Errorf("over nothing: %v, by operator %t", s, by)
		}
		views, last := 0, r.View()
		for range 1300 {
			after(100 * time.Millisecond)
			if v := r.View(); v != last {
				views, last = views+1, v
			}
		}
		if views > 130 {
			t.Errorf("%d views in 130 s", views)
		}
		for i := range 40 {
			if s, by := r.View().Of(i, a); s != Down || !by {
				t.Errorf("target %d: %v, by operator %t", i, s, by)
			}
		}
	})
}

// A drain that is set on another goes on where that one is.
func TestDrainFollows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		r.apply(target(1))
		r.run()
		defer r.stop()
		a := []byte(serviceA)
		set := func(over time.Duration) {
			t.Helper()
			if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Drain: true, Over: over, Since: time.Now()}); err != nil {
				t.Fatal(err)
			}
		}
		set(100 * time.Second)
		after(75 * time.Second)
		set(time.Hour)
		if got := r.View().Share(0, a); got < Whole*24/100 || got > Whole*27/100 {
			t.Errorf("slower: %d", got)
		}
		after(30 * time.Minute)
		set(10 * time.Second)
		after(5500 * time.Millisecond)
		if got := r.View().Share(0, a); got < Whole*5/100 || got > Whole*7/100 {
			t.Errorf("faster: %d", got)
		}
		after(6 * time.Second)
		set(time.Hour)
		if s, by := r.View().Of(0, a); s != Down || !by {
			t.Errorf("one that is out came back: %v, by operator %t", s, by)
		}
	})
}

func TestDrainRefuses(t *testing.T) {
	r := newRig(t, newFake(), nil)
	r.apply(target(1))
	for _, o := range []Overriding{
		{Drain: true, Healthy: true},
		{Drain: true, Over: -1},
		{Drain: true, Over: MaxDrain + 1},
		{Over: time.Second},
	} {
		o.Service, o.Endpoint = "a.example", at(1)
		if err := r.SetOverride(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
	if len(r.Overrides()) > 0 {
		t.Error("a refused override is in force")
	}
}

// A clock that was set back neither ends a drain nor begins it anew.
func TestDrainShare(t *testing.T) {
	began := time.Unix(1e9, 0)
	o := Overriding{Drain: true, Over: time.Hour, Since: began}
	for after, want := range map[time.Duration]uint16{
		-time.Hour: Whole, 0: Whole, 71 * time.Second: Whole, 72 * time.Second: 1003, 30 * time.Minute: Whole / 2, time.Hour - 1: 20, time.Hour: 0, 1e6 * time.Hour: 0,
	} {
		if got := o.Share(began.Add(after)); got != want {
			t.Errorf("after %v: %d, want %d", after, got, want)
		}
	}
	if got := (&Overriding{Drain: true, Over: MaxDrain, Since: began}).Share(began.Add(MaxDrain - 1)); got == 0 {
		t.Error("out too early")
	}
}

func TestViewWith(t *testing.T) {
	v := Fixed(3, map[int]Detail{1: {State: Down, Reason: "refused"}})
	w := v.With(Figures{
		Latency: []uint32{1, 2, 3}, Load: []uint32{500},
		Shares: map[dnswire.Name]map[int]uint16{serviceA: {2: 256, 0: 512}},
	})
	a, b := []byte(serviceA), []byte(serviceB)
	if w.Share(0, a) != 512 || w.Share(1, a) != Whole || w.Share(2, a) != 256 || w.Share(0, b) != Whole {
		t.Errorf("shares %d %d %d, %d", w.Share(0, a), w.Share(1, a), w.Share(2, a), w.Share(0, b))
	}
	if s, by := w.Of(0, a); s != Up || by {
		t.Errorf("%v %t", s, by)
	}
	if d := w.Detail(2, a); d.State != Up || d.Reason != "draining, 25% left" {
		t.Errorf("%+v", d)
	}
	if v.Forced(0) || v.Share(0, a) != Whole || v.Latency() != nil {
		t.Error("the view that it is made of has changed")
	}
	if len(w.Latency()) != 3 || len(w.Load()) != 1 || w.State(1) != Down {
		t.Errorf("%v %v %v", w.Latency(), w.Load(), w.State(1))
	}
	if n := testing.AllocsPerRun(100, func() { w.Share(2, a); w.Of(0, a); w.Share(1, b) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
