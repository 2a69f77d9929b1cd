package health

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestViewNeverChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		c := check("web")
		c.Fall, c.Rise = 1, 1
		const n = 3*pageLen + 17 // some targets on each of several pages
		var ts []Target
		for i := range n {
			if i%5 == 0 {
				ts = append(ts, target(i))
			} else {
				ts = append(ts, target(i, c))
			}
		}
		type copied struct {
			v       *View
			states  []State
			details []Detail
		}
		var views []copied
		look := func() {
			v := r.View()
			cp := copied{v: v, states: slices.Clone(v.Raw())}
			for i := range v.Len() {
				cp.details = append(cp.details, v.Detail(i, nil))
			}
			views = append(views, cp)
		}
		look()
		r.apply(ts...)
		look()
		r.run()
		defer r.stop()
		for round := range 8 {
			for i := range n {
				if (i+round)%3 == 0 {
					f.fail(at(i))
				} else {
					f.mend(at(i))
				}
			}
			if round == 4 {
				if err := r.SetOverride(Overriding{Service: "a.example.", Endpoint: at(3)}); err != nil {
					t.Fatal(err)
				}
			}
			after(11 * time.Second)
			look()
		}
		r.apply(ts[:n/2]...)
		look()
		after(time.Minute)

		for k, c := range views {
			if !slices.Equal(c.v.Raw(), c.states) {
				t.Errorf("the states of view %d have changed", k)
			}
			for i, d := range c.details {
				if c.v.Detail(i, nil) != d {
					t.Fatalf("detail %d of view %d has changed", i, k)
				}
				if k > 0 && c.v.State(i) != d.State {
					t.Fatalf("view %d says %v of target %d, its detail %v", k, c.v.State(i), i, d.State)
				}
			}
		}
		last := views[8]
		for i := range n {
			want := Up
			if i%5 != 0 && (i+6)%3 == 0 {
				want = Down
			}
			if last.states[i]&^overridden != want {
				t.Errorf("target %d is %v, want %v", i, last.states[i], want)
			}
		}
	})
}

func TestViewFixed(t *testing.T) {
	now := time.Unix(1e9, 5)
	v := Fixed(pageLen+2, map[int]Detail{
		1:       {State: Down, Authority: Validation, LastUp: now},
		pageLen: {State: Unknown},
	})
	for i := range v.Len() {
		want := map[int]State{1: Down, pageLen: Unknown}
		s, ok := want[i]
		if !ok {
			s = Up
		}
		if v.State(i) != s || v.Forced(i) || v.Detail(i, nil).State != s {
			t.Errorf("target %d is %v", i, v.State(i))
		}
	}
	if v.LastUp(1) != now.UnixNano() || v.LastUp(2) != 0 {
		t.Errorf("last up %d and %d", v.LastUp(1), v.LastUp(2))
	}
}

// The gauges are counted as changes come; a count of all must agree.
func TestTally(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		c := check("web")
		c.Fall, c.Rise = 1, 1
		r.run()
		defer r.stop()
		for round := range 20 {
			var ts []Target
			for i := range 40 + round%3 {
				if i%7 == 0 {
					ts = append(ts, target(i))
				} else {
					ts = append(ts, target(i, c))
				}
				f.set(f.bad, at(i), (i*round)%4 == 1)
			}
			if round%4 == 0 {
				r.apply(ts...)
			}
			if round%5 == 0 {
				if err := r.SetOverride(Overriding{Service: "a.example.", Endpoint: at(5), Healthy: round%2 == 0}); err != nil {
					t.Fatal(err)
				}
			}
			after(4 * time.Second)
			var want [Down + 1]int
			r.mu.Lock()
			for i, rs := range r.onTarget {
				if rs != nil {
					want[r.View().State(i)]++
				}
			}
			got := r.tally
			r.mu.Unlock()
			if got != want {
				t.Fatalf("round %d: tally %v, want %v", round, got, want)
			}
		}
	})
}

// A view costs what has changed and a byte for each target, not more.
func TestPublishDoesNotCopyDetails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newFake(), nil)
		c := check("web")
		var ts []Target
		for i := range 20 * pageLen {
			ts = append(ts, target(i, c))
		}
		old := r.apply(ts...)
		r.dirty[3*pageLen+5] = struct{}{}
		r.publish(time.Now().Add(time.Hour))
		v := r.View()
		for k := range v.pages {
			if (v.pages[k] != old.pages[k]) != (k == 3) {
				t.Errorf("page %d: copied %t", k, v.pages[k] != old.pages[k])
			}
		}
	})
}
