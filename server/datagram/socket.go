package datagram

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

const (
	// maxMessage is the largest datagram that is received whole. Queries are
	// below 512 bytes but for padding and cookies; beyond the usual 1500 of an
	// Ethernet they would have come in fragments.
	maxMessage = 2048
	// maxReply is the room for one reply: what resolvers take without
	// fragments (RFC 9715) and some to spare.
	maxReply = 1280
	// slack lies behind the last reply: an answer that is too large for the
	// client is known to be when it has been made, whole. It is a message of the
	// largest size and what a chain of names may have laid down before it; memory
	// that nothing is written to costs nothing.
	slack = 96 << 10

	// DefaultBuffer is asked of the kernel for each direction, in bytes. It is
	// some thousand queries, a few milliseconds of work: more would only make
	// the answers late.
	DefaultBuffer = 4 << 20
)

// Listen opens a socket on addr; port 0 lets the system choose.
//
// A port belongs to one program: without shared, Listen fails when anybody has
// the address, even if they would share it. With shared it joins the sockets
// that this user has already open there, and on Linux the kernel then spreads
// the clients over all of them. Every socket can be joined once it is open.
func Listen(addr netip.AddrPort, shared bool) (*Socket, error) {
	network := "udp4"
	if addr.Addr().Is6() {
		network = "udp6" // implies IPV6_V6ONLY
	}
	lc := net.ListenConfig{}
	if shared {
		lc.Control = func(_, _ string, c syscall.RawConn) error { return ShareAddress(c) }
	}
	pc, err := lc.ListenPacket(context.Background(), network, addr.String())
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	raw, err := conn.SyscallConn()
	if err == nil && !shared {
		err = ShareAddress(raw)
	}
	if err != nil {
		_ = conn.Close() // the reason is in err
		return nil, err
	}
	s := &Socket{
		addr: conn.LocalAddr().(*net.UDPAddr).AddrPort(),
		v6:   addr.Addr().Is6(), wildcard: addr.Addr().IsUnspecified(),
	}
	if err := s.take(conn, raw); err != nil {
		return nil, err
	}
	s.lay()
	if err := s.setOptions(); err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// Addr is the address the socket is bound to, with the port it really has.
func (s *Socket) Addr() netip.AddrPort { return s.addr }
