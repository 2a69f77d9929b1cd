//go:build !linux

package datagram

import "net/netip"

// Local is the address that the datagram came to, as far as it is known: on a
// wildcard socket the system says, if it does.
func (s *Socket) Local(int) netip.AddrPort {
	if !s.wildcard {
		return s.addr
	}
	return destination(s.control[:s.gotC], s.addr)
}
