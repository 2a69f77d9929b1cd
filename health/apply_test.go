package health

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestIdenticalProbesAreMadeOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		// Two names for the same question are one probe; another host is another.
		web, same := check("web"), check("same")
		shop := with(web, func(c *spec.Check) { c.Host = "shop.example" })
		r.apply(target(1, web), target(1, same), target(1, web, same), target(1, shop), target(2, web))
		f.fail(at(1) + " shop.example")
		r.run()
		defer r.stop()
		soon()
		if a, b := f.hosts[at(1)+" "], f.hosts[at(1)+" shop.example"]; a != 1 || b != 1 {
			t.Errorf("%d probes without host and %d with one, want one of each", a, b)
		}
		for i, s := range []State{Up, Up, Up, Down, Up} {
			r.want(i, s)
		}
		if got := r.View().Detail(1, nil).Reason; got != "check same passed" {
			t.Errorf("reason %q names a check that the endpoint does not have", got)
		}
		if ps := r.Probed(r.View().Generation(), 2); len(ps) != 2 || ps[0].Check != "web" || ps[1].Check != "same" {
			t.Errorf("probed %+v", ps)
		}
		f.fail(at(1))
		after(32 * time.Second) // three gaps at their longest
		for i, s := range []State{Down, Down, Down, Down, Up} {
			r.want(i, s)
		}
	})
}

// Each of these makes another probe of a request or of a cadence.
func TestRequestsDiffer(t *testing.T) {
	base := with(check("web"), func(c *spec.Check) { ask(c).Headers = map[string]string{"A": "1", "B": "2"} })
	key := func(c *spec.Check) string {
		hc := Check{Check: c, Host: c.Host}
		return hc.request() + hc.cadence()
	}
	seen := map[string]string{}
	for name, change := range map[string]func(*spec.Check){
		"base":      func(*spec.Check) {},
		"https":     func(c *spec.Check) { c.Type = spec.CheckHTTPS },
		"verify":    func(c *spec.Check) { c.Type, c.TLS = spec.CheckHTTPS, &spec.Secure{Verify: true} },
		"ca":        func(c *spec.Check) { c.Type, c.TLS = spec.CheckHTTPS, &spec.Secure{CA: "/ca.pem"} },
		"tls":       func(c *spec.Check) { c.Type = spec.CheckTLS },
		"tls ca":    func(c *spec.Check) { c.Type, c.TLS = spec.CheckTLS, &spec.Secure{CA: "/ca.pem"} },
		"tcp":       func(c *spec.Check) { c.Type = spec.CheckTCP },
		"port":      func(c *spec.Check) { c.Port = 81 },
		"method":    func(c *spec.Check) { ask(c).Method = "HEAD" },
		"path":      func(c *spec.Check) { ask(c).Path = "/x" },
		"host":      func(c *spec.Check) { c.Host = "x" },
		"status":    func(c *spec.Check) { ask(c).Status = []spec.StatusRange{{From: 200, To: 200}} },
		"body":      func(c *spec.Check) { ask(c).Body = "ok" },
		"redirects": func(c *spec.Check) { ask(c).FollowRedirects = true },
		"header":    func(c *spec.Check) { ask(c).Headers = map[string]string{"A": "2", "B": "2"} },
		"headers":   func(c *spec.Check) { ask(c).Headers = map[string]string{"A": "1"} },
		"interval":  func(c *spec.Check) { c.Interval++ },
		"timeout":   func(c *spec.Check) { c.Timeout++ },
		"rise":      func(c *spec.Check) { c.Rise++ },
		"fall":      func(c *spec.Check) { c.Fall++ },
	} {
		k := key(with(base, change))
		if other, twice := seen[k]; twice {
			t.Errorf("%s and %s are the same probe", name, other)
		}
		seen[k] = name
	}
	if key(with(base, func(c *spec.Check) { c.Name = "other" })) != key(base) {
		t.Error("a name makes another probe")
	}
}

func TestSettled(t *testing.T) {
	t.Run("without targets", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, newFake(), nil).run()
			defer r.stop()
			synctest.Wait()
			if isClosed(r.Settled()) {
				t.Error("settled before there are targets to settle")
			}
			r.apply(target(1), target(2))
			if !isClosed(r.Settled()) {
				t.Error("not settled at once, with nothing to probe")
			}
		})
	})
	t.Run("when the last verdict is in", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.set(f.hung, at(2), true)
			r := newRig(t, f, nil)
			c := check("web")
			r.apply(target(1, c), target(2, c), target(3))
			r.run()
			defer r.stop()
			after(1900 * time.Millisecond)
			if isClosed(r.Settled()) {
				t.Error("settled before the first timeout has passed")
			}
			<-r.Settled()
			r.want(0, Up)
			r.want(1, Down)
			r.apply(target(4, c)) // closed stays closed
			after(time.Minute)
		})
	})
	t.Run("although what it waited for went", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			f := newFake()
			f.took = time.Second
			r := newRig(t, f, nil)
			c := check("web")
			r.apply(target(1, c), target(2, c))
			r.run()
			defer r.stop()
			after(500 * time.Millisecond)
			r.apply(target(1, c), target(3, c))
			after(600 * time.Millisecond)
			if isClosed(r.Settled()) {
				t.Error("settled without a verdict on what came meanwhile")
			}
			after(500 * time.Millisecond)
			if !isClosed(r.Settled()) {
				t.Error("waits for a probe that is gone")
			}
		})
	})
}

func TestApplyKeepsVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.fail(at(1))
		r := newRig(t, f, nil)
		c := check("web")
		v := r.apply(target(1, c), target(2, c), target(3, c))
		if v.Generation() != 1 || v.Len() != 3 || v.State(0) != Unknown || v != r.View() {
			t.Fatalf("view %+v", v)
		}
		r.run()
		defer r.stop()
		after(time.Minute)
		since := r.View().Detail(0, nil).Since
		n := f.count(at(1))
		before := goroutines()

		// Order, and the object of the check, do not matter; what is not changed is
		// not probed anew.
		v = r.apply(target(4), target(2, c), target(1, with(c, func(*spec.Check) {})))
		if v.Generation() != 2 || v.State(0) != Up || v.State(1) != Up || v.State(2) != Down {
			t.Errorf("view %+v", v.states)
		}
		if d := v.Detail(2, nil); d.Since != since || d.Authority != Validation || d.Reason != "check web: connection refused" {
			t.Errorf("detail %+v, want since %v", d, since)
		}
		synctest.Wait()
		if f.count(at(1)) != n {
			t.Error("what did not change was probed at once")
		}

		// By role: another question, the same part.
		v = r.apply(target(1, with(c, func(c *spec.Check) { ask(c).Path = "/other" })), target(2, with(c, func(c *spec.Check) { c.Port = 81 })))
		if v.State(0) != Down || v.State(1) != Up {
			t.Errorf("view %+v", v.states)
		}
		synctest.Wait()
		if f.count(at(1)) != n+1 {
			t.Error("a new question was not asked at once")
		}
		// Another check of another name is neither.
		v = r.apply(target(1, with(c, func(c *spec.Check) { ask(c).Path, c.Name = "/third", "third" })))
		if v.State(0) != Unknown {
			t.Errorf("view %+v", v.states)
		}

		// What is gone is not probed.
		n = f.count(at(2))
		after(5 * time.Minute)
		if f.count(at(2)) != n {
			t.Error("a target that is gone is probed")
		}
		r.apply()
		after(time.Minute)
		total := f.total()
		after(5 * time.Minute)
		if f.total() != total {
			t.Error("probes of no target")
		}
		if got := goroutines(); got != before {
			t.Errorf("%d goroutines, %d before", got, before)
		}
	})
}

// The check's fields are those of the last Apply also where the probe stays.
func TestApplyTakesNewNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		reg := prometheus.NewRegistry()
		b, err := New(Options{Prober: f.prober, Registerer: reg})
		if err != nil {
			t.Fatal(err)
		}
		r := (&rig{Board: b, t: t, fake: f, log: &logs{}}).run()
		defer r.stop()
		c := check("web")
		r.apply(target(1, c))
		after(time.Minute)
		v := r.apply(target(1, with(c, func(c *spec.Check) { c.Name = "site" })))
		if d := v.Detail(0, nil); d.State != Up || d.Reason != "check site passed" {
			t.Errorf("detail %+v", d)
		}
		after(20 * time.Second)
		if n, err := testutil.GatherAndCount(reg, "rhumb_probes_total"); n != 1 || err != nil {
			t.Errorf("%d series of probes, want those of the check there is (%v)", n, err)
		}
		if n := testutil.ToFloat64(b.meters.states.WithLabelValues("up")); n != 1 {
			t.Errorf("%v targets up", n)
		}
	})
}

func TestResultOfAProbeThatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.took = time.Second
		r := newRig(t, f, nil)
		c := check("web")
		c.Interval = time.Hour // no second run comes in between
		r.apply(target(1, c), target(2, c))
		r.run()
		defer r.stop()
		after(500 * time.Millisecond)
		f.fail(at(1)) // what is under way is to succeed
		r.apply(target(2, c))
		r.apply(target(1, c), target(2, c)) // the same probe, and yet another one
		after(600 * time.Millisecond)
		r.want(0, Unknown)
		r.want(1, Up)
		after(500 * time.Millisecond)
		r.want(0, Down)
		if n := f.count(at(2)); n != 1 {
			t.Errorf("the probe that stayed was made %d times", n)
		}
	})
}

func TestChangedCadenceTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		f := newFake()
		r := newRig(t, f, nil)
		all := func(c *spec.Check) (ts []Target) {
			for i := range n {
				ts = append(ts, target(i, c))
			}
			return ts
		}
		slow := with(check("web"), func(c *spec.Check) { c.Interval = 10 * time.Minute })
		r.apply(all(slow)...)
		r.run()
		defer r.stop()
		after(time.Hour)

		before := f.total()
		fast := with(slow, func(c *spec.Check) { c.Interval, c.Fall, c.Timeout = 10*time.Second, 1, time.Second })
		v := r.apply(all(fast)...)
		if v.State(0) != Up || v.Detail(0, nil).Authority != Validation {
			t.Errorf("detail %+v", v.Detail(0, nil))
		}
		after(time.Second)
		if got := f.total() - before; got > n/5 {
			t.Errorf("%d probes in the second after the interval changed: a burst", got)
		}
		after(9 * time.Second)
		if got := f.total() - before; got < n {
			t.Errorf("%d probes in the new interval, want all %d", got, n)
		}
		f.set(f.hung, at(7), true)
		for i := range 12 {
			after(time.Second)
			if r.View().State(7) == Down {
				t.Logf("down after %d seconds", i+1)
				break
			}
		}
		r.want(7, Down) // fall 1, timeout 1s
		if ps := r.Probed(r.View().Generation(), 7); ps[0].RTT != time.Second || ps[0].Interval != 10*time.Second {
			t.Errorf("probed %+v", ps)
		}
		f.set(f.hung, at(7), false)
		r.apply(all(with(fast, func(c *spec.Check) { c.Rise = 1 }))...)
		after(11 * time.Second)
		r.want(7, Up)
	})
}

// A change of cadence shows what is known, also before the next result.
func TestProbedOverApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, f, nil)
		c := check("web")
		r.apply(target(1, c))
		r.run()
		defer r.stop()
		after(time.Minute)
		runs := f.count(at(1))
		r.apply(target(1, with(c, func(c *spec.Check) { c.Interval = time.Minute })))
		ps := r.Probed(r.View().Generation(), 0)
		if len(ps) != 1 || ps[0].Runs != runs || !ps[0].OK || ps[0].State != Up || ps[0].At.IsZero() {
			t.Errorf("probed %+v", ps)
		}
	})
}

func TestPrepareChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		broken := errors.New("ca: no such file")
		b, err := New(Options{Prober: func(c Check) (probe.Prober, error) {
			if c.Name == "broken" {
				return nil, broken
			}
			return f.prober(c)
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := (&rig{Board: b, t: t, fake: f, log: &logs{}}).run()
		defer r.stop()
		c := check("web")
		r.apply(target(1, c))
		after(time.Minute)
		v := r.View()
		total := f.total()
		_, err = r.Prepare([]Target{target(1, c), target(2, c, check("broken"))}, locator(nil))
		if !errors.Is(err, broken) || err.Error() != "check broken: ca: no such file" {
			t.Errorf("error %v", err)
		}
		if _, err := r.Prepare([]Target{target(3, c)}, locator(nil)); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if r.View() != v || f.total() != total {
			t.Error("preparing had an effect")
		}
		after(time.Minute)
		if f.count(at(3)) != 0 || f.count(at(2)) != 0 {
			t.Error("what was prepared is probed")
		}
	})
}

func TestHostTargets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var aimed probe.Target
		b, err := New(Options{Prober: func(Check) (probe.Prober, error) {
			return proberFunc(func(a probe.Target) { aimed = a }), nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		r := (&rig{Board: b, t: t, log: &logs{}}).run()
		r.apply(Target{Host: "edge.example.net", Checks: []Check{{Check: check("web"), Host: "www"}}})
		synctest.Wait()
		r.stop()
		if want := (probe.Target{Host: "edge.example.net", Port: 80}); aimed != want {
			t.Errorf("probe of %+v, want %+v", aimed, want)
		}
		r.want(0, Up)
	})
}

// proberFunc is a prober at which all is well.
type proberFunc func(probe.Target)

func (f proberFunc) Probe(_ context.Context, t probe.Target) probe.Result {
	f(t)
	return probe.Result{OK: true}
}

// What a pool states in place of a check's keys may change, and the verdict stays;
// where two pools have made different checks of one, nobody can tell whose it is.
func TestVariantsKeepTheirVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.hung[at(1)] = true // so that nothing new is found out
		r := newRig(t, f, nil)
		to := func(path string) *spec.Check {
			return with(check("web"), func(c *spec.Check) { ask(c).Path, c.Variant = path, path })
		}
		r.apply(target(1, to("/a")), target(2, to("/a")), target(2, to("/b")))
		r.run()
		defer r.stop()
		after(5 * time.Second)
		r.want(0, Down)
		r.want(1, Up)
		f.set(f.hung, at(2), true)
		r.apply(target(1, to("/c")), target(2, to("/d")))
		r.want(0, Down)
		r.want(1, Unknown)
	})
}
