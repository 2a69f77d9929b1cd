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

// inherit gives services their sequences and counters: those they have in the
// table before, else new ones. Numbers of services that are gone lie idle until
// more than half do; then all are dealt anew, sequences with their counts and
// counters from zero.
func (t *Table) inherit(prev *Table) {
	var seqs, counters uint32 // what the services of this table need
	t.EachService(func(_ *Node, p *Plan) bool {
		seqs += p.turns()
		counters += uint32(p.pools())
		return true
	})
	const slack = 4 * seqPage // not worth dealing anew for
	t.seqs = &sequences{}
	keepSeqs, keepCounters := false, false
	if prev != nil {
		keepSeqs = prev.seqs.used <= 2*seqs+slack
		keepCounters = uint32(prev.counters.Len) <= 2*counters+slack
		t.counters = prev.counters
	}
	if keepSeqs {
		t.seqs = &sequences{pages: slices.Clone(prev.seqs.pages), used: prev.seqs.used}
	}
	if !keepCounters && prev != nil {
		t.counters = Counters{Epoch: prev.counters.Epoch + 1}
	}

	t.EachService(func(n *Node, p *Plan) bool {
		var old *Node
		var oldPlan *Plan
		if prev != nil {
			if old = prev.Lookup(t.Text(n)); old != nil && old.Plan != NoPlan {
				oldPlan = prev.Plans[old.Plan]
			}
		}
		if p.Rotates {
			had := oldPlan != nil && oldPlan.Rotates
			switch {
			case had && keepSeqs && oldPlan.turns() >= p.turns():
				n.Seq = old.Seq
			default:
				n.Seq = t.seqs.used
				t.seqs.used += p.turns()
				t.seqs.grow()
				if had {
					for i := range min(oldPlan.turns(), p.turns()) {
						t.seqs.at(n.Seq + i).Store(prev.seqs.at(old.Seq + i).Load())
					}
				}
			}
		}
		if oldPlan != nil && keepCounters && samePools(oldPlan, p) {
			n.Counter = old.Counter
		} else {
			n.Counter = uint32(t.counters.Len)
			t.counters.Len += p.pools()
		}
		return true
	})
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
