package zone

import (
	"bytes"
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// names in data may be compressed only in the types that every resolver has
// always known (RFC 3597 section 4): those of RFC 1035.

// compressible is where the names begin in the data of a type and how many
// follow each other there; 0 for types without any.
func compressible(t dnswire.Type) (offset, count int) {
	switch t {
	case dnswire.TypeNS, dnswire.TypeCNAME, dnswire.TypePTR,
		3, 4, 7, 8, 9: // MD, MF, MB, MG, MR
		return 0, 1
	case dnswire.TypeSOA, 14: // MINFO
		return 0, 2
	case dnswire.TypeMX:
		return 2, 1
	}
	return 0, 0
}

// maxCompressed is the length of a set beyond which it has no pointers within:
// wherever it is laid down, they could still be written (an offset has 14 bits)
// behind the longest chain of CNAME records.
const maxCompressed = 8 << 10

// layout lays out record sets, one after another, in memory of its own.
type layout struct {
	wire     []byte
	toOwner  []uint16
	within   []uint16
	suffixes []suffix // of the names in the data so far
	lower    [256]byte
}

// suffix is the end of a name that has been laid down: where, and its length.
type suffix struct{ at, size int }

func (l *layout) reset() {
	l.wire, l.toOwner, l.within, l.suffixes = l.wire[:0], l.toOwner[:0], l.within[:0], l.suffixes[:0]
}

// record adds a record of the set, whose data are well-formed.
func (l *layout) record(owner []byte, t dnswire.Type, ttl uint32, data []byte) {
	l.wire = binary.BigEndian.AppendUint16(l.wire, 0xc000|dnswire.HeaderLen)
	l.wire = binary.BigEndian.AppendUint16(l.wire, uint16(t))
	l.wire = binary.BigEndian.AppendUint16(l.wire, uint16(dnswire.ClassIN))
	l.wire = binary.BigEndian.AppendUint32(l.wire, ttl)
	l.wire = append(l.wire, 0, 0)
	at := len(l.wire)
	if offset, count := compressible(t); count > 0 {
		l.wire = append(l.wire, data[:offset]...)
		data = data[offset:]
		for range count {
			n, _ := nameLen(data)
			l.name(owner, data[:n])
			data = data[n:]
		}
	}
	l.wire = append(l.wire, data...)
	binary.BigEndian.PutUint16(l.wire[at-2:], uint16(len(l.wire)-at))
}

// name lays down a name, its end as a pointer where it was laid down before or
// is the end of the owner's. The first label of a wildcard is not in the
// question that it answers.
func (l *layout) name(owner, name []byte) {
	size := len(owner)
	if owner[0] == 1 && owner[1] == '*' {
		owner = owner[2:]
	}
	lower := lowered(&l.lower, name)
	begin := len(l.wire)
	for at := 0; lower[at] != 0; at += 1 + int(lower[at]) {
		rest := lower[at:]
		if len(rest) <= len(owner) && len(l.toOwner) < 255 && endsAtLabel(owner, rest) {
			l.literal(name[:at], len(name), begin)
			l.toOwner = append(l.toOwner, uint16(len(l.wire)))
			l.wire = binary.BigEndian.AppendUint16(l.wire, 0xc000|uint16(dnswire.HeaderLen+size-len(rest)))
			return
		}
		if to, ok := l.earlier(rest, begin); ok && len(l.within) < 255 && len(l.wire) < maxCompressed {
			l.literal(name[:at], len(name), begin)
			l.within = append(l.within, uint16(len(l.wire)))
			l.wire = binary.BigEndian.AppendUint16(l.wire, 0xc000|uint16(to))
			return
		}
	}
	l.literal(name[:len(name)-1], len(name), begin)
	l.wire = append(l.wire, 0)
}

// literal lays down the first labels of a name of so many octets, and notes the
// ends of the name that begin with them.
func (l *layout) literal(labels []byte, size, begin int) {
	for at := 0; at < len(labels); at += 1 + int(labels[at]) {
		l.suffixes = append(l.suffixes, suffix{begin + at, size - at})
	}
	l.wire = append(l.wire, labels...)
}

// earlier is where an end of a name was laid down in a record before.
func (l *layout) earlier(rest []byte, before int) (at int, ok bool) {
	for _, s := range l.suffixes {
		if s.size == len(rest) && s.at < before && l.equals(s.at, rest) {
			return s.at, true
		}
	}
	return 0, false
}

// equals is whether the name laid down at an offset is name, which is lower case.
func (l *layout) equals(at int, name []byte) bool {
	for {
		c := l.wire[at]
		if c >= 0xc0 {
			return false // a name that itself ends in a pointer is not worth following
		}
		if c != name[0] {
			return false
		}
		if c == 0 {
			return true
		}
		for i := 1; i <= int(c); i++ {
			if lowerByte(l.wire[at+i]) != name[i] {
				return false
			}
		}
		at += 1 + int(c)
		name = name[1+int(c):]
	}
}

// endsAtLabel is whether name, in lower-case wire form, ends in rest and rest
// begins at one of its labels.
func endsAtLabel(name, rest []byte) bool {
	if !bytes.HasSuffix(name, rest) {
		return false
	}
	for len(name) > len(rest) {
		name = name[1+int(name[0]):]
	}
	return len(name) == len(rest)
}

// lowered copies a name in wire form in lower case. A length octet is below 'A'.
func lowered(dst *[256]byte, name []byte) []byte {
	for i, c := range name {
		dst[i] = lowerByte(c)
	}
	return dst[:len(name)]
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}
