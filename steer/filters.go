package steer

import (
	"fmt"
	"strings"
)

// Rotate puts the candidates in turn: answer k of a service begins with
// candidate k modulo their number.
type Rotate struct{}

// Apply implements Filter.
func (Rotate) Apply(q *Query, set []Candidate) []Candidate {
	n := len(set)
	if n < 2 {
		return set
	}
	k := int(q.Seq % uint32(n))
	if q.Want == 1 {
		set[0] = set[k]
		return set[:1]
	}
	reverse(set[:k])
	reverse(set[k:])
	reverse(set)
	return set
}

func reverse(s []Candidate) {
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
}

func (Rotate) String() string { return "rotate" }

// Rule implements Filter.
func (Rotate) Rule() string { return "each in turn" }

// Shuffle puts the candidates in random order, every order as likely as any other.
type Shuffle struct{}

// Apply implements Filter. It is Fisher and Yates's shuffle, stopped after the
// records that are wanted.
func (Shuffle) Apply(q *Query, set []Candidate) []Candidate {
	want := len(set)
	if q.Want > 0 && q.Want < want {
		want = q.Want
	}
	for i := range want {
		j := i + int(q.below(uint64(len(set)-i)))
		set[i], set[j] = set[j], set[i]
	}
	return set[:want]
}

func (Shuffle) String() string { return "shuffle" }

// Rule implements Filter.
func (Shuffle) Rule() string { return "random order" }

// Weighted puts the candidates in random order, each next one drawn with a
// chance of weight / sum of the weights not yet drawn. Candidates of weight 0
// are dropped.
type Weighted struct{}

// Apply implements Filter.
func (Weighted) Apply(q *Query, set []Candidate) []Candidate {
	var sum uint64
	least := ^uint32(0)
	for i := range set {
		w := set[i].Weight
		sum += uint64(w)
		least = min(least, w)
	}
	if least == 0 {
		kept := set[:0]
		for _, c := range set {
			if c.Weight > 0 {
				kept = append(kept, c)
			}
		}
		set = kept
	}
	want := len(set)
	if q.Want > 0 && q.Want < want {
		want = q.Want
	}
	for i := range want {
		at := q.below(sum)
		j := i
		// In a large set most of the way is gone eight at a time.
		for ; j+8 < len(set); j += 8 {
			s := set[j : j+8 : j+8]
			w := uint64(s[0].Weight) + uint64(s[1].Weight) + uint64(s[2].Weight) + uint64(s[3].Weight) +
				uint64(s[4].Weight) + uint64(s[5].Weight) + uint64(s[6].Weight) + uint64(s[7].Weight)
			if at < w {
				break
			}
			at -= w
		}
		for ; j < len(set)-1; j++ {
			w := uint64(set[j].Weight)
			if at < w {
				break
			}
			at -= w
		}
		set[i], set[j] = set[j], set[i]
		sum -= uint64(set[i].Weight)
	}
	return set[:want]
}

func (Weighted) String() string { return "weighted" }

// Rule implements Filter.
func (Weighted) Rule() string { return "by chance in proportion to weight; weight 0 takes no traffic" }

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
	k := 0
	for i := range set {
		r := rank(&set[i])
		set[k] = set[i]
		if r == best {
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

// Limit keeps the first N candidates.
type Limit struct{ N int }

// Apply implements Filter.
func (l Limit) Apply(_ *Query, set []Candidate) []Candidate {
	return set[:min(l.N, len(set))]
}

func (l Limit) String() string { return fmt.Sprintf("limit: %d", l.N) }

// Rule implements Filter.
func (l Limit) Rule() string { return fmt.Sprintf("no more than %d", l.N) }

// Tags keeps the candidates that carry every one of Tags. Which do is decided
// when the table is compiled: bit Mark of Candidate.Marks says so.
type Tags struct {
	Mark uint8
	Tags []string
}

// Apply implements Filter.
func (t Tags) Apply(_ *Query, set []Candidate) []Candidate {
	kept := set[:0]
	for _, c := range set {
		if c.Marks&(1<<t.Mark) != 0 {
			kept = append(kept, c)
		}
	}
	return kept
}

func (t Tags) String() string { return "tags: [" + strings.Join(t.Tags, ", ") + "]" }

// Rule implements Filter.
func (t Tags) Rule() string { return "endpoints tagged " + strings.Join(t.Tags, " and ") }

// Needs implements Filter.
func (Rotate) Needs() Needs { return Chance }

// Needs implements Filter.
func (Shuffle) Needs() Needs { return Chance }

// Needs implements Filter.
func (Weighted) Needs() Needs { return Chance | Weights }

// Needs implements Filter.
func (Tier) Needs() Needs { return 0 }

// Needs implements Filter.
func (Limit) Needs() Needs { return 0 }

// Needs implements Filter.
func (Tags) Needs() Needs { return 0 }
