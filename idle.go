package rhumb

import (
	"context"
	"time"

	"github.com/rhumb-dns/rhumb/table"
)

// idleness knows which services nobody asks for. Its fields are guarded by the
// engine's mutex.
type idleness struct {
	wake  chan struct{} // one token: the table changed
	table *table.Table  // that of asked
	asked []time.Time   // when each plan last was, or first seen
	idle  []bool        // plans
	told  bool          // the board knows of some that are
}

// idleGap is how late it is seen at most that somebody asks for a service again.
const idleGap = time.Second

// keepIdle has the endpoints of services that nobody asks for probed more rarely,
// while the configuration says so.
func (e *Engine) keepIdle(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.idleness.wake:
		case <-timer.C:
		}
		if wait := e.lookIdle(time.Now()); wait > 0 {
			timer.Reset(wait)
		}
	}
}

// lookIdle finds out who has been asked for, and says when to look next; 0 is not
// before the table changes.
func (e *Engine) lookIdle(now time.Time) time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, t := &e.idleness, e.table
	if t == nil {
		return 0
	}
	after := e.spec.Health.IdleAfter
	if after == 0 {
		if i.told {
			e.board.SetIdle(e.board.View().Generation(), nil)
		}
		i.table, i.asked, i.idle, i.told = nil, nil, nil, false
		return 0
	}
	changed := i.table != t
	if changed {
		known := make(map[*table.Plan]time.Time, len(i.asked))
		if i.table != nil {
			for k, p := range i.table.Plans {
				known[p] = i.asked[k]
			}
		}
		i.table, i.asked, i.idle = t, make([]time.Time, len(t.Plans)), make([]bool, len(t.Plans))
		for k, p := range t.Plans {
			at, ok := known[p]
			if !ok {
				at = now
			}
			i.asked[k] = at
		}
	}
	for k, p := range t.Plans {
		if p.TakeAsked() {
			i.asked[k] = now
		}
		if is := now.Sub(i.asked[k]) >= after; is != i.idle[k] {
			i.idle[k], changed = is, true
		}
	}
	if changed {
		e.tellIdle()
	}
	return min(idleGap, after/4)
}

// tellIdle tells the board of the targets that only idle services have.
func (e *Engine) tellIdle() {
	i := &e.idleness
	idle := make([]bool, len(i.table.Targets))
	for k := range idle {
		idle[k] = true
	}
	for k, p := range i.table.Plans {
		if i.idle[k] {
			continue
		}
		for _, group := range []*[3]table.Members{&p.Members, &p.Spare} {
			for f := range group {
				for _, target := range group[f].Targets {
					idle[target] = false
				}
			}
		}
	}
	i.told = true
	e.board.SetIdle(e.board.View().Generation(), idle)
}
