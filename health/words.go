package health

import (
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
)

// placeWords marks the targets of a view nobody has seen yet that operators have
// a word on at this time. A word on one endpoint of one service stands above
// maintenance, but for a drain, of which what leaves less traffic does.
func (b *Board) placeWords(v *View, now time.Time) {
	b.wordStep = time.Time{}
	for i := range v.states {
		v.states[i] &^= overridden
	}
	b.placeMaintenance(v, now)
	v.overrides = nil
	for key, o := range b.overrides {
		if o.lapsed(now) {
			b.ended = true
			continue
		}
		b.wordStep = earlier(b.wordStep, o.Until)
		for _, i := range b.locate(key.service, key.endpoint) {
			w := o.word(i, v.Judged(i), now)
			b.wordStep = earlier(b.wordStep, o.nextStep(now))
			if m := on(v.everywhere, i); m != nil && o.Drain && m.left() < w.left() {
				continue
			}
			if v.overrides == nil {
				v.overrides = map[dnswire.Name][]forced{}
			}
			v.states[i] |= overridden
			v.overrides[key.service] = append(v.overrides[key.service], w)
		}
	}
	for _, all := range v.overrides {
		inOrder(all)
	}
}

// left is how much traffic a word leaves.
func (f *forced) left() uint16 {
	if f.state == Down {
		return 0
	}
	return f.share
}

// sweep forgets what has ended by itself, and writes down that maintenance has
// begun. Answers do not wait for it: they go by the times.
func (b *Board) sweep(now time.Time) {
	b.overriding.Lock()
	defer b.overriding.Unlock()
	b.mu.Lock()
	var lapsed []overrideKey
	for key, o := range b.overrides {
		if o.lapsed(now) {
			lapsed = append(lapsed, key)
		}
	}
	var due []Maintenance
	for _, m := range b.upkeep {
		if m.over(now) || m.begun(now) && !m.Told {
			due = append(due, m)
		}
	}
	b.mu.Unlock()
	slices.SortFunc(lapsed, func(x, y overrideKey) int {
		p, q := b.overrides[x], b.overrides[y]
		return p.Until.Compare(q.Until)
	})
	for _, key := range lapsed {
		o := b.overrides[key] // nobody else writes while overriding is held
		b.log.Info("override lapsed", "service", o.Service, "endpoint", o.Endpoint, "until", stamp(o.Until), "source", o.Source)
		by := audit.By{Who: audit.Node, Why: "its end was " + stamp(o.Until)}
		b.events.Tell(history.Event{Type: history.OverrideLapsed, Service: o.Service, Endpoint: o.Endpoint, Reason: by.Why, Who: o.Source})
		b.enter(by.Entry(audit.OverrideLapsed, o.Service+" "+o.Endpoint, "set by "+o.Source))
		b.forgotten(b.keepOverride(key, nil))
		b.mu.Lock()
		delete(b.overrides, key)
		b.mu.Unlock()
	}
	b.sweepMaintenance(due, now)
}

// enter writes what happened by itself into the audit log. It happens all the same.
func (b *Board) enter(e audit.Entry) {
	if err := b.audit.Append(e); err != nil {
		b.log.Error("audit log not written", "error", err)
	}
}

// forgotten logs that what is over is still on disk: a restart finds it, and that
// it is over.
func (b *Board) forgotten(err error) {
	if err != nil {
		b.log.Error("operator's word not removed from disk", "error", err)
	}
}
