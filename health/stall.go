package health

import (
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

// stalls are the times in which this process did not run when it had to, and those
// at which its clock jumped. What probes under way then say of time says nothing of
// their endpoints.
type stalls struct {
	last   [8]stall
	next   int
	woke   time.Time     // when the loop last did
	expect time.Time     // when it wants to wake next
	wall   time.Duration // what the clock on the wall was ahead of the monotonic one then

	count, jumps int
	sum          time.Duration
	at           time.Time // of the last one
	long         time.Duration
	jumped       time.Time // when the clock last did
	by           time.Duration
}

// stall is one of them, as the schedule has times. A jump has no length on it.
type stall struct{ from, to, long time.Duration }

const (
	// minStall is what a busy machine is late by without being in trouble.
	minStall = 100 * time.Millisecond
	// minJump is how far a clock is off that was set; less is being disciplined.
	minJump = time.Second
	// beat is how often the loop wakes at least while probes are under way, to see
	// whether it does in time; restBeat while there are none.
	beat     = 200 * time.Millisecond
	restBeat = 30 * time.Second
	// maxExcused is how many results of a probe in a row a busy machine may take for
	// nothing: one that is always too busy judges as well as it can.
	maxExcused = 20
)

// wakes is when the loop wants to wake next.
func (b *Board) wakes(at time.Time) { b.aware.stalls.expect = at }

// woke is told each time that the loop has woken.
func (b *Board) woke(now time.Time) {
	s := &b.aware.stalls
	wall := b.wall().Round(0).Sub(b.wallEpoch) - b.due.at(now)
	if s.woke.IsZero() {
		s.wall = wall
	}
	if late := now.Sub(s.expect); !s.expect.IsZero() && late >= minStall {
		b.stalled(s.expect, now)
	}
	if by := wall - s.wall; by >= minJump || by <= -minJump {
		s.jumps++
		s.jumped, s.by = now, by
		b.meters.jumps.Inc()
		b.log.Warn("clock jumped", "by", by.Round(time.Millisecond).String())
		// A machine that was suspended has all its connections cut, while no time has
		// passed for its processes.
		at := b.due.at(now)
		s.add(stall{b.due.at(s.woke), at, by.Abs()})
		if !b.wordStep.IsZero() {
			b.wordStep = now // whatever is bound to the clock on the wall
		}
	}
	s.wall, s.woke, s.expect = wall, now, time.Time{}
}

func (s *stalls) add(p stall) {
	s.last[s.next] = p
	s.next = (s.next + 1) % len(s.last)
}

// stalled notes that this process did not run.
func (b *Board) stalled(from, to time.Time) {
	s, long := &b.aware.stalls, to.Sub(from)
	s.add(stall{b.due.at(from), b.due.at(to), long})
	// Many in a row are told of once.
	if s.at.IsZero() || from.Sub(s.at) > time.Minute || long >= time.Second {
		b.log.Warn("this process stood still: what probes say of that time does not count", "for", long.Round(time.Millisecond).String())
	}
	s.count++
	s.sum += long
	s.at, s.long = to, long
	b.meters.stalls.Inc()
	b.meters.stalledFor.Add(long.Seconds())
}

// excuse is whether a failure says more of this process than of the endpoint: it is
// one of time, and a good part of its time passed without this process.
func (b *Board) excuse(o *outcome, now time.Time) bool {
	r, res := o.r, &o.result
	before := r.excused
	r.excused = 0
	if res.OK || before >= maxExcused {
		return false
	}
	switch res.Class {
	case probe.ClassTimeout, probe.ClassSlow, probe.ClassReset:
	case probe.ClassDNS: // name servers are waited for as well
	default:
		return false
	}
	limit := r.given() / 4
	from, to := b.due.at(o.began), b.due.at(now)
	var lost time.Duration
	for i := range b.aware.stalls.last {
		if s := &b.aware.stalls.last[i]; s.to >= from && s.from <= to && s.long > 0 {
			lost += max(min(s.to, to)-max(s.from, from), 0)
			if s.long > s.to-s.from {
				lost += s.long // a jump
			}
		}
	}
	// A script that cannot be killed is late by itself.
	if over := res.RTT - r.given(); over >= minStall && over >= limit && lost < over && !r.check.Type.Scripted() {
		b.stalled(now.Add(-over), now)
		lost = over
	}
	if lost == 0 || lost < limit {
		return false
	}
	r.excused = before + 1
	*res = probe.Result{
		Class: probe.ClassLocal, RTT: res.RTT,
		Detail: "this process stood still for " + lost.Round(time.Millisecond).String() + " of the probe",
	}
	return true
}
