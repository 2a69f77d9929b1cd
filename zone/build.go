package zone

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// Builder collects the records of a zone and makes its Data of them.
type Builder struct {
	zone    dnswire.Name
	owners  owners
	records []held
	data    []byte
	implies bool
	// scattered is that records of a name, other than the zone's own, do not stand
	// together.
	scattered bool
}

// Scattered is whether records of a name, other than the zone's own, do not
// stand together.
func (b *Builder) Scattered() bool { return b.scattered }

// Implies says that zones of ours below this one exist in it, even if none of
// its records delegates them: to deny the name of a zone is to deny the zone.
func (b *Builder) Implies() { b.implies = true }

// held is a record that has been added.
type held struct {
	owner uint32 // index in owners
	at    uint32 // where its data is
	ttl   uint32
	pos   text.Pos
	size  uint16
	typ   dnswire.Type
	sole  bool
	bare  bool // no record, but that the owner exists
}

// NewBuilder makes a builder for a zone.
func NewBuilder(zone dnswire.Name) *Builder { return &Builder{zone: zone} }

// Fault is what is wrong with a record, and where it was written.
type Fault struct {
	Pos text.Pos
	Msg string
	// Absent is that something is missing, which may be because what should have
	// stated it is wrong in itself.
	Absent bool
}

// maxArena is how much the pieces of a zone can hold.
const maxArena = 3 << 30

// AddSole adds a record that is made of something else: to its set nothing may
// be added by hand.
func (b *Builder) AddSole(r *text.Record) error {
	err := b.Add(r)
	if err == nil {
		b.records[len(b.records)-1].sole = true
	}
	return err
}

// Add adds a record. The error says why the zone cannot have it.
func (b *Builder) Add(r *text.Record) error {
	if !r.Owner.Within(b.zone) {
		return fmt.Errorf("%s is outside of the zone %s", r.Owner, b.zone)
	}
	if r.Type == noType {
		return fmt.Errorf("%s: there are no records of type 0 (RFC 6895 section 3.1)", r.Owner)
	}
	if len(r.Data) > math.MaxUint16 || !wellFormed(r.Type, r.Data) {
		return fmt.Errorf("the data of %s %s are not in the form that the type has", r.Owner, r.Type)
	}
	// With each record go what stands before its data, the head of its set, and
	// the places of its pointers.
	const most = ownerLen + fixedLen + setHeader + 4*2
	if len(b.data)+len(r.Data)+most*(len(b.records)+1)+len(b.owners.bytes)+2*b.owners.len() > maxArena {
		return errors.New("the zone is larger than 3 GiB")
	}
	// Records of one name mostly stand together.
	owner := 0
	if n := len(b.records); n > 0 && string(b.owners.text(int(b.records[n-1].owner))) == string(r.Owner) {
		owner = int(b.records[n-1].owner)
	} else {
		made := false
		owner, made = b.owners.add([]byte(r.Owner))
		b.scattered = b.scattered || !made && r.Owner != b.zone
	}
	b.records = append(b.records, held{
		owner: uint32(owner), at: uint32(len(b.data)), ttl: r.TTL,
		pos: r.Pos, size: uint16(len(r.Data)), typ: r.Type,
	})
	b.data = append(b.data, r.Data...)
	return nil
}

// noType is the type of no record: it stands for a name without any.
const noType dnswire.Type = 0

// AddName says that a name exists, whether it has records or not. The error says
// why the zone cannot have it.
func (b *Builder) AddName(owner dnswire.Name) error {
	if !owner.Within(b.zone) {
		return fmt.Errorf("%s is outside of the zone %s", owner, b.zone)
	}
	i, made := b.owners.add([]byte(owner))
	b.scattered = b.scattered || !made && owner != b.zone
	b.records = append(b.records, held{owner: uint32(i), at: uint32(len(b.data)), bare: true})
	return nil
}

// Len is how many records and names have been added.
func (b *Builder) Len() int { return len(b.records) }

func (b *Builder) rdata(h *held) []byte { return b.data[h.at : h.at+uint32(h.size)] }

