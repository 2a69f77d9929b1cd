package datagram

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// SharesLoad is whether several sockets of one address share its load.
const SharesLoad = true

// ShareAddress lets the sockets of this user share an address (SO_REUSEPORT).
// It counts at the bind of the later one, and then both must have it.
func ShareAddress(c syscall.RawConn) error {
	var err error
	if e := c.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("setsockopt SO_REUSEPORT: %w", err)
	}
	return nil
}

// setOptions sets what only makes the socket better, and fails for the one
// option without which replies would be wrong.
func (s *Socket) setOptions() error {
	var err error
	if e := s.raw.Control(func(fd uintptr) {
		f := int(fd)
		// The forced size is for who may (CAP_NET_ADMIN); the other is cut to
		// net.core.rmem_max.
		if unix.SetsockoptInt(f, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, socketBuffer) != nil {
			_ = unix.SetsockoptInt(f, unix.SOL_SOCKET, unix.SO_RCVBUF, socketBuffer)
		}
		if unix.SetsockoptInt(f, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, socketBuffer) != nil {
			_ = unix.SetsockoptInt(f, unix.SOL_SOCKET, unix.SO_SNDBUF, socketBuffer)
		}
		// A forged "fragmentation needed" must not make us send fragments, whose
		// rest anybody can forge: ignore path MTU news (RFC 9715 section 3.1).
		if s.v6 {
			_ = unix.SetsockoptInt(f, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
		} else {
			_ = unix.SetsockoptInt(f, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
		}
		switch {
		case s.wildcard && s.v6:
			err = unix.SetsockoptInt(f, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		case s.wildcard:
			err = unix.SetsockoptInt(f, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	}); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("setsockopt pktinfo: %w", err)
	}
	return nil
}
