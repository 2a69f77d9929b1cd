package health

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// calc is a calculated check.
func calc(name string, need int, of ...*spec.Check) *spec.Check {
	return &spec.Check{Name: name, Type: spec.CheckCalculated, DegradedShare: 0.5, Ask: &spec.CalculatedCheck{Need: need, Of: of}}
}

func TestCalculate(t *testing.T) {
	// Members as u (up), d (up and degraded), x (down), ? (unknown).
	for _, c := range []struct {
		members string
		need    int
		want    string
	}{
		{"u", 1, "u"},
		{"x", 1, "x"},
		{"?", 1, "?"},
		{"uu", 2, "u"},
		{"ux", 2, "x"},
		{"x?", 2, "x"}, // one that is down is enough
		{"u?", 2, "?"},
		{"ux", 1, "u"},
		{"u?", 1, "u"}, // one that is up is enough
		{"x?", 1, "?"},
		{"xx", 1, "x"},
		{"uu?", 2, "u"},
		{"ux?", 2, "?"},
		{"xx?", 2, "x"},
		{"ud", 2, "d"},
		{"ud", 1, "u"}, // it holds without the one that is degraded
		{"dx", 1, "d"},
		{"dd?", 1, "d"},
	} {
		var in []judged
		for i, m := range c.members {
			v := &verdict{since: time.Unix(int64(i+1), 0), lastUp: time.Unix(int64(10+i), 0), reason: "refused"}
			switch m {
			case 'u', 'd':
				v.state = Up
			case 'x':
				v.state = Down
			}
			if m == 'd' {
				v.level = &level{cause: ByLatency, since: v.since, reason: "slow"}
			}
			in = append(in, judged{&spec.Check{Name: string(rune('a' + i))}, v})
		}
		v := calculate(c.need, in)
		got := map[State]string{Up: "u", Down: "x", Unknown: "?"}[v.state]
		if v.degraded() {
			got = "d"
		}
		if got != c.want {
			t.Errorf("%d of %s: %s, want %s", c.need, c.members, got, c.want)
		}
	}
}

// TestCalculateByOracle compares the three values with all that the unknown members
// could turn out to be.
func TestCalculateByOracle(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		n := 1 + rng.IntN(6)
		need := 1 + rng.IntN(n)
		states := make([]State, n)
		var in []judged
		for i := range states {
			states[i] = State(rng.IntN(3))
			in = append(in, judged{&spec.Check{}, &verdict{state: states[i]}})
		}
		may := map[bool]bool{}
		for world := range 1 << n {
			up := 0
			for i, s := range states {
				if s == Up || s == Unknown && world>>i&1 == 1 {
					up++
				}
			}
			may[up >= need] = true
		}
		want := Unknown
		if len(may) == 1 {
			want = Down
			if may[true] {
				want = Up
			}
		}
		if got := calculate(need, in).state; got != want {
			t.Fatalf("%d of %v: %v, want %v", need, states, got, want)
		}
	}
}

func TestCalculateTimes(t *testing.T) {
	sec := func(n int64) time.Time { return time.Unix(n, 0) }
	up := func(n int64) judged {
		return judged{&spec.Check{Name: "a"}, &verdict{state: Up, since: sec(n), lastUp: sec(100 + n), seen: sec(n)}}
	}
	down := func(n int64) judged {
		return judged{&spec.Check{Name: "b"}, &verdict{state: Down, since: sec(n), lastUp: sec(n), seen: sec(n), reason: "refused"}}
	}
	restored := func(j judged) judged { j.restored = true; return j }
	for _, c := range []struct {
		what     string
		need     int
		in       []judged
		since    int64
		lastUp   int64
		restored bool
	}{
		{"all: the last to come", 3, []judged{up(5), up(9), up(7)}, 9, 105, false},
		{"any: the first to come", 1, []judged{up(5), up(9), up(7)}, 5, 109, false},
		{"two: the second", 2, []judged{up(5), up(9), up(7)}, 7, 107, false},
		{"all: the first to go", 3, []judged{down(5), up(9), down(3)}, 3, 3, false},
		{"any: the last to go", 1, []judged{down(5), down(9), down(7)}, 9, 9, false},
		{"two: the second to go", 2, []judged{down(5), down(9), up(1)}, 9, 9, false},
		{"confirmed by enough", 1, []judged{restored(up(5)), up(9)}, 5, 109, false},
		{"confirmed by too few", 2, []judged{restored(up(5)), up(9)}, 9, 105, true},
		{"down, confirmed by one", 2, []judged{restored(down(5)), down(9)}, 5, 5, false},
		{"down, confirmed by none", 2, []judged{restored(down(5)), up(9)}, 5, 5, true},
	} {
		v := calculate(c.need, c.in)
		if v.since.Unix() != c.since || v.lastUp.Unix() != c.lastUp || v.restored != c.restored {
			t.Errorf("%s: since %d, last up %d, restored %t; want %d, %d, %t", c.what, v.since.Unix(), v.lastUp.Unix(), v.restored, c.since, c.lastUp, c.restored)
		}
	}
}

