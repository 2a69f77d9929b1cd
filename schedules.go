package rhumb

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/table"
)

// Schedule is a set of time windows.
type Schedule interface {
	// Open is whether a window is open at t, and until when that stays so; the zero
	// time is for ever.
	Open(t time.Time) (open bool, until time.Time)
}

// clock knows which schedules are open. What it says changes at the edges of
// their windows, never between them, so that snapshots are made there alone.
type clock struct {
	changed chan struct{} // one token: Open is newer than when it was last taken
	wake    chan struct{} // one token: the schedules changed

	mu        sync.Mutex
	schedules []Schedule
	open      []bool // replaced and never written to
	edge      time.Time
}

func newClock() *clock {
	return &clock{changed: make(chan struct{}, 1), wake: make(chan struct{}, 1)}
}

// maxNap is how long a clock sleeps at most. A timer counts the time that passes,
// and the system's clock may be set in the meantime.
const maxNap = time.Minute

// Apply makes schedules the clock's and returns which of them are open, in their
// order. Nobody may write to that.
func (c *clock) Apply(schedules []Schedule) []bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schedules = schedules
	c.look(time.Now())
	notify(c.wake)
	return c.open
}

// Open is whether each schedule is open, in the order of the last Apply. Nobody
// may write to it; it is the same slice until it changes.
func (c *clock) Open() []bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open
}

// Changed has a value whenever time has changed what Open says.
func (c *clock) Changed() <-chan struct{} { return c.changed }

// look asks the schedules, and says whether one has opened or closed.
func (c *clock) look(now time.Time) bool {
	open := make([]bool, len(c.schedules))
	c.edge = time.Time{}
	for i, s := range c.schedules {
		var until time.Time
		open[i], until = s.Open(now)
		if !until.IsZero() && (c.edge.IsZero() || until.Before(c.edge)) {
			c.edge = until
		}
	}
	if slices.Equal(open, c.open) {
		return false
	}
	c.open = open
	return true
}

// step does what is due and says how long to sleep.
func (c *clock) step(now time.Time) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.look(now) {
		notify(c.changed)
	}
	if c.edge.IsZero() {
		return maxNap
	}
	// An edge that is not in the future would have it spin.
	return min(max(c.edge.Sub(now), time.Millisecond), maxNap)
}

// Run follows the schedules until ctx ends.
func (c *clock) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		case <-timer.C:
		}
		timer.Reset(c.step(time.Now()))
	}
}

// schedulesOf are the schedules of a table.
func schedulesOf(t *table.Table) []Schedule {
	all := make([]Schedule, len(t.Schedules))
	for i, w := range t.Schedules {
		all[i] = w
	}
	return all
}

// opening is which schedules are open, for a snapshot: the same pointer while
// that is so. It is called under e.mu.
func (e *Engine) opening() *resolve.Hours {
	open := e.clock.Open()
	switch {
	case len(open) == 0:
		e.hours = nil
	case e.hours == nil || &open[0] != &e.hours.Open[0]:
		e.hours = &resolve.Hours{Open: open}
	}
	return e.hours
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
