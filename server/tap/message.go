package tap

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"time"
)

// Protocol is how a query came. The values are dnstap's SocketProtocol.
type Protocol uint8

const (
	UDP Protocol = 1
	TCP Protocol = 2
	TLS Protocol = 3 // DOT
)

// Exchange is a query and its answer.
type Exchange struct {
	Protocol Protocol
	// Client is whom the query is from, Server the address that it came to. What
	// is not known is the zero value.
	Client, Server netip.AddrPort
	// Zone is the name in wire form of the zone that the answer is from; empty:
	// from none.
	Zone string
	// Query and Answer are the messages as they are on the wire, without the
	// length of TCP. There is no Answer when none was given.
	Query, Answer []byte
	// Asked is when the query was received, Answered when the answer was made;
	// zero: now.
	Asked, Answered time.Time
}

// The fields of dnstap.proto, as the tags they have in front: the number of the
// field times 8, and the wire type, 0 for a varint, 5 for 32 bits, 2 for bytes.
const (
	// Of Dnstap.
	tagIdentity = 1<<3 | 2
	tagVersion  = 2<<3 | 2
	tagMessage  = 14<<3 | 2
	tagKind     = 15 << 3 // Dnstap.type
	kindMessage = 1

	// Of Message.
	tagType         = 1 << 3
	tagFamily       = 2 << 3
	tagProtocol     = 3 << 3
	tagQueryAddress = 4<<3 | 2
	tagReplyAddress = 5<<3 | 2
	tagQueryPort    = 6 << 3
	tagReplyPort    = 7 << 3
	tagQuerySec     = 8 << 3
	tagQueryNsec    = 9<<3 | 5
	tagQuery        = 10<<3 | 2
	tagZone         = 11<<3 | 2
	tagReplySec     = 12 << 3
	tagReplyNsec    = 13<<3 | 5
	tagReply        = 14<<3 | 2

	authQuery    = 1
	authResponse = 2
	inet         = 1
	inet6        = 2
)

// frame is one message that is to be encoded.
type frame struct {
	x        *Exchange
	response bool
	size     int // of the Message
}

// frameOf measures a message.
func frameOf(x *Exchange, response bool) frame {
	f := frame{x: x, response: response}
	n := 2 + 2 + 2 // type, family, protocol
	n += addrPortSize(x.Client) + addrPortSize(x.Server)
	n += timeSize(x.Asked)
	if response {
		n += timeSize(x.Answered) + bytesSize(len(x.Answer))
		if x.Zone != "" {
			n += bytesSize(len(x.Zone))
		}
	} else {
		n += bytesSize(len(x.Query))
	}
	f.size = n
	return f
}

// whole is the size of the frame with the length that Frame Streams put before
// it. about is what every Dnstap begins with.
func (f frame) whole(about []byte) int {
	return lengthSize + len(about) + bytesSize(f.size)
}

// append encodes the frame. AUTH_QUERY has the time and the bytes of the query,
// AUTH_RESPONSE those of the answer, and both times, as BIND has it: whoever sees
// answers alone still sees how long they took.
func (f frame) append(b, about []byte) []byte {
	x := f.x
	b = binary.BigEndian.AppendUint32(b, uint32(f.whole(about)-lengthSize))
	b = append(b, about...)
	b = append(b, tagMessage)
	b = binary.AppendUvarint(b, uint64(f.size))

	kind, family := byte(authQuery), byte(inet)
	if f.response {
		kind = authResponse
	}
	if x.Client.Addr().Is6() {
		family = inet6
	}
	b = append(b, tagType, kind, tagFamily, family, tagProtocol, byte(x.Protocol))
	b = appendAddr(b, tagQueryAddress, x.Client.Addr())
	b = appendAddr(b, tagReplyAddress, x.Server.Addr())
	b = appendPort(b, tagQueryPort, x.Client)
	b = appendPort(b, tagReplyPort, x.Server)
	b = appendTime(b, tagQuerySec, tagQueryNsec, x.Asked)
	if !f.response {
		return appendBytes(b, tagQuery, x.Query)
	}
	if x.Zone != "" {
		b = append(b, tagZone)
		b = binary.AppendUvarint(b, uint64(len(x.Zone)))
		b = append(b, x.Zone...)
	}
	b = appendTime(b, tagReplySec, tagReplyNsec, x.Answered)
	return appendBytes(b, tagReply, x.Answer)
}

// aboutNode is what every Dnstap of a node begins with: who says it, and that it
// is a Message.
func aboutNode(identity, version string) []byte {
	var b []byte
	if identity != "" {
		b = appendBytes(b, tagIdentity, []byte(identity))
	}
	if version != "" {
		b = appendBytes(b, tagVersion, []byte(version))
	}
	return append(b, tagKind, kindMessage)
}

func uvarintSize(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// bytesSize is a field of n bytes with its tag and length.
func bytesSize(n int) int { return 1 + uvarintSize(uint64(n)) + n }

func appendBytes(b []byte, tag byte, v []byte) []byte {
	b = append(b, tag)
	b = binary.AppendUvarint(b, uint64(len(v)))
	return append(b, v...)
}

func addrPortSize(a netip.AddrPort) int {
	n := 1 + uvarintSize(uint64(a.Port()))
	switch {
	case a.Addr().Is4():
		n += bytesSize(4)
	case a.Addr().Is6():
		n += bytesSize(16)
	}
	return n
}

func appendAddr(b []byte, tag byte, a netip.Addr) []byte {
	switch {
	case a.Is4():
		v := a.As4()
		b = append(append(b, tag, 4), v[:]...)
	case a.Is6():
		v := a.As16()
		b = append(append(b, tag, 16), v[:]...)
	}
	return b
}

func appendPort(b []byte, tag byte, a netip.AddrPort) []byte {
	return binary.AppendUvarint(append(b, tag), uint64(a.Port()))
}

func timeSize(t time.Time) int { return 1 + uvarintSize(uint64(t.Unix())) + 1 + 4 }

func appendTime(b []byte, sec, nsec byte, t time.Time) []byte {
	b = binary.AppendUvarint(append(b, sec), uint64(t.Unix()))
	return binary.LittleEndian.AppendUint32(append(b, nsec), uint32(t.Nanosecond()))
}
