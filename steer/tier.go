package steer

import (
	"fmt"
	"strconv"
)

// Tier keeps the candidates of the first pool that has any, and of those the
// ones of the lowest priority number.
type Tier struct{}

// Apply implements Filter.
func (Tier) Apply(_ *Query, set []Candidate) []Candidate {
	best, worst := ^uint32(0), uint32(0)
	for i := range set {
		r := rank(&set[i])
		best, worst = min(best, r), max(worst, r)
	}
	if best >= worst {
		return set // nothing to choose between
	}
	return only(set, best)
}

// only keeps the candidates of one rank.
func only(set []Candidate, r uint32) []Candidate {
	k := 0
	for i := range set {
		at := rank(&set[i])
		set[k] = set[i]
		if at == r {
			k++
		}
	}
	return set[:k]
}

func rank(c *Candidate) uint32 { return uint32(c.Pool)<<16 | uint32(c.Priority) }

func (Tier) String() string { return "tier" }

// Rule implements Filter.
func (Tier) Rule() string {
	return "the first pool with enough healthy endpoints, and its lowest priority number"
}

// Needs implements Filter.
func (Tier) Needs() Needs { return 0 }

// Spill is Tier for tiers that give queries to the next one when they are short
// of endpoints. With h the candidates of a tier, each counted by its share, and m
// how many it is to have, it takes of the queries that come to it
//
//	1                        when h >= m
//	1 - min(Most, 1 - h/m)   otherwise
//
// and the others go on to the next tier that has candidates, where the same
// holds. What the last one does not take is divided among all of them in the
// proportions in which they took the rest.
type Spill struct {
	// Least is m: a number of endpoints or, if Percent, a part of the tier's,
	// rounded up.
	Least   uint32
	Percent bool
	Most    float64 // percent: the greatest part that goes on
	// Mates are, by Candidate.Member, how many endpoints its tier has in its
	// family.
	Mates []uint32
}

// least is how many endpoints the tier of a candidate is to have.
func (s *Spill) least(c *Candidate) uint64 {
	if !s.Percent {
		return uint64(s.Least)
	}
	if int(c.Member) >= len(s.Mates) {
		return 0
	}
	return (uint64(s.Mates[c.Member])*uint64(s.Least) + 99) / 100
}

// takes is the part of the queries that come to it which the tier of a rank
// takes, and the rank after it; next is 0 when there is none.
func (s *Spill) takes(set []Candidate, r uint32) (part float64, next uint32, found bool) {
	var have, need uint64
	for i := range set {
		switch at := rank(&set[i]); {
		case at == r:
			have += uint64(set[i].Share)
			need = s.least(&set[i]) * Whole
		case at > r && (!found || at < next):
			next, found = at, true
		}
	}
	if have >= need {
		return 1, next, found
	}
	return max(0, 1-min(s.Most/100, 1-float64(have)/float64(need))), next, found
}

// Apply implements Filter.
func (s *Spill) Apply(q *Query, set []Candidate) []Candidate {
	if len(set) < 2 {
		return set
	}
	first := rank(&set[0])
	for i := range set {
		first = min(first, rank(&set[i]))
	}
	// What all of them take together; nearly always the first one takes all.
	left := 1.0
	for r, found := first, true; found && left > 0; {
		var part float64
		part, r, found = s.takes(set, r)
		left -= left * part
	}
	total := 1 - left
	if total <= 0 {
		return only(set, first)
	}
	at := 0.0
	if part, _, found := s.takes(set, first); part < 1 && found {
		at = float64(q.Rand.Uint64()>>11) * 0x1p-53 * total
	}
	left = 1
	r := first
	for {
		part, next, found := s.takes(set, r)
		if at < left*part || !found {
			return only(set, r)
		}
		at -= left * part
		left -= left * part
		r = next
	}
}

// Reach keeps the candidates that Apply may leave, and says whether chance would divide
// the queries among them.
func (s *Spill) Reach(set []Candidate) (kept []Candidate, divides bool) {
	if len(set) < 2 {
		return set, false
	}
	first := rank(&set[0])
	for i := range set {
		first = min(first, rank(&set[i]))
	}
	takes := map[uint32]bool{}
	for r, found := first, true; found; {
		var part float64
		at := r
		part, r, found = s.takes(set, at)
		if part > 0 {
			takes[at] = true
		}
		if part >= 1 {
			break
		}
	}
	if len(takes) == 0 {
		takes[first] = true // somebody has to
	}
	kept = set[:0]
	for _, c := range set {
		if takes[rank(&c)] {
			kept = append(kept, c)
		}
	}
	return kept, len(takes) > 1
}

// String implements Filter.
func (s *Spill) String() string {
	least := strconv.FormatUint(uint64(s.Least), 10)
	if s.Percent {
		least += "%"
	}
	return fmt.Sprintf("tier: {min_healthy: %s, spill: %g%%}", least, s.Most)
}

// Rule implements Filter.
func (s *Spill) Rule() string {
	least := strconv.FormatUint(uint64(s.Least), 10)
	if s.Percent {
		least += "%"
	}
	return "the first pool and its lowest priority number; with fewer than " + least + " healthy endpoints a part of the queries goes to the next"
}

// Why implements Told.
func (s *Spill) Why(_ *Query, given []Candidate) string {
	if len(given) == 0 {
		return "nothing to choose from"
	}
	first := rank(&given[0])
	for i := range given {
		first = min(first, rank(&given[i]))
	}
	part, _, found := s.takes(given, first)
	switch {
	case part >= 1:
		return "the first one has enough"
	case !found:
		return "the first one has too few, and there is no other"
	}
	return fmt.Sprintf("the first one has too few, and keeps %.0f%% of the queries", 100*part)
}

// Needs implements Filter.
func (*Spill) Needs() Needs { return Chance }
