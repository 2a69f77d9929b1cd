package zone

import (
	"math/bits"
	"slices"
)

// places are the entries of a zone's data by name, for whoever asks for one name
// or changes it; queries have the tree. They are a hash table of nothing but
// entries, six octets a name: open addressing with linear probing over slots that
// are two thirds full. Names are read where the entries are.
//
// Slots lie in pages without pointers. A change copies the pages that it touches,
// and the list of pages.
type places struct {
	pages []*placesPage
	ours  []bool // pages that may be changed, while this is being made
	count int
	mark  *mark
}

const placesBits = 11

// placesPage holds entries plus one; 0 is free.
type placesPage [1 << placesBits]uint32

// mark tells data apart, by its address, for those that came of them.
type mark struct{ _ byte }

// index is where the entries are. It is made when nobody has asked before: that
// costs what the zone is.
func (d *Data) index() *places {
	if p := d.places.Load(); p != nil {
		return p
	}
	p := &places{mark: new(mark)}
	p.lay(d.names)
	d.entries(func(entry uint32, name []byte) { p.insert(hash(name), entry) })
	if !d.places.CompareAndSwap(nil, p) {
		return d.places.Load()
	}
	return p
}

// Index makes what Amend and Owned need, so that they cost no more than they say.
// It costs what the zone is, once.
func (d *Data) Index() { d.index() }

// lay makes free slots for n names.
func (p *places) lay(n int) {
	pages := (n+n/2)>>placesBits + 1
	p.pages, p.ours, p.count = make([]*placesPage, pages), make([]bool, pages), 0
	for i := range p.pages {
		p.pages[i], p.ours[i] = new(placesPage), true
	}
}

// branch are the same places, which can be changed while these stay.
func (p *places) branch() *places {
	return &places{pages: slices.Clone(p.pages), ours: make([]bool, len(p.pages)), count: p.count, mark: new(mark)}
}

func (p *places) slots() uint64 { return uint64(len(p.pages)) << placesBits }

// home is the slot where the search for a hash begins, as owners.home has it.
func (p *places) home(h uint64) uint64 {
	at, _ := bits.Mul64(h, p.slots())
	return at
}

func (p *places) next(at uint64) uint64 {
	if at++; at == p.slots() {
		return 0
	}
	return at
}

func (p *places) slot(at uint64) uint32 { return p.pages[at>>placesBits][at&(1<<placesBits-1)] }

func (p *places) set(at uint64, v uint32) {
	page := at >> placesBits
	if !p.ours[page] {
		c := *p.pages[page]
		p.pages[page], p.ours[page] = &c, true
	}
	p.pages[page][at&(1<<placesBits-1)] = v
}

// find is the entry of a name in the data that these are the places of; none
// when there is none.
func (p *places) find(d *Data, name []byte) uint32 {
	for at := p.home(hash(name)); ; at = p.next(at) {
		v := p.slot(at)
		if v == 0 {
			return none
		}
		if own, _ := d.entry(v - 1); string(own) == string(name) {
			return v - 1
		}
	}
}

// seek is the slot of an entry whose name has a hash.
func (p *places) seek(h uint64, entry uint32) (at uint64, ok bool) {
	for at = p.home(h); ; at = p.next(at) {
		switch p.slot(at) {
		case entry + 1:
			return at, true
		case 0:
			return at, false
		}
	}
}

// has is whether an entry whose name has a hash is in use.
func (p *places) has(h uint64, entry uint32) bool {
	_, ok := p.seek(h, entry)
	return ok
}

// full is whether the slots are so many too few that they are to be laid anew.
func (p *places) full() bool { return 5*uint64(p.count+1) > 4*p.slots() }

// insert puts in an entry whose name, which has the hash, is not there.
func (p *places) insert(h uint64, entry uint32) {
	at := p.home(h)
	for p.slot(at) != 0 {
		at = p.next(at)
	}
	p.set(at, entry+1)
	p.count++
}

// move gives a name another entry.
func (p *places) move(h uint64, from, to uint32) {
	at, _ := p.seek(h, from)
	p.set(at, to+1)
}

// remove takes an entry out, as index.remove does.
func (p *places) remove(h uint64, entry uint32, hashOf func(entry uint32) uint64) {
	hole, _ := p.seek(h, entry)
	p.count--
	for at := p.next(hole); ; at = p.next(at) {
		v := p.slot(at)
		if v == 0 {
			break
		}
		home := p.home(hashOf(v - 1))
		// Whether the hole lies on the way from home to where the entry is.
		if hole <= at && (home <= hole || home > at) || hole > at && home <= hole && home > at {
			p.set(hole, v)
			hole = at
		}
	}
	p.set(hole, 0)
}

// size is how many octets the slots take.
func (p *places) size() int { return 4 * int(p.slots()) }
