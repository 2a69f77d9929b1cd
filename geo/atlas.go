package geo

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Atlas keeps the view of a configuration, and renews it when a file of a
// database changes.
type Atlas struct {
	log     *slog.Logger
	meters  *meters
	view    atomic.Pointer[View]
	changed chan struct{}
	again   chan struct{} // one token: other files matter

	mu       sync.Mutex
	set      setting
	failures map[string]failure // by path; of files that cannot be used as they are
	littered bool               // much memory was left behind
}

// Options are what an Atlas works with.
type Options struct {
	Logger     *slog.Logger          // may be nil
	Registerer prometheus.Registerer // may be nil
}

// setting is a configuration with all that it needs loaded.
type setting struct {
	cfg      Config
	networks []Network // arranged
	loaded   []*loaded // one for each database, or the built-in one
	epoch    uint64    // counts what was applied; 0: nothing
}

// New makes an Atlas that knows nothing of any address, until something is
// applied.
func New(o Options) *Atlas {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	a := &Atlas{
		log: o.Logger, meters: newMeters(o.Registerer),
		changed: make(chan struct{}, 1), again: make(chan struct{}, 1), failures: map[string]failure{},
	}
	a.view.Store(finished(stack(nil), &Config{}))
	return a
}

// View is the view of now. It is one load of a pointer.
func (a *Atlas) View() *View { return a.view.Load() }

// Changed gets a token when Run has put another view in place, and not when
// Apply has, whose caller knows.
func (a *Atlas) Changed() <-chan struct{} { return a.changed }

// Change is a configuration that is ready to be applied.
type Change struct {
	set  setting
	view *View // nil: all is as it was
}

// Prepare loads what a configuration needs and changes nothing. It costs time and
// memory, except that databases of the applied configuration are not read again:
// to see that their files have changed is for Run. An error says which database,
// network or region is wrong, and how.
func (a *Atlas) Prepare(cfg Config) (*Change, error) {
	a.mu.Lock()
	now := a.set
	a.mu.Unlock()
	if now.epoch > 0 && cfg.equal(now.cfg) {
		return &Change{}, nil
	}
	if err := cfg.check(); err != nil {
		return nil, err
	}
	networks, err := arranged(cfg.Networks)
	if err != nil {
		return nil, err
	}
	set := setting{cfg: cfg.clone(), networks: networks}
	paths := cfg.Databases
	if len(paths) == 0 {
		paths = []string{BuiltIn}
	}
	for _, path := range paths {
		l := now.of(path)
		if l == nil {
			if l, err = load(path); err != nil {
				return nil, err
			}
		}
		set.loaded = append(set.loaded, l)
	}
	return &Change{set: set, view: set.build()}, nil
}

// of is the loaded database with a path, or nil.
func (s *setting) of(path string) *loaded {
	for _, l := range s.loaded {
		if l.path == path {
			return l
		}
	}
	return nil
}

// build makes the view of what is loaded.
func (s *setting) build() *View {
	var sources []*layer
	for _, l := range s.loaded {
		sources = append(sources, l.layer)
	}
	all := stack(sources)
	if len(s.networks) > 0 {
		all = lay(layerOf(s.networks), all, true)
	}
	v := finished(all, &s.cfg)
	v.networks, v.sources = s.networks, sources
	return v
}

// Apply puts in place what was prepared. It does not fail.
func (a *Atlas) Apply(c *Change) {
	if c.view == nil {
		return
	}
	a.mu.Lock()
	before := a.set
	c.set.epoch = before.epoch + 1
	a.set = c.set
	for path := range a.failures {
		if c.set.of(path) == nil {
			delete(a.failures, path)
		}
	}
	var fresh []*loaded
	for _, l := range c.set.loaded {
		if before.of(l.path) != l {
			fresh = append(fresh, l)
		}
	}
	a.view.Store(c.view)
	a.meters.show(&a.set, c.view, a.failures)
	a.litter(fresh)
	a.mu.Unlock()
	for _, l := range fresh {
		a.say(l)
	}
	select {
	case a.again <- struct{}{}:
	default:
	}
}

// litter notes what reading files has left behind. It is called under a.mu.
func (a *Atlas) litter(fresh []*loaded) {
	for _, l := range fresh {
		a.littered = a.littered || l.size >= largeFile
	}
}

