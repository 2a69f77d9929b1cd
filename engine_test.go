package rhumb_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/audit"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

// site is every endpoint there is: it says which of them are down.
type site struct {
	mu   sync.Mutex
	down map[string]bool
}

func (s *site) set(addr string, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down == nil {
		s.down = map[string]bool{}
	}
	s.down[addr] = down
}

func (s *site) prober(health.Check) (probe.Prober, error) { return s, nil }

// Probe takes a millisecond of the bubble's time, which does not pass while a
// test looks at what is there before the result.
func (s *site) Probe(_ context.Context, t probe.Target) probe.Result {
	time.Sleep(time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.down[t.Addr.String()] {
		return probe.Result{Class: probe.ClassRefused, Detail: "connection refused"}
	}
	return probe.Result{OK: true}
}

// config is a configuration with a pool of two checked addresses, of which
// changes are made by replacing text.
const config = `
dns: {ttl: 30}
checks:
  web: {type: tcp, port: 80, interval: 10s, timeout: 2s, rise: 1, fall: 1}
pools:
  eu:
    checks: [web]
    endpoints: [192.0.2.1, 192.0.2.2]
  sorry: {endpoints: [203.0.113.1]}
zones:
  example.com:
    nameservers: {ns1.example.net.: []}
    services:
      www: {pools: [eu], answers: 0}
      api: {pools: [eu], answers: 0, all_down: sorry}
`

func parse(t testing.TB, text string, edits ...string) *spec.Spec {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(strings.NewReplacer(edits...).Replace(text)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func commit(t testing.TB, e *rhumb.Engine, s *spec.Spec) {
	t.Helper()
	c, err := e.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(c); err != nil {
		t.Fatal(err)
	}
}

func newEngine(t testing.TB, o rhumb.Options) *rhumb.Engine {
	t.Helper()
	e, err := rhumb.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run runs an engine until the function that it returns is called.
func run(t testing.TB, e *rhumb.Engine) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
}

func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// addresses are the answers to A for a name, sorted.
func addresses(t testing.TB, e *rhumb.Engine, name string) []string {
	t.Helper()
	tr, err := e.Explain(rhumb.Question{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, a := range tr.Answers {
		all = append(all, strings.TrimPrefix(a, "A "))
	}
	slices.Sort(all)
	return all
}

func wantAddresses(t testing.TB, e *rhumb.Engine, name string, want ...string) {
	t.Helper()
	if got := addresses(t, e, name); !slices.Equal(got, want) {
		t.Errorf("%s has %v, want %v", name, got, want)
	}
}

func TestEngineFollowsHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &site{}
		e := newEngine(t, rhumb.Options{Prober: st.prober})
		if e.Snapshot() != nil || e.Spec() != nil || e.Endpoints() != nil {
			t.Error("there is something before the first Commit")
		}
		if _, err := e.Explain(rhumb.Question{Name: "x"}); err == nil {
			t.Error("explained before the first Commit")
		}
		st.set("192.0.2.2", true)
		commit(t, e, parse(t, config))
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		wantAddresses(t, e, "www.example.com", "192.0.2.1")
		st.set("192.0.2.2", false)
		st.set("192.0.2.1", true)
		after(12 * time.Second)
		wantAddresses(t, e, "www.example.com", "192.0.2.2")
		st.set("192.0.2.2", true)
		after(12 * time.Second)
		wantAddresses(t, e, "www.example.com", "192.0.2.1", "192.0.2.2")
		wantAddresses(t, e, "api.example.com", "203.0.113.1")
		if s := e.Spec(); s.DNS.TTL != 30 || s.Zones != nil {
			t.Errorf("spec %+v", s)
		}
	})
}

// When Settled is closed, the snapshot has all verdicts; not some time later.
// A TXT query for a service with debug_txt is told when checks last had a result.
func TestDebugTXT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &site{}
		e := newEngine(t, rhumb.Options{Prober: st.prober})
		commit(t, e, parse(t, strings.Replace(config, "www: {", "www: {debug_txt: true, ", 1)))
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		said := func() string {
			x, err := e.Explain(rhumb.Question{Name: "www.example.com", Type: "TXT"})
			if err != nil {
				t.Fatal(err)
			}
			return strings.Join(x.Answers, "\n")
		}
		first := time.Now().UTC()
		if got := said(); !strings.Contains(got, "Backend: 192.0.2.1 | Priority: 0 | Status: healthy | Enabled: true | LastHealthcheck: "+first.Format(time.RFC3339)) {
			t.Error(got)
		}
		after(12 * time.Second)
		if got := said(); strings.Contains(got, first.Format(time.RFC3339)) || !strings.Contains(got, "LastHealthcheck: "+first.Format("2006-01-02T15:")) {
			t.Error(got)
		}
	})
}

