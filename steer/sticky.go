package steer

import (
	"cmp"
	"math"
	"slices"
)

// Sticky orders the candidates so that a client's network always begins with
// the same one while it lives. It is rendezvous hashing with weights: each
// candidate has a number u, uniform in (0, 1), made of the network and the
// candidate's identity, and the order is that of
//
//	-ln(u) / w,  w = Weight * Share
//
// lowest first (Schindelhauer and Schomaker, Weighted Distributed Hash Tables,
// 2005: the logarithmic method). A candidate is first with the chance
// w / sum of all w. When one is lost its clients alone move, each to the second
// of its order; when a weight grows, clients only move to the one that has it.
//
// Candidates without weight are dropped. An address that is in several pools is
// one candidate, with the greater of its weights.
type Sticky struct {
	// IDs are the identities by Candidate.Member: hashes of what the endpoint is
	// called, the same on every node.
	IDs []uint64
}

// score is the place of a candidate in the order, lower first.
type score struct {
	by float64
	c  Candidate
}

// seats is up to how many candidates are found by insertion; an order of more
// is sorted.
const seats = 8

// Apply implements Filter.
func (s *Sticky) Apply(q *Query, set []Candidate) []Candidate {
	want := len(set)
	if q.Want > 0 && q.Want < want {
		want = q.Want
	}
	var kept []Candidate
	if want <= seats {
		kept = s.best(q, set, want)
	} else {
		kept = s.order(q, set, want)
	}
	if len(kept) == 0 && shareless(set) {
		whole(set)
		return s.Apply(q, set)
	}
	return kept
}

// shareless is whether some have a weight and none of those has a share: then
// shares do not count, since somebody must serve.
func shareless(set []Candidate) bool {
	some := false
	for i := range set {
		if set[i].Weight > 0 {
			if set[i].Share > 0 {
				return false
			}
			some = true
		}
	}
	return some
}

// best finds the few that are first. The seats taken are at the front of set,
// never beyond the candidate at hand; with none taken, set is as it was.
func (s *Sticky) best(q *Query, set []Candidate, want int) []Candidate {
	var by [seats]float64
	k := 0
	bound := math.Inf(1)
	for i := 0; ; i++ {
		var v, w float64
		if i, v, w = next(set, i, s.IDs, q.Subnet, bound); i == len(set) {
			return set[:k]
		}
		e := -math.Log(1-v) / w
		if e >= bound {
			continue
		}
		at, c := min(k, want-1), set[i]
		for ; at > 0 && by[at-1] > e; at-- {
			by[at], set[at] = by[at-1], set[at-1]
		}
		by[at], set[at] = e, c
		if k = min(k+1, want); k == want {
			bound = by[k-1]
		}
	}
}

// next is the first candidate from one on whose score may be below bound, with
// v = 1-u of it and its weight. -ln(1-v) is v at least, so that the logarithms of
// most need not be taken. It is apart from best so that this loop, which is
// nearly all of the work, has no call in it.
func next(set []Candidate, i int, ids []uint64, subnet uint64, bound float64) (at int, v, w float64) {
	for ; i < len(set); i++ {
		c := &set[i]
		m := int(c.Member)
		if m >= len(ids) {
			continue
		}
		w = float64(c.Weight * uint32(c.Share)) // below 2^16 * (2^10 + 1)
		v = uniform(mix(subnet ^ ids[m]))
		if v < bound*w { // not with w = 0, be bound what it may
			return i, v, w
		}
	}
	return i, 0, 0
}

// uniform makes a number in [0, 1) of one that is any with equal chance.
func uniform(x uint64) float64 { return float64(int64(x>>11)) * 0x1p-53 }

// order finds many.
func (s *Sticky) order(q *Query, set []Candidate, want int) []Candidate {
	scores := q.scores[:0]
	for i := 0; ; i++ {
		var v, w float64
		if i, v, w = next(set, i, s.IDs, q.Subnet, math.Inf(1)); i == len(set) {
			break
		}
		scores = append(scores, score{-math.Log(1-v) / w, set[i]})
	}
	q.scores = scores
	slices.SortStableFunc(scores, func(a, b score) int { return cmp.Compare(a.by, b.by) })
	want = min(want, len(scores))
	for i := range want {
		set[i] = scores[i].c
	}
	return set[:want]
}

// mix is the finalizer of splitmix64 (Steele, Lea and Flood, Fast Splittable
// Pseudorandom Number Generators, 2014): every bit of x changes every bit of the
// result with a chance near one half.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Identity is the identity of what has a name: FNV-1a, mixed.
func Identity(name string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * 1099511628211
	}
	return mix(h)
}

// Depends is whether what Apply makes of set depends on the client's network:
// not when one of it, or none, can be kept.
func (s *Sticky) Depends(set []Candidate) bool {
	n := 0
	for i := range set {
		if set[i].Weight > 0 {
			n++
		}
	}
	return n > 1
}

// String implements Filter.
func (*Sticky) String() string { return "sticky" }

// Rule implements Filter.
func (*Sticky) Rule() string {
	return "the same for the same client network, in proportion to weight; weight 0 takes no traffic"
}

// Needs implements Filter.
func (*Sticky) Needs() Needs { return Subnets | Weights }
