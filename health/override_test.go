package health

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/audit"

	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	serviceA dnswire.Name = "\x01a\x07example\x00"
	serviceB dnswire.Name = "\x01b\x07example\x00"
)

func TestOverride(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		c := check("web")
		c.Fall, c.Rise = 1, 1
		r.apply(target(1, c), target(2, c), target(3))
		r.run()
		defer r.stop()
		soon()
		old := r.View()
		select {
		case <-r.Changed():
		default:
		}

		since := time.Now()
		for _, o := range []Overriding{
			{Service: "A.example", Endpoint: at(1), Reason: "maintenance", Source: "ops", Since: since},
			{Service: "b.example.", Endpoint: at(2), Reason: "broken disk", Since: since},
			{Service: "a.example.", Endpoint: at(3), Since: since},
		} {
			if err := r.SetOverride(o); err != nil {
				t.Fatal(err)
			}
		}
		if !isTold(r) {
			t.Error("nobody was told of an override")
		}
		v := r.View()
		for _, w := range []struct {
			target     int
			service    dnswire.Name
			state      State
			byOperator bool
		}{
			{0, serviceA, Down, true},
			{0, serviceB, Up, false},
			{1, serviceA, Up, false},
			{1, serviceB, Down, true},
			{2, serviceA, Down, true},
			{2, serviceB, Up, false},
		} {
			s, by := v.Of(w.target, []byte(w.service))
			if s != w.state || by != w.byOperator {
				t.Errorf("target %d of %s is %v, by operator %t", w.target, w.service, s, by)
			}
			if d := v.Detail(w.target, []byte(w.service)); d.State != w.state || (d.Authority == Override) != w.byOperator {
				t.Errorf("detail of target %d of %s: %+v", w.target, w.service, d)
			}
		}
		if d := v.Detail(0, []byte(serviceA)); d.Reason != "maintenance (ops)" || d.Since != since {
			t.Errorf("detail %+v", d)
		}
		if d := v.Detail(1, []byte(serviceB)); d.Reason != "broken disk" {
			t.Errorf("detail %+v", d)
		}
		if v.State(0) != Up || !v.Forced(0) || v.Raw()[0] <= Down {
			t.Errorf("raw state %v", v.Raw()[0])
		}
		if old.Forced(0) {
			t.Error("an old view has changed")
		}

		// Probes go on, and do not touch it.
		f.fail(at(1))
		f.fail(at(2))
		after(11 * time.Second)
		f.mend(at(1))
		f.mend(at(2))
		after(11 * time.Second)
		v = r.View()
		if s, by := v.Of(0, []byte(serviceA)); s != Down || !by {
			t.Errorf("after probes: %v, by operator %t", s, by)
		}
		if v.State(0) != Up {
			t.Errorf("underneath: %v", v.State(0))
		}

		// Over a reload that moves it, and one that takes it out.
		v = r.apply(target(2, c), target(1, c))
		if s, by := v.Of(1, []byte(serviceA)); s != Down || !by {
			t.Errorf("after a reload: %v, by operator %t", s, by)
		}
		if s, _ := v.Of(0, []byte(serviceB)); s != Down {
			t.Errorf("after a reload: %v", s)
		}
		r.apply(target(2, c))
		if n := len(r.Overrides()); n != 3 {
			t.Errorf("%d overrides are listed, want also those without an endpoint", n)
		}
		r.apply(target(1, c))
		if s, by := r.View().Of(0, []byte(serviceA)); s != Down || !by {
			t.Errorf("after it came back: %v, by operator %t", s, by)
		}

		// The other way round, and its end.
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Healthy: true}); err != nil {
			t.Fatal(err)
		}
		f.fail(at(1))
		after(11 * time.Second)
		if s, by := r.View().Of(0, []byte(serviceA)); s != Up || !by {
			t.Errorf("forced up: %v, by operator %t", s, by)
		}
		if err := r.ClearOverride(serviceA, at(1), audit.By{Who: "ops"}); err != nil {
			t.Fatal(err)
		}
		if s, by := r.View().Of(0, []byte(serviceA)); s != Down || by || r.View().Forced(0) {
			t.Errorf("cleared: %v, by operator %t", s, by)
		}
		if err := r.ClearOverride(serviceA, at(1), audit.By{Who: "ops"}); !errors.Is(err, ErrNotFound) {
			t.Errorf("cleared twice: %v", err)
		}
		for what, n := range map[string]int{"override set": 4, "override cleared": 1} {
			if got := r.log.count(what); got != n {
				t.Errorf("%q was logged %d times, want %d", what, got, n)
			}
		}
	})
}

