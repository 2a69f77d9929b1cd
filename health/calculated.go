package health

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// leaves yields the checks that are probed or reported of which a check consists,
// each with the host that it is made for.
func (c Check) leaves(yield func(Check) bool) {
	for l := range c.Check.Leaves {
		of := Check{l, l.Host}
		if l.Host == "" && l.Type.Named() {
			of.Host = c.Host
		}
		if !yield(of) {
			return
		}
	}
}

// verdictOn is the verdict on a check, whose probes are the first of rs, which are
// taken off. Of a calculated check it is made of those of its members.
func verdictOn(c *spec.Check, rs *[]*runner) *verdict {
	a, ok := c.Ask.(*spec.CalculatedCheck)
	if !ok {
		r := (*rs)[0]
		*rs = (*rs)[1:]
		return &r.verdict
	}
	members := make([]judged, len(a.Of))
	for i, m := range a.Of {
		members[i] = judged{m, verdictOn(m, rs)}
	}
	v := calculate(a.Need, members)
	return &v
}

// calculate is what the verdicts on the members of a calculated check come to: up
// when as many are up as must be, down when so few can be, else unknown. It is
// degraded when it is up by members that are.
func calculate(need int, members []judged) verdict {
	var up, down, lastUp []time.Time
	var v verdict
	whole, sure, surelyDown := 0, 0, 0
	var failed, held []string
	var worst *level
	for _, m := range members {
		lastUp = append(lastUp, m.lastUp)
		if m.seen.After(v.seen) {
			v.seen = m.seen
		}
		switch m.state {
		case Up:
			up = append(up, m.since)
			if m.held {
				held = append(held, m.of.Name+": "+m.reason)
			}
			if m.degraded() {
				if worst == nil || m.level.since.After(worst.since) {
					worst = &level{cause: m.level.cause, since: m.level.since, reason: m.of.Name + ": " + m.level.reason}
				}
			} else {
				whole++
			}
			if !m.restored {
				sure++
			}
		case Down:
			down = append(down, m.since)
			if !m.restored {
				surelyDown++
			}
			failed = append(failed, m.of.Name+": "+m.reason)
		case Unknown:
		}
	}
	// With the member that comes at this place, counted by time, the condition came
	// to hold, or ceased to. That it last held is known as well as members are: not
	// later than this.
	nth := func(all []time.Time, n int) time.Time {
		slices.SortFunc(all, time.Time.Compare)
		return all[n-1]
	}
	bad := len(members) - need + 1
	v.lastUp = nth(lastUp, bad)
	switch {
	case len(up) >= need:
		v.state, v.since, v.restored = Up, nth(up, need), sure < need
		if whole < need {
			v.level = worst
		}
		if len(up)-len(held) < need {
			v.held, v.reason = true, brief(strings.Join(held, "; "))
		}
	case len(down) >= bad:
		v.state, v.since, v.restored = Down, nth(down, bad), surelyDown < bad
		v.reason = brief(fmt.Sprintf("%d of %d pass, and %d must: %s", len(up), len(members), need, strings.Join(failed, "; ")))
	}
	return v
}

// maxReason is the length of a reason: enough for a sentence on each of a few
// members.
const maxReason = 300

func brief(s string) string {
	if len(s) > maxReason {
		return s[:maxReason-3] + "..."
	}
	return s
}
