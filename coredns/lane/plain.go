package lane

import (
	"encoding/binary"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// What a datagram must be to be answered here.
const (
	// maxQuery is how much of a datagram CoreDNS reads.
	maxQuery = 512
	maxLabel = 63
	maxName  = 255

	optLen  = 11 // of an OPT record without its options
	flagRD  = 1 << 8
	flagAD  = 1 << 5
	flagCD  = 1 << 4
	flagDO  = 1 << 15
	classIN = 1
	typeDS  = 43
	typeOPT = 41
	// The types from firstMeta to lastMeta are no types of records (RFC 6895
	// section 3.1).
	firstMeta, lastMeta = 128, 255

	optNSID   = 3
	optECS    = 8
	optCookie = 10
)

// plain reports whether a datagram is a query in the form in which nearly all come, and
// its type: one question of class IN and of an ordinary type, whose name is not
// compressed, and at most an OPT record of version 0, with options that CoreDNS's DNS
// library and our own read alike. Behind it there is nothing. Whatever else a datagram
// is, it is CoreDNS's.
func plain(msg []byte) (typ dnswire.Type, ok bool) {
	if len(msg) < dnswire.HeaderLen || len(msg) > maxQuery || binary.BigEndian.Uint16(msg[2:])&^(flagRD|flagAD|flagCD) != 0 {
		return 0, false
	}
	// The four counts as one number: one question, and one additional record or none.
	if binary.BigEndian.Uint64(msg[4:])&^1 != 1<<48 {
		return 0, false
	}
	at := dnswire.HeaderLen
	for {
		if at >= len(msg) || msg[at] > maxLabel {
			return 0, false
		}
		n := int(msg[at])
		at += 1 + n
		if n == 0 {
			break
		}
	}
	if at-dnswire.HeaderLen > maxName || len(msg) < at+4 {
		return 0, false
	}
	typ = dnswire.Type(binary.BigEndian.Uint16(msg[at:]))
	if !ordinary(typ) || binary.BigEndian.Uint16(msg[at+2:]) != classIN {
		return 0, false
	}
	rest := msg[at+4:]
	if msg[11] == 0 {
		return typ, len(rest) == 0
	}
	return typ, plainOPT(rest)
}

// ordinary is whether a type is one of records that any server may have. DS is not:
// CoreDNS asks the parent's server block for it.
func ordinary(t dnswire.Type) bool {
	return t != 0 && t != typeDS && t != typeOPT && (t < firstMeta || t > lastMeta)
}

// plainOPT does what plain does, of the OPT record.
func plainOPT(b []byte) bool {
	if len(b) < optLen || b[0] != 0 || binary.BigEndian.Uint16(b[1:]) != typeOPT {
		return false
	}
	if binary.BigEndian.Uint32(b[5:])&^flagDO != 0 || int(binary.BigEndian.Uint16(b[9:])) != len(b)-optLen {
		return false
	}
	subnets := 0
	for b = b[optLen:]; len(b) > 0; {
		if len(b) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return false
		}
		switch code {
		case optNSID, optCookie: // nobody answers them: nsid is no plugin that may stand ahead
		case optECS:
			subnets++
			if subnets > 1 || !subnet(b[4:4+n]) {
				return false
			}
		default:
			return false
		}
		b = b[4+n:]
	}
	return true
}

// subnet is whether a client subnet option is as RFC 7871 section 6 has it, with as
// many bytes of the address as the prefix needs. CoreDNS's library reads others too, in
// its own way.
func subnet(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	most := 0
	switch binary.BigEndian.Uint16(b) {
	case 1:
		most = 32
	case 2:
		most = 128
	default:
		return false
	}
	bits := int(b[2])
	return bits <= most && b[3] == 0 && len(b)-4 == (bits+7)/8
}
