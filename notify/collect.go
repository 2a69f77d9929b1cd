package notify

import (
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/history"
)

// collected is what is to be told next.
type collected struct {
	events []history.Event // none: there is nothing yet
	at     uint64          // what is told, or left out, up to
	lost   uint64          // of those before, those that are here no longer
	old    uint64          // and those that are too old
	more   <-chan struct{} // there is more, when there are no events
	wait   time.Duration   // or then; 0: not by itself
}

// collect finds the events after a place that are to be told now.
func (d *destination) collect(by *setting, at uint64) (c collected) {
	log := d.n.o.History
	r := log.Reader(at)
	c.at = at
	for len(c.events) < by.Batch {
		p := r.Next(by.query, by.Batch-len(c.events))
		c.lost += p.Lost
		var settled *settling
		for i := range p.Events {
			e := &p.Events[i]
			age := log.Age(e)
			if left := by.Hold - age; by.Hold > 0 && left > 0 {
				c.wait, c.more = left, nil
				return c
			}
			c.at = e.ID
			if by.Hold > 0 && e.OfState() {
				if settled == nil {
					settled = settle(log, by.Hold, p.Events)
				}
				if !settled.tells(e) {
					continue // also when it is too old: nobody misses it
				}
			}
			if age > by.MaxAge {
				c.old++
				continue
			}
			c.events = append(c.events, *e)
		}
		if c.at = r.At(); p.More != nil {
			c.more = p.More
			break
		}
	}
	return c
}

// settling says of changes of endpoints whether they lasted.
//
//	       |<- hold ->|               told
//	up  ---+          +-----+     +-- nothing: each change was followed closely by one
//	down   +--+ ..         +-----+    that made it what it had been before all of them
type settling struct {
	hold time.Duration
	of   map[subject][]change
}

// subject is what changes are of. One address may be judged by others in other pools.
type subject struct{ endpoint, host, pools string }

func subjectOf(e *history.Event) subject {
	return subject{e.Endpoint, e.Host, strings.Join(e.Pools, "\n")}
}

type change struct {
	id         uint64
	at         time.Time
	ran        time.Duration
	state, was string
	share      float64
}

// near is whether two changes were closer to each other than hold. A clock that was
// set between two of the same run does not matter; across runs, changes that would be
// in the wrong order are not near.
func (s *settling) near(a, b *change) bool {
	d := b.ran - a.ran
	if a.ran == 0 || b.ran == 0 {
		d = b.at.Sub(a.at)
	}
	return 0 <= d && d < s.hold
}

// settle finds all changes of the endpoints that some events are of.
func settle(l *history.Log, hold time.Duration, events []history.Event) *settling {
	s := &settling{hold: hold, of: map[subject][]change{}}
	among := map[string]bool{}
	for i := range events {
		among[events[i].Endpoint] = true
	}
	all, _ := l.Read(history.Query{Types: history.States, Among: among}, 0)
	for i := range all {
		e := &all[i]
		key := subjectOf(e)
		s.of[key] = append(s.of[key], change{e.ID, e.At, e.Ran, e.State, e.Was, e.Share})
	}
	return s
}

// tells is whether a change lasted and made the endpoint another than was told last,
// which it puts in the event. What is told last is what was before the first of those
// changes that followed each other within hold.
func (s *settling) tells(e *history.Event) bool {
	all := s.of[subjectOf(e)]
	for i := range all {
		if all[i].id != e.ID {
			continue
		}
		if i+1 < len(all) && s.near(&all[i], &all[i+1]) {
			return false
		}
		first := i
		for first > 0 && s.near(&all[first-1], &all[first]) {
			first--
		}
		if first == i {
			return true
		}
		e.Was, e.Lasted = all[first].was, 0
		if e.Was == history.Degraded && e.State == e.Was {
			return first == 0 || all[first-1].share != e.Share
		}
		return e.Was != e.State
	}
	return true
}
