package steer

import (
	"strconv"
	"strings"
)

// Balanced is Weighted for a list whose pools have weights of their own: a pool is
// drawn first, with a chance of its weight / sum of the weights of the pools that
// have anything left, and in it an endpoint by Weight * Share. So a pool keeps its
// part of the traffic however many of its endpoints are up, until none is. A pool
// whose endpoints have less than their whole share counts with the part of its
// weight that they have of theirs; shares that leave nothing do not count.
type Balanced struct {
	// Weights are those of the pools, by Candidate.Pool. One that is not there has
	// the weight 1, which is the reserve's, alone as it is.
	Weights []uint32
	// Names are what the pools are called, for explanations.
	Names []string
}

// part is a pool with what its candidates weigh.
type part struct {
	pool       uint16
	full, left uint64 // sums of Weight, and of Weight * Share
	by         uint64 // what it is drawn by
}

// Apply implements Filter.
func (b *Balanced) Apply(q *Query, set []Candidate) []Candidate {
	parts := q.parts[:0]
	k := 0
	for i := range set {
		w := uint64(set[i].Weight)
		if w == 0 || b.weight(set[i].Pool) == 0 {
			continue
		}
		at := 0
		for at < len(parts) && parts[at].pool != set[i].Pool {
			at++
		}
		if at == len(parts) {
			parts = append(parts, part{pool: set[i].Pool})
		}
		parts[at].full += w
		parts[at].left += w * uint64(set[i].Share)
		set[k] = set[i]
		k++
	}
	q.parts = parts
	if set = set[:k]; k == 0 {
		return set
	}
	if sum := b.chances(parts); sum == 0 {
		whole(set) // nobody is to have any, and somebody must
		for i := range parts {
			parts[i].left = parts[i].full * Whole
		}
	}
	want := len(set)
	if q.Want > 0 && q.Want < want {
		want = q.Want
	}
	for i := range want {
		sum := b.chances(parts)
		if sum == 0 {
			return set[:i]
		}
		j, p := b.draw(q, set[i:], parts, sum)
		j += i
		parts[p].left -= uint64(set[j].Weight) * uint64(set[j].Share)
		set[i], set[j] = set[j], set[i]
	}
	return set[:want]
}

// unit is what the share that a pool has of its own is counted in.
const unit = 1 << 16

// chances sets what the pools are drawn by, and gives the sum.
func (b *Balanced) chances(parts []part) (sum uint64) {
	for i := range parts {
		p := &parts[i]
		p.by = 0
		if p.left > 0 {
			// An endpoint that was drawn already takes nothing of what its pool is
			// drawn by; at least one part is left while there is any.
			p.by = max(1, uint64(b.weight(p.pool))*min(unit, p.left*(unit/Whole)/p.full))
		}
		sum += p.by
	}
	return sum
}

// draw finds a pool and in it a candidate.
func (b *Balanced) draw(q *Query, set []Candidate, parts []part, sum uint64) (at, of int) {
	pick := q.below(sum)
	for of = range parts {
		if pick < parts[of].by {
			break
		}
		pick -= parts[of].by
	}
	pick = q.below(parts[of].left)
	for i := range set {
		if set[i].Pool != parts[of].pool {
			continue
		}
		at = i
		w := uint64(set[i].Weight) * uint64(set[i].Share)
		if pick < w {
			break
		}
		pick -= w
	}
	return at, of
}

func (b *Balanced) weight(pool uint16) uint32 {
	if int(pool) < len(b.Weights) {
		return b.Weights[pool]
	}
	return 1
}

func (b *Balanced) String() string { return "weighted" }

// Rule implements Filter.
func (b *Balanced) Rule() string {
	var s strings.Builder
	s.WriteString("a pool by chance in proportion to weight (")
	for i, name := range b.Names {
		if i > 0 {
			s.WriteString(", ")
		}
		s.WriteString(name + " " + strconv.FormatUint(uint64(b.Weights[i]), 10))
	}
	s.WriteString("), in it an endpoint likewise; weight 0 takes no traffic")
	return s.String()
}

// Needs implements Filter.
func (b *Balanced) Needs() Needs { return Chance | Weights }
