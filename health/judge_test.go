package health

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func TestRiseAndFall(t *testing.T) {
	// Results as + and -, the states after each as u (up), d (down).
	for _, c := range []struct {
		name       string
		rise, fall int
		results    string
		states     string
	}{
		{"the first success decides", 5, 3, "+", "u"},
		{"the first failure decides", 5, 3, "-", "d"},
		{"fall 3", 2, 3, "+--+---", "uuuuuud"},
		{"rise 2", 2, 3, "-+-++", "ddddu"},
		{"of 1", 1, 1, "+-+-", "udud"},
		{"counts start anew after a change", 2, 2, "+--+--++", "uuddddd" + "u"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chk := Check{Check: check("web")}
			chk.Rise, chk.Fall = c.rise, c.fall
			var v verdict
			now := time.Unix(1e9, 0)
			got := ""
			before := Unknown
			for _, r := range c.results {
				now = now.Add(time.Second)
				changed := v.apply(probe.Result{OK: r == '+', Detail: "refused"}, chk, now)
				if changed != (v.state != before) {
					t.Errorf("changed is %t from %v to %v", changed, before, v.state)
				}
				if changed && v.since != now {
					t.Errorf("since %v, want %v", v.since, now)
				}
				before = v.state
				got += v.state.String()[:1]
			}
			if got != c.states {
				t.Errorf("states %s, want %s", got, c.states)
			}
		})
	}
}

func TestLastUp(t *testing.T) {
	chk := Check{Check: check("web")}
	var v verdict
	for i, ok := range []bool{true, true, false, false, false, false} {
		v.apply(probe.Result{OK: ok}, chk, time.Unix(int64(i), 0))
	}
	if got := v.lastUp.Unix(); got != 4 {
		t.Errorf("last up at %d, want 4: until the third failure it was up", got)
	}
}

