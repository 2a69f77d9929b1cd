package steer

import (
	"math/bits"
	"math/rand/v2"

	"github.com/rhumb-dns/rhumb/geo"
)

// Candidate is one endpoint that may be answered. It is small and holds no
// pointer, because hundreds of them are copied for a query.
type Candidate struct {
	Index    uint32 // of the endpoint in its family's list
	Weight   uint32 // 0 takes no traffic
	Pool     uint16 // position of its pool in the service's list
	Priority uint16 // rank within its pool, lower first
	Marks    uint32 // bit i: the endpoint has what the chain's i-th tags filter asks for
	Site     uint16 // position of its place in the list of the plan's places
	// Share is how much of its usual traffic it is to have, of Whole: less than
	// all while it starts slowly or is drained. Filters that go by weight count
	// Weight times Share; before the others, who makes the candidates thins them.
	Share uint16
	// Member is its position among the endpoints of all lists of the plan, by which
	// filters find what they were told of it when the table was compiled.
	Member uint32
}

// Whole is the Share of a candidate that takes all of its traffic.
const Whole = 1 << 10

// Query is what a filter may know of the query besides the candidates.
type Query struct {
	Rand *rand.PCG
	// Seq counts the answers this service gave for this address family.
	Seq uint32
	// Want is how many candidates matter to whoever comes after the filter at
	// hand; 0 is all of them. Filters that only order may drop what lies behind.
	Want int

	// Place is where the client is. It is never nil; a place of which nothing is
	// known is empty.
	Place *geo.Place
	// Subnet is the client's network, cut to 24 bits of IPv4 or 56 of IPv6, and its
	// family, mixed into one number: the same for all who are to stay together.
	Subnet uint64

	// Targets is, for each Candidate.Index, the index of the endpoint in Latency
	// and Load. What is beyond the end of those is not known.
	Targets []int32
	Latency []uint32 // microseconds, smoothed; 0 is not known
	Load    []uint32 // as reported, in the unit of the endpoint's limits; NoLoad is not known
	// Open is, for each of the table's windows of time, whether it is open.
	Open []bool

	saved  []Candidate // of First
	scores []score     // of Sticky
	parts  []part      // of Balanced
}

// NoLoad is the load of an endpoint of which none is known.
const NoLoad = ^uint32(0)

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
	// Needs is what the result depends on besides the candidates.
	Needs() Needs
}

// Needs is a set of what a filter goes by besides the candidates and what the
// snapshot says of them.
type Needs uint8

// What a filter may need.
const (
	Places    Needs = 1 << iota // Query.Place; the filter is a Placed
	Subnets                     // Query.Subnet
	Chance                      // Query.Rand or Query.Seq
	Weights                     // Share decides about chances, so nobody need thin
	Latencies                   // Query.Latency
	Loads                       // Query.Load
	Schedules                   // Query.Open
)

// Placed is a filter that goes by the client's place.
type Placed interface {
	Filter
	// Class appends what matters of a client's place to the filter: places with
	// the same class have the same result, whatever the candidates.
	Class(dst []byte, client *geo.Place) []byte
}

// Told is a filter that can say more of one application than its rule.
type Told interface {
	Filter
	// Why says in one line what was found of the client and the candidates that
	// were given to Apply, which are not changed.
	Why(q *Query, given []Candidate) string
}
