package conduct

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/history"
)

// Options are what a Director needs from outside. All of them may be left out.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Keeper     Keeper       // nil: memory only
	History    *history.Log // of what pools do; nil: nobody asks
}

// Director owns the courses of a node. Readers take View.
type Director struct {
	log    *slog.Logger
	keeper Keeper
	events *history.Log
	meters *meters
	base   time.Time // the instant 0

	view    atomic.Pointer[View]
	changed chan struct{} // one token: View is newer than when it was last taken
	wake    chan struct{} // one token: the next deadline or what is to be saved changed

	mu      sync.Mutex
	courses []*course
	byKey   map[string]*course
	uses    uses
	health  *health.View
	due     queue
	round   uint64
	touched []*course // of this round
	states  []health.State

	restored map[string]record   // kept courses, until the first ones have claimed theirs
	ofPool   map[string]string   // their keys by pool and host
	stored   map[string]bool     // records on disk, by key
	unsaved  map[string]struct{} // keys of records to be written
	unkept   bool                // the last write failed; of save alone, which is never called twice at once
}

// New makes a director without courses. It reads what Options.Keeper holds.
func New(o Options) (*Director, error) {
	d := &Director{
		log:     o.Logger,
		keeper:  o.Keeper,
		events:  o.History,
		base:    time.Now().Add(-1), // so that no time is 0
		changed: make(chan struct{}, 1),
		wake:    make(chan struct{}, 1),
		health:  health.Fixed(0, nil),
		stored:  map[string]bool{},
		unsaved: map[string]struct{}{},
	}
	if d.log == nil {
		d.log = slog.New(slog.DiscardHandler)
	}
	d.meters = newMeters(o.Registerer, d)
	d.view.Store(&View{base: d.base})
	if err := d.restore(); err != nil {
		return nil, err
	}
	return d, nil
}

// View is the latest view.
func (d *Director) View() *View { return d.view.Load() }

// Changed has a value whenever View has become newer by itself, and not by
// Apply, Follow or Failback, which return when it is.
func (d *Director) Changed() <-chan struct{} { return d.changed }

// instant is a time on the director's clock, which goes on evenly.
func (d *Director) instant(t time.Time) instant { return instant(t.Sub(d.base)) }

// Apply replaces the courses. Those of a pool that had one before go on from
// where that was. The view of health is that of the same table; View is aligned
// with the courses when Apply returns.
func (d *Director) Apply(courses []Course, h *health.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.instant(time.Now())
	before := heirs{byKey: map[string]*course{}, byPool: map[string]*course{}}
	for _, c := range d.courses {
		before.add(c)
	}
	d.health = h
	d.courses = make([]*course, len(courses))
	d.due = d.due[:0]
	d.byKey = make(map[string]*course, len(courses))
	v := &View{base: d.base, n: len(courses), pages: make([]*page, (len(courses)+pageLen-1)/pageLen)}
	for i := range v.pages {
		v.pages[i] = new(page)
	}
	for i := range courses {
		of := courses[i]
		c := newCourse(&of, now)
		c.index = i
		if was := before.of(&of); was != nil {
			c.inherit(was)
		} else if r, ok := d.claim(&of); ok {
			c.recall(r, now)
		}
		d.courses[i], d.byKey[c.Key] = c, c
		c.step(now, d.of(c))
		d.report(c)
		d.enqueue(c)
		v.pages[i/pageLen][i%pageLen] = c.entry()
		d.keep(c)
	}
	if len(courses) > 0 {
		d.restored, d.ofPool = nil, nil // what is left is of pools that nobody has any more
	}
	for key := range d.stored {
		if d.byKey[key] == nil && d.restored == nil {
			d.unsaved[key] = struct{}{}
		}
	}
	d.uses.index(courses, h.Len())
	d.view.Store(v)
	notify(d.wake)
}

// heirs are the courses of before, for those of now to go on from.
type heirs struct {
	byKey, byPool map[string]*course
}

func (h *heirs) add(c *course) {
	h.byKey[c.Key] = c
	// Of several courses of a pool the first one with a service's host goes on with
	// what is of that host, else the first one of the pool.
	for _, key := range []string{c.Pool.Name + " " + c.Host, c.Pool.Name} {
		if h.byPool[key] == nil {
			h.byPool[key] = c
		}
	}
}

// of is the course that another one goes on from; nil: none.
func (h *heirs) of(c *Course) *course {
	for _, was := range []*course{h.byKey[c.Key], h.byPool[c.Pool.Name+" "+c.Host], h.byPool[c.Pool.Name]} {
		if was != nil {
			return was
		}
	}
	return nil
}

// of is what health says of the endpoints of a course. It is good until the next
// call.
func (d *Director) of(c *course) []health.State {
	d.states = d.states[:0]
	for _, t := range c.Targets {
		d.states = append(d.states, d.health.State(int(t)))
	}
	return d.states
}

// Follow takes in a view of health. One of another table than that of the
// courses is left alone: Apply brings the courses of that. When Follow returns
// View has it.
func (d *Director) Follow(h *health.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h == d.health || h.Generation() != d.health.Generation() || h.Len() != d.health.Len() {
		return
	}
	before := d.health
	d.health = h
	if len(d.courses) == 0 {
		return
	}
	d.round++
	h.EachChange(before, func(target int) {
		for _, at := range d.uses.of(target) {
			d.touch(d.courses[at])
		}
	})
	if len(d.touched) > 0 {
		d.advance(d.instant(time.Now()))
		notify(d.wake)
	}
}

