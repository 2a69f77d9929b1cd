package zone

import (
	"bytes"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// denial is how a signed zone proves what is not there, by NSEC (RFC 4034
// section 4) or by NSEC3 (RFC 5155).
type denial struct {
	// proofs are the entries with NSEC, in canonical order of their names, or
	// those with NSEC3, in that of their hashes.
	proofs     []uint32
	hashed     bool // by NSEC3
	iterations int
	salt       []byte
}

func (d *denial) size() int { return 4*cap(d.proofs) + cap(d.salt) }

// maxIterations bounds what one negative answer costs; validators treat more
// as unsigned (RFC 9276 section 3.2).
const maxIterations = 150

// deny finds the zone's proofs.
func (m *maker) deny() {
	d := m.d
	if _, d.Signed = d.signature(d.apex, dnswire.TypeSOA); !d.Signed {
		return
	}
	if params, ok := d.lookup(d.apex, dnswire.TypeNSEC3PARAM); ok {
		for i := range params.Count {
			if m.hashes(params.data(i)) {
				return
			}
		}
	}
	d.entries(func(entry uint32, _ []byte) {
		if _, ok := d.lookup(entry, dnswire.TypeNSEC); ok {
			d.proofs = append(d.proofs, entry)
		}
	})
	slices.SortFunc(d.proofs, func(x, y uint32) int { return Canonical(d.owner(x), d.owner(y)) })
	if len(d.proofs) == 0 {
		m.doubts = append(m.doubts, Fault{Msg: fmt.Sprintf("the zone %s is signed and has no NSEC or NSEC3 records: validating resolvers refuse its word that a name or a type does not exist", m.b.zone)})
	}
}

// sha1Hash is the only hash algorithm that there is (RFC 5155 section 11).
const sha1Hash = 1

// hashes finds the NSEC3 records of the chain that an NSEC3PARAM record names,
// and says whether there are any. Records with flags or an unknown algorithm are
// to be ignored (RFC 5155 sections 4.1.2 and 8.1).
func (m *maker) hashes(param []byte) bool {
	d := m.d
	if param[0] != sha1Hash || param[1] != 0 {
		return false
	}
	for piece := d.named; piece < len(d.pieces); piece++ {
		d.pieceEntries(piece, func(entry uint32, name []byte) {
			if len(name) != 1+hashLabel+len(d.Name) || name[0] != hashLabel {
				return
			}
			// The parameters of a record are those of the chain but for the flags.
			s, _ := d.lookup(entry, dnswire.TypeNSEC3)
			for i := range s.Count {
				if r := s.data(i); r[0] == param[0] && bytes.HasPrefix(r[2:], param[2:]) {
					d.proofs = append(d.proofs, entry)
					break
				}
			}
		})
	}
	if len(d.proofs) == 0 {
		return false
	}
	d.hashed = true
	d.iterations = int(binary.BigEndian.Uint16(param[2:]))
	d.salt = slices.Clone(param[5:])
	if d.iterations > maxIterations {
		m.faults = append(m.faults, Fault{Msg: "NSEC3 with more than 150 iterations is treated as unsigned by resolvers: sign the zone with 0 (RFC 9276)"})
	}
	slices.SortFunc(d.proofs, func(x, y uint32) int { return bytes.Compare(d.owner(x), d.owner(y)) })
	return true
}

func (d *Data) owner(entry uint32) []byte {
	name, _ := d.entry(entry)
	return name
}

// data is the data of record i of a set.
func (s *Set) data(i int) []byte {
	at := 0
	for ; i > 0; i-- {
		at += ownerLen + fixedLen + int(binary.BigEndian.Uint16(s.wire[at+ownerLen+fixedLen-2:]))
	}
	at += ownerLen + fixedLen
	return s.wire[at : at+int(binary.BigEndian.Uint16(s.wire[at-2:]))]
}

// Hashed is whether the zone proves by NSEC3.
func (d *Data) Hashed() bool { return d.hashed }

// Proof is an entry with an NSEC or NSEC3 record.
type Proof uint32

// NSEC is the proof of the name itself, or of the last name before it (RFC
// 4034 section 6.1), which proves that it does not exist. Not ok: the zone has
// none.
func (d *Data) NSEC(name []byte) (p Proof, ok bool) {
	if len(d.proofs) == 0 || d.hashed {
		return 0, false
	}
	i := sort.Search(len(d.proofs), func(i int) bool { return Canonical(d.owner(d.proofs[i]), name) > 0 })
	if i == 0 {
		i = len(d.proofs)
	}
	return Proof(d.proofs[i-1]), true
}

// hashLabel is the length of the label of an NSEC3 record: a SHA-1 hash in
// base 32.
const hashLabel = 32

var base32hex = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// NSEC3 is the proof whose hash is the name's, or the last one before it (RFC
// 5155 section 8). Not ok: the zone has none.
func (d *Data) NSEC3(name []byte) (p Proof, matches, ok bool) {
	if len(d.proofs) == 0 || !d.hashed {
		return 0, false, false
	}
	var buf [255 + 255]byte
	h := sha1.Sum(append(append(buf[:0], name...), d.salt...))
	for range d.iterations {
		h = sha1.Sum(append(append(buf[:0], h[:]...), d.salt...))
	}
	var label [hashLabel]byte
	base32hex.Encode(label[:], h[:])
	i := sort.Search(len(d.proofs), func(i int) bool { return bytes.Compare(d.owner(d.proofs[i])[1:1+hashLabel], label[:]) > 0 })
	if i == 0 {
		i = len(d.proofs)
	}
	owner := d.owner(d.proofs[i-1])
	return Proof(d.proofs[i-1]), string(owner[1:1+hashLabel]) == string(label[:]), true
}

// Proof is the owner's name, record and signature of a proof.
func (d *Data) Proof(p Proof) (owner []byte, record, signature Set) {
	t := dnswire.TypeNSEC
	if d.hashed {
		t = dnswire.TypeNSEC3
	}
	record, _ = d.lookup(uint32(p), t)
	signature, _ = d.signature(uint32(p), t)
	return d.owner(uint32(p)), record, signature
}

// Canonical compares names in lower-case wire form by their labels from the
// right (RFC 4034 section 6.1).
func Canonical(a, b []byte) int {
	var la, lb [128]uint8
	na, nb := labels(a, &la), labels(b, &lb)
	for i := 1; i <= na && i <= nb; i++ {
		x, y := a[la[na-i]:], b[lb[nb-i]:]
		if c := bytes.Compare(x[1:1+x[0]], y[1:1+y[0]]); c != 0 {
			return c
		}
	}
	return na - nb
}

// labels notes where the labels of a name begin.
func labels(name []byte, at *[128]uint8) (n int) {
	for i := 0; name[i] != 0; i += 1 + int(name[i]) {
		at[n&127] = uint8(i)
		n++
	}
	return n
}
