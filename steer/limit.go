package steer

import "fmt"

// Limit keeps the first N candidates.
type Limit struct{ N int }

// Apply implements Filter.
func (l Limit) Apply(_ *Query, set []Candidate) []Candidate {
	return set[:min(l.N, len(set))]
}

func (l Limit) String() string { return fmt.Sprintf("limit: %d", l.N) }

// Rule implements Filter.
func (l Limit) Rule() string { return fmt.Sprintf("no more than %d", l.N) }

// Needs implements Filter.
func (Limit) Needs() Needs { return 0 }