func isTold(r *rig) bool {
	select {
	case <-r.Changed():
		return true
	default:
		return false
	}
}

func TestOverrideThatCannotBe(t *testing.T) {
	k := newDisk()
	r := newRig(t, newFake(), k)
	before := Overriding{Service: "a.example", Endpoint: at(1)}
	if err := r.SetOverride(before); !errors.Is(err, ErrNotFound) {
		t.Errorf("before there are targets: %v", err)
	}
	r.apply(target(1))
	for _, c := range []struct {
		o    Overriding
		want string
	}{
		{Overriding{Service: "a.example", Endpoint: at(2)}, "not found: a.example. has no endpoint 10.0.0.2"},
		{Overriding{Service: "a.other", Endpoint: at(1)}, "not found: a.other. has no endpoint 10.0.0.1"},
		{Overriding{Service: "a..b", Endpoint: at(1)}, `service "a..b": empty label in "a..b"`},
		{Overriding{Endpoint: at(1)}, `service "": empty name`},
	} {
		if err := r.SetOverride(c.o); err == nil || err.Error() != c.want {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
	// What cannot be kept is not in force: a restart must not undo an operator's word.
	k.broken = true
	if err := r.SetOverride(before); !errors.Is(err, errDisk) {
		t.Errorf("error %v", err)
	}
	if r.View().Forced(0) || len(r.Overrides()) != 0 {
		t.Error("an override that was refused is in force")
	}
	k.broken = false
	if err := r.SetOverride(before); err != nil {
		t.Fatal(err)
	}
	k.broken = true
	if err := r.ClearOverride(serviceA, at(1), audit.By{Who: "ops"}); !errors.Is(err, errDisk) {
		t.Errorf("error %v", err)
	}
	if !r.View().Forced(0) {
		t.Error("an override that could not be cleared on disk is gone")
	}
}

// However an endpoint is written, it is the one that the pool has.
func TestOverrideNamesEndpoints(t *testing.T) {
	r := newRig(t, newFake(), newDisk())
	v6 := Target{Addr: mustAddr("2001:db8::10")}
	host := Target{Host: "edge.example.net"}
	r.apply(v6, host)
	for i, names := range [][]string{{"2001:DB8:0::10", "2001:db8::10"}, {"Edge.Example.net.", "edge.example.net"}} {
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: names[0]}); err != nil {
			t.Error(err)
		}
		if !r.View().Forced(i) {
			t.Errorf("%s is not forced", names[1])
		}
		if o := r.Overrides(); len(o) != 1 || o[0].Endpoint != names[1] || o[0].Service != "a.example." {
			t.Errorf("overrides %+v", o)
		}
		if err := r.ClearOverride(serviceA, names[0], audit.By{Who: "ops"}); err != nil {
			t.Error(err)
		}
	}
}

