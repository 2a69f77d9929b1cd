package resolve

import (
	"math/rand/v2"

	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// Snapshot is everything an answer depends on, at one instant: the compiled
// table, the health of its endpoints, how its pools conduct themselves and the
// addresses of its host names. It is immutable; a query loads one pointer to one, once.
type Snapshot struct {
	Table  *table.Table
	Health *health.View
	Hosts  *hosts.View // nil while nothing is known of any
	Geo    *geo.View   // nil: nobody is anywhere
	// Conduct is how pools change without harm; nil when none of the table's does.
	Conduct *conduct.View
	Hours   *Hours // nil when the table has no schedules

	settled *settled // by Settle
}

// Same is whether two snapshots answer alike because they are made of the same.
func (s *Snapshot) Same(o *Snapshot) bool {
	a, b := *s, *o
	a.settled, b.settled = nil, nil
	return a == b
}

// Hours are which of the table's schedules are open. It is not changed.
type Hours struct{ Open []bool }

// Outcome is what an answer was, for counting. It is overwritten by each Append.
type Outcome struct {
	// Zone is the index in Table.Zones of the zone that answered, -1 for none.
	Zone  int
	RCode dnswire.RCode
	// Named is the length of the ending of the question's name, in wire form, that
	// decided: the name itself, the closest encloser for a wildcard, the owner of a
	// DNAME or of a cut, the zone for a name that does not exist; 0 in no zone.
	// Whoever makes names up gets the same answers with the same ending.
	Named int
	// Counters are the counters (indexes below Table.Counters().Len) of the
	// service and pool of each record given. It points into the Scratch.
	Counters []uint32
	// Targets are the endpoints of the same records, as indexes in Table.Targets.
	// It points into the Scratch.
	Targets []int32
}

// Scratch is the working memory of one worker: buffers, random numbers, and
// the outcome of the last answer. It is not safe for concurrent use.
type Scratch struct {
	Outcome Outcome

	asked *dnswire.Query // nil while nobody has asked: a plan is settled
	nesting
	client  client
	node    *table.Node // of the service at hand
	place   geo.Place   // of the client; query points to it
	query   steer.Query
	set     []steer.Candidate
	chosen  []steer.Candidate // room for kept
	kept    []steer.Candidate // what chance had to choose from; not to be changed
	link    *table.Link       // the chain that had it
	beside  []steer.Candidate // what neighbours of the client get
	anyhow  bool              // candidates of pools that do not stand are wanted as well
	dropped bool              // some were left out
	short   bool              // some candidate does not have all of its share
	moving  bool              // and that is about to change
	since   int64             // when candidates must have been up last, Unix nanoseconds
	torn    bool              // chance had a say within what is nested
	// All that chance might leave is wanted, where tries is set of the outermost chain
	// alone; drawn is that it would have had a say.
	everything, tries, drawn bool
	counters                 []uint32
	targets                  []int32
	healthy                  []int // of each pool, while a service is picked
	named                    bool  // the endpoints picked are answered by name, all of them
	hints                    [2][maxHints * 16]byte
	opt                      dnswire.OPT
	rich                     bool // opt has more than a code and the DO bit
	trace                    *Trace

	// The names that a chain leads to, and working memory for others.
	next     question
	names    [maxChase][256]byte
	lengths  [maxChase]uint8
	wildcard [256]byte
	target   [256]byte
	other    [256]byte

	// The last record set of the answer or the referral; whether its addresses are
	// glue, and of which zone.
	last      last
	glue      bool
	delegated int

	given    []placed
	renames  []renamed
	expanded []expansion
	proofs   []proven
}

// nesting is the working memory for what is nested.
type nesting struct {
	within    dnswire.Name // the nested service whose endpoints are being picked
	nested    [256]byte
	depth     int
	deeper    [][]steer.Candidate // Scratch.set, by depth
	inner     []steer.Candidate   // of what is nested, while it is put in order
	turns     uint32              // how many candidates of the list above take turns
	rehearses bool                // to find that out
	lapsed    bool                // something nested has gone by its all_down

	// Of the last chain: how many candidates chance had to choose from, the share
	// that they are to have together, and whether those with less than their whole
	// share were thinned.
	among   int
	mean    uint16
	thinned bool
}

// NewScratch makes the working memory of one worker. The seeds decide its
// random numbers.
func NewScratch(seed1, seed2 uint64) *Scratch {
	c := &Scratch{
		query:    steer.Query{Rand: rand.NewPCG(seed1, seed2)},
		set:      make([]steer.Candidate, 0, 512),
		counters: make([]uint32, 0, 512),
		targets:  make([]int32, 0, 512),
		healthy:  make([]int, 0, 64),
		given:    make([]placed, 0, 64),
		renames:  make([]renamed, 0, maxChase),
		expanded: make([]expansion, 0, maxChase),
		proofs:   make([]proven, 0, 64),
	}
	c.query.Place = &c.place
	return c
}

// Seed makes the random numbers that follow those of a new Scratch with these
// seeds.
func (c *Scratch) Seed(seed1, seed2 uint64) { c.query.Rand.Seed(seed1, seed2) }

// Append decides the answer to q and appends it to dst as a whole message. An
// unchanged dst means that silence is due. It does not allocate when dst has
// room for the answer.
func (s *Snapshot) Append(dst []byte, q *dnswire.Query, c *Scratch) []byte {
	c.trace = nil
	return s.answer(dst, q, c)
}
