package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// fake is every prober of a board: it plays the endpoints.
type fake struct {
	took time.Duration // how long an answer takes

	mu    sync.Mutex
	bad   map[string]bool          // addresses that fail
	hung  map[string]bool          // addresses that answer nothing until the probe is given up
	upset map[string]bool          // addresses at which the prober panics
	far   map[string]time.Duration // how long a connection takes, by address
	local map[string]bool          // addresses for which this machine lacks something
	slow  map[string]time.Duration // how long an answer takes, by address, or address and name of the check
	worse map[string]bool          // addresses, likewise, whose probes say that they are degraded
	runs  map[string][]time.Time   // starts, by address
	hosts map[string]int           // runs, by address and host
	now   int                      // probes under way
	most  int                      // and how many there were at most
}

func newFake() *fake {
	return &fake{
		bad: map[string]bool{}, hung: map[string]bool{}, upset: map[string]bool{}, local: map[string]bool{},
		runs: map[string][]time.Time{}, hosts: map[string]int{}, far: map[string]time.Duration{},
		slow: map[string]time.Duration{}, worse: map[string]bool{},
	}
}

type fakeProber struct {
	f *fake
	c Check
}

func (f *fake) prober(c Check) (probe.Prober, error) { return fakeProber{f, c}, nil }

func (p fakeProber) Probe(ctx context.Context, t probe.Target) probe.Result {
	f, at, began := p.f, t.Addr.String(), time.Now()
	f.mu.Lock()
	f.runs[at] = append(f.runs[at], time.Now())
	f.hosts[at+" "+p.c.Host]++
	f.now++
	f.most = max(f.most, f.now)
	took := cmp.Or(f.slow[at+" "+p.c.Name], f.slow[at], f.took)
	worse := f.worse[at] || f.worse[at+" "+p.c.Name]
	if f.hung[at] {
		took = 24 * time.Hour
	}
	bad := f.bad[at] || f.bad[at+" "+p.c.Host] || f.bad[at+" "+p.c.Name]
	upset, local := f.upset[at], f.local[at]
	link := cmp.Or(f.far[at+" "+p.c.Name], f.far[at])
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.now--
		f.mu.Unlock()
	}()
	if upset {
		panic("nil map, say")
	}
	if took > 0 {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.Canceled) {
				return probe.Result{Class: probe.ClassCanceled}
			}
			return probe.Result{Class: probe.ClassTimeout, Detail: "no answer", RTT: time.Since(began)}
		case <-time.After(took):
		}
	}
	if local {
		return probe.Result{Class: probe.ClassLocal, Detail: "out of descriptors", RTT: took}
	}
	if bad {
		return probe.Result{Class: probe.ClassRefused, Detail: "connection refused", RTT: took}
	}
	if worse {
		return probe.Result{OK: true, Degraded: true, Detail: "certificate ends soon", RTT: took, Connect: link}
	}
	return probe.Result{OK: true, RTT: took, Connect: link}
}

// move puts an endpoint, or its check of a name, at a distance.
func (f *fake) move(at string, link time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.far[at] = link
}

// delay is how long an endpoint, or its check of a name, takes to answer.
func (f *fake) delay(at string, d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow[at] = d
}

func (f *fake) set(m map[string]bool, at string, v bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m[at] = v
}

func (f *fake) fail(at string) { f.set(f.bad, at, true) }
func (f *fake) mend(at string) { f.set(f.bad, at, false) }

func (f *fake) starts(at string) []time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]time.Time(nil), f.runs[at]...)
}

func (f *fake) count(at string) int { return len(f.starts(at)) }

// peak is how many probes were under way together at most.
func (f *fake) peak() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.most
}

func (f *fake) total() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.runs {
		n += len(r)
	}
	return n
}

// logs is what a board has logged.
type logs struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logs) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), what)
}

// disk is a Keeper.
type disk struct {
	mu     sync.Mutex
	kept   map[string]map[string][]byte
	writes []write
	broken bool
	slow   time.Duration
}

type write struct {
	at     time.Time
	bucket string
	keys   int
}

func newDisk() *disk { return &disk{kept: map[string]map[string][]byte{}} }

func (d *disk) Load(bucket string) (map[string][]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.kept[bucket]), nil
}

