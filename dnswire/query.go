package dnswire

import "net/netip"

// Status is what Parse made of a packet.
type Status uint8

// The statuses of a packet, from best to worst.
const (
	StatusOK      Status = iota // a query that can be answered
	StatusDrop                  // not a query (too short for a header, or a response): silence
	StatusFormErr               // malformed: FORMERR
	StatusNotImp                // an opcode other than QUERY: NOTIMP
	StatusBadVers               // an EDNS version above 0: BADVERS
)

// Transport is how a query arrived.
type Transport uint8

// The transports.
const (
	UDP Transport = iota
	TCP
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
	// when no question could be read.
	QuestionEnd int
	ID          uint16
	Flags       uint16 // the header's second word as it came
	Type        Type
	Class       Class
	Status      Status

	// EDNS is whether the packet has an OPT record that could be read.
	EDNS    bool
	DO      bool
	NSID    bool // the client asks for the server's identity (RFC 5001)
	Version uint8
	UDPSize uint16 // as the client stated it
	ECS     ECS

	// TSIG is whether the additional section has a TSIG record. Parse does not
	// read it, nor mind where it stands.
	TSIG bool

	// Transport and Client are set by whoever received the packet, not by Parse.
	Transport Transport
	Client    netip.AddrPort

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
