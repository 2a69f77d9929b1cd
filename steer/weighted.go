package steer

import "math/bits"

// Weighted puts the candidates in random order, each next one drawn with a
// chance of weight / sum of the weights not yet drawn. Weight is Weight * Share;
// candidates without any are dropped. Shares that leave nothing of the weights
// do not count.
type Weighted struct{}

// Apply implements Filter.
func (Weighted) Apply(q *Query, set []Candidate) []Candidate {
	var sum uint64
	parts := uint16(0) // not 0 when some have a part of their share
	for i := range set {
		sum += uint64(set[i].Weight)
		parts |= set[i].Share ^ Whole
	}
	want := len(set)
	if q.Want > 0 && q.Want < want {
		want = q.Want
	}
	if parts != 0 {
		if drawn, ok := draw(q, set, want, false); ok {
			return drawn
		}
	}
	// One without weight is never the first that is drawn.
	if want != 1 || sum == 0 {
		kept := set[:0]
		for _, c := range set {
			if c.Weight > 0 {
				kept = append(kept, c)
			}
		}
		set = kept
		want = min(want, len(set))
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
		// Among the few left it is found without a branch, which nobody could foretell.
		few := set[j:min(j+8, len(set))]
		var upTo uint64
		for k := range few[:len(few)-1] {
			upTo += uint64(few[k].Weight)
			_, below := bits.Sub64(at, upTo, 0)
			j += 1 - int(below)
		}
		set[i], set[j] = set[j], set[i]
		sum -= uint64(set[i].Weight)
	}
	return set[:want]
}

func (Weighted) String() string { return "weighted" }

// Rule implements Filter.
func (Weighted) Rule() string { return "by chance in proportion to weight; weight 0 takes no traffic" }

// Needs implements Filter.
func (Weighted) Needs() Needs { return Chance | Weights }
