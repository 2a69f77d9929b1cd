package loop

import (
	"math"
	"math/bits"
	"time"
)

const (
	// grain is how exactly deadlines are kept: a job may end this much late.
	grain = 4 * time.Millisecond
	// slots is a turn of the wheel, in grains: 2 s, the default timeout of a check. A
	// job with more time is passed over until the turn is its own.
	slots = 512
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// wheel keeps the deadlines of jobs. All it does takes a time that does not depend on
// how many there are, but for those that expire.
type wheel struct {
	first [slots]*Job
	used  [slots / 64]uint64 // slots with a job
	at    int64              // the grain up to which all have been looked at
}

// add puts a job in. Its deadline lies behind the last expire.
func (w *wheel) add(j *Job) {
	i := int32(max(int64((j.deadline+grain-1)/grain), w.at+1) % slots)
	j.slot, j.prev, j.next = i, nil, w.first[i]
	if j.next != nil {
		j.next.prev = j
	}
	w.first[i] = j
	w.used[i/64] |= 1 << (i % 64)
}

// remove takes a job out if it is in.
func (w *wheel) remove(j *Job) {
	i := j.slot
	if i < 0 {
		return
	}
	if j.next != nil {
		j.next.prev = j.prev
	}
	if j.prev != nil {
		j.prev.next = j.next
	} else if w.first[i] = j.next; j.next == nil {
		w.used[i/64] &^= 1 << (i % 64)
	}
	j.prev, j.next, j.slot = nil, nil, -1
}

// expire takes the jobs out whose deadline has passed, and gives each to end.
func (w *wheel) expire(now time.Duration, end func(*Job)) {
	till := int64(now / grain)
	// One turn sees all.
	for g := max(w.at+1, till-slots+1); g <= till; g++ {
		i := g % slots
		if w.used[i/64]&(1<<(i%64)) == 0 {
			continue
		}
		for j := w.first[i]; j != nil; {
			after := j.next
			if j.deadline <= now {
				w.remove(j)
				end(j)
			}
			j = after
		}
	}
	w.at = max(w.at, till)
}

// next is when expire is to be called next: not later than the first deadline and a
// grain, and never when there is none.
func (w *wheel) next() time.Duration {
	from := (w.at + 1) % slots
	for k := range int64(slots/64 + 1) {
		i := (from/64 + k) % (slots / 64)
		set := w.used[i]
		switch k {
		case 0:
			set &= ^uint64(0) << (from % 64)
		case slots / 64: // the part of the first word that lies before from
			set &= 1<<(from%64) - 1
		}
		if set != 0 {
			at := i*64 + int64(bits.TrailingZeros64(set))
			return time.Duration(w.at+1+(at-from+slots)%slots) * grain
		}
	}
	return never
}
