package conduct

import (
	"cmp"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/health"
)

// step brings a course to a time at which health says this of the endpoints.
// Deadlines that have passed meanwhile are met in their order, each at its own
// time, so that it makes no difference how often a course is looked at. What
// health says at the very instant of a deadline comes before it.
func (c *course) step(now instant, states []health.State) {
	now = max(now, c.at)
	for due := c.deadline(); due < now; due = c.deadline() {
		c.settle(max(due, c.at)) // one of a reload may lie behind
	}
	for i, s := range states {
		c.hear(&c.ends[i], s, now, i)
	}
	c.settle(now)
	c.look()
}

// deadline is the next instant at which a hold or a delay ends.
func (c *course) deadline() instant {
	next := never
	for i := range c.ends {
		if d := c.ends[i].damp; d != nil && d.until != 0 {
			next = min(next, d.until)
		}
	}
	switch {
	case c.stands && c.below != 0:
		next = min(next, c.below.after(c.Conduct.FailoverDelay))
	case !c.stands && c.enough != 0 && !c.Conduct.FailbackManual:
		next = min(next, c.enough.after(c.Conduct.FailbackDelay))
	}
	return next
}

// hear takes in what health says of an endpoint.
func (c *course) hear(e *end, s health.State, now instant, slot int) {
	e.raw = s
	limit := c.Conduct.Damping
	if limit == nil || s == health.Unknown {
		return
	}
	switch {
	case e.damp == nil:
		e.damp = &damped{last: s}
	case e.damp.last != s:
		d := *e.damp
		d.last = s
		first := max(0, len(d.changes)+1-limit.Changes)
		d.changes = append(slices.Clone(d.changes[first:]), now)
		if d.until == 0 && c.flaps(&d, now) {
			c.hold(&d, now)
			c.note(flapped, slot)
		}
		e.damp = &d
	}
}

// flaps is whether an endpoint has changed too often at a time.
func (c *course) flaps(d *damped, now instant) bool {
	limit := c.Conduct.Damping
	n := len(d.changes) - limit.Changes
	return n >= 0 && now.since(d.changes[n]) <= limit.Within
}

// hold holds an endpoint down from a time on. The changes that led to it do not
// count again.
func (c *course) hold(d *damped, from instant) {
	limit := c.Conduct.Damping
	hold := limit.Hold
	if d.hold > 0 && from.since(d.ended) < max(limit.Within, d.hold) {
		hold = min(max(2*d.hold, limit.Hold), limit.Max)
	}
	d.hold, d.until, d.changes = hold, from.after(hold), nil
	d.ended = d.until
}

// settle works out what holds at a time, which is not before the last one and
// not behind a deadline.
func (c *course) settle(now instant) {
	c.at = now
	c.up, c.blank = 0, 0
	for i := range c.ends {
		e := &c.ends[i]
		c.turn(e, c.own(e, now, i), now, i)
		switch e.own {
		case health.Up:
			c.up++
		case health.Unknown:
			c.blank++
		}
	}
	c.judge(now)
	c.holdIn()
	for i := range c.ends {
		if e := &c.ends[i]; e.slow != 0 && now.since(e.slow) >= c.Conduct.SlowStart {
			e.slow = 0
		}
	}
}

// own is the state of an endpoint with damping.
func (c *course) own(e *end, now instant, slot int) health.State {
	if e.damp == nil || e.damp.until == 0 {
		return e.raw
	}
	if e.damp.until > now {
		return health.Down
	}
	d := *e.damp
	e.damp = &d
	if c.flaps(&d, d.until) { // it went on all the while
		c.hold(&d, d.until)
		c.note(flapped, slot)
		return health.Down
	}
	d.until = 0
	c.note(released, slot)
	return e.raw
}

// turn gives an endpoint its own state.
func (c *course) turn(e *end, own health.State, now instant, slot int) {
	if own == e.own {
		return
	}
	e.own = own
	switch {
	case own == health.Unknown:
		return
	case own == health.Down && e.known != health.Down:
		e.fell, e.fresh, e.slow = now, e.known == health.Up, 0
	case own == health.Up && e.known == health.Down && e.eff != health.Up && c.Conduct.SlowStart > 0:
		e.slow = now
		c.note(startedSlowly, slot)
	}
	e.known = own
}