var errDisk = errors.New("no space left on device")

func (d *disk) Save(bucket string, values map[string][]byte) error {
	d.mu.Lock()
	slow := d.slow
	d.mu.Unlock()
	if slow > 0 {
		time.Sleep(slow)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.writes = append(d.writes, write{time.Now(), bucket, len(values)})
	if d.broken {
		return errDisk
	}
	if d.kept[bucket] == nil {
		d.kept[bucket] = map[string][]byte{}
	}
	for k, v := range values {
		if v == nil {
			delete(d.kept[bucket], k)
		} else {
			d.kept[bucket][k] = v
		}
	}
	return nil
}

func (d *disk) set(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

func (d *disk) records() map[string]string {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := map[string]string{}
	for k, v := range d.kept[verdictBucket] {
		all[k] = string(v)
	}
	return all
}

func (d *disk) saves() []write {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]write(nil), d.writes...)
}

// rig is a board at work inside a bubble.
type rig struct {
	*Board
	t    *testing.T
	fake *fake
	log  *logs
	stop func()
}

func newRig(t *testing.T, f *fake, k Keeper) *rig {
	t.Helper()
	l := &logs{}
	b, err := New(Options{
		Logger: slog.New(slog.NewTextHandler(l, nil)), Keeper: k, Prober: f.prober,
	})
	if err != nil {
		t.Fatal(err)
	}
	return &rig{Board: b, t: t, fake: f, log: l}
}

// run starts the board. The rig must be stopped before its bubble ends.
func (r *rig) run() *rig {
	ctx, cancel := context.WithCancel(r.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	r.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	})
	return r
}

func (r *rig) apply(targets ...Target) *View {
	r.t.Helper()
	return r.applyFor(Uses{}, targets...)
}

func (r *rig) applyFor(u Uses, targets ...Target) *View {
	r.t.Helper()
	p, err := r.Prepare(targets, locator(targets))
	if err != nil {
		r.t.Fatal(err)
	}
	p.Uses = u
	return r.Apply(p)
}

// locator finds every target in every service below example.
func locator(targets []Target) Locate {
	return func(service dnswire.Name, endpoint string) (at []int) {
		for i := range targets {
			if targets[i].String() == endpoint && strings.HasSuffix(service.String(), ".example.") {
				at = append(at, i)
			}
		}
		return at
	}
}

// after lets time pass, and everything that it brings about happen.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// soon lets what is under way be published.
func soon() { after(2 * publishGap) }

func (r *rig) want(i int, s State) {
	r.t.Helper()
	if got := r.View().State(i); got != s {
		r.t.Errorf("at %s target %d is %v, want %v (%+v)", clock(), i, got, s, r.View().Detail(i, nil))
	}
}

func clock() string { return time.Now().Format("15:04:05.000") }

func check(name string) *spec.Check {
	return &spec.Check{
		Name: name, Type: spec.CheckHTTP, Port: 80,
		Ask:      &spec.HTTPCheck{Method: "GET", Path: "/", Status: []spec.StatusRange{{From: 200, To: 299}}},
		Interval: 10 * time.Second, Timeout: 2 * time.Second, Rise: 2, Fall: 3,
	}
}

// with is a changed copy of a check.
func with(c *spec.Check, change func(*spec.Check)) *spec.Check {
	d := *c
	if a, ok := c.Ask.(*spec.HTTPCheck); ok {
		b := *a
		d.Ask = &b
	}
	change(&d)
	return &d
}

// ask is what an http check asks.
func ask(c *spec.Check) *spec.HTTPCheck { return c.Ask.(*spec.HTTPCheck) }

// target is an endpoint at 10.0.0.n.
func target(n int, checks ...*spec.Check) Target {
	t := Target{Addr: netip.MustParseAddr(at(n))}
	for _, c := range checks {
		t.Checks = append(t.Checks, Check{Check: c, Host: c.Host})
	}
	return t
}

func mustAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

func at(n int) string { return fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255) }

// goroutines is how many there are that code of this module has started; the
// runtime starts some of its own when it likes.
func goroutines() int {
	buf := make([]byte, 1<<20)
	return strings.Count(string(buf[:runtime.Stack(buf, true)]), "\ncreated by github.com/rhumb-dns/rhumb")
}
