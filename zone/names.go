package zone

import "math/bits"

// Node is what a tree knows of one name. It holds no pointer: there may be a
// million of them.
type Node struct {
	name  uint32 // offset in Tree.bytes, when there is no data
	where uint32 // index of the zone, above eight bits of flags
	data  uint32 // offset of the entry in the zone's data; none when there is none

	// Plan, Seq and Counter belong to whoever steers: Plan is NoPlan when the
	// name is no service.
	Plan    uint32
	Seq     uint32
	Counter uint32
}

// NoPlan is the plan of a name that is no service.
const NoPlan = ^uint32(0)

// none is the offset of an entry that is not there.
const none = ^uint32(0)

// What is to be known of a node without reading its data.
const (
	wildcardBelow = 1 << iota // "*" exists just below it
	cut                       // it has NS records and is no apex: another zone begins here
	dname                     // it has a DNAME record
	occluded                  // it lies below a cut or a DNAME
	apex                      // it is a zone's own name

	flagBits = 8
)

// hidden are the flags of nodes that do not simply answer.
const hidden = cut | dname | occluded

// Zone is the index of the zone that the name belongs to.
func (n *Node) Zone() int { return int(n.where >> flagBits) }

func (n *Node) has(flags uint32) bool { return n.where&flags != 0 }

// Empty is whether the name exists only because of names below it.
func (n *Node) Empty() bool { return n.Plan == NoPlan && n.data == none }

// slot is a place of the hash table.
type slot struct {
	hash uint32 // lower half; the upper one says where the slot is
	node uint32 // index in nodes, plus one; 0 is free
}

// names maps lower-cased wire names to nodes: open addressing with linear
// probing over an array that is at most half full, so that a name that is not
// there is known after about two looks.
type names struct {
	bytes  []byte   // names without data, each with its length before it
	arenas [][]byte // the data of each zone, where the other names are
	nodes  []Node
	slots  []slot
}

// resize makes room for n names.
func (t *names) resize(n int) {
	t.slots = make([]slot, max(8, 2*n))
	for i := range t.nodes {
		t.place(i)
	}
}

func (t *names) place(i int) {
	h := hash(t.text(&t.nodes[i]))
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

// text is the lower-case wire form of a node's name.
func (t *names) text(n *Node) []byte {
	b, at := t.bytes, n.name
	if n.data != none {
		b, at = t.arenas[n.where>>flagBits], n.data
	}
	size := uint32(b[at])
	return b[at+1 : at+1+size]
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
		if s.hash == uint32(h) && string(t.text(&t.nodes[s.node-1])) == string(name) {
			return int(s.node - 1)
		}
	}
}

// add is the index of a name of a zone, made when it is not there.
func (t *names) add(name []byte, zone int) (i int, made bool) {
	if i := t.find(name); i >= 0 {
		return i, false
	}
	t.bytes = append(t.bytes, byte(len(name)))
	t.bytes = append(t.bytes, name...)
	return t.put(Node{name: uint32(len(t.bytes) - len(name) - 1), data: none, Plan: NoPlan}, zone), true
}

// put makes the node of a name that is not there.
func (t *names) put(n Node, zone int) int {
	if 2*(len(t.nodes)+1) > len(t.slots) {
		t.resize(2 * (len(t.nodes) + 1))
	}
	n.where = uint32(zone) << flagBits
	t.nodes = append(t.nodes, n)
	t.place(len(t.nodes) - 1)
	return len(t.nodes) - 1
}