// A check with a target judges the endpoint by something else.
func TestCheckTarget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &site{}
		st.set("192.0.2.99", true)
		e := newEngine(t, rhumb.Options{Prober: st.prober})
		commit(t, e, parse(t, strings.Replace(config, "fall: 1}", "fall: 1, target: 192.0.2.99}", 1)))
		stop := run(t, e)
		defer stop()
		<-e.Settled()
		wantAddresses(t, e, "api.example.com", "203.0.113.1")
		st.set("192.0.2.99", false)
		after(12 * time.Second)
		wantAddresses(t, e, "api.example.com", "192.0.2.1", "192.0.2.2")
	})
}

func TestSettledSnapshot(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			st := &site{}
			st.set("192.0.2.1", true)
			st.set("192.0.2.2", true)
			e := newEngine(t, rhumb.Options{Prober: st.prober})
			commit(t, e, parse(t, config))
			stop := run(t, e)
			defer stop()
			<-e.Settled()
			s := e.Snapshot()
			for i := range s.Health.Len() {
				if s.Health.State(i) == health.Unknown {
					t.Fatalf("settled, and target %d is unknown", i)
				}
			}
		})
	}
}

func TestSettledWithoutProbes(t *testing.T) {
	e := newEngine(t, rhumb.Options{})
	select {
	case <-e.Settled():
		t.Error("settled before there is anything")
	default:
	}
	commit(t, e, parse(t, config, "checks: [web]", ""))
	select {
	case <-e.Settled():
	default:
		t.Error("nothing to probe, and not settled")
	}
}

func TestPrepareHasNoEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &site{}
		broken := errors.New("ca: no such file")
		e := newEngine(t, rhumb.Options{Prober: func(c health.Check) (probe.Prober, error) {
			if c.Port == 1 {
				return nil, broken
			}
			return st, nil
		}})
		commit(t, e, parse(t, config))
		stop := run(t, e)
		defer stop()
		after(time.Minute)
		s, sp := e.Snapshot(), e.Spec()

		if _, err := e.Prepare(parse(t, config, "port: 80", "port: 1")); !errors.Is(err, broken) {
			t.Errorf("error %v", err)
		}
		c, err := e.Prepare(parse(t, config, "192.0.2.2", "192.0.2.3"))
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if e.Snapshot() != s || e.Spec() != sp {
			t.Error("preparing had an effect")
		}
		wantAddresses(t, e, "www.example.com", "192.0.2.1", "192.0.2.2")
		if err := e.Commit(c); err != nil {
			t.Fatal(err)
		}
		after(time.Second)
		wantAddresses(t, e, "www.example.com", "192.0.2.1", "192.0.2.3")
	})
}

func TestSuperseded(t *testing.T) {
	e := newEngine(t, rhumb.Options{})
	plain := parse(t, config, "checks: [web]", "")
	a, errA := e.Prepare(plain)
	b, errB := e.Prepare(parse(t, config, "checks: [web]", "", "192.0.2.2", "192.0.2.3"))
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	if err := e.Commit(a); err != nil {
		t.Fatal(err)
	}
	s := e.Snapshot()
	for _, c := range []*rhumb.Change{b, a} { // also the same one again
		if err := e.Commit(c); !errors.Is(err, rhumb.ErrSuperseded) {
			t.Errorf("error %v", err)
		}
	}
	if e.Snapshot() != s {
		t.Error("a change that was refused had an effect")
	}
	commit(t, e, plain)
}