// HasApex is whether the zone's own name has a record of a type.
func (b *Builder) HasApex(t dnswire.Type) (text.Pos, bool) {
	n := b.owners.find([]byte(b.zone))
	for i := range b.records {
		if h := &b.records[i]; int(h.owner) == n && h.typ == t {
			return h.pos, true
		}
	}
	return text.Pos{}, false
}

// Build makes the data. Faults are contradictions, all of them; with any there
// is no data. Doubts are what is allowed and probably not meant. Both are in
// the order of their places.
func (b *Builder) Build() (d *Data, faults, doubts []Fault) {
	m := maker{b: b, d: &Data{Name: b.zone, implies: b.implies}}
	b.group()
	m.all()
	m.servers()
	m.sort()
	if len(m.faults) > 0 {
		return nil, m.faults, m.doubts
	}
	return m.d, nil, m.doubts
}

// group puts the records in the order of their owners, as these came first,
// and of one owner in that of their types, RRSIG by what they cover. Nothing is
// moved when they come in that order, as from a file they mostly do.
func (b *Builder) group() {
	before := func(x, y *held) int {
		if x.owner != y.owner {
			return cmp.Compare(x.owner, y.owner)
		}
		if x.typ != y.typ {
			return cmp.Compare(x.typ, y.typ)
		}
		if x.typ == dnswire.TypeRRSIG {
			return cmp.Compare(covered(b.rdata(x)), covered(b.rdata(y)))
		}
		return 0
	}
	for i := 1; i < len(b.records); i++ {
		if before(&b.records[i-1], &b.records[i]) > 0 {
			slices.SortStableFunc(b.records, func(x, y held) int { return before(&x, &y) })
			return
		}
	}
}

// covered is the type that the data of an RRSIG record covers.
func covered(data []byte) dnswire.Type {
	return dnswire.Type(binary.BigEndian.Uint16(data))
}

// maker makes the data of a builder's records.
type maker struct {
	b      *Builder
	d      *Data
	piece  []byte // the one that is being written
	l      layout
	faults []Fault
	doubts []Fault

	nsec3 [][]held // the NSEC3 records of each name, with their signatures
}

func (m *maker) fault(h *held, format string, args ...any) {
	m.faults = append(m.faults, Fault{Pos: h.pos, Msg: fmt.Sprintf(format, args...)})
}

func (m *maker) doubt(h *held, format string, args ...any) {
	m.doubts = append(m.doubts, Fault{Pos: h.pos, Msg: fmt.Sprintf(format, args...)})
}

func (m *maker) name(h *held) string {
	return dnswire.Name(m.b.owners.text(int(h.owner))).String()
}

// sort puts faults and doubts in the order of their places.
func (m *maker) sort() {
	byPlace := func(x, y Fault) int {
		return cmp.Or(cmp.Compare(x.Pos.File, y.Pos.File), cmp.Compare(x.Pos.Line, y.Pos.Line))
	}
	slices.SortStableFunc(m.faults, byPlace)
	slices.SortStableFunc(m.doubts, byPlace)
}

// all lays out every name, those that only prove what does not exist last.
func (m *maker) all() {
	m.d.apex = none
	m.names()
	m.flush()
	m.d.named = len(m.d.pieces)
	if m.d.apex == none {
		m.faults = append(m.faults, Fault{Msg: fmt.Sprintf("the zone %s has no records of its own name: it needs SOA and NS", m.b.zone), Absent: true})
		return
	}
	for _, r := range m.nsec3 {
		m.owner(r)
	}
	m.flush()
	if len(m.faults) == 0 {
		m.deny()
		m.d.negate()
	}
}

// names lays out the names that have records of their own.
func (m *maker) names() {
	recs := m.b.records
	for i := 0; i < len(recs); {
		k := i + 1
		for k < len(recs) && recs[k].owner == recs[i].owner {
			k++
		}
		if own, proves := m.divide(recs[i:k]); len(proves) > 0 {
			m.nsec3 = append(m.nsec3, proves)
			if len(own) > 0 {
				m.owner(own)
				m.d.names++
			}
		} else {
			m.owner(own)
			m.d.names++
		}
		i = k
	}
}

// flush ends the piece that is being written.
func (m *maker) flush() {
	if len(m.piece) > 0 {
		m.d.pieces = append(m.d.pieces, slices.Clone(m.piece))
		m.piece = m.piece[:0]
	}
}

