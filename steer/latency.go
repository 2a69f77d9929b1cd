package steer

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Latency keeps the candidates with the lowest measured latency and those that
// are hardly slower, in order of their latency. With d the lowest latency, it
// keeps those within
//
//	d + max(Tolerance/100 * d, Within)
//
// Those above Max are dropped first, unless all are whose latency is known. Then,
// while fewer than half of what is left are known, all of it is kept: a choice
// among the few that are known would put everybody on them. From half on the
// others are left out until their latency is known. Probes find it and not
// clients, so that a new endpoint is neither flooded nor forgotten.
//
// It keeps something of whatever it is given.
type Latency struct {
	Tolerance float64 // percent
	Within    time.Duration
	Max       time.Duration // 0: any
	// Drawn says that the next filter draws, so that the order need not be made.
	Drawn bool
}

// latency is the measured latency of a candidate in microseconds; 0 is not known.
func (q *Query) latency(c *Candidate) uint32 {
	if t, ok := q.target(c); ok && t < len(q.Latency) {
		return q.Latency[t]
	}
	return 0
}

// target is where a candidate's measurements lie.
func (q *Query) target(c *Candidate) (int, bool) {
	if int(c.Index) >= len(q.Targets) || q.Targets[c.Index] < 0 {
		return 0, false
	}
	return int(q.Targets[c.Index]), true
}

// survey is what Latency goes by.
type survey struct {
	all, known int
	lowest     uint32 // of those known that are not too slow
	fast       int    // how many those are
}

func (l *Latency) survey(q *Query, set []Candidate) survey {
	s := survey{all: len(set), lowest: ^uint32(0)}
	most := l.most()
	for i := range set {
		us := q.latency(&set[i])
		if us == 0 {
			continue
		}
		s.known++
		s.lowest = min(s.lowest, us)
		if us <= most {
			s.fast++
		}
	}
	return s
}

// most is Max in microseconds.
func (l *Latency) most() uint32 {
	if us := l.Max.Microseconds(); us > 0 && us < 1<<32-1 {
		return uint32(us)
	}
	return ^uint32(0)
}

// reach is the latency up to which candidates are kept.
func (l *Latency) reach(lowest uint32) uint32 {
	us := float64(lowest) + max(l.Tolerance/100*float64(lowest), float64(l.Within.Microseconds()))
	return uint32(min(us, 1<<32-1))
}

// Apply implements Filter.
func (l *Latency) Apply(q *Query, set []Candidate) []Candidate {
	s := l.survey(q, set)
	if s.known == 0 {
		return set
	}
	least, most := uint32(1), l.most()
	slow := s.known - s.fast
	if s.fast == 0 { // all that are known are too slow
		slow, most = 0, ^uint32(0)
	}
	if left := s.all - slow; 2*(s.known-slow) < left {
		least = 0
	} else {
		most = min(most, l.reach(s.lowest))
	}
	// Something is kept, so that what it is written over is behind.
	k := 0
	for i := range set {
		us := q.latency(&set[i])
		set[k] = set[i]
		if us >= least && us <= most {
			k++
		}
	}
	kept := set[:k]
	if least > 0 && !l.Drawn {
		slices.SortStableFunc(kept, func(a, b Candidate) int { return cmp.Compare(q.latency(&a), q.latency(&b)) })
	}
	return kept
}

// String implements Filter.
func (l *Latency) String() string {
	text := fmt.Sprintf("latency: {tolerance: %g%%, within: %s", l.Tolerance, l.Within)
	if l.Max > 0 {
		text += ", max: " + l.Max.String()
	}
	return text + "}"
}

// Rule implements Filter.
func (l *Latency) Rule() string {
	text := fmt.Sprintf("the lowest latency, and those not slower than %g%% or %s more", l.Tolerance, l.Within)
	if l.Max > 0 {
		text += "; none above " + l.Max.String()
	}
	return text
}

// Why implements Told.
func (l *Latency) Why(q *Query, given []Candidate) string {
	s := l.survey(q, given)
	if s.known == 0 {
		return "no latency is known; all are kept"
	}
	us := func(n uint32) time.Duration { return time.Duration(n) * time.Microsecond }
	slow := s.known - s.fast
	if s.fast == 0 {
		slow = 0
	}
	if 2*(s.known-slow) < s.all-slow {
		return fmt.Sprintf("the latency of %d of %d is known, which is too few to choose by", s.known, s.all)
	}
	return fmt.Sprintf("the latency of %d of %d is known; the lowest is %s, kept are those up to %s",
		s.known, s.all, us(s.lowest), us(min(l.reach(s.lowest), max(l.most(), s.lowest))))
}

// Needs implements Filter.
func (*Latency) Needs() Needs { return Latencies }
