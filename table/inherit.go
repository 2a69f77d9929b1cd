package table

import (
	"slices"
	"sync/atomic"
)

// sequences count, for each service that rotates and each of its turns, the
// answers given. They are in pages, so that a larger table goes
// on with the pages of the one before and loses no count.
type sequences struct {
	pages []*[seqPage]atomic.Uint32
	used  uint32
}

const seqPage = 4096

// Turn is one of the sequences of a service. With one for all of them, a client
// that always asks for the same types together would be given every other
// endpoint of each.
type Turn uint8

// The turns: of A and AAAA answers, and of the addresses of each family in
// records of other types, which few services have.
const (
	TurnV4 Turn = Turn(V4)
	TurnV6 Turn = Turn(V6)

	TurnOther = 2 // to be added to those of the family
)

// turns is how many sequences a service of the plan has.
func (p *Plan) turns() uint32 {
	switch {
	case !p.Rotates:
		return 0
	case p.Policy.HTTPS != nil, p.Policy.SVCB != nil, p.Policy.SRV:
		return 4
	}
	return 2
}

// clone is sequences that go on with the counts of these.
func (s *sequences) clone() *sequences {
	return &sequences{pages: slices.Clone(s.pages), used: s.used}
}

// goesOn is whether the sequences go on with those of the table before.
func (s *sequences) goesOn(before *sequences) bool {
	return len(before.pages) > 0 && len(s.pages) > 0 && s.pages[0] == before.pages[0]
}

func (s *sequences) grow() {
	for uint32(len(s.pages))*seqPage < s.used {
		s.pages = append(s.pages, new([seqPage]atomic.Uint32))
	}
}

func (s *sequences) at(i uint32) *atomic.Uint32 { return &s.pages[i/seqPage][i%seqPage] }

// Next counts an answer of a rotating service and returns how many it had
// given before.
func (t *Table) Next(n *Node, turn Turn) uint32 {
	return t.seqs.at(n.Seq+uint32(turn)).Add(1) - 1
}

// Peek is what Next would return, without counting.
func (t *Table) Peek(n *Node, turn Turn) uint32 {
	return t.seqs.at(n.Seq + uint32(turn)).Load()
}

// Counters is the layout of the per-service, per-pool answer counters. A
// service keeps its counters from table to table while Epoch stays the same;
// when Epoch changes all counters start from zero again.
type Counters struct {
	Epoch uint64
	Len   int
}

// Counters says how many answer counters a worker must have for this table.
func (t *Table) Counters() Counters { return t.counters }

// EachCounter calls f with the service and pool of every counter in use that
// wanted says yes to.
func (t *Table) EachCounter(wanted func(index uint32) bool, f func(index uint32, service, pool string)) {
	t.EachService(func(n *Node, p *Plan) bool {
		for at := range p.pools() {
			if i := n.Counter + uint32(at); wanted(i) {
				f(i, t.Name(n).String(), p.Pool(at).Name)
			}
		}
		return true
	})
}

// slack is how many numbers may lie idle before they are dealt anew.
const slack = 4 * seqPage

// inherit gives services their sequences and counters: those they have in the
// table before, else new ones. Numbers of services that are gone lie idle until
// more than half do; then all are dealt anew, sequences with their counts and
// counters from zero.
func (t *Table) inherit(prev *Table) {
	t.EachService(func(_ *Node, p *Plan) bool {
		t.stated.seqs += p.turns()
		t.stated.counters += uint32(p.pools())
		return true
	})
	t.seqs = &sequences{}
	keepCounters := false
	if prev != nil {
		if prev.seqs.used <= 2*t.stated.seqs+slack {
			t.seqs = prev.seqs.clone()
		}
		keepCounters = uint32(prev.counters.Len) <= 2*t.stated.counters+slack
		t.counters = prev.counters
		if !keepCounters {
			t.counters = Counters{Epoch: prev.counters.Epoch + 1}
		}
	}
	t.EachService(func(n *Node, p *Plan) bool {
		h := heir{node: n, plan: p, from: prev, counters: keepCounters}
		if prev != nil {
			if old := prev.Lookup(t.Text(n)); old != nil && old.Plan != NoPlan {
				h.seq, h.counter, h.was = old.Seq, old.Counter, prev.Plans[old.Plan]
			}
		}
		t.endow(&h)
		return true
	})
}

// heir is a service that is given its numbers.
type heir struct {
	node *Node
	plan *Plan
	// was is the plan that the service had in the table from, with its numbers
	// there; nil when it had none.
	was          *Plan
	seq, counter uint32
	from         *Table
	counters     bool // that table's counters are ours
}

// endow gives a service its numbers.
func (t *Table) endow(h *heir) {
	n, p := h.node, h.plan
	n.Seq = 0
	if p.Rotates {
		had := h.was != nil && h.was.Rotates
		if had && t.seqs.goesOn(h.from.seqs) && h.was.turns() >= p.turns() {
			n.Seq = h.seq
		} else {
			n.Seq = t.seqs.used
			t.seqs.used += p.turns()
			t.seqs.grow()
			if had {
				for i := range min(h.was.turns(), p.turns()) {
					t.seqs.at(n.Seq + i).Store(h.from.seqs.at(h.seq + i).Load())
				}
			}
		}
	}
	if h.was != nil && h.counters && samePools(h.was, p) {
		n.Counter = h.counter
	} else {
		n.Counter = uint32(t.counters.Len)
		t.counters.Len += p.pools()
	}
}

func samePools(a, b *Plan) bool {
	if a.pools() != b.pools() {
		return false
	}
	for i := range a.pools() {
		if a.Pool(i).Name != b.Pool(i).Name {
			return false
		}
	}
	return true
}