// Health, overrides and rotations outlive a reload, whatever moves in it.
func TestReloadKeepsLiveState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &site{}
		st.set("192.0.2.2", true)
		e := newEngine(t, rhumb.Options{Prober: st.prober})
		commit(t, e, parse(t, config))
		stop := run(t, e)
		defer stop()
		after(time.Minute)
		if err := e.Override(health.Overriding{Service: "api.example.com", Endpoint: "192.0.2.1"}); err != nil {
			t.Fatal(err)
		}
		wantAddresses(t, e, "api.example.com", "203.0.113.1") // at once
		if o := e.Overrides(); len(o) != 1 || o[0].Since.IsZero() {
			t.Errorf("overrides %+v", o)
		}
		rotated := rotation(e, 3)

		commit(t, e, parse(t, config, "[192.0.2.1, 192.0.2.2]", "[192.0.2.9, 192.0.2.2, 192.0.2.1]",
			"interval: 10s", "interval: 20s", "www:", "a: {pools: [sorry]}\n      www:"))
		wantAddresses(t, e, "www.example.com", "192.0.2.1")
		wantAddresses(t, e, "api.example.com", "192.0.2.9")
		s := e.Snapshot()
		if got := s.Table.Peek(s.Table.Lookup(wire("www.example.com")), 0); got != rotated {
			t.Errorf("the rotation is at %d, want %d", got, rotated)
		}
		after(time.Second)
		wantAddresses(t, e, "www.example.com", "192.0.2.1", "192.0.2.9")
		wantAddresses(t, e, "api.example.com", "192.0.2.9")
		if err := e.ClearOverride("api.example.com", "192.0.2.1", audit.By{Who: "ops"}); err != nil {
			t.Fatal(err)
		}
		wantAddresses(t, e, "api.example.com", "192.0.2.1", "192.0.2.9")

		for _, err := range []error{
			e.ClearOverride("api.example.com", "192.0.2.1", audit.By{Who: "ops"}),
			e.Override(health.Overriding{Service: "api.example.com", Endpoint: "192.0.2.77"}),
			e.Override(health.Overriding{Service: "none.example.com", Endpoint: "192.0.2.1"}),
		} {
			if !errors.Is(err, health.ErrNotFound) {
				t.Errorf("error %v", err)
			}
		}
		if err := e.ClearOverride("a..b", "192.0.2.1", audit.By{Who: "ops"}); err == nil || errors.Is(err, health.ErrNotFound) {
			t.Errorf("error %v", err)
		}
	})
}

func wire(name string) []byte {
	n, err := dnswire.ParseName(name)
	if err != nil {
		panic(err)
	}
	return []byte(n)
}

// rotation asks for www n times and says where its rotation is then.
func rotation(e *rhumb.Engine, n int) uint32 {
	c := resolve.NewScratch(1, 2)
	var buf [1232]byte
	for range n {
		e.Snapshot().Append(buf[:0], query("www.example.com"), c)
	}
	t := e.Snapshot().Table
	return t.Peek(t.Lookup(wire("www.example.com")), 0)
}

func query(name string) *dnswire.Query {
	q := &dnswire.Query{Client: netip.MustParseAddrPort("198.51.100.7:5353"), Transport: dnswire.UDP}
	q.Parse(dnswire.AppendQuery(nil, dnswire.Name(wire(name)), dnswire.TypeA, netip.Prefix{}))
	return q
}

// goroutines is how many there are that code of this module has started; the
// runtime starts some of its own when it likes.
func goroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "\ncreated by github.com/rhumb-dns/rhumb")
}

func TestEngineLeaksNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st := &site{}
		before := goroutines()
		e := newEngine(t, rhumb.Options{Prober: st.prober})
		if n := goroutines(); n != before {
			t.Errorf("%d goroutines after New, %d before", n, before)
		}
		commit(t, e, parse(t, config))
		stop := run(t, e)
		after(time.Minute)
		working := goroutines()
		if working == before {
			t.Error("the test does not see the goroutines of Run")
		}
		for i := range 50 {
			commit(t, e, parse(t, config, "192.0.2.2", fmt.Sprintf("192.0.2.%d", 10+i)))
			after(time.Second)
		}
		if n := goroutines(); n != working {
			t.Errorf("%d goroutines after 50 reloads, %d before", n, working)
		}
		stop()
		synctest.Wait()
		if n := goroutines(); n != before {
			t.Errorf("%d goroutines after Run, %d before New", n, before)
		}
	})
}

// kept is a Keeper in memory.
type kept struct {
	mu sync.Mutex
	m  map[string]map[string][]byte
}