// touch has a course brought to now by the next advance, once in a round.
func (d *Director) touch(c *course) {
	if c.seen != d.round {
		c.seen = d.round
		d.touched = append(d.touched, c)
	}
}

// advance brings the courses touched to now, and publishes what changed of them.
func (d *Director) advance(now instant) (changed bool) {
	var v *View
	own := map[int]bool{} // pages that are not shared with the view before
	for _, c := range d.touched {
		c.step(now, d.of(c))
		d.report(c)
		d.enqueue(c)
		before := c.shown
		e := c.entry()
		if e == before {
			continue
		}
		if v == nil {
			next := *d.view.Load()
			next.pages = slices.Clone(next.pages)
			v = &next
		}
		at := c.index / pageLen
		if !own[at] {
			own[at] = true
			p := *v.pages[at]
			v.pages[at] = &p
		}
		v.pages[at][c.index%pageLen] = e
		if !e.alike(&before.course) {
			d.keep(c)
		}
	}
	d.touched = d.touched[:0]
	if v != nil {
		d.view.Store(v)
	}
	return v != nil
}

// The errors of Failback.
var (
	// ErrNoPool is that no service has such a pool with conduct.
	ErrNoPool = errors.New("no such pool")
	// ErrTooFew is that the pool has fewer than min_healthy endpoints up.
	ErrTooFew = errors.New("too few endpoints are up")
)

// Failback has a pool that gave way stand again now, whatever its failback and
// failback_delay, for all services. It is false for a pool that stands. When it
// returns View has it. The error is an ErrNoPool or ErrTooFew.
func (d *Director) Failback(pool string) (done bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.instant(time.Now())
	found := false
	d.round++
	for _, c := range d.courses {
		if c.Pool.Name != pool {
			continue
		}
		found = true
		c.step(now, d.of(c))
		switch {
		case c.stands:
		case c.up < c.need:
			err = fmt.Errorf("pool %s: %w: %s, min_healthy %d", pool, ErrTooFew, c.have(), c.need)
		default:
			c.stand(now)
			done = true
		}
		d.touch(c)
	}
	if !found {
		return false, fmt.Errorf("pool %s: %w", pool, ErrNoPool)
	}
	d.advance(now)
	notify(d.wake)
	if done {
		d.log.Info("pool stands again by an operator's word", "pool", pool)
		err = nil
	}
	return done, err
}

// Run keeps time for the courses until ctx ends, and writes what is left to
// write. It returns nil when ctx ended it. A director is run once at a time.
func (d *Director) Run(ctx context.Context) error {
	k := keeping{d: d, saved: make(chan []string, 1)}
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		now := time.Now()
		timer.Reset(min(d.tick(now), k.step(now)))
		select {
		case <-ctx.Done():
			k.finish()
			return nil
		case <-timer.C:
		case <-d.wake:
		case unwritten := <-k.saved:
			k.wrote(unwritten, time.Now())
		}
	}
}

// tick meets the deadlines that are due and says how long the next one is away.
func (d *Director) tick(at time.Time) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	now := d.instant(at)
	d.round++
	for len(d.due) > 0 && d.due[0].next <= now {
		c := heap.Pop(&d.due).(*course)
		d.touch(c)
	}
	if len(d.touched) > 0 && d.advance(now) {
		notify(d.changed)
	}
	if len(d.due) == 0 {
		return math.MaxInt64
	}
	return max(d.due[0].next.since(now), 0)
}

// enqueue puts a course where its next deadline belongs.
func (d *Director) enqueue(c *course) {
	switch in := c.queue >= 0; {
	case c.next == never && in:
		heap.Remove(&d.due, c.queue)
	case c.next == never:
	case in:
		heap.Fix(&d.due, c.queue)
	default:
		heap.Push(&d.due, c)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// queue is the courses with a deadline, the next one first.
type queue []*course

func (q queue) Len() int           { return len(q) }
func (q queue) Less(i, j int) bool { return q[i].next < q[j].next }

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].queue, q[j].queue = i, j
}

// Push implements heap.Interface.
func (q *queue) Push(x any) {
	c := x.(*course)
	c.queue = len(*q)
	*q = append(*q, c)
}

// Pop implements heap.Interface.
func (q *queue) Pop() any {
	last := len(*q) - 1
	c := (*q)[last]
	(*q)[last] = nil
	*q, c.queue = (*q)[:last], -1
	return c
}

// uses are the courses that each target is in.
type uses struct {
	first   []int32 // of the target's in courses, and one more
	courses []int32
}

func (u *uses) index(courses []Course, targets int) {
	u.first = make([]int32, targets+1)
	if len(courses) == 0 {
		u.first, u.courses = nil, nil
		return
	}
	n := 0
	for i := range courses {
		for _, t := range courses[i].Targets {
			u.first[t+1]++
			n++
		}
	}
	for t := range targets {
		u.first[t+1] += u.first[t]
	}
	u.courses = make([]int32, n)
	next := slices.Clone(u.first)
	for i := range courses {
		for _, t := range courses[i].Targets {
			u.courses[next[t]] = int32(i)
			next[t]++
		}
	}
}

func (u *uses) of(target int) []int32 {
	if target+1 >= len(u.first) {
		return nil
	}
	return u.courses[u.first[target]:u.first[target+1]]
}
