package zone

import (
	"bytes"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// Part is the records of one stretch of a zone file, laid out by themselves, so
// that a change elsewhere in the file leaves them alone. It is immutable, and
// has all records of its names but for the zone's own.
type Part struct {
	// Apex are the records of the zone's own name, which stand in many places and
	// are put together by Join. Lines count from the part's first, which is 0.
	Apex []text.Record
	// Doubts are what is probably not meant, with lines as those of Apex.
	Doubts []Fault

	pieces  [][]byte
	names   int
	records int
	cuts    bool
}

// Part makes a part of the records, whose lines count from the part's first,
// which is 0, and empties the builder. Not ok: the zone is to be built as a
// whole, because its records are signed, or to say what is wrong with them.
func (b *Builder) Part() (p *Part, ok bool) {
	defer b.reset()
	own := b.owners.find([]byte(b.zone))
	var apex []text.Record
	rest := b.records[:0]
	for i := range b.records {
		h := &b.records[i]
		switch h.typ {
		case dnswire.TypeRRSIG, dnswire.TypeNSEC, dnswire.TypeNSEC3, dnswire.TypeNSEC3PARAM:
			return nil, false
		}
		if int(h.owner) != own {
			rest = append(rest, *h)
			continue
		}
		if h.bare {
			continue
		}
		apex = append(apex, text.Record{Owner: b.zone, Type: h.typ, TTL: h.ttl, Data: bytes.Clone(b.rdata(h)), Pos: h.pos})
	}
	b.records = rest
	m := maker{b: b, d: &Data{Name: b.zone, implies: b.implies}}
	b.group()
	m.names()
	m.flush()
	if len(m.faults) > 0 {
		return nil, false
	}
	return &Part{
		Apex: apex, Doubts: m.doubts,
		pieces: m.d.pieces, names: m.d.names, records: m.d.Records, cuts: m.d.cuts,
	}, true
}

// reset empties the builder and keeps its memory.
func (b *Builder) reset() {
	b.records, b.data, b.scattered = b.records[:0], b.data[:0], false
	b.owners.bytes, b.owners.at = b.owners.bytes[:0], b.owners.at[:0]
	clear(b.owners.slots)
}

// placed is a part in the data of a zone: the numbers of its pieces there.
type placed struct {
	part   *Part
	pieces []uint16
}

// Join makes the data of parts and of the builder's own records, among which are
// all of the zone's own name. Parts that prev, which may be nil, has as well keep
// their place there, and data that would be prev's are prev. Not ok: the zone is
// to be built as a whole, since two parts have records of one name.
func (b *Builder) Join(prev *Data, parts []*Part) (d *Data, faults, doubts []Fault, ok bool) {
	m := maker{b: b, d: &Data{Name: b.zone, implies: b.implies}}
	b.group()
	m.all()
	m.sort()
	if len(m.faults) > 0 {
		return nil, m.faults, m.doubts, true
	}
	d = m.d
	if d.Signed || len(d.pieces) != d.named {
		return nil, nil, nil, false
	}
	if prev == nil {
		prev = &Data{}
		if scattered(d, parts) {
			return nil, nil, nil, false
		}
	}
	if !d.place(prev, parts) {
		return nil, nil, nil, false
	}
	if prev.sameAs(d) {
		return prev, nil, m.doubts, true
	}
	return d, nil, m.doubts, true
}

// Joined is whether the data are made of parts.
func (d *Data) Joined() bool { return len(d.parts) > 0 }

// place gives the pieces of d, which are those of the records that belong to no
// part, and those of parts their numbers. It is false when there are too many.
func (d *Data) place(prev *Data, parts []*Part) bool {
	own := d.pieces
	for i := range own {
		if i < len(prev.own) && bytes.Equal(own[i], prev.pieces[prev.own[i]]) {
			own[i] = prev.pieces[prev.own[i]]
		}
	}
	at := make(map[*Part][]uint16, len(prev.parts))
	for _, p := range prev.parts {
		at[p.part] = p.pieces
	}
	taken := make([]bool, len(prev.pieces))
	for _, p := range parts {
		d.names += p.names
		d.Records += p.records
		d.cuts = d.cuts || p.cuts
		for _, n := range at[p] {
			taken[n] = true
		}
	}
	next := 0
	number := func() (n uint16, ok bool) {
		for next < len(taken) && taken[next] {
			next++
		}
		next++
		return uint16(next - 1), next-1 < 1<<offsetBits
	}
	d.pieces = make([][]byte, len(taken), len(taken)+len(own))
	put := func(piece []byte, n uint16) {
		for int(n) >= len(d.pieces) {
			d.pieces = append(d.pieces, nil)
		}
		d.pieces[n] = piece
	}
	for i, piece := range own {
		n, ok := number()
		if !ok {
			return false
		}
		put(piece, n)
		d.own = append(d.own, n)
		if int(d.apex>>offsetBits) == i {
			d.apex = uint32(n)<<offsetBits | d.apex&(1<<offsetBits-1)
		}
	}
	d.parts = make([]placed, len(parts))
	for i, p := range parts {
		numbers, known := at[p]
		if !known {
			for range p.pieces {
				n, ok := number()
				if !ok {
					return false
				}
				numbers = append(numbers, n)
			}
		}
		for k, n := range numbers {
			put(p.pieces[k], n)
		}
		delete(at, p) // a part that comes twice has two places
		d.parts[i] = placed{p, numbers}
	}
	for len(d.pieces) > 0 && d.pieces[len(d.pieces)-1] == nil {
		d.pieces = d.pieces[:len(d.pieces)-1]
	}
	d.named = len(d.pieces)
	return true
}

// sameAs is whether the data have the same pieces at the same places.
func (d *Data) sameAs(o *Data) bool {
	if d.apex != o.apex || d.implies != o.implies || len(d.pieces) != len(o.pieces) || len(d.parts) != len(o.parts) {
		return false
	}
	return slices.EqualFunc(d.pieces, o.pieces, samePiece)
}

// samePiece is whether two pieces are the same memory.
func samePiece(a, b []byte) bool { return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0]) }

// scattered is whether some name is in two parts, or in one and among the
// records that belong to none. It goes by hashes: to say so of two different
// names of one hash does no harm.
func scattered(own *Data, parts []*Part) bool {
	n := own.names
	for _, p := range parts {
		n += p.names
	}
	seen := make([]uint64, 2*n+1) // with linear probing; 0 is free
	again := false
	note := func(name []byte) {
		h := hash(name) | 1
		for at := h % uint64(len(seen)); ; at = (at + 1) % uint64(len(seen)) {
			switch seen[at] {
			case 0:
				seen[at] = h
				return
			case h:
				again = true
				return
			}
		}
	}
	own.entries(func(_ uint32, name []byte) { note(name) })
	for _, p := range parts {
		some := Data{pieces: p.pieces, named: len(p.pieces)}
		some.entries(func(_ uint32, name []byte) { note(name) })
	}
	return again
}
