package probe

import (
	"encoding/binary"
	"net/netip"
)

// The messages of ICMP that a ping is about: RFC 792, RFC 4443.
const (
	echoRequest4, echoReply4, unreachable4 = 8, 0, 3
	echoRequest6, echoReply6, unreachable6 = 128, 129, 1

	protoICMP4, protoICMP6 = 1, 58
)

// echoLen is the length of our echo requests: the header of ICMP, and a payload of
// our cookie and the number of the request.
const echoLen = 8 + 16

// mark tells our requests from all others. The identifier and the sequence number of
// ICMP are for those who look on: 16 bits are too few for 10,000 pings in flight, and
// the kernel has the identifier its own way on datagram sockets.
type mark struct {
	cookie uint64 // of the socket, random: nobody elsewhere can guess a reply
	number uint64
}

// appendEcho appends an echo request.
func appendEcho(b []byte, six bool, id uint16, m mark) []byte {
	kind := byte(echoRequest4)
	if six {
		kind = echoRequest6
	}
	at := len(b)
	b = append(b, kind, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, id)
	b = binary.BigEndian.AppendUint16(b, uint16(m.number))
	b = binary.BigEndian.AppendUint64(b, m.cookie)
	b = binary.BigEndian.AppendUint64(b, m.number)
	if !six { // the kernel does it for ICMPv6, whose sum has addresses in it
		binary.BigEndian.PutUint16(b[at+2:], checksum(b[at:]))
	}
	return b
}

// checksum is that of RFC 1071.
func checksum(b []byte) uint16 {
	sum := uint32(0)
	for ; len(b) >= 2; b = b[2:] {
		sum += uint32(b[0])<<8 | uint32(b[1])
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// echo is what a message says of one of our requests.
type echo struct {
	mark
	// refused says that it is no reply: a router or the host itself says that the
	// request cannot be delivered.
	refused bool
	// to is where the request went; only with refused.
	to netip.Addr
}

// parseEcho reads a message of ICMP. It is not ok when it is not about a request of
// the shape of ours. Some systems give the IPv4 header with it, which is skipped.
func parseEcho(b []byte, six bool) (e echo, ok bool) {
	if !six && len(b) > 0 && b[0]>>4 == 4 {
		if b, ok = skipIPv4(b); !ok {
			return echo{}, false
		}
	}
	if len(b) < 8 {
		return echo{}, false
	}
	reply, unreachable, request := byte(echoReply4), byte(unreachable4), byte(echoRequest4)
	if six {
		reply, unreachable, request = echoReply6, unreachable6, echoRequest6
	}
	switch b[0] {
	case reply:
		if b[1] != 0 {
			return echo{}, false
		}
	case unreachable:
		// Behind the header stands the beginning of the packet that was sent.
		e.refused = true
		if b = b[8:]; six {
			if len(b) < 40 || b[0]>>4 != 6 || b[6] != protoICMP6 {
				return echo{}, false
			}
			e.to = netip.AddrFrom16([16]byte(b[24:40]))
			b = b[40:]
		} else {
			if len(b) < 20 || b[0]>>4 != 4 || b[9] != protoICMP4 {
				return echo{}, false
			}
			e.to = netip.AddrFrom4([4]byte(b[16:20]))
			if b, ok = skipIPv4(b); !ok {
				return echo{}, false
			}
		}
		if len(b) < 8 || b[0] != request {
			return echo{}, false
		}
	default:
		return echo{}, false
	}
	if len(b) < echoLen {
		return echo{}, false
	}
	e.cookie, e.number = binary.BigEndian.Uint64(b[8:]), binary.BigEndian.Uint64(b[16:])
	return e, true
}

// skipIPv4 is what stands behind an IPv4 header.
func skipIPv4(b []byte) ([]byte, bool) {
	n := int(b[0]&0x0f) * 4
	if n < 20 || len(b) < n {
		return nil, false
	}
	return b[n:], true
}
