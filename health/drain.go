package health

import (
	"cmp"
	"fmt"
	"strings"
	"time"
)

// drainSteps is in how many steps a drain takes an endpoint out, where a second
// is not longer than that: fewer would be seen as jumps, more would make views for
// differences that nobody sees.
const drainSteps = 50

// MaxDrain is the longest drain.
const MaxDrain = 7 * 24 * time.Hour

// ends is when a drained endpoint is out.
func (o *Overriding) ends() time.Time { return o.Since.Add(o.Over) }

// Share is how much of its traffic the endpoint has left, of Whole: it shrinks
// evenly, in steps, and is 0 from the end of the drain on. Of an endpoint that is
// not drained it is Whole.
func (o *Overriding) Share(now time.Time) uint16 {
	if !o.Drain {
		return Whole
	}
	gone := now.Sub(o.Since)
	if gone >= o.Over {
		return 0
	}
	gone = max(gone, 0).Truncate(o.step())
	from := float64(cmp.Or(o.From, Whole))
	return uint16(max(from*(1-float64(gone)/float64(o.Over)), 1))
}

// follow makes a drain that is set on another go on where that one is, rather
// than give the endpoint all of its traffic back. What is out stays out.
func (o *Overriding) follow(before *Overriding) {
	o.From = 0
	if !o.Drain || !before.Drain {
		return
	}
	switch left := before.Share(o.Since); left {
	case 0:
		o.Over = 0
	case Whole:
	default:
		o.From = left
	}
}

// step is from one step of a drain to the next.
func (o *Overriding) step() time.Duration { return max(o.Over/drainSteps, figureGap) }

// nextStep is when Share shrinks next; zero when it does no more.
func (o *Overriding) nextStep(now time.Time) time.Time {
	gone := now.Sub(o.Since)
	if !o.Drain || gone >= o.Over {
		return time.Time{}
	}
	step := o.step()
	return o.Since.Add(min(max(gone, 0).Truncate(step)+step, o.Over))
}

// draining is the reason of an endpoint that has a share left, in whole percent.
func draining(left uint16) string {
	return fmt.Sprintf("draining, %d%% left", max((int(left)*100+Whole/2)/Whole, 1))
}

// word is what an override says of a target whose own detail is d.
func (o *Overriding) word(target int, d Detail, now time.Time) forced {
	f := forced{target: int32(target), state: o.state(), share: Whole, detail: &d}
	d.State, d.Authority, d.Since, d.Share, d.Cause, d.Suspect = f.state, Override, o.Since, 0, NotDegraded, false
	var said []string
	switch left := o.Share(now); {
	case !o.Drain:
	case left > 0:
		f.state, f.share = Unknown, left
		d.Authority = Draining
		said = append(said, draining(left)+", out at "+o.ends().UTC().Format(time.RFC3339))
	default:
		d.Since = o.ends()
		said = append(said, "drained")
	}
	if o.Reason != "" {
		said = append(said, o.Reason)
	}
	d.Reason = strings.Join(said, ": ")
	if o.Source != "" {
		d.Reason = strings.TrimSpace(d.Reason + " (" + o.Source + ")")
	}
	return f
}
