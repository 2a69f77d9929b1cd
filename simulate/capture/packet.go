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

// datagram is the source and the payload of a UDP datagram that is whole.
func datagram(link uint32, b []byte) (source netip.Addr, payload []byte, ok bool) {
	var ether uint16
	switch link {
	case linkEthernet:
		if len(b) < 14 {
			return source, nil, false
		}
		ether, b = binary.BigEndian.Uint16(b[12:]), b[14:]
	case linkCooked:
		if len(b) < 16 {
			return source, nil, false
		}
		ether, b = binary.BigEndian.Uint16(b[14:]), b[16:]
	case linkCooked2:
		if len(b) < 20 {
			return source, nil, false
		}
		ether, b = binary.BigEndian.Uint16(b), b[20:]
	case linkNull, linkLoop:
		// The number of IPv6 differs from system to system; the packet says it as well.
		if len(b) < 4 {
			return source, nil, false
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
			return source, nil, false
		}
		ether, b = binary.BigEndian.Uint16(b[2:]), b[4:]
	}
	if ether != etherIPv4 && ether != etherIPv6 {
		return source, nil, false
	}
	return ip(b)
}

// The protocols within IP.
const (
	protoHopByHop    = 0
	protoUDP         = 17
	protoRouting     = 43
	protoFragment    = 44
	protoDestination = 60
)

// ip reads a packet of IPv4 or IPv6. A fragment is no whole datagram.
func ip(b []byte) (source netip.Addr, payload []byte, ok bool) {
	if len(b) == 0 {
		return source, nil, false
	}
	switch b[0] >> 4 {
	case 4:
		const moreOrOffset = 0x3fff
		if len(b) < 20 {
			return source, nil, false
		}
		head, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
		if head < 20 || total < head || total > len(b) || binary.BigEndian.Uint16(b[6:])&moreOrOffset != 0 || b[9] != protoUDP {
			return source, nil, false
		}
		source = netip.AddrFrom4([4]byte(b[12:16]))
		payload, ok = udp(b[head:total])
	case 6:
		if len(b) < 40 {
			return source, nil, false
		}
		total := 40 + int(binary.BigEndian.Uint16(b[4:]))
		if total > len(b) {
			return source, nil, false
		}
		source = netip.AddrFrom16([16]byte(b[8:24]))
		payload, ok = extensions(b[6], b[40:total])
	}
	return source, payload, ok
}

// maxExtensions is how many extension headers are looked behind.
const maxExtensions = 8

// extensions reads what lies behind the header of IPv6.
func extensions(next byte, b []byte) (payload []byte, ok bool) {
	for range maxExtensions {
		switch next {
		case protoUDP:
			return udp(b)
		case protoHopByHop, protoRouting, protoDestination:
			if len(b) < 8 {
				return nil, false
			}
			size := 8 + 8*int(b[1])
			if size > len(b) {
				return nil, false
			}
			next, b = b[0], b[size:]
		case protoFragment:
			const moreOrOffset = 0xfff9
			if len(b) < 8 || binary.BigEndian.Uint16(b[2:])&moreOrOffset != 0 {
				return nil, false
			}
			next, b = b[0], b[8:]
		default:
			return nil, false
		}
	}
	return nil, false
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
