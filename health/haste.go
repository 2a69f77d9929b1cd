package health

import (
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

// A probe that confirms the silence of an endpoint that is near says as much in less
// than its whole timeout: of two silent probes in a row after the first one nothing is
// learned in the time after the answer to a packet that was sent again was due.
const (
	// minHaste holds two packets, as the system sends one again after a second (RFC
	// 6298 section 2), and the answer to the second one of whoever is near.
	minHaste = 1500 * time.Millisecond
	// nearTrip is the longest time of a connection of those that are near.
	nearTrip = 250 * time.Millisecond
)

// hasty is the time of a probe that confirms silence; the timeout where that leaves
// nothing to save.
func (c *Check) hasty() time.Duration { return min(max(c.Timeout/4*3, minHaste), c.Timeout) }

// limit is how long the next probe may take, as it is noted in its marks.
func (b *Board) limit(r *runner, now time.Time) time.Duration {
	hasty := false
	if r.verdict.doubted() && r.is(markQuiet) && !r.verdict.held && !r.check.Type.Scripted() && b.result(&r.last).Class == probe.ClassTimeout {
		trip := time.Duration(r.trip.known(b.pace(r), b.due.at(now))) * time.Microsecond
		hasty = trip > 0 && trip <= nearTrip
	}
	r.mark(markHasty, hasty)
	return r.given()
}

// given is how long the probe under way may take.
func (r *runner) given() time.Duration {
	if r.is(markHasty) {
		return r.check.hasty()
	}
	return r.check.Timeout
}

// hurried is whether a failure is only that of a probe that had less than its timeout:
// somebody is there. It is made again, with all of its time.
func (r *runner) hurried(res probe.Result) bool {
	if !r.is(markHasty) || res.OK || res.Connect == 0 && res.Class != probe.ClassSlow {
		return false
	}
	return res.Class == probe.ClassTimeout || res.Class == probe.ClassSlow
}
