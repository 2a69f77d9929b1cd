package zone

import (
	"math/bits"
	"slices"
)

// Node is what a tree knows of one name. It holds no pointer: there may be a
// million of them.
type Node struct {
	at    uint32 // the entry in the zone's data, or, without records, where the name is in Tree.texts
	where uint32 // index of the zone, above eight bits of flags

	// Plan, Seq and Counter belong to whoever steers: Plan is NoPlan when the
	// name is no service, and then Seq is how many names are just below, or uncounted.
	Plan    uint32
	Seq     uint32
	Counter uint32
}

// NoPlan is the plan of a name that is no service.
const NoPlan = ^uint32(0)

// uncounted is Node.Seq of a name with records that has been a service: nobody knows
// what is below it.
const uncounted = ^uint32(0)

// none is the entry of a name that has no records.
const none = ^uint32(0)

// What is to be known of a node without reading its data.
const (
	wildcardBelow = 1 << iota // "*" exists just below it
	cut                       // it has NS records and is no apex: another zone begins here
	dname                     // it has a DNAME record
	occluded                  // it lies below a cut or a DNAME
	apex                      // it is a zone's own name
	static                    // it has records
	below                     // there are names below it, or there were
	free                      // it is no name at all

	flagBits = 8
)

// hidden are the flags of nodes that do not simply answer.
const hidden = cut | dname | occluded

// Zone is the index of the zone that the name belongs to.
func (n *Node) Zone() int { return int(n.where >> flagBits) }

func (n *Node) has(flags uint32) bool { return n.where&flags != 0 }

// Empty is whether the name exists only because of names below it.
func (n *Node) Empty() bool { return n.Plan == NoPlan && !n.has(static) }

// entry is where the node's records are; none without.
func (n *Node) entry() uint32 {
	if n.has(static) {
		return n.at
	}
	return none
}

// slot is a place of the hash table.
type slot struct {
	hash uint32 // lower half; the upper one says where the slot is
	node uint32 // number of the node, plus one; 0 is free
}

// index maps names to nodes, which have numbers: open addressing with linear
// probing over an array of slots that is half full or little more, so that a name
// that is not there is known after about two looks.
//
// Slots and nodes lie in pages without pointers, which cost the garbage collector
// nothing. A change copies the pages that it touches, and the lists of pages:
// some kilobytes of a million names. Nodes have the order in which they came, so
// that names that are stated together lie together.
type index struct {
	slots []*slotPage
	nodes []*nodePage
	used  int // numbers of nodes that have been given out
	count int // those that are in use
	// gone are numbers to be given out again.
	gone []uint32
	// ourSlots and ourNodes say which pages are ours to change, while the index is
	// being made.
	ourSlots, ourNodes []bool
}

const (
	slotBits = 11
	nodeBits = 9
)

type (
	slotPage [1 << slotBits]slot
	nodePage [1 << nodeBits]Node
)

// lay makes an empty index with room for n names.
func (x *index) lay(n int) {
	*x = index{}
	x.widen(n)
	pages := n>>nodeBits + 1
	x.nodes, x.ourNodes = make([]*nodePage, 0, pages), make([]bool, 0, pages)
}

// widen makes slots for n names, all of them free.
func (x *index) widen(n int) {
	pages := (2*n)>>slotBits + 1
	x.slots, x.ourSlots = make([]*slotPage, pages), make([]bool, pages)
	for i := range x.slots {
		x.slots[i], x.ourSlots[i] = new(slotPage), true
	}
}

// branch is an index with the same names, which can be changed while this one
// stays.
func (x *index) branch() index {
	return index{
		slots: slices.Clone(x.slots), nodes: slices.Clone(x.nodes), used: x.used, count: x.count, gone: slices.Clone(x.gone),
		ourSlots: make([]bool, len(x.slots)), ourNodes: make([]bool, len(x.nodes)),
	}
}

// home is the slot where the search for a hash begins: the hash as a fraction
// of 2^64, of the number of slots. It spares slots, because their number need
// not be a power of two.
func (x *index) home(h uint64) uint64 {
	at, _ := bits.Mul64(h, uint64(len(x.slots))<<slotBits)
	return at
}

func (x *index) next(at uint64) uint64 {
	if at++; at == uint64(len(x.slots))<<slotBits {
		return 0
	}
	return at
}

func (x *index) slot(at uint64) slot { return x.slots[at>>slotBits][at&(1<<slotBits-1)] }

// node is the node with a number.
func (x *index) node(i uint32) *Node { return &x.nodes[i>>nodeBits][i&(1<<nodeBits-1)] }

// set sets a slot.
func (x *index) set(at uint64, s slot) {
	page := at >> slotBits
	if !x.ourSlots[page] {
		c := *x.slots[page]
		x.slots[page], x.ourSlots[page] = &c, true
	}
	x.slots[page][at&(1<<slotBits-1)] = s
}

// own is the node with a number, to be changed.
func (x *index) own(i uint32) *Node {
	page := i >> nodeBits
	if !x.ourNodes[page] {
		c := *x.nodes[page]
		x.nodes[page], x.ourNodes[page] = &c, true
	}
	return &x.nodes[page][i&(1<<nodeBits-1)]
}

// full is whether the slots are so many too few that they are to be laid anew.
func (x *index) full() bool { return 8*(x.count+1) > 5*len(x.slots)<<slotBits }

// insert puts in a node whose name is not there.
func (x *index) insert(h uint64, n Node) *Node {
	i := uint32(x.used)
	if last := len(x.gone) - 1; last >= 0 {
		i = x.gone[last]
		x.gone = x.gone[:last]
	} else {
		x.used++
		if int(i>>nodeBits) == len(x.nodes) {
			x.nodes, x.ourNodes = append(x.nodes, new(nodePage)), append(x.ourNodes, true)
		}
	}
	x.count++
	x.place(h, i)
	o := x.own(i)
	*o = n
	return o
}

func (x *index) place(h uint64, i uint32) {
	at := x.home(h)
	for x.slot(at).node != 0 {
		at = x.next(at)
	}
	x.set(at, slot{uint32(h), i + 1})
}

// remove takes out the node of the slot at a place. It moves back those behind
// it that would not be found any more (Knuth, volume 3, section 6.4, algorithm
// R), asking for their whole hashes.
func (x *index) remove(at uint64, hashOf func(i uint32) uint64) {
	i := x.slot(at).node - 1
	*x.own(i) = Node{where: free, Plan: NoPlan}
	x.gone = append(x.gone, i)
	x.count--
	hole := at
	for at = x.next(at); ; at = x.next(at) {
		s := x.slot(at)
		if s.node == 0 {
			break
		}
		home := x.home(hashOf(s.node - 1))
		// Whether the hole lies on the way from home to where the name is.
		if hole <= at && (home <= hole || home > at) || hole > at && home <= hole && home > at {
			x.set(hole, s)
			hole = at
		}
	}
	x.set(hole, slot{})
}

// each calls f with every node until it returns false.
func (x *index) each(f func(n *Node) bool) {
	for i := range uint32(x.used) {
		if n := x.node(i); !n.has(free) && !f(n) {
			return
		}
	}
}
