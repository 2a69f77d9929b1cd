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

// plain is what is known of a query that has the form in which nearly all come.
type plain struct {
	typ     dnswire.Type
	options int  // where the options of the OPT record begin; 0 without one
	extras  bool // among them are some that nobody here answers
}

// look reports whether a datagram is a plain query: one question of class IN and of
// an ordinary type, whose name is not compressed, and at most an OPT record of version
// 0, with options that CoreDNS's DNS library and our own read alike. Behind it there is
// nothing. Whatever else a datagram is, it is CoreDNS's.
func look(msg []byte) (p plain, ok bool) {
	if len(msg) < dnswire.HeaderLen || len(msg) > maxQuery || binary.BigEndian.Uint16(msg[2:])&^(flagRD|flagAD|flagCD) != 0 {
		return p, false
	}
	// The four counts as one number: one question, and one additional record or none.
	if binary.BigEndian.Uint64(msg[4:])&^1 != 1<<48 {
		return p, false
	}
	at := dnswire.HeaderLen
	for {
		if at >= len(msg) || msg[at] > maxLabel {
			return p, false
		}
		n := int(msg[at])
		at += 1 + n
		if n == 0 {
			break
		}
	}
	if at-dnswire.HeaderLen > maxName || len(msg) < at+4 {
		return p, false
	}
	p.typ = dnswire.Type(binary.BigEndian.Uint16(msg[at:]))
	if !ordinary(p.typ) || binary.BigEndian.Uint16(msg[at+2:]) != classIN {
		return p, false
	}
	rest := msg[at+4:]
	if msg[11] == 0 {
		return p, len(rest) == 0
	}
	p.options = at + 4 + optLen
	p.extras, ok = lookOPT(rest)
	return p, ok
}

// ordinary is whether a type is one of records that any server may have. DS is not:
// CoreDNS asks the parent's server block for it.
func ordinary(t dnswire.Type) bool {
	return t != 0 && t != typeDS && t != typeOPT && (t < firstMeta || t > lastMeta)
}

// lookOPT does what look does, of the OPT record.
func lookOPT(b []byte) (extras, ok bool) {
	if len(b) < optLen || b[0] != 0 || binary.BigEndian.Uint16(b[1:]) != typeOPT {
		return false, false
	}
	if binary.BigEndian.Uint32(b[5:])&^flagDO != 0 || int(binary.BigEndian.Uint16(b[9:])) != len(b)-optLen {
		return false, false
	}
	subnets := 0
	for b = b[optLen:]; len(b) > 0; {
		if len(b) < 4 {
			return false, false
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+n {
			return false, false
		}
		switch code {
		case optNSID, optCookie: // mouth hands them to nobody
			extras = true
		case optECS:
			subnets++
			if subnets > 1 || !subnet(b[4:4+n]) {
				return false, false
			}
		default:
			return false, false
		}
		b = b[4+n:]
	}
	return extras, true
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

// without appends a plain query without the options that nobody here answers.
func (p *plain) without(dst, msg []byte) []byte {
	dst = append(dst, msg[:p.options]...)
	for b := msg[p.options:]; len(b) > 0; {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if binary.BigEndian.Uint16(b) == optECS {
			dst = append(dst, b[:n]...)
		}
		b = b[n:]
	}
	binary.BigEndian.PutUint16(dst[p.options-2:], uint16(len(dst)-p.options))
	return dst
}
