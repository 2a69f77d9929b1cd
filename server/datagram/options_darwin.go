package datagram

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// SharesLoad is whether several sockets of one address share its load. Darwin
// lets them bind but gives every datagram to the same one.
const SharesLoad = false

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
	_ = s.conn.SetReadBuffer(DefaultBuffer)
	_ = s.conn.SetWriteBuffer(DefaultBuffer)
	var err error
	if e := s.raw.Control(func(fd uintptr) {
		switch {
		case s.wildcard && s.v6:
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		case s.wildcard:
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
		}
	}); e != nil {
		return e
	}
	if err != nil {
		return fmt.Errorf("setsockopt pktinfo: %w", err)
	}
	return nil
}
