package health

import (
	"log/slog"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// restoredIntervals is for how many intervals a verdict from before a restart
// is believed without a probe that confirms it.
const restoredIntervals = 3

// verdict is what a probe's results add up to.
type verdict struct {
	state    State
	restored bool  // not yet confirmed since the restart
	held     bool  // it would be down, if this node were not in doubt of itself
	streak   int32 // results in a row against state
	since    time.Time
	reason   string    // what the result said that changed the state; empty: it passed
	lastUp   time.Time // when it last left up, or was last seen up
	seen     time.Time // of the last result
	level    *level    // how well it serves while it is up; nil: as it should
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
	if int(v.streak) < need {
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

// tell logs that a verdict has changed from what it was or, with moved, that its
// level has.
func (b *Board) tell(r *runner, before State, moved bool) {
	v, what := &r.verdict, "check "
	if r.is(markDecides) {
		what = "endpoint "
	}
	why := said(r.check.Name, v)
	state := v.state.String()
	if v.state == before && moved {
		state = "no longer degraded"
	}
	if v.degraded() {
		state, why = "degraded", "check "+r.check.Name+": "+v.level.reason
	}
	b.say(slog.LevelInfo, what+state, "endpoint", b.targets[r.targets[0]].String(),
		"check", r.check.Name, "host", r.check.Host, "was", before.String(), "reason", why)
}

// doubted is whether an endpoint is up of which the last results are failures, too
// few yet to decide.
func (v *verdict) doubted() bool { return v.state == Up && v.streak > 0 }

// judged is a verdict and the check of a target that it is on; a probe is shared by
// checks of several names.
type judged struct {
	of *spec.Check
	*verdict
}

// said is the reason of a known state, one line.
func said(check string, v *verdict) string {
	switch {
	case v.held:
		return "check " + check + ": " + v.reason + "; held, since this node seems to be cut off itself"
	case v.state == Up:
		return "check " + check + " passed"
	}
	return "check " + check + ": " + v.reason
}

// combine is the detail of a target whose checks have the given verdicts: down
// when one is down, up when all are up, else unknown. The check that made it so
// is the reason: the first that failed, or the last that passed. Those that only
// degrade do not count for that: they, and those that are up and degraded, lower
// the share of a target that is up.
func combine(all []judged) Detail {
	d := Detail{State: Up}
	decides := 0
	for _, v := range all {
		switch {
		case v.of.OnlyDegrades:
			continue
		case v.state == Down:
			d.State = Down
		case v.state == Unknown && d.State == Up:
			d.State = Unknown
		}
		decides++
	}
	if decides == 0 {
		d.Authority = Unchecked
	}
	var by *judged
	first := true
	for i := range all {
		v := &all[i]
		if v.of.OnlyDegrades {
			continue
		}
		d.Suspect = d.Suspect || v.held && d.State == Up
		// A target was up until the first of its checks left up.
		if first || v.lastUp.Before(d.LastUp) {
			d.LastUp = v.lastUp
		}
		first = false
		if v.state != d.State {
			continue
		}
		if d.State == Unknown {
			if by == nil {
				by = v
				d.Reason = "check has not run yet"
				if v.reason != "" {
					d.Reason = said(v.of.Name, v.verdict)
				}
			}
			continue
		}
		if by == nil || v.held && !by.held || v.held == by.held && (d.State == Down) == v.since.Before(by.since) {
			by = v
			d.Since, d.Reason = v.since, said(v.of.Name, v.verdict)
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
	if d.Authority == Validation && by.of.Type == spec.CheckExternal {
		d.Authority = Reported
	}
	if d.State == Up {
		for _, v := range all {
			d.lowers(v)
		}
	}
	return d
}