// Database is how a database is.
type Database struct {
	Name    string    // its path, or BuiltIn
	Kind    string    // what it says it is, as in GeoLite2-City
	Built   time.Time // when its vendor made it; zero: it does not say
	Loaded  time.Time // when it was read
	Took    time.Duration
	Size    int64 // octets
	Entries int   // ranges of addresses, of both families
	// Error is why the file cannot be used as it is now, since Failed. What was
	// loaded before stays in use. Empty is that all is well.
	Error  string
	Failed time.Time
}

// Status is the databases in use, in their order.
func (a *Atlas) Status() []Database {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []Database
	for _, l := range a.set.loaded {
		f := a.failures[l.path]
		all = append(all, Database{
			Name: l.path, Kind: l.about.kind, Built: l.about.built, Loaded: l.at, Took: l.took, Size: l.size,
			Entries: l.entries(), Error: f.reason, Failed: f.since,
		})
	}
	return all
}

func (a *Atlas) say(l *loaded) {
	a.log.Info("geo database loaded", "database", l.path, "kind", l.about.kind, "built", l.about.built,
		"entries", l.entries(), "took", l.took.Round(time.Millisecond))
}

// retryTime is how long after a failure a file is read again though it did not
// change: its disk may have been at fault, or the memory.
const retryTime = time.Minute

// failure is why a file cannot be used.
type failure struct {
	reason string
	since  time.Time // of the first attempt that failed
	last   time.Time // of the last one
	stamp  stamp     // of the file then
}

// renew reads the files that have changed, and puts another view in place if
// some could be read. The old view is in use meanwhile.
func (a *Atlas) renew(ctx context.Context) {
	a.mu.Lock()
	set := a.set
	a.mu.Unlock()
	next := set
	next.loaded = append([]*loaded(nil), set.loaded...)
	var fresh []*loaded
	for i, l := range set.loaded {
		if ctx.Err() != nil {
			return
		}
		if l.path == BuiltIn {
			continue
		}
		now := stampOf(l.path)
		a.mu.Lock()
		f, failed := a.failures[l.path]
		a.mu.Unlock()
		if now.same(l.stamp) {
			if failed {
				a.heal(set.epoch, l)
			}
			continue
		}
		if failed && now.same(f.stamp) && time.Since(f.last) < retryTime {
			continue
		}
		other, err := load(l.path)
		if err != nil {
			a.fail(set.epoch, l, now, err)
			continue
		}
		next.loaded[i] = other
		fresh = append(fresh, other)
	}
	if len(fresh) == 0 {
		return
	}
	v := next.build()
	a.mu.Lock()
	if a.set.epoch != set.epoch {
		// Another configuration came meanwhile; its Apply has asked for another turn.
		a.mu.Unlock()
		return
	}
	a.set = next
	for _, l := range fresh {
		delete(a.failures, l.path)
	}
	a.view.Store(v)
	a.meters.show(&a.set, v, a.failures)
	a.litter(fresh)
	a.mu.Unlock()
	for _, l := range fresh {
		a.say(l)
	}
	select {
	case a.changed <- struct{}{}:
	default:
	}
}

// heal forgets a failure: the file is again the one that is loaded.
func (a *Atlas) heal(epoch uint64, l *loaded) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set.epoch == epoch {
		delete(a.failures, l.path)
		a.meters.show(&a.set, a.view.Load(), a.failures)
	}
}

// fail keeps why a file cannot be used, and says it once.
func (a *Atlas) fail(epoch uint64, l *loaded, now stamp, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.set.epoch != epoch {
		return
	}
	f, again := a.failures[l.path]
	if !again {
		f.since = time.Now()
	}
	reason := err.Error()
	if inner := errors.Unwrap(err); inner != nil {
		reason = inner.Error() // without the path, which stands beside it
	}
	said := again && f.reason == reason
	f.reason, f.last, f.stamp = reason, time.Now(), now
	a.failures[l.path] = f
	a.meters.failed(l.path)
	a.meters.show(&a.set, a.view.Load(), a.failures)
	if !said {
		a.log.Error("geo database cannot be used, the one loaded before stays", "database", l.path, "error", reason, "loaded", l.at)
	}
}