func TestCalculatedBoard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		web, db, cache := check("web"), check("db"), check("cache")
		db.Port, cache.Port = 5432, 6379
		some := calc("some", 2, web, db, cache)
		deep := calc("deep", 1, some, db)
		f.fail(at(1) + " cache")
		// Of the second, web is asked for by name as well, and made once all the same.
		r.apply(target(1, deep), target(2, web, deep))
		r.run()
		defer r.stop()
		soon()
		r.want(0, Up)
		r.want(1, Up)
		if n := f.count(at(1)); n != 3 {
			t.Errorf("%d probes of three members", n)
		}
		if n := f.count(at(2)); n != 3 {
			t.Errorf("%d probes of three members, one of which is a check of its own", n)
		}
		f.fail(at(1) + " db")
		after(45 * time.Second)
		r.want(0, Down)
		d := r.View().Detail(0, nil)
		if d.Reason != "check deep: 0 of 2 pass, and 1 must: some: 1 of 3 pass, and 2 must: db: connection refused; cache: connection refused; db: connection refused" {
			t.Errorf("reason %q", d.Reason)
		}
		f.mend(at(1) + " db")
		after(45 * time.Second)
		r.want(0, Up)

		ps := r.Probed(r.View().Generation(), 1)
		var got []string
		for _, p := range ps {
			got = append(got, fmt.Sprintf("%s/%s/%s/%v", p.Check, p.Type, p.Within, p.State))
		}
		if s := strings.Join(got, " "); s != "web/http//up deep/calculated//up web/http/deep/up db/http/deep/up cache/http/deep/up" {
			t.Errorf("probed %s", s)
		}
	})
}

// A member that asks for the service's host is probed for it.
func TestCalculatedHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		web := check("web")
		own := with(check("own"), func(c *spec.Check) { c.Host = "own.example" })
		any := calc("any", 1, calc("inner", 1, web), own)
		tgt := target(1)
		tgt.Checks = []Check{{Check: any, Host: "www.example"}}
		r.apply(tgt)
		r.run()
		defer r.stop()
		soon()
		if n, m := f.hosts[at(1)+" www.example"], f.hosts[at(1)+" own.example"]; n != 1 || m != 1 {
			t.Errorf("%d and %d probes by host: %v", n, m, f.hosts)
		}
	})
}

// The latency of an endpoint is known while it is up, also by a condition of which
// a member is down.
func TestCalculatedLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		f.move(at(1), 20*time.Millisecond)
		web, db := check("web"), check("db")
		db.Port = 5432
		f.fail(at(1) + " db")
		r.applyFor(Uses{Latency: true}, target(1, calc("any", 1, web, db)))
		r.run()
		defer r.stop()
		after(time.Minute)
		if got := r.View().Latency()[0]; got != 20_000 {
			t.Errorf("latency %d", got)
		}
		f.fail(at(1) + " web")
		after(time.Minute)
		if got := r.View().Latency()[0]; got != 0 {
			t.Errorf("latency %d of what is down", got)
		}
	})
}
