package health

import (
	"cmp"
	"math/rand/v2"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// The first probes of so many are due at once, unless the statement says how many, and
// those of more so far apart, which is 20,000 in a second: a machine that makes them
// as fast as it can is late with all, and so are its network and those who answer.
const (
	firstBurst = minParallel
	firstGap   = 50 * time.Microsecond
)

// opening is how long after the first one of n probes that are new the i-th of them is due.
func opening(h *spec.Health, i, n int) time.Duration {
	batch := cmp.Or(h.StartBatch, firstBurst)
	due, last := spaced(i, batch), spaced(n-1, batch)
	if h.StartWithin > 0 && h.StartWithin < last {
		return time.Duration(float64(h.StartWithin) * float64(due) / float64(last))
	}
	return due
}

// spaced is how long after the first one of many that are to be made now the i-th of them
// is due, when so many are due at once.
func spaced(i, batch int) time.Duration { return time.Duration(max(i-batch+1, 0)) * firstGap }

// next is when a probe is made again: after its interval, give or take a twentieth,
// from start to start, so that a probe that takes its timeout is made as often as one
// that is refused. A start that was missed is not made up for.
//
// The first gap is anything from a twentieth of the interval to that much more than
// the interval, since the first probes all start together. While they still do, it is
// as all others; disperse then shortens it.
//
// A failure of an endpoint that is up is confirmed, or refuted, sooner than that.
func (b *Board) next(r *runner, now time.Duration) time.Duration {
	f, gap := 0.95+rand.Float64()/10, b.pace(r)
	switch {
	case r.verdict.state == Unknown && r.verdict.streak > 0:
		gap = 0
	case r.confirms():
		gap = r.check.Confirm
	case !r.is(markSpread) && b.unbegun == 0:
		r.mark(markSpread, true)
		f = 0.05 + rand.Float64()
	}
	return max(r.begun+time.Duration(f*float64(gap)), now)
}

// confirms is whether the next probe is to confirm, or to refute, the last one.
func (r *runner) confirms() bool {
	return (r.verdict.doubted() && !r.verdict.held || r.excused > 0) && r.check.Confirm > 0
}

// ranks is into how many stretches of time disperse divides a round.
const ranks = 1024

// disperse is called when the last of the first probes is begun, and spreads the second
// ones evenly over an interval from then on. What was begun first is due first: were
// it left to chance, either some would be due while the round still ran, and late,
// or some would wait for longer than their interval.
func (b *Board) disperse(now time.Duration) {
	var before [ranks + 1]int // how many were begun in all stretches before this one
	oldest, newest, n := now, time.Duration(0), 0
	for i := range b.due.h {
		if r := b.due.h[i].r; b.early(i) {
			oldest, newest = min(oldest, r.begun), max(newest, r.begun)
			n++
		}
	}
	stretch := func(r *runner) int { return int(ranks * (r.begun - oldest) / (now - oldest + 1)) }
	for i := range b.due.h {
		if b.early(i) {
			before[stretch(b.due.h[i].r)+1]++
		}
	}
	for k := range ranks {
		before[k+1] += before[k]
	}
	for i := range b.due.h {
		if !b.early(i) {
			continue
		}
		s := &b.due.h[i]
		k := stretch(s.r)
		rank := (float64(before[k]) + rand.Float64()*float64(before[k+1]-before[k])) / float64(n)
		gap := float64(b.pace(s.r))
		s.r.mark(markSpread, true)
		s.r.due = min(now+time.Duration((0.05+rank)*gap-rank*float64(now-newest)), s.r.begun+time.Duration(1.05*gap))
		s.r.due = max(s.r.due, now)
		s.due = s.r.due.Truncate(tick)
	}
	b.due.order()
}

// early is whether disperse is for what is at a place of the schedule.
func (b *Board) early(i int) bool {
	s := &b.due.h[i]
	return !s.r.is(markSpread) && s.due > 0 && !s.r.confirms() && s.r.verdict.streak == 0
}
