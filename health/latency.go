package health

import (
	"time"

	"github.com/rhumb-dns/rhumb/probe"
)

const (
	// newest is how much a sample counts against all before it, once there are
	// enough for that: the smoothed value is the exponentially weighted moving
	// average s + newest*(x-s). One sample in five that is off by 100 ms then moves
	// it by 20 ms, and after ten samples nine tenths of a lasting change are in it.
	newest = 0.2
	// minSamples is from how many samples on a latency is known. A first connection
	// may have waited for an ARP answer, or for a route.
	minSamples = 3
	// staleIntervals is for how many intervals a sample counts.
	staleIntervals = 3
)

// trip is the smoothed time that the connections of a probe take.
type trip struct {
	smoothed float32 // microseconds
	samples  int32
	at       time.Duration // of the last sample, as schedule has times
}

// add takes a sample in. While there are few, each counts as much as the others,
// so that the first one has no more say than it deserves.
func (t *trip) add(took time.Duration, interval, now time.Duration) {
	if now-t.at > staleIntervals*interval {
		*t = trip{}
	}
	t.samples++
	t.at = now
	t.smoothed += max(newest, 1/float32(t.samples)) * (float32(took)/float32(time.Microsecond) - t.smoothed)
}

// known is the latency in microseconds; 0 while there are too few samples, or
// none that is young enough.
func (t *trip) known(interval, now time.Duration) uint32 {
	if t.samples < minSamples || now-t.at > staleIntervals*interval {
		return 0
	}
	return uint32(min(max(t.smoothed+0.5, 1), 1<<31))
}

// sample takes the connection time of a result in, and has the latencies that it
// moves published. The verdict is that after the result.
func (b *Board) sample(r *runner, res probe.Result, now time.Time) {
	if res.OK && res.Connect > 0 {
		r.trip.add(res.Connect, b.pace(r), b.due.at(now))
	}
	if b.latency == nil {
		return
	}
	for _, t := range r.targets {
		if is := b.latencyOf(int(t), now); moved(b.latency[t], is) {
			b.latency[t], b.latencyMoved = is, true
		}
	}
}

// latencyOf is target i's latency as measured, the lowest of its checks; 0 while
// it is not known, or the target is down.
func (b *Board) latencyOf(i int, now time.Time) uint32 {
	rs := b.onTarget[i]
	for _, c := range b.targets[i].Checks {
		if verdictOn(c.Check, &rs).state == Down && !c.OnlyDegrades {
			return 0
		}
	}
	var lowest uint32
	for _, r := range b.onTarget[i] {
		if is := r.trip.known(b.pace(r), b.due.at(now)); is > 0 && (lowest == 0 || is < lowest) {
			lowest = is
		}
	}
	return lowest
}

// moved is whether a latency differs so much from what was published that a view
// is made for it: by a twentieth, and by a millisecond. What is less is the noise
// of a network.
func moved(was, is uint32) bool {
	if was == 0 || is == 0 {
		return was != is
	}
	return max(was, is)-min(was, is) > max(was/20, 1000)
}

// latencies is the latency of every target of a board that has just got them;
// nil when nobody goes by it.
func (b *Board) latencies(now time.Time) []uint32 {
	if !b.uses.Latency {
		return nil
	}
	all := make([]uint32, len(b.targets))
	for i, rs := range b.onTarget {
		if rs != nil {
			all[i] = b.latencyOf(i, now)
		}
	}
	return all
}