// divide takes the NSEC3 records of an owner and their signatures from the
// others: they are no data of the name, which does not exist for their sake (RFC
// 5155 section 7.2.8).
func (m *maker) divide(recs []held) (own, proves []held) {
	for i := range recs {
		if !m.proves(&recs[i]) {
			continue
		}
		for k := range recs {
			if m.proves(&recs[k]) {
				proves = append(proves, recs[k])
			} else {
				own = append(own, recs[k])
			}
		}
		return own, proves
	}
	return recs, nil
}

func (m *maker) proves(h *held) bool {
	t := h.typ
	if t == dnswire.TypeRRSIG {
		t = covered(m.b.rdata(h))
	}
	return t == dnswire.TypeNSEC3
}

// owner lays out the record sets of one name.
func (m *maker) owner(recs []held) {
	d := m.d
	for len(recs) > 1 && recs[0].bare { // the records say it as well
		recs = recs[1:]
	}
	name := m.b.owners.text(int(recs[0].owner))
	top := string(name) == string(m.b.zone)
	m.agree(recs, top)
	if len(m.piece) >= maxPiece {
		m.flush()
	}
	if top {
		d.apex = uint32(len(d.pieces))<<offsetBits | uint32(len(m.piece))
	}
	m.piece = append(m.piece, byte(len(name)))
	m.piece = append(m.piece, name...)
	m.piece = append(m.piece, 0)
	count := len(m.piece) - 1
	sets := 0
	for i := 0; i < len(recs) && !recs[i].bare; {
		k := i + 1
		for k < len(recs) && recs[k].typ == recs[i].typ &&
			(recs[k].typ != dnswire.TypeRRSIG || covered(m.b.rdata(&recs[k])) == covered(m.b.rdata(&recs[i]))) {
			k++
		}
		m.set(name, recs[i:k])
		sets++
		i = k
	}
	if sets > 255 {
		m.fault(&recs[0], "%s has more than 255 types", m.name(&recs[0]))
	}
	m.piece[count] = byte(sets)
}

// maxSet is the length of the largest record set that fits in a message with
// its question and an OPT record.
const maxSet = dnswire.MaxTCP - 300

// set lays out one record set: each record once (RFC 2181 section 5), all with
// the lowest TTL (section 5.2).
func (m *maker) set(name []byte, recs []held) {
	first := &recs[0]
	ttl := first.ttl
	for i := range recs[1:] {
		if h := &recs[1+i]; h.ttl != first.ttl {
			if h.typ != dnswire.TypeRRSIG {
				m.doubt(h, "%s %s has another TTL than at line %d: the lowest is taken for all of them", m.name(h), h.typ, first.pos.Line)
			}
			ttl = min(ttl, h.ttl)
		}
		if h := &recs[1+i]; h.sole != first.sole {
			m.fault(h, "%s has %s records at line %d as well: state them in one place", m.name(h), h.typ, first.pos.Line)
			return
		}
	}
	l := &m.l
	l.reset()
	n := 0
	for i := range recs {
		data := m.b.rdata(&recs[i])
		if m.repeats(recs[:i], data) {
			continue
		}
		if len(l.wire)+ownerLen+fixedLen+len(data) > maxSet {
			m.fault(&recs[i], "the %s records of %s are larger than a message can be", first.typ, m.name(first))
			return
		}
		l.record(name, first.typ, ttl, data)
		n++
	}
	m.d.Records += n
	b := m.piece
	b = binary.BigEndian.AppendUint16(b, uint16(first.typ))
	b = binary.BigEndian.AppendUint16(b, uint16(n))
	b = binary.BigEndian.AppendUint16(b, uint16(len(l.wire)))
	b = append(b, byte(len(l.toOwner)), byte(len(l.within)))
	for _, at := range l.toOwner {
		b = binary.BigEndian.AppendUint16(b, at)
	}
	for _, at := range l.within {
		b = binary.BigEndian.AppendUint16(b, at)
	}
	m.piece = append(b, l.wire...)
}

// repeats is whether one of the records, all of one type, has the same data.
func (m *maker) repeats(recs []held, data []byte) bool {
	for i := range recs {
		if same(recs[i].typ, m.b.rdata(&recs[i]), data) {
			return true
		}
	}
	return false
}
