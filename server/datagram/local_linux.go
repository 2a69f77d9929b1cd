package datagram

import "net/netip"

// Local is the address that the i-th datagram came to, as far as it is known: on
// a wildcard socket the system says.
func (s *Socket) Local(i int) netip.AddrPort {
	if !s.wildcard {
		return s.addr
	}
	return destination(s.control[i*controlSize:][:s.in[i].Hdr.Controllen], s.addr)
}
