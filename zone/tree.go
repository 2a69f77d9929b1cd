package zone

import (
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Tree is the index of all names of all zones: those with static records, those
// of services, and the empty non-terminals between them and their zone. Names
// are in lower-case wire form throughout. Once it is in use it is not changed;
// Branch makes another one of it.
type Tree struct {
	index
	zones []zoned
	// pieces are those of the data of each zone, where names with records are.
	pieces [][][]byte
	// texts are the other names, each with its length before it.
	texts [][]byte
	room  bool // the last of texts is ours to append to
	waste int  // octets in texts of names that are gone
	// scanned is how many names have been looked at for the sake of others since
	// the tree has branched off.
	scanned int
	// most is how many labels no name has more of: a search need not begin among
	// the hundred and more that a client may send.
	most  int
	twice []Twice
}

// Twice is a name that two pieces of a zone's data have.
type Twice struct {
	Zone int
	Name dnswire.Name
}

// zoned is one zone of a tree.
type zoned struct {
	name   dnswire.Name
	data   *Data
	parent int    // the zone of ours that it lies in; -1 for none
	above  uint32 // the entry of its name in the parent's data; none when it has none
	known  bool   // its name exists in the parent
	around bool   // there are zones of ours below it
	wild   bool   // there are or were wildcards in it
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
	t.lay(n)
	// All zones' own names come first, so that no name is put in a zone above
	// the one it belongs to.
	for i, d := range data {
		t.zones = append(t.zones, zoned{name: d.Name, data: d, parent: -1, above: none})
		t.pieces = append(t.pieces, d.pieces)
		t.put([]byte(d.Name), Node{at: d.apex, where: apex | static | below}, i)
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
		if n := t.Lookup([]byte(up)); n != nil && n.has(apex) {
			z.parent = n.Zone()
			t.zones[z.parent].around = true
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
	if n := t.change(name); n != nil {
		switch at := n.Zone(); {
		case at == zone && !n.has(static): // an empty non-terminal or a service until now
			t.waste += 1 + len(name)
			n.at = entry
			n.where |= static
		case at == zone && n.at != entry:
			t.twice = append(t.twice, Twice{zone, dnswire.Name(name)})
		case at == zone:
		case n.has(apex) && t.zones[at].parent == zone:
			t.zones[at].above = entry
			t.known(at)
			t.glue(zone, entry, name)
		default:
			t.glue(zone, entry, name)
		}
		t.mark(t.change(name))
		return
	}
	if t.foreign(zone, name) {
		t.glue(zone, entry, name)
		return
	}
	t.mark(t.put(name, Node{at: entry, where: static}, zone))
	t.between(name, zone)
}

// foreign is whether a name lies in a zone of ours below the zone.
func (t *Tree) foreign(zone int, name []byte) bool {
	for len(name) > len(t.zones[zone].name) {
		if n := t.Lookup(name); n != nil {
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
func (t *Tree) mark(n *Node) {
	d := t.zones[n.Zone()].data
	n.where &^= cut | dname
	if !n.has(static) || !d.cuts {
		return
	}
	if _, ok := d.lookup(n.at, dnswire.TypeDNAME); ok {
		n.where |= dname
	}
	if _, ok := d.lookup(n.at, dnswire.TypeNS); ok && !n.has(apex) && !wild(t.Text(n)) {
		n.where |= cut
	}
}

// hide marks a name, and the empty ones above it, that lie below a cut or a
// DNAME record.
func (t *Tree) hide(zone int, name []byte) {
	top := t.zones[zone].name
	for up := name; len(up) > len(top); {
		up = up[1+int(up[0]):]
		if n := t.Lookup(up); n != nil && n.Zone() == zone && n.has(cut|dname) {
			t.cover(zone, name, up)
		}
	}
}

// cover marks the nodes from name up to, and without, the one that hides them.
func (t *Tree) cover(zone int, name, by []byte) {
	for ; len(name) > len(by); name = name[1+int(name[0]):] {
		if n := t.Lookup(name); n != nil && n.Zone() == zone && !n.has(occluded) {
			t.change(name).where |= occluded
		}
	}
}

// Add is the node of a name in a zone, which covers it. It is made when it is
// not there, with the names between the two, and it may be changed.
func (t *Tree) Add(name []byte, zone int) *Node {
	if n := t.change(name); n != nil {
		return n
	}
	t.put(name, Node{at: t.write(name)}, zone)
	t.between(name, zone)
	if t.zones[zone].data.cuts {
		t.hide(zone, name)
	}
	return t.change(name)
}

// Below is the zone of ours below a zone to which a name belongs. Not ok: it
// belongs to the zone itself.
func (t *Tree) Below(name []byte, zone int) (below int, ok bool) {
	if !t.zones[zone].around {
		return 0, false
	}
	for n := t.Lookup(name); ; n = t.Lookup(name) {
		if n != nil {
			return n.Zone(), n.Zone() != zone
		}
		name = name[1+int(name[0]):]
	}
}

// between adds the nodes of the names between a name, which has just been made,
// and its zone's, and notes where a wildcard stands. A wildcard counts as one
// even when it exists only because of names below it (RFC 4592 section 4.1).
func (t *Tree) between(name []byte, zone int) {
	top := len(t.zones[zone].name)
	for len(name) > top {
		up := name[1+int(name[0]):]
		if len(up) == top && !wild(name) {
			return // the zone's own name is there
		}
		n := t.change(up)
		made := n == nil
		if made {
			n = t.put(up, Node{at: t.write(up)}, zone)
		}
		n.where |= below
		if n.Plan == NoPlan && n.Seq != uncounted {
			n.Seq++
		}
		if wild(name) {
			n.where |= wildcardBelow
			t.zones[zone].wild = true
		}
		if !made {
			return
		}
		name = up
	}
}

// put makes the node of a name that is not there.
func (t *Tree) put(name []byte, n Node, zone int) *Node {
	n.where |= uint32(zone) << flagBits
	n.Plan = NoPlan
	t.most = max(t.most, depth(name))
	return t.insert(upper(name), n)
}

// depth is how many labels a name has, the root not counted.
func depth(name []byte) (n int) {
	for ; len(name) > 1; name = name[1+int(name[0]):] {
		n++
	}
	return n
}

// write puts a name down and says where it is.
func (t *Tree) write(name []byte) uint32 {
	last := len(t.texts) - 1
	if last < 0 || len(t.texts[last]) >= maxPiece {
		t.texts = append(t.texts, make([]byte, 0, 1<<offsetBits))
		t.room = true
		last++
	}
	if !t.room {
		t.texts[last] = slices.Clone(t.texts[last])
		t.room = true
	}
	at := uint32(last)<<offsetBits | uint32(len(t.texts[last]))
	t.texts[last] = append(append(t.texts[last], byte(len(name))), name...)
	return at
}

// Each calls f with every node until it returns false, in no order.
func (t *Tree) Each(f func(n *Node) bool) { t.each(f) }

// Len is the number of names.
func (t *Tree) Len() int { return t.count }

// Twice are the names that stand more than once in the data of their zone, which
// its maker is to put together.
func (t *Tree) Twice() []Twice { return t.twice }

// Text is the lower-case wire form of a node's name.
func (t *Tree) Text(n *Node) []byte {
	var b []byte
	if n.has(static) {
		b = t.pieces[n.where>>flagBits][n.at>>offsetBits]
	} else {
		b = t.texts[n.at>>offsetBits]
	}
	b = b[n.at&(1<<offsetBits-1):]
	return b[1 : 1+int(b[0])]
}

// Lookup is the node of a name, or nil.
func (t *Tree) Lookup(name []byte) *Node {
	h := upper(name)
	for at := t.home(h); ; at = t.next(at) {
		s := t.slot(at)
		if s.node == 0 {
			return nil
		}
		if s.hash == h {
			if n := t.node(s.node - 1); string(t.Text(n)) == string(name) {
				return n
			}
		}
	}
}

// find is the slot of a name.
func (t *Tree) find(name []byte) (at uint64, ok bool) {
	h := upper(name)
	for at = t.home(h); ; at = t.next(at) {
		s := t.slot(at)
		if s.node == 0 {
			return 0, false
		}
		if s.hash == h && string(t.Text(t.node(s.node-1))) == string(name) {
			return at, true
		}
	}
}

// change is the node of a name, to be changed, or nil.
func (t *Tree) change(name []byte) *Node {
	at, ok := t.find(name)
	if !ok {
		return nil
	}
	return t.own(t.slot(at).node - 1)
}

// Wildcards is whether a zone has wildcards. Without, no name is below one.
func (t *Tree) Wildcards(zone int) bool { return t.zones[zone].wild }

// Parent is the zone of ours that a zone lies in, or -1.
func (t *Tree) Parent(zone int) int { return t.zones[zone].parent }

// Data are the static records of a zone.
func (t *Tree) Data(zone int) *Data { return t.zones[zone].data }
