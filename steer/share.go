package steer

// weight is what a candidate's chance is in proportion to: its share, and its
// weight unless all are equal.
func (c *Candidate) weight(equal bool) uint64 {
	if equal {
		return uint64(c.Share)
	}
	return uint64(c.Weight) * uint64(c.Share)
}

// whole gives every candidate its whole share.
func whole(set []Candidate) {
	for i := range set {
		set[i].Share = Whole
	}
}

// draw puts want of set in random order, each next one drawn with a chance of
// its weight / sum of the weights not yet drawn. Those without any are dropped;
// when nothing has any, draw changes nothing and says so.
func draw(q *Query, set []Candidate, want int, equal bool) (drawn []Candidate, ok bool) {
	var sum uint64
	k := 0
	for i := range set {
		w := set[i].weight(equal)
		if sum += w; w == 0 {
			continue
		}
		if k < i { // nothing is overwritten before the first one is kept
			set[k] = set[i]
		}
		k++
	}
	if sum == 0 {
		return set, false
	}
	kept := set[:k]
	want = min(want, len(kept))
	for i := range want {
		at := q.below(sum)
		j := i
		for ; j < len(kept)-1; j++ {
			w := kept[j].weight(equal)
			if at < w {
				break
			}
			at -= w
		}
		kept[i], kept[j] = kept[j], kept[i]
		sum -= kept[i].weight(equal)
	}
	return kept[:want], true
}

// Thin keeps each candidate with the chance Share / Whole, and of those that it
// keeps the order. When chance would drop all of them it draws one, in
// proportion to the shares. It is for chains in which no filter goes by shares,
// and stands in front of the filter that chooses.
func Thin(q *Query, set []Candidate) []Candidate {
	k := 0
	for i := range set {
		// Nothing is overwritten before the first one is kept.
		if s := uint64(set[i].Share); s >= Whole || q.below(Whole) < s {
			set[k] = set[i]
			k++
		}
	}
	if k > 0 || len(set) == 0 {
		return set[:k]
	}
	drawn, ok := draw(q, set, 1, true)
	if !ok {
		return set // nobody is to have any, and somebody must
	}
	return drawn
}
