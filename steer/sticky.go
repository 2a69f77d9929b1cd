package steer

import (
	"cmp"
	"math"
	"math/bits"
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
	by uint64
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
	switch d := dicesOf(q.Subnet); {
	case want == 1 && len(set) <= packed:
		kept = s.top(d, set)
	case want <= seats:
		kept = s.best(d, set, want)
	default:
		kept = s.order(q, d, set, want)
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

// packed is up to how many candidates have positions that fit into the lower bits
// of a score, which has the other 36 of a number's 52 for itself.
const packed = 1 << 16

// few is how many candidates are compared without a branch: which one is lowest
// so far cannot be foretold, and a wrong guess of the processor costs more than a
// logarithm. Beyond, nearly all are above the lowest so far by a glance.
const few = 8

// none is a score that is above all of those with weight: +Inf, with anything in
// its lower bits.
const none = 0x7ff << 52

// top finds the one that is first.
func (s *Sticky) top(d dices, set []Candidate) []Candidate {
	ids := s.IDs
	first := uint64(none)
	head := set[:min(few, len(set))]
	for i := range head {
		if m := int(head[i].Member); m < len(ids) {
			key := rated(exponential(d.of(ids[m])), &head[i]) | uint64(i)
			// The lower one of both, without a branch.
			less, borrow := bits.Sub64(key, first, 0)
			first += less & -borrow
		}
	}
	for i := len(head); i < len(set); i++ {
		var x uint64
		if i, x = d.next(set, i, ids, glance(first)); i == len(set) {
			break
		}
		first = min(first, rated(exponential(x), &set[i])|uint64(i))
	}
	if first >= none {
		return set[:0]
	}
	set[0] = set[first%packed]
	return set[:1]
}

// best finds the few that are first. The seats taken are at the front of set,
// never beyond the candidate at hand; with none taken, set is as it was.
func (s *Sticky) best(d dices, set []Candidate, want int) []Candidate {
	var by [seats]uint64
	k := 0
	bound := uint64(none)
	for i := 0; ; i++ {
		var x uint64
		if i, x = d.next(set, i, s.IDs, glance(bound)); i == len(set) {
			return set[:k]
		}
		c := set[i]
		e := rated(exponential(x), &c)
		if e >= bound {
			continue
		}
		at := min(k, want-1)
		for ; at > 0 && by[at-1] > e; at-- {
			by[at], set[at] = by[at-1], set[at-1]
		}
		by[at], set[at] = e, c
		if k = min(k+1, want); k == want {
			bound = by[k-1]
		}
	}
}

// order finds many.
func (s *Sticky) order(q *Query, d dices, set []Candidate, want int) []Candidate {
	scores := q.scores[:0]
	for i := 0; ; i++ {
		var x uint64
		if i, x = d.next(set, i, s.IDs, glance(none)); i == len(set) {
			break
		}
		scores = append(scores, score{rated(exponential(x), &set[i]), set[i]})
	}
	q.scores = scores
	slices.SortStableFunc(scores, func(a, b score) int { return cmp.Compare(a.by, b.by) })
	want = min(want, len(scores))
	for i := range want {
		set[i] = scores[i].c
	}
	return set[:want]
}

// glance is what next compares with to see at a glance that a score is not below
// bound: -ln(u) is 1-u at least, and by more than exponential is ever wrong by, so
// that most need not be computed.
func glance(bound uint64) float64 {
	if bound >= none {
		return math.Inf(1)
	}
	return math.Float64frombits(bound|(packed-1)) * (1 << 53 * (1 + 0x1p-15))
}

// next is the first candidate from one on that has weight and whose score may be
// below a bound, which is given at a glance, and its number. It is apart so that
// this loop, nearly all of the work for many candidates, has no call in it.
func (d dices) next(set []Candidate, i int, ids []uint64, below float64) (at int, x uint64) {
	for ; i < len(set); i++ {
		c := &set[i]
		m := int(c.Member)
		if m >= len(ids) {
			continue
		}
		x = d.of(ids[m])
		if float64(int64(^x>>11)) < below*c.weighed() { // not with weight 0, be the bound what it may
			return i, x
		}
	}
	return i, 0
}

// dices are a client network's, one for each candidate.
type dices struct{ a, b uint64 }

func dicesOf(subnet uint64) dices { return dices{subnet, mix(subnet)} }

// of is a candidate's number, any of 2^64 with equal chance: both halves of a
// product, as in wyhash (Wang Yi, 2019), whose factors both depend on the client.
func (d dices) of(id uint64) uint64 {
	hi, lo := bits.Mul64(d.a^id, d.b)
	return hi ^ lo
}

// rated is a candidate's place in the order, lower first, by the exponential of
// its number: +Inf without weight, and with nothing in the bits of a position.
func rated(e float64, c *Candidate) uint64 { return math.Float64bits(e/c.weighed()) &^ (packed - 1) }

// weighed is below 2^16 * (2^10 + 1).
func (c *Candidate) weighed() float64 { return float64(c.Weight * uint32(c.Share)) }

// exponential is -ln(u), u being the upper 53 bits of x, made odd, of 2^53. With u =
// z/2 * 2^-k and z in [1, 2) it is k ln 2 - ln(z/2), and there is a parabola in
// place of the logarithm in each of some cells of z. It is within 2^-23 of the
// logarithm and within 2^-16 of its own size, so that the chances are those of
// weights that are off by one part in 2^15 at most. It is the same on every kind of
// processor.
func exponential(x uint64) float64 {
	b := math.Float64bits(float64(int64(x>>11 | 1)))
	c := &cells[b>>(52-cellBits)%(1<<cellBits)]
	r := c.end - math.Float64frombits(b&(1<<52-1)|1023<<52)
	k := float64(1023 + 52 - int64(b>>52))
	// A conversion keeps a product from being fused with a sum.
	return float64(k*math.Ln2) + (c.at + float64(r*(c.slope+float64(r*c.bend))))
}

// cell is a parabola for -ln(z/2) by the distance of z from the end of the cell,
// so that it is exactly 0 for z = 2.
type cell struct{ end, at, slope, bend float64 }

const cellBits = 6

var cells = func() (all [1 << cellBits]cell) {
	const h = 1.0 / (1 << cellBits)
	// Logarithms may differ in their last bit between processors.
	rounded := func(v float64) float64 { return math.Round(v*(1<<40)) / (1 << 40) }
	for i := range all {
		end := 1 + float64(i+1)*h
		a, b, c := -math.Log(end/2), -math.Log((end-h/2)/2), -math.Log((end-h)/2)
		all[i] = cell{end, rounded(a), rounded((4*b - 3*a - c) / h), rounded((2*a - 4*b + 2*c) / (h * h))}
	}
	return all
}()

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
