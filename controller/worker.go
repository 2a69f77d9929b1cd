package controller

import (
	"context"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// worker computes views.
type worker struct {
	c        *Controller
	scratch  *resolve.Scratch
	censuses map[dnswire.Name]*census
}

// forget lets go of what no view needs.
func (w *worker) forget() {
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	for zone := range w.censuses {
		needed := false
		for _, v := range w.c.views {
			needed = needed || v.zone == zone
		}
		if !needed {
			delete(w.censuses, zone)
		}
	}
}

// many is from how many services on a computation that begins anew is out of the way.
const many = 2048

// work computes the views that are used and are not of this snapshot already: somebody may
// have asked for another one alone.
func (w *worker) work(ctx context.Context, s *resolve.Snapshot) {
	set := w.c.setting.Load()
	if set == nil {
		return
	}
	w.c.mu.Lock()
	var views []*view
	for _, v := range w.c.views {
		if v.users > 0 && (v.latest == nil || v.latest.snapshot != s || v.latest.setting != set) {
			views = append(views, v)
		}
	}
	w.c.mu.Unlock()
	all := func() {
		for _, v := range views {
			if ctx.Err() != nil {
				return
			}
			w.compute(ctx, s, set, v)
		}
	}
	if len(views) == 0 {
		return
	}
	if s.Table.Services() < many && s.Table.Len() < many {
		all()
		return
	}
	w.c.o.Background(all)
}

// compute makes the next state of a view.
func (w *worker) compute(ctx context.Context, s *resolve.Snapshot, set *setting, v *view) {
	index := zoneOf(s.Table, v.zone)
	if index < 0 {
		return // the statement that has it comes
	}
	if s.Table.Zones[index].Waits {
		w.c.mu.Lock()
		v.waits = true
		w.c.mu.Unlock()
		return
	}
	c := w.censuses[v.zone].next(s, index)
	w.censuses[v.zone] = c
	if v.by != set {
		v.by, v.places = set, nil
		for _, r := range v.regions {
			v.places = append(v.places, placeOf(set.spec, r))
		}
	}
	w.c.mu.Lock()
	prev := v.latest
	w.c.mu.Unlock()
	b := builder{
		prev:    prev,
		next:    &State{Zone: text(v.zone), snapshot: s, setting: set, census: c},
		steered: steered{snapshot: s, places: v.places, scratch: w.scratch, contents: newContents()},
		names:   set.Failover,
	}
	next, change, lost := b.build()
	w.c.mu.Lock()
	defer w.c.mu.Unlock()
	if !v.ended && ctx.Err() == nil {
		v.step(next, change, lost)
		w.c.meters.changed(change, lost && prev != nil)
	}
}