func (k *kept) Load(bucket string) (map[string][]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return maps.Clone(k.m[bucket]), nil
}

func (k *kept) Save(bucket string, values map[string][]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.m[bucket] == nil {
		k.m[bucket] = map[string][]byte{}
	}
	maps.Copy(k.m[bucket], values)
	return nil
}

func TestEngineOverRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, k := &site{}, &kept{m: map[string]map[string][]byte{}}
		st.set("192.0.2.2", true)
		for start := range 2 {
			e := newEngine(t, rhumb.Options{Prober: st.prober, Keeper: k})
			commit(t, e, parse(t, config))
			if start == 1 { // before any probe
				wantAddresses(t, e, "www.example.com", "192.0.2.1")
				wantAddresses(t, e, "api.example.com", "203.0.113.1")
				select {
				case <-e.Settled():
				default:
					t.Error("all is known, and not settled")
				}
			}
			stop := run(t, e)
			after(time.Second)
			if start == 0 {
				if err := e.Override(health.Overriding{Service: "api.example.com", Endpoint: "192.0.2.1"}); err != nil {
					t.Fatal(err)
				}
			}
			stop()
		}
		k.m["overrides"] = map[string][]byte{"x": []byte("{")}
		if e, err := rhumb.New(rhumb.Options{Keeper: k}); err != nil || len(e.Overrides()) != 0 {
			t.Errorf("an override that cannot be read keeps the node from starting: %v", err)
		}
	})
}

// Real files, real probes: what is wrong with them fails before any effect.
func TestPrepareReadsCA(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	e := newEngine(t, rhumb.Options{})
	commit(t, e, parse(t, config))
	if err := os.WriteFile(ca, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := parse(t, config)
	c := *s.Checks["web"]
	c.Type, c.TLS, c.Host = spec.CheckTLS, &spec.Secure{CA: ca, Verify: true}, "x"
	*s.Checks["web"] = c
	if _, err := e.Prepare(s); err == nil || !strings.Contains(err.Error(), ca) {
		t.Errorf("error %v", err)
	}
}

// Answers while everything changes, for the race detector above all. Whatever
// the instant, an answer is one that some configuration and health allow.
func TestAnswersUnderChange(t *testing.T) {
	st := &site{}
	e := newEngine(t, rhumb.Options{Prober: st.prober})
	quick := []string{"interval: 10s, timeout: 2s", "interval: 100ms, timeout: 100ms"}
	versions := []*spec.Spec{
		parse(t, config, quick...),
		parse(t, config, append(quick, "192.0.2.2]", "192.0.2.2, 192.0.2.3]")...),
		parse(t, config, append(quick, "[192.0.2.1, 192.0.2.2]", "[192.0.2.2]", "www:", "a: {pools: [sorry]}\n      www:")...),
	}
	commit(t, e, versions[0])
	stop := run(t, e)
	defer stop()
	<-e.Settled()

	var answers, wrong atomic.Int64
	var done atomic.Bool
	var asking sync.WaitGroup
	for w := range 4 {
		asking.Go(func() {
			c := resolve.NewScratch(uint64(w), 2)
			buf := make([]byte, 0, 1232)
			q := query([]string{"www.example.com", "api.example.com"}[w%2])
			for !done.Load() {
				b := e.Snapshot().Append(buf, q, c)
				if c.Outcome.RCode != dnswire.NoError || len(c.Outcome.Counters) == 0 || len(b) < 12 {
					wrong.Add(1)
				}
				answers.Add(1)
			}
		})
	}
	for i := range 150 {
		commit(t, e, versions[i%len(versions)])
		st.set(fmt.Sprintf("192.0.2.%d", 1+i%3), i%2 == 0)
		o := health.Overriding{Service: "www.example.com", Endpoint: "192.0.2.2", Healthy: i%4 == 0}
		if err := e.Override(o); err != nil {
			t.Error(err)
		}
		for _, s := range e.Endpoints() {
			if s.Pool == nil {
				t.Error("an endpoint without pool")
			}
		}
		if err := e.ClearOverride(o.Service, o.Endpoint, audit.By{Who: "ops"}); err != nil {
			t.Error(err)
		}
	}
	done.Store(true)
	asking.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d of %d answers were wrong", wrong.Load(), answers.Load())
	}
}
