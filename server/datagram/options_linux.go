package datagram

import (
	"fmt"
	"syscall"
	"unsafe"

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
	s.SetReceiveBuffer(DefaultBuffer)
	if unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, DefaultBuffer) != nil {
		_ = unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, DefaultBuffer)
	}
	// A forged "fragmentation needed" must not make us send fragments, whose
	// rest anybody can forge: ignore path MTU news (RFC 9715 section 3.1).
	if s.v6 {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_OMIT)
	} else {
		_ = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_OMIT)
	}
	var err error
	switch {
	case s.wildcard && s.v6:
		err = unix.SetsockoptInt(s.fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	case s.wildcard:
		err = unix.SetsockoptInt(s.fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err != nil {
		return fmt.Errorf("setsockopt pktinfo: %w", err)
	}
	return nil
}

// SetReceiveBuffer asks for a receive buffer of n bytes, and returns how many
// there are now: fewer where net.core.rmem_max is less and the process has no
// CAP_NET_ADMIN, 0 when the socket is closed.
func (s *Socket) SetReceiveBuffer(n int) (got int) {
	s.using(func(fd int) {
		// The forced size is for who may; the other is cut.
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, n) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n)
		}
		got, _ = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
	})
	// The kernel doubles what is asked for, to have room for its own headers, and
	// says the double.
	return got / 2
}

// KernelDrops is how many datagrams the kernel has dropped because the buffer
// was full.
//
// The counter is the one that SO_RXQ_OVFL would put beside every datagram. To
// ask for it costs the road of a query nothing, and says of the drops after
// which nothing has been received.
func (s *Socket) KernelDrops() uint64 {
	s.dropsMu.Lock()
	defer s.dropsMu.Unlock()
	s.using(func(fd int) {
		var info [9]uint32 // SK_MEMINFO_VARS
		size := uint32(unsafe.Sizeof(info))
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if e == 0 {
			// The kernel counts modulo 2^32, an hour of a heavy flood.
			now := info[unix.SK_MEMINFO_DROPS]
			s.drops += uint64(now - s.dropsSeen)
			s.dropsSeen = now
		}
	})
	return s.drops
}
