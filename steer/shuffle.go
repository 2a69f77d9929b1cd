package steer

// Shuffle puts the candidates in random order, each next one drawn with the same
// chance as any other that is left. One that has a part of its share is drawn
// with that part of the chance; one that has none is dropped.
type Shuffle struct{}

// tries is how often one that has a part of its share may be refused before the
// chances are added up.
const tries = 16

// Apply implements Filter. It is Fisher and Yates's shuffle, stopped after the
// records that are wanted. Who is drawn and has a part of its share stays with
// the chance of that part, or else the draw is repeated, which makes the chances
// what they should be without a look at everybody.
func (Shuffle) Apply(q *Query, set []Candidate) []Candidate {
	want := len(set)
	if q.Want > 0 && q.Want < want {
		want = q.Want
	}
	refused := 0
	for i := 0; i < want; {
		j := i + int(q.below(uint64(len(set)-i)))
		if s := uint64(set[j].Share); s < Whole && q.below(Whole) >= s {
			if refused++; refused < tries {
				continue
			}
			rest, ok := draw(q, set[i:], want-i, true)
			switch {
			case ok:
				return set[:i+len(rest)]
			case i > 0:
				return set[:i]
			}
			whole(set) // nobody is to have any, and somebody must
			continue
		}
		set[i], set[j] = set[j], set[i]
		i++
	}
	return set[:want]
}

func (Shuffle) String() string { return "shuffle" }

// Rule implements Filter.
func (Shuffle) Rule() string { return "random order" }

// Needs implements Filter.
func (Shuffle) Needs() Needs { return Chance | Weights }
