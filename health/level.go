package health

import (
	"fmt"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

// Cause is what degrades an endpoint.
type Cause uint8

// The causes.
const (
	NotDegraded Cause = iota
	ByLatency         // its probes take longer than degraded_above
	ByProbe           // the probe says so, or who reports
	ByCheck           // it fails a check that only degrades
	causes
)

func (c Cause) String() string { return [causes]string{"", "latency", "probe", "check"}[c] }

// relief is the part of degraded_above that a success must not take longer than to
// count as good again, so that an endpoint at the limit does not come and go.
const relief = 0.9

// level is how well an endpoint that is up serves. Verdicts have none until a
// success was degraded.
type level struct {
	cause  Cause // NotDegraded while it is not
	streak int   // successes in a row that speak against cause
	since  time.Time
	reason string
}

// degraded is whether the probe says that its endpoint serves, and not as it should.
func (v *verdict) degraded() bool { return v.level != nil && v.level.cause != NotDegraded }

// tooSlow is whether a success took so long that it counts as degraded.
func tooSlow(r probe.Result, c Check, already bool) bool {
	limit := c.DegradedAbove
	if already {
		limit = time.Duration(relief * float64(limit))
	}
	return r.OK && limit > 0 && r.RTT > limit
}

// weigh takes a result in that apply has taken in, and says whether the endpoint is
// degraded now where it was not, or the other way. It takes fall degraded successes
// in a row, and rise others to end it; failures between them are for apply. The
// result that an endpoint came up with decides at once.
func (v *verdict) weigh(r probe.Result, c Check, now time.Time) bool {
	was := v.degraded()
	if v.state != Up {
		v.level = nil
		return was
	}
	slow := tooSlow(r, c, was)
	bad := r.OK && (slow || r.Degraded)
	first := v.since.Equal(now)
	switch {
	case !r.OK || v.level == nil && !bad:
		return false
	case v.level == nil:
		v.level = &level{}
	case bad == was:
		if v.level.streak = 0; !was {
			v.level = nil
		}
		return false
	}
	v.level.streak++
	need := c.Fall
	if was {
		need = c.Rise
	}
	if v.level.streak < need && !first {
		return false
	}
	if !bad {
		v.level = nil
		return true
	}
	*v.level = level{cause: ByProbe, since: now, reason: r.Detail}
	if slow {
		v.level.cause = ByLatency
		if !r.Degraded {
			v.level.reason = fmt.Sprintf("took %v, more than %v", r.RTT.Round(time.Millisecond), c.DegradedAbove)
		}
	}
	return true
}

// lowers puts in a detail that a check degrades the endpoint to a share of its
// traffic. Of several the one that leaves the least counts, and of those the first.
func (d *Detail) lowers(j judged) {
	share := uint16(min(max(j.of.DegradedShare*Whole+0.5, 1), Whole))
	cause, since, reason := NotDegraded, j.since, j.reason
	switch {
	case j.state == Down && j.of.OnlyDegrades:
		cause = ByCheck
	case j.state == Up && j.degraded():
		cause, since, reason = j.level.cause, j.level.since, j.level.reason
	default:
		return
	}
	if d.Cause != NotDegraded && d.Share <= share {
		return
	}
	d.Share, d.Cause, d.Since = share, cause, since
	d.Reason = fmt.Sprintf("degraded to %d%%: check %s: %s", max((int(share)*100+Whole/2)/Whole, 1), j.of.Name, reason)
}
