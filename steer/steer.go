package steer

import (
	"math/bits"
	"math/rand/v2"
)

// Candidate is one endpoint that may be answered. It is small and holds no
// pointer, because hundreds of them are copied for a query.
type Candidate struct {
	Index    uint32 // of the endpoint in its family's list
	Weight   uint32 // 0 takes no traffic
	Pool     uint16 // position of its pool in the service's list
	Priority uint16 // rank within its pool, lower first
	Marks    uint32 // bit i: the endpoint has what the chain's i-th tags filter asks for
}

// Query is what a filter may know of the query besides the candidates.
type Query struct {
	Rand *rand.PCG
	// Seq counts the answers this service gave for this address family.
	Seq uint32
	// Want is how many candidates matter to whoever comes after the filter at
	// hand; 0 is all of them. Filters that only order may drop what lies behind.
	Want int
}

// below is a uniform random number in [0, n). The bias of taking the upper half
// of a 128-bit product is below n/2^64, far under what any count of answers shows.
func (q *Query) below(n uint64) uint64 {
	hi, _ := bits.Mul64(q.Rand.Uint64(), n)
	return hi
}

// Filter is one step of a chain.
type Filter interface {
	// Apply keeps and orders candidates. It works in place: the result is a
	// prefix of set's array.
	Apply(q *Query, set []Candidate) []Candidate
	// String is the filter as the configuration writes it.
	String() string
	// Rule says in one line what the filter keeps, for explanations.
	Rule() string
}
