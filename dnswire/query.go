package dnswire

import "net/netip"

// Status is what Parse made of a packet.
type Status uint8

// The statuses of a packet, from best to worst.
const (
	StatusOK         Status = iota // a query that can be answered
	StatusCookieOnly               // no question, only a request for a cookie (RFC 7873 section 5.4)
	StatusDrop                     // not a query (too short for a header, or a response): silence
	StatusFormErr                  // malformed: FORMERR
	StatusNotImp                   // an opcode other than QUERY: NOTIMP
	StatusBadVers                  // an EDNS version above 0: BADVERS
)

// Transport is how a query arrived.
type Transport uint8

// The transports.
const (
	UDP Transport = iota
	TCP
	TLS // DNS over TLS (RFC 7858)
)

// CookieState is what is known of the server cookie in a query.
type CookieState uint8

// The states of a cookie.
const (
	// CookieNone: the query has no COOKIE option, or nobody has looked at it.
	CookieNone CookieState = iota
	// CookieUnverified: a client cookie alone, or with a server cookie that does
	// not hold, which is to be taken for none (RFC 7873 section 5.2.4).
	CookieUnverified
	// CookieValid: the client has its server cookie from us.
	CookieValid
)

// The lengths of cookies in bytes: a client's (RFC 7873 section 4.1), and a
// server's as we make it (RFC 9018 section 4).
const (
	ClientCookieLen = 8
	ServerCookieLen = 16
)

// ECS is an EDNS client subnet option (RFC 7871) as the client sent it.
type ECS struct {
	Present bool
	Family  uint16 // 1 IPv4, 2 IPv6, 0 only with SourceBits 0
	// SourceBits is the prefix length the client stated.
	SourceBits uint8
	// Addr is the address, padded with zero bits; IPv4 in the first four bytes.
	Addr [16]byte
}

// Query is one parsed packet. A worker keeps one Query and parses every packet
// into it, so nothing in it outlives the next Parse.
type Query struct {
	// Msg is the packet as it came; the question goes back from it byte for byte.
	Msg []byte
	// QuestionEnd is the offset in Msg just past the question section, or 12
	// when there is no question or none that could be read.
	QuestionEnd int
	ID          uint16
	Flags       uint16 // the header's second word as it came
	Type        Type
	Class       Class
	Status      Status

	// EDNS is whether the packet has an OPT record that could be read.
	EDNS bool
	DO   bool
	NSID bool // the client asks for the server's identity (RFC 5001)
	// TSIG is whether the additional section ends with a TSIG record. Parse does
	// not read it.
	TSIG bool
	// TCPKeepalive is whether the client wants to know how long it may stay idle
	// (RFC 7828). It is never set over UDP.
	TCPKeepalive bool
	Padding      bool // the client pads, and wants the answer padded (RFC 7830)
	ZoneVersion  bool // the client asks for the version of the zone (RFC 9660)
	Version      uint8
	UDPSize      uint16 // as the client stated it
	ECS          ECS
	// Cookie is the content of the COOKIE option: the client cookie, 8 bytes, and
	// behind it 8 to 32 bytes that the client takes for our server cookie, or
	// nothing (RFC 7873 section 4). It points into Msg; nil without the option.
	Cookie []byte

	// What follows is set by whoever received the packet. Parse leaves it alone,
	// but for CookieState, which it makes CookieNone.

	// Transport is set before Parse, which goes by it.
	Transport Transport
	// Client is where the query came from, and not a proxy.
	Client netip.AddrPort
	// CookieState is what came of checking Cookie. ServerCookie is the server
	// cookie for the answer; it has no meaning while CookieState is CookieNone.
	CookieState  CookieState
	ServerCookie [ServerCookieLen]byte
	// IdleTimeout is how long the client may keep the connection without a query,
	// in units of 100 ms; 0 says nothing.
	IdleTimeout uint16

	name   [256]byte
	labels [128]uint8
	// nameLen is the length of the name with its root byte, 0 when there is none.
	nameLen uint8
	nlabels uint8
}

// Name is the question's name in lower-case wire form, with its root byte.
// It points into the Query.
func (q *Query) Name() []byte { return q.name[:q.nameLen] }

// Labels is the number of labels of the name, the root not counted.
func (q *Query) Labels() int { return int(q.nlabels) }

// Suffix is the name without its first n labels; Suffix(q.Labels()) is the root.
// It is empty when there is no name.
func (q *Query) Suffix(n int) []byte {
	if n >= int(q.nlabels) {
		if q.nameLen == 0 {
			return nil
		}
		return q.name[q.nameLen-1 : q.nameLen]
	}
	return q.name[q.labels[n]:q.nameLen]
}
