package steer

import "strings"

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
func (Tags) Needs() Needs { return 0 }
