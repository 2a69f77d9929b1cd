package health

import (
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

// restoredIntervals is for how many intervals a verdict from before a restart
// is believed without a probe that confirms it.
const restoredIntervals = 3

// verdict is what a probe's results add up to.
type verdict struct {
	state    State
	restored bool // not yet confirmed since the restart
	since    time.Time
	reason   string
	lastUp   time.Time // when it last left up, or was last seen up
	seen     time.Time // of the last result
	streak   int       // results in a row against state
}

// apply takes one result in and says whether the state changed. The first
// result decides an unknown state; after that it takes rise successes in a row
// to go up and fall failures in a row to go down.
func (v *verdict) apply(r probe.Result, c Check, now time.Time) bool {
	said := Down
	if r.OK {
		said = Up
	}
	if v.restored && said != v.state && now.Sub(v.seen) > restoredIntervals*c.Interval {
		v.state = Unknown
	}
	v.seen = now
	if v.state == Up {
		v.lastUp = now
	}
	if said == v.state {
		v.streak, v.restored = 0, false
		return false
	}
	v.streak++
	need := 1
	switch v.state {
	case Up:
		need = c.Fall
	case Down:
		need = c.Rise
	}
	if v.streak < need {
		return false
	}
	v.state, v.since, v.streak, v.restored = said, now, 0, false
	v.reason = reason(r, c)
	if said == Up {
		v.lastUp = now
	}
	return true
}

func reason(r probe.Result, c Check) string {
	if r.OK {
		return "check " + c.Name + " passed"
	}
	return "check " + c.Name + ": " + r.Detail
}

// combine is the detail of a target whose probes have the given verdicts: down
// when one is down, up when all are up, else unknown.
func combine(verdicts []*verdict) Detail {
	d := Detail{State: Up, Authority: Validation}
	for i, v := range verdicts {
		switch {
		case v.state == Down && d.State != Down:
			// The first of several failures is the reason, until a failure that came before it.
			d.State, d.Since, d.Reason = Down, v.since, v.reason
		case v.state == Down && v.since.Before(d.Since):
			d.Since, d.Reason = v.since, v.reason
		case v.state == Unknown && d.State == Up:
			d.State, d.Since, d.Reason = Unknown, time.Time{}, "check has not run yet"
		case v.state == Up && d.State == Up && v.since.After(d.Since):
			d.Since, d.Reason = v.since, v.reason
		}
		if v.restored {
			d.Authority = Restored
		}
		// A target was up until the first of its probes left up.
		if i == 0 || v.lastUp.Before(d.LastUp) {
			d.LastUp = v.lastUp
		}
	}
	if d.State == Unknown && d.Authority == Validation {
		d.Authority = NoAuthority
	}
	return d
}
