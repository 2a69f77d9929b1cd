package conduct

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// shelf is a Keeper in memory.
type shelf struct {
	mu     sync.Mutex
	values map[string][]byte
	fails  bool
	writes int
}

func (s *shelf) Load(string) (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.values), nil
}

func (s *shelf) Save(_ string, values map[string][]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fails {
		return errors.New("disk full")
	}
	s.writes++
	if s.values == nil {
		s.values = map[string][]byte{}
	}
	for k, v := range values {
		if s.values[k] = v; v == nil {
			delete(s.values, k)
		}
	}
	return nil
}

// saying is a view of health.
func saying(says string) *health.View {
	d := map[int]health.Detail{}
	for i, s := range statesOf(says) {
		d[i] = health.Detail{State: s}
	}
	return health.Fixed(len(says), d)
}

func direct(t *testing.T, o Options) *Director {
	t.Helper()
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// run runs a director until what is returned is called.
func run(t *testing.T, d *Director) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

func expect(t *testing.T, d *Director, i int, want string) {
	t.Helper()
	if got := seen(d.View().Course(i)); got != want {
		t.Fatalf("course %d: %s, want %s", i, got, want)
	}
}

// careful is conduct with everything.
func careful() spec.Conduct {
	return spec.Conduct{
		FailoverDelay: 30 * sec, FailbackDelay: 5 * time.Minute, SlowStart: 60 * sec, MaxEjected: 1,
		Damping: &spec.Damping{Changes: 4, Within: 10 * time.Minute, Hold: time.Minute, Max: time.Hour},
	}
}

func TestDirectorKeepsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said bytes.Buffer
		reg := prometheus.NewRegistry()
		d := direct(t, Options{Logger: slog.New(slog.NewTextHandler(&said, nil)), Registerer: reg})
		c, plain := careful(), whole()
		plain.FailoverDelay = 10 * sec
		eu, us := courseOf(poolOf("eu", 2, 1), c, 0), courseOf(poolOf("us", 1, 1), plain, 1) // they share target 1
		d.Apply([]Course{eu, us}, saying("uu"))
		stop := run(t, d)
		defer stop()
		expect(t, d, 0, "+uu")

		d.Follow(saying("ud"))
		expect(t, d, 0, "+ud")
		expect(t, d, 1, "+~u")
		before := d.View()
		time.Sleep(10 * sec)
		<-d.Changed()
		expect(t, d, 1, "-d")
		if seen(before.Course(1)) != "+~u" || before.Course(0) != d.View().Course(0) {
			t.Error("a view that was published changed, or one that did not is another one")
		}

		d.Follow(saying("dd"))
		expect(t, d, 0, "+~ud") // the other one fell long before
		time.Sleep(30*sec - 1)
		synctest.Wait()
		expect(t, d, 0, "+~ud")
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		expect(t, d, 0, "-dd")
		d.Follow(saying("uu"))
		expect(t, d, 0, "-~uu 0:5% 1:5%")
		views := 0
		for last := d.View(); d.View().Course(0).Stands == false; {
			time.Sleep(sec / 10)
			synctest.Wait()
			if v := d.View(); v != last {
				views, last = views+1, v
			}
			if views > 100 {
				t.Fatal("too many views")
			}
		}
		expect(t, d, 0, "+~uu 0:5% 1:5%")
		time.Sleep(61 * sec)
		synctest.Wait()
		expect(t, d, 0, "+uu")

		for _, line := range []string{
			`"pool below min_healthy" pool=eu up=0 of=2 min_healthy=1 failover_delay=30s`, `"pool gave way" pool=eu`,
			`"pool recovered and waits to stand again" pool=eu up=2 of=2 min_healthy=1 failback_delay=5m0s`,
			`"pool stands" pool=eu`, `"endpoint starts slowly" pool=eu endpoint=192.0.2.1`,
		} {
			if !strings.Contains(said.String(), line) {
				t.Errorf("the log lacks %s:\n%s", line, said.String())
			}
		}
		d.Follow(saying("?d"))
		if err := testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP rhumb_pool_endpoint_share Share of its usual traffic that an endpoint of a pool with conduct has: 1 is all, 0 while it is out, less than 1 while it starts slowly. The least of all services.
# TYPE rhumb_pool_endpoint_share gauge
rhumb_pool_endpoint_share{endpoint="192.0.2.1",pool="eu"} 0
rhumb_pool_endpoint_share{endpoint="192.0.2.1",pool="us"} 1
rhumb_pool_endpoint_share{endpoint="192.0.2.2",pool="eu"} 0
# HELP rhumb_pool_standing Whether a pool with conduct stands: 1, or 0 when it gave way for some service.
# TYPE rhumb_pool_standing gauge
rhumb_pool_standing{pool="eu"} 1
rhumb_pool_standing{pool="us"} 1
`), "rhumb_pool_endpoint_share", "rhumb_pool_standing"); err != nil {
			t.Error(err)
		}
		if got := testutil.ToFloat64(d.meters.transitions[gaveWay]); got != 2 {
			t.Errorf("%v pools gave way", got)
		}
	})
}

func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := &shelf{}
		c := careful()
		c.FailbackManual = true
		courses := []Course{
			courseOf(poolOf("eu", 2, 1), c, 0),
			courseOf(poolOf("us", 2, 1), careful(), 2),
			courseOf(poolOf("as", 1, 1), careful(), 4),
		}
		// restart ends one node after it has had the time, and begins another.
		d := direct(t, Options{Keeper: keeper})
		stop := run(t, d)
		restart := func(away time.Duration) {
			stop()
			time.Sleep(away)
			d = direct(t, Options{Keeper: keeper})
			stop = run(t, d)
		}
		d.Apply(courses, saying("uuuuu"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(keeper.values) != 0 {
			t.Errorf("the usual is kept: %s", keeper.values)
		}
		d.Follow(saying("dduuu"))
		time.Sleep(20 * sec)
		// The delay goes on over the restart, and the time away counts.
		restart(4 * sec)
		d.Apply(courses, saying("dduuu"))
		expect(t, d, 0, "+~uu")
		time.Sleep(6 * sec)
		synctest.Wait()
		expect(t, d, 0, "-dd")

		// Who waits for an operator does, before anything is known as well.
		d.Follow(saying("uuduu"))
		time.Sleep(time.Hour)
		restart(time.Hour)
		d.Apply(courses, saying("?????"))
		expect(t, d, 0, "-??")
		d.Follow(saying("uuuuu"))
		expect(t, d, 0, "-uu")
		expect(t, d, 1, "+~uu 0:5%") // it was down at the end
		// A slow start goes on.
		time.Sleep(30 * sec)
		restart(3 * sec)
		d.Apply(courses, saying("uuuuu"))
		expect(t, d, 1, "+~uu 0:56%")

		// So does a hold, and its length is known.
		for range 2 {
			d.Follow(saying("uuuud"))
			time.Sleep(sec)
			d.Follow(saying("uuuuu"))
			time.Sleep(sec)
		}
		time.Sleep(30 * sec)
		restart(20 * sec)
		d.Apply(courses, saying("uuuuu"))
		if why := d.View().EndpointWhy(2, 0); !strings.HasPrefix(why, "held down for 1m until ") {
			t.Errorf("%q", why)
		}
		time.Sleep(9 * sec)
		synctest.Wait()
		if why := d.View().EndpointWhy(2, 0); strings.HasPrefix(why, "held down") {
			t.Errorf("%q", why)
		}
		for range 2 {
			d.Follow(saying("uuuud"))
			d.Follow(saying("uuuuu"))
		}
		if why := d.View().EndpointWhy(2, 0); !strings.HasPrefix(why, "held down for 2m until ") {
			t.Errorf("%q", why)
		}

		// Pools with other settings go on, and those that are gone are forgotten.
		stop()
		d = direct(t, Options{Keeper: keeper})
		stop = run(t, d)
		c.SlowStart = 0
		d.Apply([]Course{courseOf(poolOf("eu", 2, 1), c, 0)}, saying("uu"))
		expect(t, d, 0, "-uu")
		time.Sleep(sec)
		stop()
		if len(keeper.values) != 1 {
			t.Errorf("kept: %v", keeper.values)
		}
	})
}

// A clock that was put back while the node was away holds nothing longer than it
// was to be held, and lets nothing begin in the future.
func TestClockPutBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ahead := time.Now().Add(1000 * time.Hour).UTC().Format(time.RFC3339)
		c := careful()
		of := courseOf(poolOf("eu", 2, 1), c, 0)
		keeper := &shelf{values: map[string][]byte{of.Key: []byte(`{"pool":"eu","stands":false,"proven":true,"since":"` + ahead + `","enough":"` + ahead + `",
			"endpoints":{"192.0.2.1":{"state":1,"slow":"` + ahead + `"},
			"192.0.2.2":{"state":2,"fell":"` + ahead + `","last":1,"changes":["` + ahead + `"],"held_until":"` + ahead + `","held_last":"` + ahead + `","hold":60000000000}}}`)}}
		d := direct(t, Options{Keeper: keeper})
		d.Apply([]Course{of}, saying("uu"))
		stop := run(t, d)
		defer stop()
		expect(t, d, 0, "-~ud 0:5%")
		time.Sleep(time.Minute)
		synctest.Wait()
		expect(t, d, 0, "-~uu 1:5%")
		time.Sleep(4 * time.Minute)
		synctest.Wait()
		expect(t, d, 0, "+~uu 0:5% 1:5%")
	})
}

func TestKeeperFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		keeper := &shelf{fails: true}
		var said bytes.Buffer
		d := direct(t, Options{Keeper: keeper, Logger: slog.New(slog.NewTextHandler(&said, nil))})
		c := careful()
		d.Apply([]Course{courseOf(poolOf("eu", 1, 1), c, 0)}, saying("u"))
		stop := run(t, d)
		d.Follow(saying("d"))
		time.Sleep(time.Minute)
		keeper.mu.Lock()
		keeper.fails = false
		keeper.mu.Unlock()
		time.Sleep(time.Minute)
		stop()
		if len(keeper.values) != 1 || strings.Count(said.String(), "conduct not kept") != 1 || !strings.Contains(said.String(), "kept again") {
			t.Errorf("%v\n%s", keeper.values, said.String())
		}
		if keeper.writes > 2 {
			t.Errorf("%d writes", keeper.writes)
		}
	})
	if _, err := New(Options{Keeper: unreadable{}}); err == nil || err.Error() != "conduct: restore: no disk" {
		t.Error(err)
	}
	// A record that is damaged is left out, and replaced.
	d := direct(t, Options{Keeper: &shelf{values: map[string][]byte{"x": []byte("{")}}})
	d.Apply([]Course{courseOf(poolOf("eu", 1, 1), careful(), 0)}, saying("u"))
	expect(t, d, 0, "+u")
}

type unreadable struct{}

func (unreadable) Load(string) (map[string][]byte, error) { return nil, errors.New("no disk") }
func (unreadable) Save(string, map[string][]byte) error   { return nil }

func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := direct(t, Options{})
		c := careful()
		c.Damping = nil
		eu := poolOf("eu", 3, 1)
		d.Apply([]Course{courseOf(eu, c, 0)}, saying("uuu"))
		d.Follow(saying("duu"))
		time.Sleep(sec)
		d.Follow(saying("uuu"))
		expect(t, d, 0, "+~uuu 0:5%")
		time.Sleep(30 * sec)

		// The same endpoints in another order and with a new one, behind another pool.
		more := poolOf("eu", 4, 1)
		more.Endpoints[0], more.Endpoints[1] = more.Endpoints[1], more.Endpoints[0]
		d.Apply([]Course{courseOf(poolOf("as", 1, 1), c, 4), courseOf(more, c, 0)}, saying("uuu?u"))
		expect(t, d, 1, "+~uuu? 1:52%")

		// Other settings: what was begun goes on under them.
		slower := c
		slower.SlowStart = 120 * sec
		d.Apply([]Course{courseOf(more, slower, 0)}, saying("uuu?"))
		expect(t, d, 0, "+~uuu? 1:28%")
		d.Follow(saying("dddd"))
		expect(t, d, 0, "+~uuud")
		time.Sleep(20 * sec)
		slower.FailoverDelay = 10 * sec
		d.Apply([]Course{courseOf(more, slower, 0)}, saying("dddd"))
		expect(t, d, 0, "-dddd")
		d.Follow(saying("uuuu"))
		time.Sleep(sec)
		slower.FailbackDelay, slower.SlowStart = 0, 0
		d.Apply([]Course{courseOf(more, slower, 0)}, saying("uuuu"))
		expect(t, d, 0, "+uuuu")

		// A service with settings of its own goes on from the pool's.
		d.Follow(saying("dddd"))
		time.Sleep(time.Minute)
		d.Apply([]Course{courseOf(more, slower, 0), courseOf(more, c, 0)}, saying("dddd"))
		expect(t, d, 0, "-dddd")
		expect(t, d, 1, "-dddd")
		// A view of another table is none of ours.
		d.Follow(saying("uu"))
		expect(t, d, 0, "-dddd")
		d.Apply(nil, saying(""))
		if d.View().Len() != 0 {
			t.Error("courses are left")
		}
	})
}

func TestFailbackByOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := direct(t, Options{})
		c := careful()
		c.FailbackManual, c.FailoverDelay = true, 0
		d.Apply([]Course{courseOf(poolOf("eu", 2, 2), c, 0)}, saying("uu"))
		if _, err := d.Failback("us"); !errors.Is(err, ErrNoPool) {
			t.Error(err)
		}
		if done, err := d.Failback("eu"); done || err != nil {
			t.Error(done, err)
		}
		d.Follow(saying("ud"))
		expect(t, d, 0, "-ud")
		if _, err := d.Failback("eu"); !errors.Is(err, ErrTooFew) || err.Error() != "pool eu: too few endpoints are up: 1 of 2 endpoints up, min_healthy 2" {
			t.Error(err)
		}
		d.Follow(saying("uu"))
		expect(t, d, 0, "-~uu 1:5%")
		time.Sleep(2 * time.Minute)
		if done, err := d.Failback("eu"); !done || err != nil {
			t.Error(done, err)
		}
		expect(t, d, 0, "+~uu 0:5% 1:5%")
	})
}

func TestWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// The clock begins at midnight of 2000-01-01 UTC.
		d := direct(t, Options{})
		c := careful()
		c.MaxEjected = 0.5
		d.Apply([]Course{courseOf(poolOf("eu", 3, 2), c, 0)}, saying("uu?"))
		stop := run(t, d)
		defer stop()
		why := func(slot int, want string) {
			t.Helper()
			v := d.View()
			got := v.Why(0)
			if slot >= 0 {
				got = v.EndpointWhy(0, slot)
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		}
		why(-1, "pool eu stands with 2 of 3 endpoints up and 1 unknown (min_healthy 2)")
		why(0, "")
		d.Follow(saying("udd"))
		why(-1, "pool eu is below min_healthy (2) with 1 of 3 endpoints up since 2000-01-01 00:00:00 UTC and goes on standing until 2000-01-01 00:00:30 UTC (failover_delay)")
		why(2, "down since 2000-01-01 00:00:00 UTC, and held in: 2 of 3 endpoints are down and no more than 1 may be out (max_ejected 50%)")
		time.Sleep(4 * sec)
		d.Follow(saying("ddd"))
		why(-1, "pool eu is below min_healthy (2) with 0 of 3 endpoints up since 2000-01-01 00:00:00 UTC and goes on standing until 2000-01-01 00:00:30 UTC (failover_delay); until then the endpoints that were up last are given")
		why(0, "down since 2000-01-01 00:00:04 UTC, and given until 2000-01-01 00:00:30 UTC, since it was up last (failover_delay)")
		time.Sleep(time.Minute)
		synctest.Wait()
		why(-1, "pool eu gave way at 2000-01-01 00:00:30 UTC and is below min_healthy (2) with 0 of 3 endpoints up")
		d.Follow(saying("udu"))
		why(-1, "pool eu gave way at 2000-01-01 00:00:30 UTC; it has min_healthy (2) since 2000-01-01 00:01:04 UTC, with 2 of 3 endpoints up, and stands again at 2000-01-01 00:06:04 UTC (failback_delay)")
		time.Sleep(5*time.Minute + 30*sec)
		synctest.Wait()
		why(-1, "pool eu stands since 2000-01-01 00:06:04 UTC, with 2 of 3 endpoints up (min_healthy 2)")
		why(0, "starting slowly since 2000-01-01 00:06:04 UTC, with 51% of its traffic and all of it at 2000-01-01 00:07:04 UTC (slow_start)")
		for _, says := range []string{"ddu", "udu", "ddu", "udu"} {
			d.Follow(saying(says))
		}
		why(0, "held down for 1m until 2000-01-01 00:07:34 UTC: it changed 4 times within 10m (damping), and held in: 2 of 3 endpoints are down and no more than 1 may be out (max_ejected 50%)")
		if got := d.View().Since(0); got.UTC().Format(time.RFC3339) != "2000-01-01T00:06:04Z" {
			t.Error(got)
		}
		fresh := Begun([]Course{courseOf(poolOf("eu", 1, 1), c, 0)}, saying("d"))
		if got := fresh.Why(0); got != "pool eu does not stand: it has not had min_healthy (1) endpoints up yet, and has 0 of 1 endpoints up" {
			t.Error(got)
		}
	})
}
