package zone

import (
	"encoding/binary"
	"slices"
	"sync/atomic"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Data are the static records of one zone. It is immutable.
//
// They lie in pieces of memory, name after name:
//
//	entry  length of the name, the name, number of sets, sets
//	set    type, count, length of the wire form (16 bits each),
//	       number of pointers to the owner and of pointers within (8 bits each),
//	       where those pointers are (16 bits each), wire form
//
// The wire form is the whole set as it goes into an answer whose question is
// the owner's name: the names in it are compressed (RFC 1035 section 4.1.4, and
// only in the types of RFC 3597 section 4) with pointers into the question.
type Data struct {
	Name    dnswire.Name
	Records int
	Serial  uint32 // of the SOA record
	Signed  bool   // it came with the signatures of its records

	// pieces hold the entries. One that another Data has as well is the same
	// memory there, and has the same number; some numbers have none.
	pieces [][]byte
	named  int    // how many of the pieces hold names; behind them are NSEC3 records
	names  int    // how many names those are
	apex   uint32 // the zone's own entry
	// parts are what the data were joined of, and own the numbers of the pieces
	// that belong to none.
	parts []placed
	own   []uint16
	cuts  bool // there are cuts or DNAME records, so that names may be hidden
	// implies is that zones of ours below this one exist in it, whether it
	// delegates them or not.
	implies bool
	denial

	// places are made when somebody asks for a name, or amends: a zone that is only
	// answered from does without.
	places atomic.Pointer[places]
	// dead is how many octets of each piece are entries that places does not have
	// any more. Pieces behind its end have none.
	dead []uint32
	// tail is the piece that Amend goes on with, plus one; 0: the last one.
	tail int
	// steps are how the data came of others, the last one last.
	steps []step

	negative    Set
	negativeTTL uint32
}

const setHeader = 8

// Set is one record set. Its wire form belongs to the Data.
type Set struct {
	Type  dnswire.Type
	Count int

	wire   []byte
	fixes  []byte // positions of pointers in wire: those to the owner, then those within
	toName int    // how many of them are to the owner
	owner  int    // length of the owner's name
}

// Len is the length of the set in octets.
func (s *Set) Len() int { return len(s.wire) }

// DataLen is the length of the data of the set's only record, in octets.
func (s *Set) DataLen() int { return len(s.wire) - ownerLen - fixedLen }

// An entry is known by where it begins: the number of its piece, above sixteen
// bits of offset.
const offsetBits = 16

// maxPiece is the length from which on no further entry begins in a piece, so
// that offsets reach. A piece that ends in no long entry then takes 65,536 octets
// of memory, and wastes few of them.
const maxPiece = 65_400

// entry is the name of an entry, and its sets, from their number on.
func (d *Data) entry(at uint32) (name, sets []byte) {
	b := d.pieces[at>>offsetBits][at&(1<<offsetBits-1):]
	size := 1 + int(b[0])
	return b[1:size], b[size:]
}

// readSet reads the set that b begins with, and says what is behind it.
func readSet(b []byte, owner int) (s Set, rest []byte) {
	fixes := 2 * (int(b[6]) + int(b[7]))
	size := int(binary.BigEndian.Uint16(b[4:]))
	s = Set{
		Type:   dnswire.Type(binary.BigEndian.Uint16(b)),
		Count:  int(binary.BigEndian.Uint16(b[2:])),
		fixes:  b[setHeader : setHeader+fixes],
		toName: int(b[6]),
		wire:   b[setHeader+fixes : setHeader+fixes+size],
		owner:  owner,
	}
	return s, b[setHeader+fixes+size:]
}

// skipSet is what is behind the set that b begins with.
func skipSet(b []byte) (rest []byte) {
	return b[setHeader+2*(int(b[6])+int(b[7]))+int(binary.BigEndian.Uint16(b[4:])):]
}

// lookup is the set of a type in an entry.
func (d *Data) lookup(entry uint32, t dnswire.Type) (s Set, ok bool) {
	name, b := d.entry(entry)
	n := b[0]
	b = b[1:]
	for range n {
		if dnswire.Type(binary.BigEndian.Uint16(b)) == t {
			s, _ = readSet(b, len(name))
			return s, true
		}
		b = skipSet(b)
	}
	return s, false
}

// signature is the RRSIG set of an entry that covers a type.
func (d *Data) signature(entry uint32, covered dnswire.Type) (s Set, ok bool) {
	name, b := d.entry(entry)
	n := b[0]
	b = b[1:]
	for range n {
		if dnswire.Type(binary.BigEndian.Uint16(b)) == dnswire.TypeRRSIG {
			if s, _ = readSet(b, len(name)); s.Covers() == covered {
				return s, true
			}
		}
		b = skipSet(b)
	}
	return Set{}, false
}

// Covers is the type that an RRSIG set covers.
func (s *Set) Covers() dnswire.Type {
	return dnswire.Type(binary.BigEndian.Uint16(s.wire[ownerLen+fixedLen:]))
}

// each calls f with every set of an entry until it returns false.
func (d *Data) each(entry uint32, f func(s Set) bool) {
	name, b := d.entry(entry)
	n := b[0]
	b = b[1:]
	for range n {
		var s Set
		if s, b = readSet(b, len(name)); !f(s) {
			return
		}
	}
}

// Names is how many names have been stated.
func (d *Data) Names() int { return d.names }

// entries calls f with every name of the zone.
func (d *Data) entries(f func(entry uint32, name []byte)) {
	for i := range d.named {
		d.pieceEntries(i, f)
	}
}

// pieceEntries calls f with every entry of a piece that is in use.
func (d *Data) pieceEntries(piece int, f func(entry uint32, name []byte)) {
	all := d.pieces[piece]
	var some *places // nil: all of them are
	if piece < len(d.dead) && d.dead[piece] > 0 {
		some = d.places.Load()
	}
	for b := all; len(b) > 0; {
		entry := uint32(piece)<<offsetBits | uint32(len(all)-len(b))
		name := b[1 : 1+int(b[0])]
		b = b[entryLen(b):]
		if some == nil || some.has(upper(name), entry) {
			f(entry, name)
		}
	}
}

// entryLen is the length of the entry that b begins with.
func entryLen(b []byte) int {
	rest := b[1+int(b[0]):]
	n := rest[0]
	rest = rest[1:]
	for range n {
		rest = skipSet(rest)
	}
	return len(b) - len(rest)
}

// SOA is the zone's SOA record as a negative answer has it, and its TTL there:
// for how many seconds "no" may be remembered, the lower of the record's TTL and
// its minimum field (RFC 2308 section 5).
func (d *Data) SOA() (soa *Set, ttl uint32) { return &d.negative, d.negativeTTL }

// negate makes the SOA record of negative answers.
func (d *Data) negate() {
	soa, _ := d.lookup(d.apex, dnswire.TypeSOA)
	d.negativeTTL = min(soa.TTL(), binary.BigEndian.Uint32(soa.wire[len(soa.wire)-4:]))
	soa.wire = slices.Clone(soa.wire)
	soa.LimitTTL(soa.wire, d.negativeTTL)
	d.negative = soa
}

// Signature is the RRSIG set of the zone's own name that covers a type.
func (d *Data) Signature(t dnswire.Type) (Set, bool) { return d.signature(d.apex, t) }

// Size is how many octets the records take in memory.
func (d *Data) Size() int {
	size := d.denial.size() + 4*cap(d.dead)
	for _, p := range d.pieces {
		size += cap(p)
	}
	for i := range d.steps {
		size += len(d.steps[i].names)
	}
	if p := d.places.Load(); p != nil {
		size += p.octets()
	}
	return size
}

const (
	// ownerLen and fixedLen are what comes before a record's data: a pointer to
	// the owner; type, class, TTL and length.
	ownerLen = 2
	fixedLen = 10
	ttlAt    = ownerLen + 4

	// maxPointer is the highest offset that a pointer can name.
	maxPointer = 0x3fff
)

// Place is where a name lies in a message: its offset, from the message's
// start, and its length in octets when it is written out.
type Place struct {
	Offset int
	Len    int
}

// InReach is whether a pointer can name the place (RFC 1035 section 4.1.4).
func (p Place) InReach() bool { return p.Offset <= maxPointer }

// Suffix is the offset of the last n octets of the name, which begin with a
// label; the name may end in pointers.
func (p Place) Suffix(msg []byte, n int) int {
	off := p.Offset
	for left := p.Len; ; {
		for msg[off] >= 0xc0 {
			off = int(binary.BigEndian.Uint16(msg[off:]) & maxPointer)
		}
		if left <= n {
			return off
		}
		left -= 1 + int(msg[off])
		off += 1 + int(msg[off])
	}
}

// Append lays the set down in the message that begins at start. Owner is where
// the name lies that is answered.
func (s *Set) Append(dst []byte, start int, owner Place) []byte {
	base := len(dst)
	dst = append(dst, s.wire...)
	if owner.Offset == dnswire.HeaderLen && owner.Len == s.owner && s.toName*2 == len(s.fixes) {
		return dst // as it was laid out
	}
	s.fix(dst[start:], base-start, owner)
	return dst
}

// fix sets the pointers of the set, laid down at base, for another owner.
func (s *Set) fix(msg []byte, base int, owner Place) {
	if owner.Offset != dnswire.HeaderLen {
		for at := base; at < base+len(s.wire); {
			binary.BigEndian.PutUint16(msg[at:], 0xc000|uint16(owner.Offset))
			at += ownerLen + fixedLen + int(binary.BigEndian.Uint16(msg[at+ownerLen+fixedLen-2:]))
		}
	}
	for i := 0; i < len(s.fixes); i += 2 {
		p := msg[base+int(binary.BigEndian.Uint16(s.fixes[i:])):]
		to := int(binary.BigEndian.Uint16(p) & maxPointer)
		if i < 2*s.toName {
			to = owner.Suffix(msg, s.owner-(to-dnswire.HeaderLen))
		} else {
			to += base
		}
		binary.BigEndian.PutUint16(p, 0xc000|uint16(to))
	}
}

// AppendNamed lays down a set of a name that is nowhere in the message yet, and
// says where the name is now: so far back perhaps that no pointer reaches it,
// and then every record has it in full. Such sets have no pointers in their
// data.
func (s *Set) AppendNamed(dst []byte, start int, owner []byte) ([]byte, Place) {
	at := Place{Offset: len(dst) - start, Len: len(owner)}
	for rest := s.wire; len(rest) > 0; {
		if len(rest) == len(s.wire) || !at.InReach() {
			dst = append(dst, owner...)
		} else {
			dst = binary.BigEndian.AppendUint16(dst, 0xc000|uint16(at.Offset))
		}
		size := ownerLen + fixedLen + int(binary.BigEndian.Uint16(rest[ownerLen+fixedLen-2:]))
		dst = append(dst, rest[ownerLen:size]...)
		rest = rest[size:]
	}
	return dst, at
}

// LimitTTL lowers the TTLs of the records of a laid-down set, at the end of
// msg, to a limit.
func (s *Set) LimitTTL(msg []byte, limit uint32) {
	for at := len(msg) - len(s.wire); at < len(msg); {
		if ttl := msg[at+ttlAt : at+ttlAt+4]; binary.BigEndian.Uint32(ttl) > limit {
			binary.BigEndian.PutUint32(ttl, limit)
		}
		at += ownerLen + fixedLen + int(binary.BigEndian.Uint16(msg[at+ownerLen+fixedLen-2:]))
	}
}

// TTL is the set's time to live in seconds.
func (s *Set) TTL() uint32 { return binary.BigEndian.Uint32(s.wire[ttlAt:]) }
