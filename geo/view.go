package geo

import (
	"net/netip"
	"sync/atomic"
)

// View says where addresses are. It is immutable, and asking allocates nothing.
type View struct {
	tables
	places     places
	networks   []Network // longest first, masked
	sources    []*layer  // databases, in their order
	generation uint64
}

// generations counts the views of this process.
var generations atomic.Uint64

// Places is the number of places: the values of Find4 and Find6 are below it.
// Place 0 is the one of which nothing is known, and there always is.
func (v *View) Places() int { return len(v.places.records) }

// Place is the place with a number below Places.
func (v *View) Place(id uint32) Place { return v.places.place(id) }

// Generation is a number that no other view of this process has.
func (v *View) Generation() uint64 { return v.generation }

// Classes is a map from address to class[p], p being the place of the address.
// It takes a class for each place, each below 2^31-1.
func (v *View) Classes(class []uint32) *Map { return &Map{v.tables.classes(class)} }

// Source is what one source says of an address.
type Source struct {
	Name string // the path of a database, BuiltIn, or Networks
	// Prefix is the operator's network, or around the address what the database
	// has one place for.
	Prefix netip.Prefix
	Place  Place // what is stated there, no more
}

// The names of sources that are no files.
const (
	BuiltIn  = "built-in"
	Networks = "networks"
)

// Explain is what each source says of addr that knows anything of it, the one
// that counts most first. It is for people: it allocates, and looks at all
// networks.
func (v *View) Explain(addr netip.Addr) []Source {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return nil
	}
	var all []Source
	for i := range v.networks {
		if n := &v.networks[i]; n.Prefix.Contains(addr) {
			all = append(all, Source{Networks, n.Prefix, n.Place})
			break
		}
	}
	for _, l := range v.sources {
		id, bits := l.find(addr)
		if id == 0 {
			continue
		}
		p, _ := addr.Prefix(int(bits)) // no more than the address has
		all = append(all, Source{l.name, p, l.places.place(id)})
	}
	return all
}

// Lookup is the place of addr and the prefix around it that has this place
// throughout.
func (v *View) Lookup(addr netip.Addr) (Place, netip.Prefix) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return Place{}, netip.Prefix{}
	}
	id, bits := v.find(addr)
	p, _ := addr.Prefix(int(bits)) // no more than the address has
	return v.Place(id), p
}

// Map is a value, the class, for each address. It is immutable, and asking
// allocates nothing. Its Find4 and Find6 are those of a View, with classes for
// places; neighbours of one class are one range.
type Map struct{ tables }

// Classes is a map in which class[c] stands for each class c.
func (m *Map) Classes(class []uint32) *Map { return &Map{m.tables.classes(class)} }

// Len is the number of ranges of both families. A map of one class has one of
// each.
func (m *Map) Len() int { return len(m.v4.starts) + len(m.v6.starts) }

// halves is an address of 16 octets as two numbers.
func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	for i := range 8 {
		hi, lo = hi<<8|uint64(b[i]), lo<<8|uint64(b[i+8])
	}
	return hi, lo
}

// find is Find4 or Find6 of an address that is no IPv4 address in IPv6's form.
func (t *tables) find(addr netip.Addr) (value uint32, bits uint8) {
	hi, lo := halves(addr)
	if addr.Is4() {
		return t.Find4(uint32(lo))
	}
	return t.Find6(hi, lo)
}
