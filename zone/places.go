package zone

// places are the entries of a zone's data by name, for whoever asks for one name
// or changes it; queries have the tree. They are a grid of nothing but entries plus
// one, six octets a name: two thirds of the slots are taken, or three quarters. Names
// are read where the entries are.
type places struct {
	grid[uint32]
	count int
	mark  *mark
}

// mark tells data apart, by its address, for those that came of them.
type mark struct{ _ byte }

// index is where the entries are. It is made when nobody has asked before: that
// costs what the zone is.
func (d *Data) index() *places {
	if p := d.places.Load(); p != nil {
		return p
	}
	p := &places{grid: gridOf[uint32]((d.names+d.names/2)>>pageBits + 1), mark: new(mark)}
	d.entries(func(entry uint32, name []byte) { p.insert(d, upper(name), entry) })
	if !d.places.CompareAndSwap(nil, p) {
		return d.places.Load()
	}
	return p
}

// Index makes what Amend and Owned need, so that they cost no more than they say.
// It costs what the zone is, once.
func (d *Data) Index() { d.index() }

// branch are the same places, which can be changed while these stay.
func (p *places) branch() *places {
	return &places{grid: p.grid.branch(), count: p.count, mark: new(mark)}
}

// find is the entry of a name in the data that these are the places of; none
// when there is none.
func (p *places) find(d *Data, name []byte) uint32 {
	for at := p.home(upper(name)); ; at = p.next(at) {
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
func (p *places) seek(h uint32, entry uint32) (at uint64, ok bool) {
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
func (p *places) has(h uint32, entry uint32) bool {
	_, ok := p.seek(h, entry)
	return ok
}

// insert puts in an entry of d whose name, which has the hash, is not there.
func (p *places) insert(d *Data, h uint32, entry uint32) {
	if p.count++; 4*uint64(p.count) > 3*p.size() {
		p.grow(d.hashOf)
	}
	p.place(h, entry+1)
}

// move gives a name another entry.
func (p *places) move(h uint32, from, to uint32) {
	at, _ := p.seek(h, from)
	p.set(at, to+1)
}

// remove takes an entry of d out.
func (p *places) remove(d *Data, h uint32, entry uint32) {
	at, _ := p.seek(h, entry)
	p.take(at, d.hashOf)
	p.count--
}

// hashOf is the hash of the name in a slot of places.
func (d *Data) hashOf(s uint32) uint32 {
	name, _ := d.entry(s - 1)
	return upper(name)
}

// octets is how many the slots take.
func (p *places) octets() int { return 4 * int(p.size()) }
