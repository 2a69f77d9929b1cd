//go:build linux || darwin

package datagram

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// replySource turns the control message that came with a query into the one
// that makes the reply leave from the query's destination, in place. It is
// false when there is none.
//
// in_pktinfo is {ifindex, spec_dst, addr}, in6_pktinfo {addr, ifindex}. The
// interface is cleared: the way back is the routing table's to choose, and need
// not be the way in. A link-local address means nothing without its interface.
func replySource(control []byte) bool {
	data := unix.CmsgLen(0)
	if len(control) < data {
		return false
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
	switch {
	case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(control) >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
		clear(control[data : data+4])
		return true
	case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(control) >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
		if !netip.AddrFrom16([16]byte(control[data : data+16])).IsLinkLocalUnicast() {
			clear(control[data+16 : data+20])
		}
		return true
	}
	return false
}

// destination is the address that a datagram to a wildcard socket came to, by the
// control message that came with it, with the port of bound. It is no address when
// there is no such message.
func destination(control []byte, bound netip.AddrPort) netip.AddrPort {
	data := unix.CmsgLen(0)
	var to netip.Addr
	if len(control) >= data {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&control[0]))
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(control) >= unix.CmsgLen(unix.SizeofInet4Pktinfo):
			to = netip.AddrFrom4([4]byte(control[data+8 : data+12]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(control) >= unix.CmsgLen(unix.SizeofInet6Pktinfo):
			to = netip.AddrFrom16([16]byte(control[data : data+16]))
		}
	}
	return netip.AddrPortFrom(to, bound.Port())
}
