package controller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
)

const (
	// Interval is how often views are computed at most.
	Interval = 50 * time.Millisecond
	// Views are computed for a part of the time of a core: after what took long they rest
	// for restful times as long, and longestRest at most, for changes must get out.
	restful     = 2
	longestRest = 500 * time.Millisecond
	// maxLists is how many lists of regions of a zone may be asked for at once. Those that
	// edges are pushed do not count, nor does the empty one: the configuration bounds
	// them. idle is how long a view stays that nobody uses.
	maxLists = 64
	idle     = 10 * time.Minute
)

// The errors of those who ask.
var (
	ErrNoZone   = errors.New("controller: the node does not tell of this zone")
	ErrNoRegion = errors.New("controller: no place has this region")
	ErrWaits    = errors.New("controller: the zone's records have not come yet")
	ErrBusy     = errors.New("controller: too many different lists of regions are asked for")
)

// Options are what a Controller needs from outside. Engine is needed.
type Options struct {
	Engine     *rhumb.Engine
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
	// Background runs what takes long out of the way of queries, and waits for its end;
	// nil: at once.
	Background func(func())
}

// Controller computes views and pushes them to edges.
type Controller struct {
	o      Options
	log    *slog.Logger
	meters *meters
	poke   chan struct{} // one token: somebody waits, or what is told of has changed

	setting atomic.Pointer[setting] // nil: nothing is told

	mu      sync.Mutex
	views   map[string]*view
	asked   uint64        // how often somebody has asked for what is now
	done    uint64        // up to which of them views are computed
	settled chan struct{} // closed when done has grown, or views have ended
	expired chan struct{} // closed when the secret is another, or nothing is told any more
	ctx     context.Context
	pushes  map[pushKey]*push
	pushing sync.WaitGroup
}

// setting is what is in force of a statement.
type setting struct {
	*spec.Controller
	spec    *spec.Spec // of regions
	regions []string
	edges   []*edge
}

// New makes a controller that tells nothing.
func New(o Options) *Controller {
	c := &Controller{
		o: o, log: o.Logger, poke: make(chan struct{}, 1), views: map[string]*view{},
		settled: make(chan struct{}), expired: make(chan struct{}), pushes: map[pushKey]*push{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	if c.o.Background == nil {
		c.o.Background = func(f func()) { f() }
	}
	c.meters = newMeters(o.Registerer, c)
	return c
}

// Change is a statement that is ready to be put in force.
type Change struct{ setting *setting }

// Prepare makes ready what a statement says. It changes nothing. The error is of files
// for TLS.
func (c *Controller) Prepare(s *spec.Spec) (*Change, error) {
	if s.Controller == nil {
		return &Change{}, nil
	}
	kept := &spec.Spec{Pools: s.Pools, Geo: s.Geo}
	set := &setting{Controller: s.Controller, spec: kept, regions: s.RegionNames()}
	for i := range s.Controller.Edges {
		e, err := newEdge(&s.Controller.Edges[i])
		if err != nil {
			return nil, fmt.Errorf("controller.edges[%d]: %w", i, err)
		}
		set.edges = append(set.edges, e)
	}
	return &Change{set}, nil
}

// Apply puts it in force, once the engine has committed the same statement.
func (c *Controller) Apply(ch *Change) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.setting.Load(); before != nil && (ch.setting == nil || ch.setting.Secret != before.Secret) {
		close(c.expired)
		c.expired = make(chan struct{})
	}
	c.setting.Store(ch.setting)
	for key, v := range c.views {
		if ch.setting == nil || !ch.setting.tells(v.zone) || !ch.setting.has(v.regions) {
			v.ended = true
			close(v.moved)
			delete(c.views, key)
		}
	}
	c.settle() // who waits for a view that has ended
	c.follow(ch.setting)
	c.wake()
}

// settle lets those who wait look again. Callers hold mu.
func (c *Controller) settle() {
	close(c.settled)
	c.settled = make(chan struct{})
}

// tells is whether a zone is told of.
func (s *setting) tells(zone dnswire.Name) bool { return slices.Contains(s.Zones, zone) }

// has is whether some place has each of the regions.
func (s *setting) has(regions []string) bool {
	return !slices.ContainsFunc(regions, func(r string) bool { return !slices.Contains(s.regions, r) })
}

func (c *Controller) wake() {
	select {
	case c.poke <- struct{}{}:
	default:
	}
}

// Secret is what edges state, and whether anything is told at all. Expired is closed when
// it is so no longer: whoever was let in by it has nothing more to be told.
func (c *Controller) Secret() (secret string, expired <-chan struct{}, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.setting.Load(); s != nil {
		return s.Secret, c.expired, true
	}
	return "", nil, false
}

// Regions are those that can be asked for, sorted.
func (c *Controller) Regions() []string {
	if s := c.setting.Load(); s != nil {
		return s.regions
	}
	return nil
}

// use finds a view, which leave is to be called for. Stated is that the configuration
// wants it.
func (c *Controller) use(zone dnswire.Name, regions []string, stated bool) (*view, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.setting.Load()
	switch {
	case s == nil || !s.tells(zone):
		return nil, ErrNoZone
	case !s.has(regions):
		return nil, ErrNoRegion
	}
	key := viewKey(zone, regions)
	v := c.views[key]
	if v == nil {
		if !stated && len(regions) > 0 && !c.makeRoom(zone) {
			return nil, ErrBusy
		}
		v = &view{zone: zone, regions: slices.Clone(regions), moved: make(chan struct{})}
		c.views[key] = v
	}
	v.stated = v.stated || stated
	v.users++
	return v, nil
}

func (c *Controller) leave(v *view) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v.users--
	v.used = time.Now()
}

