package steer

// Schedule keeps the candidates of pools that no window of time names, and
// those of pools of which one of the windows is open. When that is none it keeps
// all of them.
type Schedule struct {
	// Pools are, by Candidate.Pool, the windows that name the pool, as positions
	// in Query.Open. What is beyond its end is not named.
	Pools [][]uint32
	Text  string // as the configuration writes it
}

// Apply implements Filter.
func (s *Schedule) Apply(q *Query, set []Candidate) []Candidate {
	k := 0
	for i := range set {
		// Nothing is overwritten before the first one is kept.
		if s.open(q, set[i].Pool) {
			set[k] = set[i]
			k++
		}
	}
	if k == 0 {
		return set
	}
	return set[:k]
}

// open is whether a pool is to serve now. A window of which nothing is known
// is open.
func (s *Schedule) open(q *Query, pool uint16) bool {
	if int(pool) >= len(s.Pools) || len(s.Pools[pool]) == 0 {
		return true
	}
	for _, w := range s.Pools[pool] {
		if int(w) >= len(q.Open) || q.Open[w] {
			return true
		}
	}
	return false
}

// String implements Filter.
func (s *Schedule) String() string { return "schedule: " + s.Text }

// Rule implements Filter.
func (s *Schedule) Rule() string { return "pools while one of their windows is open" }

// Why implements Told.
func (s *Schedule) Why(q *Query, given []Candidate) string {
	closed := 0
	for i := range given {
		if !s.open(q, given[i].Pool) {
			closed++
		}
	}
	switch closed {
	case 0:
		return "every pool is in one of its windows, or has none"
	case len(given):
		return "no pool is in one of its windows; all are kept"
	}
	return "some pools are outside of their windows"
}

// Needs implements Filter.
func (*Schedule) Needs() Needs { return Schedules }