func TestOverridesAreSorted(t *testing.T) {
	r := newRig(t, newFake(), nil)
	r.apply(target(1), target(2))
	for _, s := range []string{"b.example", "a.example"} {
		for _, n := range []int{2, 1} {
			if err := r.SetOverride(Overriding{Service: s, Endpoint: at(n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	var got []string
	for _, o := range r.Overrides() {
		got = append(got, o.Service+" "+o.Endpoint)
	}
	want := []string{"a.example. 10.0.0.1", "a.example. 10.0.0.2", "b.example. 10.0.0.1", "b.example. 10.0.0.2"}
	if !slices.Equal(got, want) {
		t.Errorf("overrides %v, want %v", got, want)
	}
}

// A slow disk holds up the operator, and nobody else.
func TestOverrideDoesNotHoldUpProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, k := newFake(), newDisk()
		r := newRig(t, f, k)
		c := check("web")
		c.Fall = 1
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(time.Minute)
		k.set(func() { k.slow = time.Minute })
		var setting sync.WaitGroup
		setting.Go(func() {
			if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(2)}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		f.fail(at(1))
		after(11 * time.Second)
		r.want(0, Down)
		if len(r.Overrides()) != 0 || r.View().Forced(1) {
			t.Error("an override is in force that is not on disk yet")
		}
		setting.Wait()
		if !r.View().Forced(1) {
			t.Error("the override is not in force")
		}
		k.set(func() { k.slow = 0 })
	})
}

func TestOverrideOverRestart(t *testing.T) {
	k := newDisk()
	c := check("web")
	r := newRig(t, newFake(), k)
	r.apply(target(1, c), target(2, c))
	for _, n := range []int{1, 2} {
		if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(n), Reason: "r", Source: "s", Since: time.Unix(1e9, 0).UTC()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.ClearOverride(serviceA, at(2), audit.By{Who: "ops"}); err != nil {
		t.Fatal(err)
	}

	r = newRig(t, newFake(), k)
	want := []Overriding{{Service: "a.example.", Endpoint: at(1), Reason: "r", Source: "s", Since: time.Unix(1e9, 0).UTC()}}
	if got := r.Overrides(); !slices.Equal(got, want) {
		t.Errorf("overrides %+v", got)
	}
	v := r.apply(target(2, c)) // the endpoint it is on is not there
	if v.Forced(0) {
		t.Error("forced")
	}
	v = r.apply(target(2, c), target(1, c))
	if s, by := v.Of(1, []byte(serviceA)); s != Down || !by || v.Forced(0) {
		t.Errorf("%v, by operator %t", s, by)
	}

	// What cannot be read is left out, and said: the node starts with the others.
	for _, raw := range []string{`{`, `{"service":"a..b"}`, `{"service":".example"`, `{"service":"a.example","address":"10.0.0.9","over":1}`} {
		k.kept[overrideBucket]["x"] = []byte(raw)
		var log bytes.Buffer
		b, err := New(Options{Keeper: k, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil || !slices.Equal(b.Overrides(), want) {
			t.Errorf("%s: %v", raw, err)
		}
		if !strings.Contains(log.String(), "override not restored: set it again") {
			t.Errorf("%s: the log has %q", raw, log.String())
		}
	}
	k.kept[upkeepBucket] = map[string][]byte{"k7w2m4pq": []byte("{")}
	var log bytes.Buffer
	if b, err := New(Options{Keeper: k, Logger: slog.New(slog.NewTextHandler(&log, nil))}); err != nil || len(b.Maintenance()) != 0 ||
		!strings.Contains(log.String(), "maintenance not restored: add it again") {
		t.Errorf("maintenance: %v, the log has %q", err, log.String())
	}
}

// An address that two pools have judged differently is two targets of a service:
// the operator's word is on the address.
func TestOverrideOnAllTargets(t *testing.T) {
	r := newRig(t, newFake(), nil)
	ts := []Target{target(1, check("web")), target(2), target(1, check("db"))}
	p, err := r.Prepare(ts, func(_ dnswire.Name, endpoint string) (all []int) {
		for i := range ts {
			if ts[i].String() == endpoint {
				all = append(all, i)
			}
		}
		return all
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Apply(p)
	if err := r.SetOverride(Overriding{Service: "a.example", Endpoint: at(1), Healthy: true}); err != nil {
		t.Fatal(err)
	}
	for i, forced := range []bool{true, false, true} {
		if s, by := r.View().Of(i, []byte(serviceA)); by != forced || s != Up {
			t.Errorf("target %d is %v, by operator %t", i, s, by)
		}
	}
	if err := r.ClearOverride(serviceA, at(1), audit.By{Who: "ops"}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []State{Unknown, Up, Unknown} {
		if s, by := r.View().Of(i, []byte(serviceA)); by || s != want {
			t.Errorf("cleared: target %d is %v, by operator %t", i, s, by)
		}
	}
}
