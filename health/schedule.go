package health

import "time"

// tick is what the due times of probes are multiples of, so that one waking of
// the loop starts all that are due within it. A probe may start this much early.
const tick = 10 * time.Millisecond

// schedule is the probes at rest, the next due first: a binary heap that has the
// times beside the pointers, since a look at each probe would be a cache miss.
type schedule struct {
	h     []slot
	epoch time.Time // what times are counted from, with its monotonic reading
}

type slot struct {
	due time.Duration
	r   *runner
}

func (s *schedule) Len() int { return len(s.h) }

// at is a time as the schedule has it.
func (s *schedule) at(t time.Time) time.Duration { return t.Sub(s.epoch) }

// next is when the next probe is due.
func (s *schedule) next() time.Duration { return s.h[0].due }

func (s *schedule) add(r *runner) {
	s.h = append(s.h, slot{})
	s.up(len(s.h)-1, slot{r.due.Truncate(tick), r})
}

// hurry adds a probe that is to be made before all others that are due, however late
// those are.
func (s *schedule) hurry(r *runner) {
	s.h = append(s.h, slot{})
	s.up(len(s.h)-1, slot{0, r})
}

func (s *schedule) pop() *runner {
	r := s.h[0].r
	s.remove(r)
	return r
}

// remove takes a probe out if it is at rest.
func (s *schedule) remove(r *runner) {
	if r.index < 0 {
		return
	}
	i, n := int(r.index), len(s.h)-1
	r.index = -1
	last := s.h[n]
	s.h[n] = slot{}
	s.h = s.h[:n]
	if i == n {
		return
	}
	if parent := (i - 1) / 2; i > 0 && last.due < s.h[parent].due {
		s.up(i, last)
		return
	}
	s.down(i, last)
}

// order has the heap be one again after any of its times have changed.
func (s *schedule) order() {
	for i := len(s.h)/2 - 1; i >= 0; i-- {
		s.down(i, s.h[i])
	}
}

// down puts a slot at i or, while one of its children is due earlier, below.
func (s *schedule) down(i int, v slot) {
	n := len(s.h)
	for {
		child := 2*i + 1
		if child+1 < n && s.h[child+1].due < s.h[child].due {
			child++
		}
		if child >= n || v.due <= s.h[child].due {
			break
		}
		s.place(i, s.h[child])
		i = child
	}
	s.place(i, v)
}

// up puts a slot at i or, while its parents are due later, above.
func (s *schedule) up(i int, v slot) {
	for i > 0 {
		parent := (i - 1) / 2
		if s.h[parent].due <= v.due {
			break
		}
		s.place(i, s.h[parent])
		i = parent
	}
	s.place(i, v)
}

func (s *schedule) place(i int, v slot) {
	s.h[i] = v
	v.r.index = int32(i)
}
