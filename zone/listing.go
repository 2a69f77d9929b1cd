package zone

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// Records is one record set as it was stated.
type Records struct {
	Type dnswire.Type
	TTL  uint32 // seconds
	// Data are the records' RDATA in wire form, names uncompressed. Ends of names
	// that the owner's name has as well are in lower case.
	Data [][]byte
}

// All calls f with every record set of the zone until it returns false: the names
// about in the order in which they came. A name without records has one call, with
// type 0. The data are good until f returns.
func (d *Data) All(f func(owner dnswire.Name, t dnswire.Type, ttl uint32, data [][]byte) bool) {
	var l lister
	more := true
	for i := 0; i < d.named && more; i++ {
		d.pieceEntries(i, func(entry uint32, name []byte) {
			if !more {
				return
			}
			owner, bare := dnswire.Name(name), true
			d.each(entry, func(s Set) bool {
				bare = false
				more = f(owner, s.Type, s.TTL(), l.data(&s, name))
				return more
			})
			if bare {
				more = f(owner, noType, 0, nil)
			}
		})
	}
}

// Owned are the record sets of a name, and whether the name has been stated: that
// of a name above or below does not count. The first time that anybody asks it
// costs what the zone is.
func (d *Data) Owned(owner dnswire.Name) (sets []Records, exists bool) {
	entry := d.index().find(d, []byte(owner))
	if entry == none {
		return nil, false
	}
	d.each(entry, func(s Set) bool {
		var l lister
		data := l.data(&s, []byte(owner))
		for i := range data {
			data[i] = bytes.Clone(data[i])
		}
		sets = append(sets, Records{s.Type, s.TTL(), data})
		return true
	})
	return sets, true
}

// lister reads the data of sets, in memory of its own.
type lister struct {
	out       [][]byte
	msg, flat []byte
	ends      []int
}

// data are the data of a set's records, names uncompressed, until the next call.
func (l *lister) data(s *Set, owner []byte) [][]byte {
	l.out = l.out[:0]
	wire := s.wire
	if len(s.fixes) > 0 {
		// As in an answer: behind a header and the owner as the question's name.
		l.msg = append(append(l.msg[:0], make([]byte, dnswire.HeaderLen)...), owner...)
		l.msg = s.Append(l.msg, 0, Place{Offset: dnswire.HeaderLen, Len: len(owner)})
		wire = l.msg[dnswire.HeaderLen+len(owner):]
	}
	l.flat, l.ends = l.flat[:0], l.ends[:0]
	for at := 0; at < len(wire); {
		at += ownerLen + fixedLen
		size := int(binary.BigEndian.Uint16(wire[at-2:]))
		if len(s.fixes) == 0 {
			l.out = append(l.out, wire[at:at+size:at+size])
		} else {
			l.expand(s.Type, len(l.msg)-len(wire)+at, size)
		}
		at += size
	}
	begin := 0
	for _, end := range l.ends {
		l.out = append(l.out, l.flat[begin:end:end])
		begin = end
	}
	return l.out
}

// expand adds data of a size that begin at a place of the message.
func (l *lister) expand(t dnswire.Type, at, size int) {
	end := at + size
	offset, names := compressible(t)
	l.flat = append(l.flat, l.msg[at:at+offset]...)
	at += offset
	for range names {
		l.flat, at = appendName(l.flat, l.msg, at)
	}
	l.flat = append(l.flat, l.msg[at:end]...)
	l.ends = append(l.ends, len(l.flat))
}

// With is the data with the record sets that a statement has of the zone, in place
// of those of the same names and types; of the two SOA records' serials it has the
// later one (RFC 1982). That zones of ours below the zone exist in it is the
// statement's to say as well. The error is Amend's; signed data that need nothing
// stay as they are. It costs what the statement is.
func (d *Data) With(stated *Data) (*Data, error) {
	var edits []Edit
	var about *Edit // the name at hand
	differs := false
	var rest []Records
	end := func() {
		if about == nil {
			return
		}
		if differs {
			for _, own := range rest {
				about.add(own.Type, own.TTL, own.Data)
			}
			edits = append(edits, *about)
		}
		about = nil
	}
	stated.All(func(owner dnswire.Name, t dnswire.Type, ttl uint32, data [][]byte) bool {
		if about == nil || about.Owner != owner {
			end()
			sets, exists := d.Owned(owner)
			about, rest, differs = &Edit{Owner: owner, Exists: true}, sets, !exists
		}
		if t == noType {
			return true
		}
		i := slices.IndexFunc(rest, func(own Records) bool { return own.Type == t })
		if i >= 0 && t == dnswire.TypeSOA {
			data = [][]byte{later(data[0], rest[i].Data[0])}
		}
		about.add(t, ttl, data)
		if i < 0 {
			differs = true
			return true
		}
		differs = differs || ttl != rest[i].TTL || !slices.EqualFunc(data, rest[i].Data, bytes.Equal)
		rest = slices.Delete(rest, i, i+1)
		return true
	})
	end()
	if len(edits) == 0 && (d.implies == stated.implies || d.Signed) {
		return d, nil
	}
	return d.change(edits, stated.implies)
}

// add adds a record set to what the name has from now on.
func (e *Edit) add(t dnswire.Type, ttl uint32, data [][]byte) {
	for _, b := range data {
		e.Records = append(e.Records, text.Record{Owner: e.Owner, Type: t, TTL: ttl, Data: bytes.Clone(b)})
	}
}

// later is the data of an SOA record with the serial of another one's, when that is
// the later.
func later(data, other []byte) []byte {
	if s := serial(other); int32(s-serial(data)) > 0 {
		data = bytes.Clone(data)
		binary.BigEndian.PutUint32(data[len(data)-20:], s)
	}
	return data
}
