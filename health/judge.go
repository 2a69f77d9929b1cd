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
	reason   string    // what the result said that changed the state; empty: it passed
	lastUp   time.Time // when it last left up, or was last seen up
	seen     time.Time // of the last result
	streak   int       // results in a row against state
}

// apply takes one result in and says whether the state changed. The first
// result decides an unknown state; after that it takes rise successes in a row
// to go up and fall failures in a row to go down.
func (v *verdict) apply(r probe.Result, c Check, now time.Time) bool {
	says := Down
	if r.OK {
		says = Up
	}
	v.seen = now
	if v.state == Up {
		v.lastUp = now
	}
	if says == v.state {
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
	v.state, v.since, v.streak, v.restored, v.reason = says, now, 0, false, r.Detail
	if says == Up {
		v.lastUp, v.reason = now, ""
	}
	return true
}

// lapse is what becomes of a verdict from before the restart that is no longer
// believed. When it was last up is a fact and stays.
func (v *verdict) lapse() { *v = verdict{lastUp: v.lastUp, seen: v.seen} }

// judged is a verdict and the name its target has for the check; a probe is
// shared by checks of several names.
type judged struct {
	check string
	*verdict
}

// said is the reason of a known state, one line.
func said(check string, v *verdict) string {
	if v.state == Up {
		return "check " + check + " passed"
	}
	return "check " + check + ": " + v.reason
}

// combine is the detail of a target whose probes have the given verdicts: down
// when one is down, up when all are up, else unknown. The probe that made it so
// is the reason: the first that failed, or the last that passed.
func combine(all []judged) Detail {
	d := Detail{State: Up}
	for _, v := range all {
		if v.state == Down {
			d.State = Down
		} else if v.state == Unknown && d.State == Up {
			d.State = Unknown
		}
	}
	var by *verdict
	for i, v := range all {
		// A target was up until the first of its probes left up.
		if i == 0 || v.lastUp.Before(d.LastUp) {
			d.LastUp = v.lastUp
		}
		if v.state != d.State || d.State == Unknown {
			continue
		}
		if by == nil || (d.State == Down) == v.since.Before(by.since) {
			by = v.verdict
			d.Since, d.Reason = v.since, said(v.check, v.verdict)
		}
		// All that are up make a target up, so one that is not confirmed leaves it
		// unconfirmed; one that is down suffices, so one that is confirmed confirms it.
		if v.restored == (d.State == Up) || d.Authority == NoAuthority {
			d.Authority = Validation
			if v.restored {
				d.Authority = Restored
			}
		}
	}
	if d.State == Unknown {
		d.Reason = "check has not run yet"
	}
	return d
}
