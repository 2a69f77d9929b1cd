package steer

import "fmt"

// Shed takes traffic from endpoints that have more load than they should: above
// its soft limit an endpoint loses a growing part of its share, at its hard
// limit all of it:
//
//	Share * (hard - load) / (hard - soft),  for soft < load < hard
//
// An endpoint without limits, or whose load is not known, keeps its share. When
// all are at their hard limits, the one with the lowest load / hard is kept.
//
// What is left of the shares is honoured by the filters behind that draw by
// them (Weighted, Shuffle, Sticky). Where there is none, Thins says that Shed
// lets chance drop candidates itself.
type Shed struct {
	// Soft and Hard are the limits by Candidate.Member; a hard one of 0 is none.
	Soft, Hard []uint32
	Thins      bool
}

// load is the load of a candidate, and its limits; not ok when it is not to be
// judged.
func (s *Shed) load(q *Query, c *Candidate) (load, soft, hard uint32, ok bool) {
	if int(c.Member) >= len(s.Hard) || s.Hard[c.Member] == 0 {
		return 0, 0, 0, false
	}
	t, known := q.target(c)
	if !known || t >= len(q.Load) || q.Load[t] == NoLoad {
		return 0, 0, 0, false
	}
	return q.Load[t], s.Soft[c.Member], s.Hard[c.Member], true
}

// Apply implements Filter.
func (s *Shed) Apply(q *Query, set []Candidate) []Candidate {
	best, bestLoad, bestHard := -1, uint32(0), uint32(0)
	k := 0
	for i := range set {
		c := set[i]
		load, soft, hard, ok := s.load(q, &c)
		switch {
		case ok && load >= hard:
			if best < 0 || uint64(load)*uint64(bestHard) < uint64(bestLoad)*uint64(hard) {
				best, bestLoad, bestHard = i, load, hard
			}
			continue
		case ok && load > soft:
			part := uint64(c.Share) * uint64(hard-load) / uint64(hard-soft)
			c.Share = uint16(max(part, min(1, uint64(c.Share))))
		}
		set[k] = c // nothing is overwritten before the first one is kept
		k++
	}
	if k == 0 && best >= 0 {
		set[0] = set[best]
		k = 1
	}
	if s.Thins {
		return Thin(q, set[:k])
	}
	return set[:k]
}

// String implements Filter.
func (*Shed) String() string { return "shed" }

// Rule implements Filter.
func (*Shed) Rule() string {
	return "less traffic above the soft limit, none at the hard limit"
}

// Why implements Told.
func (s *Shed) Why(q *Query, given []Candidate) string {
	judged, above, over := 0, 0, 0
	for i := range given {
		load, soft, hard, ok := s.load(q, &given[i])
		if !ok {
			continue
		}
		judged++
		switch {
		case load >= hard:
			over++
		case load > soft:
			above++
		}
	}
	text := fmt.Sprintf("the load of %d of %d is known: %d above the soft limit, %d at the hard limit", judged, len(given), above, over)
	if over == len(given) && over > 0 {
		text += "; all are, so the least loaded one stays"
	}
	return text
}

// Needs implements Filter.
func (s *Shed) Needs() Needs {
	if s.Thins {
		return Loads | Chance | Weights
	}
	return Loads
}
