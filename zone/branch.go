package zone

import (
	"errors"
	"iter"
	"maps"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// ErrWhole says that a change reaches names that it does not name, so that the
// index is to be made anew: what a cut or a DNAME record hides has changed, or
// what a zone says of a zone of ours below it, or the zone is signed.
var ErrWhole = errors.New("zone: the change needs the whole index to be made anew")

// Branch is a tree of the same zones with other data, which may be changed while
// this one stays. It costs what differs. Beside is called with the nodes that
// have got other records and are services.
func (t *Tree) Branch(data []*Data, beside func(n *Node, name []byte)) (*Tree, error) {
	if t.used > 2*t.count+1<<nodeBits {
		return nil, ErrWhole // too much of it lies idle
	}
	b := &Tree{
		index: t.branch(), zones: slices.Clone(t.zones), pieces: slices.Clone(t.pieces),
		texts: slices.Clone(t.texts), waste: t.waste, most: t.most,
	}
	b.tidy()
	for i, d := range data {
		if d == t.zones[i].data {
			continue
		}
		if err := b.replace(i, d, beside); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// tidy writes texts anew when too many of them are of names that are gone, as after some
// thousand times that a name came and went with the empty ones above it.
func (b *Tree) tidy() {
	octets := 0
	for _, p := range b.texts {
		octets += len(p)
	}
	if b.waste <= maxPiece+octets/2 {
		return
	}
	old := *b
	b.texts, b.room, b.waste = nil, false, 0
	for i := range uint32(b.used) {
		if n := b.node(i); !n.has(static | free) {
			b.own(i).at = b.write(old.Text(n))
		}
	}
}

// turnover is what differs between two Data of a zone.
type turnover struct {
	was  map[string]uint32 // the nodes of names with entries that are gone
	now  []uint32          // entries that are new
	kept []uint32          // the nodes of names that have one of now, none for names that had no entry
}

// replace gives a zone other data.
func (b *Tree) replace(zone int, d *Data, beside func(n *Node, name []byte)) error {
	z := &b.zones[zone]
	old := z.data
	if old.Signed || d.Signed || old.implies != d.implies || d.named != len(d.pieces) {
		return ErrWhole
	}
	var c turnover
	if err := b.differ(zone, d, &c); err != nil {
		return err
	}
	// What is gone goes while its text can still be read.
	for _, name := range slices.Sorted(maps.Keys(c.was)) {
		if n := b.node(c.was[name]); n.has(cut|dname) && n.has(below) {
			return ErrWhole
		}
		if err := b.bare(zone, []byte(name)); err != nil {
			return err
		}
	}
	z.data, b.pieces[zone] = d, d.pieces
	for i, entry := range c.now {
		if c.kept[i] != none {
			b.own(c.kept[i]).at = entry
		}
	}
	for i, entry := range c.now {
		name, _ := d.entry(entry)
		hid := uint32(0)
		if c.kept[i] != none {
			hid = b.node(c.kept[i]).where & (cut | dname)
			b.mark(b.own(c.kept[i]))
		} else {
			b.static(zone, entry, name)
		}
		n := b.Lookup(name)
		if n.has(below) && !n.has(apex) && n.where&(cut|dname) != hid || n.has(apex) && n.where&dname != hid {
			return ErrWhole
		}
		if d.cuts {
			b.hide(zone, name)
			n = b.Lookup(name)
		}
		if n.Plan != NoPlan {
			beside(n, name)
		}
	}
	return nil
}

// differ finds what differs. It changes nothing.
func (b *Tree) differ(zone int, d *Data, c *turnover) error {
	old := b.zones[zone].data
	names, known := d.Since(old)
	switch {
	case known:
		return b.amended(zone, d, names, c)
	case !worth(old, d) || old.spent() || d.spent():
		// Of pieces that both have, some entries may be dead in one of them alone.
		return ErrWhole
	}
	return b.compare(zone, d, c)
}

// amended is differ when nothing differs but some names.
func (b *Tree) amended(zone int, d *Data, names iter.Seq[[]byte], c *turnover) error {
	places := d.index()
	c.was = map[string]uint32{}
	seen := map[string]struct{}{}
	for name := range names {
		if _, again := seen[string(name)]; again {
			continue
		}
		seen[string(name)] = struct{}{}
		if b.elsewhere(zone, name) {
			return ErrWhole
		}
		node, entry := none, places.find(d, name)
		if at, ok := b.find(name); ok {
			if i := b.slot(at).node - 1; b.node(i).has(static) {
				node = i
			}
		}
		switch {
		case entry != none:
			c.now = append(c.now, entry)
			c.kept = append(c.kept, node)
		case node != none:
			c.was[string(name)] = node
		}
	}
	return nil
}

// few is how many octets of records may always be looked at one by one.
const few = 1 << 20

// worth is whether less than an eighth of the records may differ, those that go
// as well as those that come: to look at each by itself costs more, in time and
// memory, than to make all anew.
func worth(old, d *Data) bool {
	come, all := differing(d, old)
	gone, _ := differing(old, d)
	return max(come, gone) <= max(few, all/8)
}

// differing is how many octets of a are not in b, and how many there are.
func differing(a, b *Data) (differ, all int) {
	for i, p := range a.pieces {
		all += len(p)
		if i >= len(b.pieces) || !samePiece(b.pieces[i], p) {
			differ += len(p)
		}
	}
	return differ, all
}

// compare is differ by the pieces that are not the same memory in both.
func (b *Tree) compare(zone int, d *Data, c *turnover) error {
	old := b.zones[zone].data
	c.was = map[string]uint32{}
	var err error
	differs := func(i int) bool {
		return i >= len(old.pieces) || i >= len(d.pieces) || len(old.pieces[i]) != len(d.pieces[i]) ||
			len(d.pieces[i]) > 0 && &old.pieces[i][0] != &d.pieces[i][0]
	}
	number := func(name []byte) uint32 {
		if b.elsewhere(zone, name) {
			err = ErrWhole
		}
		if at, ok := b.find(name); ok {
			return b.slot(at).node - 1
		}
		return none
	}
	for i := range old.pieces {
		if differs(i) {
			old.pieceEntries(i, func(_ uint32, name []byte) { c.was[string(name)] = number(name) })
		}
	}
	for i := range d.pieces {
		if !differs(i) {
			continue
		}
		d.pieceEntries(i, func(entry uint32, name []byte) {
			at, had := c.was[string(name)]
			if had {
				delete(c.was, string(name))
			} else {
				at = none
				number(name)
			}
			c.now = append(c.now, entry)
			c.kept = append(c.kept, at)
		})
	}
	return err
}

// elsewhere is whether a zone of ours below a zone has to do with a name.
func (b *Tree) elsewhere(zone int, name []byte) bool {
	if !b.zones[zone].around {
		return false
	}
	for i := range b.zones {
		z := &b.zones[i]
		if z.parent == zone && (dnswire.Name(name).Within(z.name) || z.name.Within(dnswire.Name(name)) && string(name) != string(b.zones[zone].name)) {
			return true
		}
	}
	return false
}

// bare takes the records of a name away, and the name, unless it is a service or
// there are names below it. The error is ErrWhole, as vacate's.
func (b *Tree) bare(zone int, name []byte) error {
	n := b.change(name)
	if n.Plan == NoPlan && !n.has(below) {
		b.drop(zone, name)
		return nil
	}
	n.at = b.write(name)
	n.where &^= static | cut | dname
	switch {
	case n.Plan != NoPlan:
	case n.Seq == uncounted:
		return b.vacate(zone, name, n)
	case n.Seq == 0:
		b.drop(zone, name)
	}
	return nil
}

// Remove takes a service away, and its name, unless there is something else
// there or below it. The error is ErrWhole when that has cost too much by now.
func (t *Tree) Remove(name []byte) error {
	n := t.change(name)
	if n == nil {
		return nil
	}
	n.Plan, n.Seq = NoPlan, 0
	switch {
	case n.has(static) && n.has(below):
		n.Seq = uncounted
	case n.has(static):
	case n.has(below):
		return t.vacate(n.Zone(), name, n)
	default:
		t.drop(n.Zone(), name)
	}
	return nil
}

// Looking at all names is worth it a few times: more of it costs what all anew
// does, unless they are few.
const (
	maxScans   = 16
	maxScanned = 1 << 20 // names
)

// vacate counts the names below one that has nothing any more, and drops it when
// there are none. It looks at all names: of those that are services nobody counts
// what is below. The zone of ours below that its parent does not know of
// is none of them.
func (t *Tree) vacate(zone int, name []byte, n *Node) error {
	if t.scanned += t.used; t.scanned > max(maxScans*t.used, maxScanned) {
		return ErrWhole
	}
	n.Seq = 0
	t.each(func(o *Node) bool {
		text := t.Text(o)
		if len(text) > len(name) && string(text[1+int(text[0]):]) == string(name) && (!o.has(apex) || t.zones[o.Zone()].known) {
			n.Seq++
		}
		return true
	})
	if n.Seq == 0 {
		t.drop(zone, name)
	}
	return nil
}

// drop takes a name out, and those above it that existed for its sake.
func (t *Tree) drop(zone int, name []byte) {
	top := len(t.zones[zone].name)
	for {
		at, _ := t.find(name)
		if n := t.node(t.slot(at).node - 1); !n.has(static) {
			t.waste += 1 + len(name)
		}
		t.remove(at)
		up := name[1+int(name[0]):]
		if len(up) == top && !wild(name) {
			return
		}
		n := t.change(up)
		if wild(name) {
			n.where &^= wildcardBelow
		}
		if n.Plan != NoPlan || n.has(apex) {
			return
		}
		if n.Seq != uncounted {
			n.Seq--
		}
		if n.has(static) || n.Seq > 0 {
			return
		}
		name = up
	}
}
