package zone

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Servers calls f with the name servers of the zone and of its cuts that lie at
// or below the name that they serve, in lower case, until it returns false: their
// addresses must be here (RFC 1034 section 4.2.1). Those of pieces that but, which
// may be nil, has as well are left out. The names are good until f returns.
func (d *Data) Servers(but *Data, f func(owner, server []byte) bool) {
	more := true
	msg, server := make([]byte, dnswire.HeaderLen, 1024), make([]byte, 0, 256)
	each := func(entry uint32, owner []byte) {
		set, ok := d.lookup(entry, dnswire.TypeNS)
		if !ok || !more {
			return
		}
		// As in an answer: behind a header and the owner as the question's name.
		msg = append(msg[:dnswire.HeaderLen], owner...)
		msg = set.Append(msg, 0, Place{Offset: dnswire.HeaderLen, Len: len(owner)})
		for at := dnswire.HeaderLen + len(owner); at < len(msg) && more; {
			at += ownerLen + fixedLen
			server = appendUncompressed(server[:0], msg, at)
			if len(server) >= len(owner) && endsAtLabel(server, owner) {
				more = f(owner, server)
			}
			at += int(binary.BigEndian.Uint16(msg[at-2:]))
		}
	}
	if !d.cuts {
		if but == nil || but.apex != d.apex || !samePiece(but.pieces[d.apex>>offsetBits], d.pieces[d.apex>>offsetBits]) {
			each(d.apex, []byte(d.Name))
		}
		return
	}
	for i := 0; i < d.named && more; i++ {
		if but == nil || i >= len(but.pieces) || !samePiece(but.pieces[i], d.pieces[i]) {
			d.pieceEntries(i, each)
		}
	}
}

// appendUncompressed appends the name at a place of a message of ours, in lower case.
func appendUncompressed(name, msg []byte, at int) []byte {
	begin := len(name)
	name, _ = appendName(name, msg, at)
	for i, c := range name[begin:] {
		name[begin+i] = lowerByte(c)
	}
	return name
}

// appendName appends the name at a place of a message of ours as it was written,
// and says what is behind it.
func appendName(name, msg []byte, at int) (_ []byte, next int) {
	for {
		switch n := int(msg[at]); {
		case n == 0:
			return append(name, 0), max(next, at+1)
		case n >= 0xc0:
			next = max(next, at+2)
			at = int(binary.BigEndian.Uint16(msg[at:]) & maxPointer)
		default:
			name = append(name, msg[at:at+1+n]...)
			at += 1 + n
		}
	}
}
