package notify

import (
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

// collect finds the events after a place that are to be told at this time.
func (d *destination) collect(by *setting, at uint64, now time.Time) (c collected) {
	r := d.n.o.History.Reader(at)
	var settled *settling
	c.at = at
	for len(c.events) < by.Batch {
		p := r.Next(by.query, by.Batch-len(c.events))
		c.lost += p.Lost
		for i := range p.Events {
			e := &p.Events[i]
			if left := by.Hold - now.Sub(e.At); by.Hold > 0 && left > 0 {
				c.wait, c.more = left, nil
				return c
			}
			c.at = e.ID
			switch {
			case now.Sub(e.At) > by.MaxAge:
				c.old++
				continue
			case by.Hold > 0 && e.OfState():
				if settled == nil {
					settled = settle(d.n.o.History, by.Hold)
				}
				if !settled.tells(e) {
					continue
				}
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

type subject struct{ endpoint, host string }

type change struct {
	id         uint64
	at         time.Time
	state, was string
}

func settle(l *history.Log, hold time.Duration) *settling {
	s := &settling{hold: hold, of: map[subject][]change{}}
	all, _ := l.Read(history.Query{Types: []string{history.Up, history.Degraded, history.Down, history.Unknown}}, 0)
	for i := range all {
		e := &all[i]
		key := subject{e.Endpoint, e.Host}
		s.of[key] = append(s.of[key], change{e.ID, e.At, e.State, e.Was})
	}
	return s
}

// tells is whether a change lasted and made the endpoint another than was told last,
// which it puts in the event. What is told last is what was before the first of those
// changes that followed each other within hold.
func (s *settling) tells(e *history.Event) bool {
	all := s.of[subject{e.Endpoint, e.Host}]
	for i := range all {
		if all[i].id != e.ID {
			continue
		}
		if i+1 < len(all) && all[i+1].at.Sub(all[i].at) < s.hold {
			return false
		}
		first := i
		for first > 0 && all[first].at.Sub(all[first-1].at) < s.hold {
			first--
		}
		if first == i {
			return true
		}
		e.Was, e.Lasted = all[first].was, 0
		return e.Was != e.State
	}
	return true
}
