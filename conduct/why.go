package conduct

import (
	"fmt"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/health"
)

// Why says in one line why pool i stands, or does not.
func (v *View) Why(i int) string {
	e := v.entry(i)
	c := &e.course
	name, conduct := c.Pool.Name, c.Conduct
	have := c.have()
	switch {
	case c.stands && c.below != 0:
		held := ""
		if c.up == 0 {
			held = "; until then the endpoints that were up last are given"
		}
		return fmt.Sprintf("pool %s is below min_healthy (%d) with %s since %s and goes on standing until %s (failover_delay)%s",
			name, c.need, have, v.clock(c.below), v.clock(c.below.after(conduct.FailoverDelay)), held)
	case c.stands && c.since != 0:
		return fmt.Sprintf("pool %s stands since %s, with %s (min_healthy %d)", name, v.clock(c.since), have, c.need)
	case c.stands:
		return fmt.Sprintf("pool %s stands with %s (min_healthy %d)", name, have, c.need)
	case !c.proven:
		return fmt.Sprintf("pool %s does not stand: it has not had min_healthy (%d) endpoints up yet, and has %s", name, c.need, have)
	case c.enough == 0:
		return fmt.Sprintf("pool %s gave way at %s and is below min_healthy (%d) with %s", name, v.clock(c.since), c.need, have)
	case conduct.FailbackManual:
		return fmt.Sprintf("pool %s gave way at %s; it has min_healthy (%d) since %s, with %s, and waits for an operator (failback: manual)",
			name, v.clock(c.since), c.need, v.clock(c.enough), have)
	}
	return fmt.Sprintf("pool %s gave way at %s; it has min_healthy (%d) since %s, with %s, and stands again at %s (failback_delay)",
		name, v.clock(c.since), c.need, v.clock(c.enough), have, v.clock(c.enough.after(conduct.FailbackDelay)))
}

// have is what the pool has of endpoints.
func (c *course) have() string {
	s := fmt.Sprintf("%d of %d endpoints up", c.up, len(c.ends))
	if c.blank > 0 {
		s += fmt.Sprintf(" and %d unknown", c.blank)
	}
	return s
}

// EndpointWhy says in one line what conduct makes of an endpoint of pool i, by
// its position in Pool.Endpoints. It is empty when that is what health says.
func (v *View) EndpointWhy(i, slot int) string {
	e := v.entry(i)
	c, is := &e.course, &e.ends[slot]
	down := "down since " + v.clock(is.fell)
	if is.damp != nil && is.damp.until != 0 {
		limit := c.Conduct.Damping
		down = fmt.Sprintf("held down for %s until %s: it changed %d times within %s (damping)",
			brief(is.damp.hold), v.clock(is.damp.until), limit.Changes, brief(limit.Within))
	}
	switch {
	case is.held == byDelay:
		return fmt.Sprintf("%s, and given until %s, since it was up last (failover_delay)",
			down, v.clock(c.below.after(c.Conduct.FailoverDelay)))
	case is.held == byCap:
		n := 0
		for k := range c.ends {
			if c.ends[k].own == health.Down {
				n++
			}
		}
		return fmt.Sprintf("%s, and held in: %d of %d endpoints are down and no more than %d may be out (max_ejected %s%%)",
			down, n, len(c.ends), c.room, strconv.FormatFloat(100*c.Conduct.MaxEjected, 'g', 4, 64))
	case is.own == health.Down && is.raw != health.Down:
		return down
	case is.slow != 0 && e.Shares != nil:
		return fmt.Sprintf("starting slowly since %s, with %s of its traffic and all of it at %s (slow_start)",
			v.clock(is.slow), percent(e.Shares[slot]), v.clock(is.slow.after(c.Conduct.SlowStart)))
	}
	return ""
}

// Since is since when pool i stands or does not; zero: as long as is known.
func (v *View) Since(i int) time.Time {
	if t := v.entry(i).since; t != 0 {
		return wall(v.base, t)
	}
	return time.Time{}
}

// percent is a share for people.
func percent(share uint16) string { return strconv.Itoa((100*int(share)+Whole/2)/Whole) + "%" }

// clock is an instant for people.
func (v *View) clock(t instant) string { return wall(v.base, t).Format("2006-01-02 15:04:05 UTC") }

// brief is a duration without units of which there are none: 10m and not 10m0s.
func brief(d time.Duration) string {
	s := d.String()
	for _, none := range []string{"m0s", "h0m"} {
		if n := len(s) - len(none); n > 0 && s[n:] == none {
			s = s[:n+1]
		}
	}
	return s
}
