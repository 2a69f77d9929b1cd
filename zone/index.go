package zone

import "slices"

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
	hash uint32 // half of it
	node uint32 // number of the node, plus one; 0 is free
}

func (s slot) hashed() uint32 { return s.hash }

// index maps names to nodes, which have numbers, by a grid that is half full or little
// more, so that a name that is not there is known after two or three looks.
//
// Nodes lie in pages as slots do. They have the order in which they came, so that names
// that are stated together lie together.
type index struct {
	grid[slot]
	nodes []*nodePage
	used  int // numbers of nodes that have been given out
	count int // those that are in use
	// gone are numbers to be given out again.
	gone []uint32
	// ourNodes says which pages of nodes may be changed, while the index is being made.
	ourNodes []bool
}

const nodeBits = 9

type nodePage [1 << nodeBits]Node

// lay makes an empty index with room for n names.
func (x *index) lay(n int) {
	*x = index{grid: gridOf[slot]((2*n)>>pageBits + 1)}
	pages := n>>nodeBits + 1
	x.nodes, x.ourNodes = make([]*nodePage, 0, pages), make([]bool, 0, pages)
}

// branch is an index with the same names, which can be changed while this one
// stays.
func (x *index) branch() index {
	return index{
		grid: x.grid.branch(), nodes: slices.Clone(x.nodes), used: x.used, count: x.count, gone: slices.Clone(x.gone),
		ourNodes: make([]bool, len(x.nodes)),
	}
}

// node is the node with a number.
func (x *index) node(i uint32) *Node { return &x.nodes[i>>nodeBits][i&(1<<nodeBits-1)] }

// own is the node with a number, to be changed.
func (x *index) own(i uint32) *Node {
	page := i >> nodeBits
	if !x.ourNodes[page] {
		c := *x.nodes[page]
		x.nodes[page], x.ourNodes[page] = &c, true
	}
	return &x.nodes[page][i&(1<<nodeBits-1)]
}

// insert puts in a node whose name is not there.
func (x *index) insert(h uint32, n Node) *Node {
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
	if x.count++; 16*uint64(x.count) > 9*x.size() {
		x.grow(slot.hashed)
	}
	x.place(h, slot{h, i + 1})
	o := x.own(i)
	*o = n
	return o
}

// remove takes out the node of the slot at a place.
func (x *index) remove(at uint64) {
	i := x.slot(at).node - 1
	x.take(at, slot.hashed)
	*x.own(i) = Node{where: free, Plan: NoPlan}
	x.gone = append(x.gone, i)
	x.count--
}

// each calls f with every node until it returns false.
func (x *index) each(f func(n *Node) bool) {
	for i := range uint32(x.used) {
		if n := x.node(i); !n.has(free) && !f(n) {
			return
		}
	}
}
