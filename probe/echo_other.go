//go:build !unix

package probe

import (
	"errors"
	"net"
	"net/netip"
	"os"
)

// openEcho opens a raw socket for echo requests; this system has no others.
func openEcho(six bool) (echoConn, error) {
	network, address := "ip4:icmp", "0.0.0.0"
	if six {
		network, address = "ip6:ipv6-icmp", "::"
	}
	c, err := net.ListenPacket(network, address)
	if err != nil {
		if os.IsPermission(err) {
			return nil, errForbidden
		}
		return nil, err
	}
	return packetConn{c}, nil
}

type packetConn struct{ c net.PacketConn }

func (p packetConn) close() error { return p.c.Close() }

func (p packetConn) send(b []byte, to netip.Addr) error {
	_, err := p.c.WriteTo(b, &net.IPAddr{IP: to.AsSlice(), Zone: to.Zone()})
	return err
}

func (p packetConn) receive(b []byte) (int, netip.Addr, error) {
	n, from, err := p.c.ReadFrom(b)
	if err != nil {
		if errors.Is(err, net.ErrClosed) {
			err = os.ErrClosed
		}
		return 0, netip.Addr{}, err
	}
	a, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP)
	return n, a, nil
}