// judge decides whether the pool stands.
func (c *course) judge(now instant) {
	switch {
	case !c.stands:
	case c.up+c.blank >= c.need: // of some nobody knows, which is no reason to give way
		if c.below != 0 {
			c.note(recovered, -1)
		}
		c.below = 0
		c.proven = c.proven || c.up >= c.need
	case !c.proven:
		c.fall(now)
	default:
		if c.below == 0 {
			c.below = now
			if c.Conduct.FailoverDelay > 0 {
				c.note(fellShort, -1)
			}
		}
		if now >= c.below.after(c.Conduct.FailoverDelay) {
			c.fall(now)
		}
	}
	if c.stands {
		return
	}
	switch {
	case c.up < c.need:
		c.enough = 0
		return
	case c.enough == 0:
		c.enough = now
		if c.proven && c.later() {
			c.note(waits, -1)
		}
	}
	if !c.proven || !c.Conduct.FailbackManual && now >= c.enough.after(c.Conduct.FailbackDelay) {
		c.stand(now)
	}
}

// later is whether the pool does not stand again at once.
func (c *course) later() bool { return c.Conduct.FailbackManual || c.Conduct.FailbackDelay > 0 }

func (c *course) fall(now instant) {
	c.stands, c.since, c.below = false, now, 0
	c.note(gaveWay, -1)
}

// stand has the pool stand again. Where that is later than its endpoints came
// up they have had no traffic meanwhile, so they start slowly now.
func (c *course) stand(now instant) {
	for i := range c.ends {
		if e := &c.ends[i]; c.proven && c.later() && c.Conduct.SlowStart > 0 && e.own == health.Up {
			e.slow = now
			c.note(startedSlowly, i)
		}
	}
	c.stands, c.proven, c.since, c.enough = true, true, now, 0
	c.note(stood, -1)
}

// holdIn decides which endpoints that are down are given all the same.
func (c *course) holdIn() {
	var some [16]int
	down := some[:0]
	var last instant
	for i := range c.ends {
		e := &c.ends[i]
		e.eff = e.own
		if e.own != health.Down {
			e.held = notHeld
			continue
		}
		down = append(down, i)
		if e.fresh && (last == 0 || e.fell > last) {
			last = e.fell
		}
	}
	if c.stands && c.below != 0 && c.up == 0 {
		down = slices.DeleteFunc(down, func(i int) bool {
			e := &c.ends[i]
			waits := e.fresh && last.since(e.fell) <= c.together
			if waits {
				e.eff, e.held = health.Up, byDelay
			}
			return waits
		})
	}
	c.capped(down)
}

// capped holds in those of the endpoints that are down that the cap does not let
// out: the ones that fell last, and before them those that pass their checks and
// are only damped.
func (c *course) capped(down []int) {
	if len(down) > c.room {
		slices.SortFunc(down, func(i, j int) int {
			a, b := &c.ends[i], &c.ends[j]
			return cmp.Or(order(a.raw == health.Up, b.raw == health.Up), cmp.Compare(a.fell, b.fell), cmp.Compare(i, j))
		})
	}
	for n, i := range down {
		e := &c.ends[i]
		was := e.held == byCap
		e.held = notHeld
		if n >= c.room {
			e.eff, e.held = health.Up, byCap
		}
		switch is := e.held == byCap; {
		case is && !was:
			c.note(heldIn, i)
		case was && !is:
			c.note(letOut, i)
		}
	}
}

// order puts what is not before what is.
func order(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// What a slow start begins with, of Whole, and how fine its steps are: fifty of
// them, and none shorter than a tick.
const (
	slowest   = Whole / 20
	slowSteps = 50
	tick      = time.Second
)

// share is how much of its traffic an endpoint is to have, and until when.
func (c *course) share(e *end) (share uint16, until instant) {
	over := c.Conduct.SlowStart
	if e.slow == 0 || over <= 0 {
		return Whole, never
	}
	age := c.at.since(e.slow)
	if age >= over {
		return Whole, never
	}
	step := max(over/slowSteps, tick)
	all := (over + step - 1) / step
	done := age / step
	return uint16(slowest + (Whole-slowest)*done/all), e.slow.after(min((done+1)*step, over))
}

// look works out when the course is to be looked at again, and whether it moves.
func (c *course) look() {
	c.next = c.deadline()
	c.moving = c.stands && c.below != 0 || !c.stands && c.enough != 0 && !c.Conduct.FailbackManual
	for i := range c.ends {
		e := &c.ends[i]
		if _, until := c.share(e); until != never {
			// On one beat for all courses, so that many slow starts make one view a
			// second.
			const beat = instant(tick)
			c.next = min(c.next, (until+beat-1)/beat*beat)
		}
		c.moving = c.moving || e.slow != 0 || e.held != notHeld || e.damp != nil && e.damp.until != 0
	}
}