func TestCombine(t *testing.T) {
	sec := func(n int64) time.Time { return time.Unix(n, 0) }
	up := func(n int64) *verdict { return &verdict{state: Up, since: sec(n), lastUp: sec(n + 100)} }
	down := func(n int64) *verdict {
		return &verdict{state: Down, since: sec(n), reason: "refused", lastUp: sec(n)}
	}
	restored := func(v *verdict) *verdict { v.restored = true; return v }
	var unknown verdict
	for _, c := range []struct {
		name string
		in   []*verdict
		want Detail
	}{
		{"up", []*verdict{up(5)}, Detail{State: Up, Authority: Validation, Since: sec(5), Reason: "check a passed", LastUp: sec(105)}},
		{"down", []*verdict{down(5)}, Detail{State: Down, Authority: Validation, Since: sec(5), Reason: "check a: refused", LastUp: sec(5)}},
		{"unknown", []*verdict{&unknown}, Detail{State: Unknown, Authority: NoAuthority, Since: time.Time{}, Reason: "check has not run yet", LastUp: time.Time{}}},
		{"the last to pass made it up", []*verdict{up(5), up(9), up(7)}, Detail{State: Up, Authority: Validation, Since: sec(9), Reason: "check b passed", LastUp: sec(105)}},
		{"the first to fail made it down", []*verdict{down(9), up(3), down(5)}, Detail{State: Down, Authority: Validation, Since: sec(5), Reason: "check c: refused", LastUp: sec(5)}},
		{"down whatever else", []*verdict{&unknown, down(5), up(6)}, Detail{State: Down, Authority: Validation, Since: sec(5), Reason: "check b: refused", LastUp: time.Time{}}},
		{"one unknown", []*verdict{up(5), &unknown, up(9)}, Detail{State: Unknown, Authority: NoAuthority, Since: time.Time{}, Reason: "check has not run yet", LastUp: time.Time{}}},
		{"restored", []*verdict{restored(up(5))}, Detail{State: Up, Authority: Restored, Since: sec(5), Reason: "check a passed", LastUp: sec(105)}},
		{"confirmed in part", []*verdict{up(5), restored(up(4)), up(1)}, Detail{State: Up, Authority: Restored, Since: sec(5), Reason: "check a passed", LastUp: sec(101)}},
		{"one confirmed failure", []*verdict{restored(down(4)), down(5)}, Detail{State: Down, Authority: Validation, Since: sec(4), Reason: "check a: refused", LastUp: sec(4)}},
		{"restored and unknown", []*verdict{restored(up(4)), &unknown}, Detail{State: Unknown, Authority: NoAuthority, Since: time.Time{}, Reason: "check has not run yet", LastUp: time.Time{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in []judged
			for i, v := range c.in {
				in = append(in, judged{&spec.Check{Name: string(rune('a' + i))}, v})
			}
			if got := combine(in); got != c.want {
				t.Errorf("got  %+v\nwant %+v", got, c.want)
			}
		})
	}
}

// Checks that only degrade have no say in the state, whose it is, and since when.
func TestCombineLesser(t *testing.T) {
	sec := func(n int64) time.Time { return time.Unix(n, 0) }
	up := func(n int64) *verdict { return &verdict{state: Up, since: sec(n), lastUp: sec(n + 100)} }
	down := &verdict{state: Down, since: sec(1), reason: "refused"}
	web, deep := &spec.Check{Name: "web"}, &spec.Check{Name: "deep", OnlyDegrades: true, DegradedShare: 0.5}
	for _, c := range []struct {
		name string
		in   []judged
		want Detail
	}{
		{"up", []judged{{deep, up(9)}, {web, up(5)}}, Detail{State: Up, Authority: Validation, Since: sec(5), Reason: "check web passed", LastUp: sec(105)}},
		{"unknown", []judged{{deep, &verdict{}}, {web, up(5)}}, Detail{State: Up, Authority: Validation, Since: sec(5), Reason: "check web passed", LastUp: sec(105)}},
		{"degraded", []judged{{deep, down}, {web, up(5)}}, Detail{
			State: Up, Authority: Validation, Cause: ByCheck, Share: Whole / 2, Since: sec(1), Reason: "degraded to 50%: check deep: refused", LastUp: sec(105),
		}},
		{"down", []judged{{deep, down}, {web, &verdict{state: Down, since: sec(5), reason: "reset", lastUp: sec(5)}}}, Detail{
			State: Down, Authority: Validation, Since: sec(5), Reason: "check web: reset", LastUp: sec(5),
		}},
	} {
		if got := combine(c.in); got != c.want {
			t.Errorf("%s: got  %+v\nwant %+v", c.name, got, c.want)
		}
	}
}

func TestAllChecksMustPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		web, db := check("web"), check("db")
		db.Port = 5432
		f.fail(at(1) + " db")
		r.apply(target(1, web, db), target(2, web, db), target(3))
		r.run()
		defer r.stop()
		soon()
		r.want(0, Down)
		r.want(1, Up)
		r.want(2, Up)
		if d := r.View().Detail(0, nil); d.Reason != "check db: connection refused" || d.Authority != Validation {
			t.Errorf("detail %+v", d)
		}
		if d := r.View().Detail(2, nil); d.Authority != Unchecked {
			t.Errorf("an endpoint without checks: %+v", d)
		}
		ps := r.Probed(r.View().Generation(), 0)
		if len(ps) != 2 || ps[0].Check != "web" || !ps[0].OK || ps[1].Check != "db" || ps[1].OK || ps[1].Class != "refused" ||
			ps[1].Port != 5432 || ps[1].Runs != 1 || time.Since(ps[1].At) > time.Second {
			t.Errorf("probed %+v", ps)
		}
		if ps := r.Probed(r.View().Generation(), 2); ps != nil {
			t.Errorf("probed %+v of an endpoint that nobody judges", ps)
		}
		if ps := r.Probed(r.View().Generation()-1, 0); ps != nil {
			t.Errorf("probed %+v of another generation", ps)
		}
		f.mend(at(1) + " db")
		f.fail(at(2))
		after(40 * time.Second)
		r.want(0, Up)
		r.want(1, Down)
	})
}

// A node that cannot make probes says nothing of the endpoints.
func TestLackingNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.local[at(2)] = true
		r := newRig(t, f, nil)
		c := check("web")
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(time.Minute)
		r.want(0, Up)
		r.want(1, Unknown)
		select {
		case <-r.Settled():
		default:
			t.Error("a node that lacks something never starts to answer")
		}
		f.set(f.local, at(1), true)
		after(time.Minute)
		r.want(0, Up)
		f.set(f.local, at(1), false)
		f.set(f.bad, at(1), true)
		f.set(f.local, at(2), false)
		after(time.Minute)
		r.want(0, Down)
		r.want(1, Up)
	})
}

func TestPanickingProber(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.upset[at(1)] = true
		r := newRig(t, f, nil)
		c := check("web")
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(time.Minute)
		r.want(0, Down)
		r.want(1, Up)
		if got := r.View().Detail(0, nil).Reason; got != "check web: probe panicked" {
			t.Errorf("reason %q", got)
		}
		if ps := r.Probed(r.View().Generation(), 0); ps[0].Class != "error" || ps[0].Runs < 5 {
			t.Errorf("probed %+v, want class error and the probe to go on", ps)
		}
		if n := r.log.count("probe panicked\" endpoint"); n != 1 {
			t.Errorf("logged %d times, want once:\n%s", n, &r.log.b)
		}
		if !strings.Contains(r.log.b.String(), "nil map, say") || !strings.Contains(r.log.b.String(), "main_test.go") {
			t.Errorf("the log has neither message nor stack:\n%s", &r.log.b)
		}
		f.set(f.upset, at(1), false)
		after(time.Minute)
		r.want(0, Up)
	})
}
