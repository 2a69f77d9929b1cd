package zone

import "github.com/rhumb-dns/rhumb/dnswire"

// Tree is the index of all names of all zones: those with static records, those
// of services, and the empty non-terminals between them and their zone. Names
// are in lower-case wire form throughout.
type Tree struct {
	names
	zones []zoned
}

// zoned is one zone of a tree.
type zoned struct {
	name   dnswire.Name
	data   *Data
	parent int    // the zone of ours that it lies in; -1 for none
	above  uint32 // the entry of its name in the parent's data; none when it has none
	known  bool   // its name exists in the parent
	// glue are the entries of names that lie in a zone of ours below this one:
	// they are no more than addresses of name servers here. Nil when there are none.
	glue map[string]uint32
}

// NewTree makes the index of zones, each with its data. More is how many names
// are to be added to it. A zone's index is its position in data; zones differ
// in their names.
func NewTree(data []*Data, more int) *Tree {
	t := &Tree{}
	n := more + len(data)
	for _, d := range data {
		n += d.names
	}
	t.nodes = make([]Node, 0, n)
	t.resize(n)
	// All zones' own names come first, so that no name is put in a zone above
	// the one it belongs to.
	for i, d := range data {
		t.zones = append(t.zones, zoned{name: d.Name, data: d, parent: -1, above: none})
		t.arenas = append(t.arenas, d.arena[:len(d.arena):len(d.arena)])
		at := t.put(Node{data: d.apex, Plan: NoPlan}, i)
		t.nodes[at].where |= apex
	}
	for i := range t.zones {
		t.nest(i)
	}
	for i, d := range data {
		d.entries(func(entry uint32, name []byte) { t.static(i, entry, name) })
	}
	for i, d := range data {
		if d.cuts {
			d.entries(func(_ uint32, name []byte) { t.hide(i, name) })
		}
	}
	for i := range t.zones { // and the empty names on the way to a zone
		if up := t.zones[i].parent; up >= 0 && data[up].cuts {
			t.hide(up, []byte(t.zones[i].name))
		}
	}
	return t
}

// nest finds the zone of ours around a zone. Where that is made from the
// configuration, the zones below it exist in it, and so do the names on the way.
func (t *Tree) nest(i int) {
	z := &t.zones[i]
	if z.name.IsRoot() {
		return
	}
	for up := z.name.Parent(); ; up = up.Parent() {
		if n := t.find([]byte(up)); n >= 0 && t.nodes[n].has(apex) {
			z.parent = t.nodes[n].Zone()
			if t.zones[z.parent].data.implies {
				z.known = true
				t.between([]byte(z.name), z.parent)
			}
			return
		}
		if up.IsRoot() {
			return
		}
	}
}

// static adds the node of a name with records. What a zone says of names in a
// zone of ours below it, that zone says better; all that is kept is what the
// parent has to say of the zone's own name (RFC 4035 section 3.1.4.1).
func (t *Tree) static(zone int, entry uint32, name []byte) {
	if i := t.find(name); i >= 0 {
		n := &t.nodes[i]
		switch at := n.Zone(); {
		case at == zone && n.data == none: // an empty non-terminal until now
			n.data = entry
		case at == zone:
		case n.has(apex) && t.zones[at].parent == zone:
			t.zones[at].above = entry
			t.known(at)
			t.glue(zone, entry, name)
		default:
			t.glue(zone, entry, name)
		}
		t.mark(i)
		return
	}
	if t.foreign(zone, name) {
		t.glue(zone, entry, name)
		return
	}
	i := t.put(Node{data: entry, Plan: NoPlan}, zone)
	// put has placed it by its text, which it takes from the zone's data.
	t.mark(i)
	t.between(name, zone)
}

// foreign is whether a name lies in a zone of ours below the zone.
func (t *Tree) foreign(zone int, name []byte) bool {
	for len(name) > len(t.zones[zone].name) {
		if i := t.find(name); i >= 0 {
			n := &t.nodes[i]
			if at := n.Zone(); at != zone {
				if n.has(apex) && t.zones[at].parent == zone {
					t.known(at)
				}
				return true
			}
			return false
		}
		name = name[1+int(name[0]):]
	}
	return false
}

func (t *Tree) glue(zone int, entry uint32, name []byte) {
	z := &t.zones[zone]
	if z.glue == nil {
		z.glue = map[string]uint32{}
	}
	z.glue[string(name)] = entry
}

// known notes that a zone's name exists in its parent, and with it the names on
// the way.
func (t *Tree) known(zone int) {
	if z := &t.zones[zone]; !z.known {
		z.known = true
		t.between([]byte(z.name), z.parent)
	}
}

// mark notes what a node's records mean for the names below it.
func (t *Tree) mark(i int) {
	n := &t.nodes[i]
	d := t.zones[n.Zone()].data
	if n.data == none || !d.cuts {
		return
	}
	if _, ok := d.lookup(n.data, dnswire.TypeDNAME); ok {
		n.where |= dname
	}
	if _, ok := d.lookup(n.data, dnswire.TypeNS); ok && !n.has(apex) && !wild(t.text(n)) {
		n.where |= cut
	}
}

// hide marks a name, and the empty ones above it, that lie below a cut or a
// DNAME record.
func (t *Tree) hide(zone int, name []byte) {
	top := t.zones[zone].name
	for up := name; len(up) > len(top); {
		up = up[1+int(up[0]):]
		if i := t.find(up); i >= 0 && t.nodes[i].Zone() == zone && t.nodes[i].has(cut|dname) {
			t.cover(zone, name, up)
		}
	}
}

// cover marks the nodes from name up to, and without, the one that hides them.
func (t *Tree) cover(zone int, name, by []byte) {
	for ; len(name) > len(by); name = name[1+int(name[0]):] {
		if i := t.find(name); i >= 0 && t.nodes[i].Zone() == zone {
			t.nodes[i].where |= occluded
		}
	}
}

// Add adds the node of a name in a zone, which covers it, and of the names
// between them.
func (t *Tree) Add(name []byte, zone int) *Node {
	i, made := t.add(name, zone)
	if made {
		t.between(name, zone)
	}
	return &t.nodes[i]
}

// between adds the nodes of the names between a name and its zone's, and notes
// where a wildcard stands. A wildcard counts as one even when it exists only
// because of names below it (RFC 4592 section 4.1).
func (t *Tree) between(name []byte, zone int) {
	top := len(t.zones[zone].name)
	for len(name) > top {
		up := name[1+int(name[0]):]
		if len(up) == top && !wild(name) {
			return // the zone's own name is there
		}
		i, made := t.add(up, zone)
		if wild(name) {
			t.nodes[i].where |= wildcardBelow
		}
		if !made {
			return
		}
		name = up
	}
}

// Grow makes room for so many names more.
func (t *Tree) Grow(octets int) {
	t.bytes = append(make([]byte, 0, len(t.bytes)+octets), t.bytes...)
}

// Nodes are all nodes, in no order. They are not to be changed once the tree is
// in use.
func (t *Tree) Nodes() []Node { return t.nodes }

// Text is the lower-case wire form of a node's name.
func (t *Tree) Text(n *Node) []byte { return t.text(n) }

// Lookup is the node of a name, or nil.
func (t *Tree) Lookup(name []byte) *Node {
	if i := t.find(name); i >= 0 {
		return &t.nodes[i]
	}
	return nil
}

// Parent is the zone of ours that a zone lies in, or -1.
func (t *Tree) Parent(zone int) int { return t.zones[zone].parent }

// Data are the static records of a zone.
func (t *Tree) Data(zone int) *Data { return t.zones[zone].data }
