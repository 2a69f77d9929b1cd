package table

import "math/bits"

// Node is what the table knows of one name. It holds no pointer: there may be
// a million of them.
type Node struct {
	name    uint32 // offset in names.bytes
	Zone    uint32 // index in Table.Zones
	Plan    uint32 // index in Table.Plans; NoPlan when the name is no service
	Static  uint32 // index in Table.Statics; NoStatic when it has no static records
	Seq     uint32 // first of the service's two sequences, when its plan rotates
	Counter uint32 // first of the service's counters
	nameLen uint8
	flags   uint8
}

// Marks of a node that is no service, or has no static records.
const (
	NoPlan   = ^uint32(0)
	NoStatic = ^uint32(0)
)

// wildcardBelow says that "*" exists just below the name.
const wildcardBelow = 1

// WildcardBelow is whether a wildcard stands just below the name.
func (n *Node) WildcardBelow() bool { return n.flags&wildcardBelow != 0 }

// Empty is whether the name exists only because of names below it.
func (n *Node) Empty() bool { return n.Plan == NoPlan && n.Static == NoStatic }

// names maps lower-cased wire names to nodes: open addressing with linear
// probing over an array that is at most half full, so that a name that is not
// there is known after about two looks.
type names struct {
	bytes []byte
	nodes []Node
	slots []slot
}

type slot struct {
	hash uint32 // lower half; the upper one says where the slot is
	node uint32 // index in nodes, plus one; 0 is free
}

// resize makes room for n names.
func (t *names) resize(n int) {
	t.slots = make([]slot, max(8, 2*n))
	for i := range t.nodes {
		t.place(i)
	}
}

func (t *names) place(i int) {
	n := &t.nodes[i]
	h := hash(t.text(n))
	for at := t.home(h); ; at = t.next(at) {
		if t.slots[at].node == 0 {
			t.slots[at] = slot{uint32(h), uint32(i + 1)}
			return
		}
	}
}

// home is the slot where the search for a hash begins: the hash as a fraction
// of 2^64, of the number of slots. It spares slots, because their number need
// not be a power of two.
func (t *names) home(h uint64) uint64 {
	at, _ := bits.Mul64(h, uint64(len(t.slots)))
	return at
}

func (t *names) next(at uint64) uint64 {
	if at++; at == uint64(len(t.slots)) {
		return 0
	}
	return at
}

func (t *names) text(n *Node) []byte {
	return t.bytes[n.name : n.name+uint32(n.nameLen)]
}

// find is the index of a name, or -1.
func (t *names) find(name []byte) int {
	if len(t.slots) == 0 {
		return -1
	}
	h := hash(name)
	for at := t.home(h); ; at = t.next(at) {
		s := t.slots[at]
		if s.node == 0 {
			return -1
		}
		if s.hash == uint32(h) {
			if n := &t.nodes[s.node-1]; string(t.text(n)) == string(name) {
				return int(s.node - 1)
			}
		}
	}
}

// add is the index of a name, made when it is not there.
func (t *names) add(name []byte) (i int, made bool) {
	if i := t.find(name); i >= 0 {
		return i, false
	}
	if 2*(len(t.nodes)+1) > len(t.slots) {
		t.resize(2 * (len(t.nodes) + 1))
	}
	t.nodes = append(t.nodes, Node{
		name: uint32(len(t.bytes)), nameLen: uint8(len(name)), Plan: NoPlan, Static: NoStatic,
	})
	t.bytes = append(t.bytes, name...)
	t.place(len(t.nodes) - 1)
	return len(t.nodes) - 1, true
}
