package capture

import (
	"encoding/binary"
	"fmt"
	"net/netip"
)

// The link types of packets (https://www.tcpdump.org/linktypes.html).
const (
	linkNull     = 0 // BSD loopback: a word for the protocol
	linkEthernet = 1
	linkRawBSD   = 12 // raw IP, as OpenBSD and others number it
	linkRawBSDI  = 14
	linkRaw      = 101
	linkLoop     = 108
	linkCooked   = 113 // Linux, capturing on any interface
	linkIPv4     = 228
	linkIPv6     = 229
	linkCooked2  = 276
)

func knownLink(link uint32) bool {
	switch link {
	case linkNull, linkEthernet, linkRawBSD, linkRawBSDI, linkRaw, linkLoop, linkCooked, linkIPv4, linkIPv6, linkCooked2:
		return true
	}
	return false
}

func unknownLink(link uint32) error {
	return fmt.Errorf("link type %d is not known: capture on Ethernet, loopback, a tunnel of IP, or any interface of Linux", link)
}

// The types of Ethernet.
const (
	etherIPv4 = 0x0800
	etherIPv6 = 0x86dd
	etherVLAN = 0x8100 // IEEE 802.1Q
	etherQinQ = 0x88a8 // IEEE 802.1ad
	etherOld  = 0x9100 // what came before it
)

// maxTags is how many VLAN tags a frame may have.
const maxTags = 4

// segment is what a packet of IP carries.
type segment struct {
	source netip.Addr
	proto  byte   // protoUDP or protoTCP
	body   []byte // the header of that, and what is behind it
}

// segmentOf is what a whole packet carries, of a frame of a link.
func segmentOf(link uint32, b []byte) (s segment, ok bool) {
	var ether uint16
	switch link {
	case linkEthernet:
		if len(b) < 14 {
			return s, false
		}
		ether, b = binary.BigEndian.Uint16(b[12:]), b[14:]
	case linkCooked:
		if len(b) < 16 {
			return s, false
		}
		ether, b = binary.BigEndian.Uint16(b[14:]), b[16:]
	case linkCooked2:
		if len(b) < 20 {
			return s, false
		}
		ether, b = binary.BigEndian.Uint16(b), b[20:]
	case linkNull, linkLoop:
		// The number of IPv6 differs from system to system; the packet says it as well.
		if len(b) < 4 {
			return s, false
		}
		return ip(b[4:])
	default:
		return ip(b)
	}
	for range maxTags {
		if ether != etherVLAN && ether != etherQinQ && ether != etherOld {
			break
		}
		if len(b) < 4 {
			return s, false
		}
		ether, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if ether != etherIPv4 && ether != etherIPv6 {
		return s, false
	}
	return ip(b)
}

// The protocols within IP.
const (
	protoHopByHop    = 0
	protoTCP         = 6
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoDestination = 60
)

// ip reads a packet of IPv4 or IPv6. A fragment is no whole one.
func ip(b []byte) (s segment, ok bool) {
	if len(b) == 0 {
		return s, false
	}
	switch b[0] >> 4 {
	case 4:
		const moreOrOffset = 0x3fff
		if len(b) < 20 {
			return s, false
		}
		head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if head < 20 || total < head || total > len(b) || binary.BigEndian.Uint16(b[6:])&moreOrOffset != 0 {
			return s, false
		}
		s = segment{netip.AddrFrom4([4]byte(b[12:16])), b[9], b[head:total]}
	case 6:
		if len(b) < 40 {
			return s, false
		}
		total := 40 + int(binary.BigEndian.Uint16(b[4:]))
		if total > len(b) {
			return s, false
		}
		s.source = netip.AddrFrom16([16]byte(b[8:24]))
		s.proto, s.body = extensions(b[6], b[40:total])
	}
	return s, s.proto == protoUDP || s.proto == protoTCP
}

// maxExtensions is how many extension headers are looked behind.
const maxExtensions = 8

// extensions looks behind the headers of IPv6 that come first. Of what is malformed
// or a fragment the protocol is that of such a header.
func extensions(next byte, b []byte) (proto byte, body []byte) {
	for range maxExtensions {
		switch next {
		case protoHopByHop, protoRouting, protoDestination:
			if len(b) < 8 {
				return next, nil
			}
			size := 8 + 8*int(b[1])
			if size > len(b) {
				return next, nil
			}
			next, b = b[0], b[size:]
		case protoFragment:
			const moreOrOffset = 0xfff9
			if len(b) < 8 || binary.BigEndian.Uint16(b[2:])&moreOrOffset != 0 {
				return next, nil
			}
			next, b = b[0], b[8:]
		default:
			return next, b
		}
	}
	return next, nil
}

// udp is the payload of a datagram.
func udp(b []byte) ([]byte, bool) {
	if len(b) < 8 {
		return nil, false
	}
	size := int(binary.BigEndian.Uint16(b[4:]))
	if size < 8 || size > len(b) {
		return nil, false
	}
	return b[8:size], true
}

// portDNS is where messages over TCP go in plain text.
const portDNS = 53

// tcp is the port that a segment goes to, and its payload.
func tcp(b []byte) (port uint16, payload []byte, ok bool) {
	if len(b) < 20 {
		return 0, nil, false
	}
	head := int(b[12]>>4) * 4
	if head < 20 || head > len(b) {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(b[2:]), b[head:], true
}

// whole is whether a payload is nothing but messages with their lengths in front
// (RFC 1035 section 4.2.2), one at least.
func whole(b []byte) bool {
	const header = 12 // of a message
	for rest := b; ; {
		if len(rest) < 2+header {
			return false
		}
		size := int(binary.BigEndian.Uint16(rest))
		if size < header || 2+size > len(rest) {
			return false
		}
		if rest = rest[2+size:]; len(rest) == 0 {
			return true
		}
	}
}

// packet hands on what a packet of a link has.
func (in *input) packet(link uint32, b []byte) error {
	s, ok := segmentOf(link, b)
	if !ok {
		in.counts.Other++
		return nil
	}
	if s.proto == protoUDP {
		payload, ok := udp(s.body)
		if !ok {
			in.counts.Other++
			return nil
		}
		return in.message(s.source, payload)
	}
	port, payload, ok := tcp(s.body)
	switch {
	case ok && whole(payload):
		for len(payload) > 0 {
			size := 2 + int(binary.BigEndian.Uint16(payload))
			if err := in.message(s.source, payload[2:size]); err != nil {
				return err
			}
			payload = payload[size:]
		}
	case ok && port == portDNS && len(payload) > 0:
		in.counts.Parts++
	default:
		in.counts.Other++
	}
	return nil
}