// makeRoom sees to it that there is room for one more list of regions of a zone, and lets
// go of the one that has not been used for longest. It is false when all are in use.
// Callers hold mu.
func (c *Controller) makeRoom(zone dnswire.Name) bool {
	last, lists := "", 0
	for key, v := range c.views {
		if v.zone != zone || len(v.regions) == 0 || v.stated && v.users > 0 {
			continue
		}
		lists++
		if v.users == 0 && (last == "" || v.used.Before(c.views[last].used)) {
			last = key
		}
	}
	if lists < maxLists {
		return true
	}
	delete(c.views, last)
	return last != ""
}

// sweep lets go of views that nobody uses any more. Callers hold mu.
func (c *Controller) sweep(now time.Time) {
	for key, v := range c.views {
		if v.users == 0 && now.Sub(v.used) > idle {
			delete(c.views, key)
		}
	}
}

// Ask is the records of a zone for clients in some regions, of the snapshot that is in
// force now or of a later one; regions none: for a client of whom nothing is known.
// It waits for Run to compute them. Errors are ErrNoZone, ErrNoRegion, ErrWaits, ErrBusy and
// that of ctx.
func (c *Controller) Ask(ctx context.Context, zone dnswire.Name, regions []string) (*State, error) {
	for {
		v, err := c.use(zone, regions, false)
		if err != nil {
			return nil, err
		}
		st, err := c.await(ctx, v)
		c.leave(v)
		if st != nil || err != nil {
			return st, err
		}
		// A reload has ended the view: there may be another, or the reason why not.
	}
}

// await is the state of a view for who asks now, nil when the view has ended. The error is
// ErrWaits or that of ctx.
func (c *Controller) await(ctx context.Context, v *view) (*State, error) {
	c.mu.Lock()
	c.asked++
	ticket := c.asked
	for {
		st := v.latest
		switch {
		case v.ended:
			c.mu.Unlock()
			return nil, nil
		case v.waits && c.done >= ticket:
			c.mu.Unlock()
			return nil, ErrWaits
		case st != nil && !v.waits && (c.done >= ticket || st.snapshot == c.o.Engine.Snapshot() && st.setting == c.setting.Load()):
			c.mu.Unlock()
			return st, nil
		}
		settled := c.settled
		c.mu.Unlock()
		c.wake()
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-settled:
		}
		c.mu.Lock()
	}
}

// Follower follows a view.
type Follower struct {
	c *Controller
	v *view
}

// Follow is like Ask, for who is to be told of changes. Close ends it.
func (c *Controller) Follow(zone dnswire.Name, regions []string) (*Follower, error) {
	return c.follower(zone, regions, false)
}

func (c *Controller) follower(zone dnswire.Name, regions []string, stated bool) (*Follower, error) {
	v, err := c.use(zone, regions, stated)
	if err != nil {
		return nil, err
	}
	c.wake()
	return &Follower{c, v}, nil
}

// Close ends it.
func (f *Follower) Close() { f.c.leave(f.v) }

// Since is the latest state, nil while there is none, with the changes that lead to it
// from the version with a hash. Not ok: they are not known, or too many. Moved is closed
// when there is another state, or the follower is at its end.
func (f *Follower) Since(hash string) (st *State, steps []*Step, ok bool, moved <-chan struct{}) {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	steps, ok = f.v.since(hash)
	return f.v.latest, steps, ok, f.v.moved
}

// Ended is whether the zone is no longer told of.
func (f *Follower) Ended() bool {
	f.c.mu.Lock()
	defer f.c.mu.Unlock()
	return f.v.ended
}

// Run computes views while somebody uses them, and pushes, until ctx ends.
func (c *Controller) Run(ctx context.Context) error {
	c.mu.Lock()
	c.ctx = ctx
	c.follow(c.setting.Load())
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.ctx = nil
		c.mu.Unlock()
		c.pushing.Wait()
	}()
	w := &worker{c: c, scratch: resolve.NewScratch(1, 2), censuses: map[dnswire.Name]*census{}}
	tidy := time.NewTicker(idle / 10)
	defer tidy.Stop()
	var seen *resolve.Snapshot
	for {
		ticket := c.ticket() // before the snapshot, which is then what they asked for
		s, next := c.o.Engine.Follow()
		wanted := c.demand(s != seen)
		if s != nil && wanted {
			begun := time.Now()
			w.work(ctx, s)
			seen = s
			c.mu.Lock()
			c.done = ticket
			c.settle()
			c.mu.Unlock()
			took := time.Since(begun)
			c.meters.computed.Observe(took.Seconds())
			if !pause(ctx, min(max(Interval-took, restful*took), longestRest)) {
				return nil
			}
			continue
		}
		if !c.following() {
			next = nil // nobody is to be told
		}
		select {
		case <-ctx.Done():
			return nil
		case <-next:
		case <-c.poke:
		case now := <-tidy.C:
			c.mu.Lock()
			c.sweep(now)
			c.mu.Unlock()
			w.forget()
		}
	}
}

// pause waits; it is false when ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// ticket is how often somebody has asked.
func (c *Controller) ticket() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// demand is whether views are to be computed. Fresh says that there is another snapshot
// than the last time.
func (c *Controller) demand(fresh bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	set := c.setting.Load()
	if set == nil {
		return false
	}
	for _, v := range c.views {
		if v.users > 0 && (fresh || !v.waits && (v.latest == nil || v.latest.setting != set)) {
			return true
		}
	}
	// Who asked for what has not been computed by then has its answer.
	return c.asked > c.done && len(c.views) > 0
}

// following is whether anybody uses a view.
func (c *Controller) following() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.views {
		if v.users > 0 {
			return true
		}
	}
	return false
}
