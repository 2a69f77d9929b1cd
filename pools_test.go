package rhumb_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb"
)

// standing is how the pools are: + for one that stands, ~ for one that moves,
// and the states of its endpoints.
func standing(e *rhumb.Engine) string {
	var all []string
	for _, st := range e.Pools() {
		text := st.Pool.Name + "-"
		if st.Stands {
			text = st.Pool.Name + "+"
		}
		if st.Moving {
			text += "~"
		}
		for _, end := range st.Endpoints {
			text += end.State.String()[:1]
		}
		all = append(all, text)
	}
	return strings.Join(all, " ")
}

// TestConduct: what probes see goes through the conduct of the pools into the
// snapshot, with time and over a reload and a restart.
func TestConduct(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, k := &site{}, &kept{m: map[string]map[string][]byte{}}
		text := parse(t, config,
			"endpoints: [192.0.2.1, 192.0.2.2]", "endpoints: [192.0.2.1, 192.0.2.2]\n    failover_delay: 30s\n    failback: manual\n    slow_start: 60s",
			"www: {pools: [eu]", "www: {pools: [eu, sorry], steer: failover")
		e := newEngine(t, rhumb.Options{Prober: s.prober, Keeper: k})
		commit(t, e, text)
		stop := run(t, e)
		want := func(want string) {
			t.Helper()
			if got := standing(e); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
		}
		after(time.Minute)
		want("eu+uu sorry+u")

		s.set("192.0.2.1", true)
		s.set("192.0.2.2", true)
		after(15 * time.Second)
		want("eu+~uu sorry+u") // given while the delay runs
		commit(t, e, text)
		want("eu+~uu sorry+u")
		after(30 * time.Second)
		want("eu-dd sorry+u")
		if _, err := e.Failback("eu"); !errors.Is(err, rhumb.ErrTooFew) {
			t.Error(err)
		}
		s.set("192.0.2.1", false)
		s.set("192.0.2.2", false)
		after(5 * time.Minute)
		want("eu-uu sorry+u")

		stop()
		e = newEngine(t, rhumb.Options{Prober: s.prober, Keeper: k})
		commit(t, e, text)
		stop = run(t, e)
		after(time.Minute)
		want("eu-uu sorry+u")
		if done, err := e.Failback("eu"); !done || err != nil {
			t.Error(done, err)
		}
		want("eu+~uu sorry+u")
		if got := e.Snapshot().Conduct.Course(0).Shares; len(got) != 2 || got[0] > 100 {
			t.Errorf("shares %v", got)
		}
		after(62 * time.Second)
		want("eu+uu sorry+u")
		for pool, is := range map[string]error{"sorry": rhumb.ErrSteady, "none": rhumb.ErrNoPool} {
			if _, err := e.Failback(pool); !errors.Is(err, is) {
				t.Errorf("%s: %v", pool, err)
			}
		}
		stop()
	})
}

// TestNestedPools: what is nested has the states of its own endpoints, also where
// an address is in several pools of it, and behind other targets.
func TestNestedPools(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &site{}
		e := newEngine(t, rhumb.Options{Prober: s.prober})
		commit(t, e, parse(t, config,
			"sorry: {endpoints: [203.0.113.1]}", `sorry: {endpoints: [203.0.113.1, 192.0.2.1]}
  first: {checks: [web], endpoints: [198.51.100.1]}
  both: {pools: [first, eu, sorry]}`,
			"www: {pools: [eu]", "www: {pools: [first, {service: inner}, both]",
			"api: {pools: [eu], answers: 0, all_down: sorry}", "inner: {pools: [eu], all_down: sorry}"))
		stop := run(t, e)
		s.set("198.51.100.1", true) // the first of all targets
		s.set("192.0.2.2", true)
		after(time.Minute)
		const want = "both+duduu eu+ud first-d inner.example.com+uduu"
		if got := standing(e); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		stop()
	})
}
