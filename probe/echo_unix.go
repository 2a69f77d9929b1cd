//go:build unix

package probe

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// echoBuffer is how much a socket is to hold of what came and was not read yet. The
// first round of 10,000 pings comes back within milliseconds, and what is dropped
// here looks like loss on the way.
const echoBuffer = 4 << 20

// openEcho opens a socket for echo requests: a datagram socket, which needs no
// privilege where the system allows it, or else a raw one.
func openEcho(six bool) (echoConn, error) {
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	if six {
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
	}
	fd, err := echoSocket(family, unix.SOCK_DGRAM, proto)
	if err != nil && !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
		raw, errRaw := echoSocket(family, unix.SOCK_RAW, proto)
		switch {
		case errRaw == nil:
			fd, err = raw, nil
			filterEcho(fd, six)
		case errors.Is(errRaw, os.ErrPermission):
			return nil, errForbidden
		default:
			err = errRaw
		}
	}
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	widen(fd)
	c := &echoFD{f: os.NewFile(uintptr(fd), "icmp"), six: six}
	if c.raw, err = c.f.SyscallConn(); err != nil {
		_ = c.f.Close()
		return nil, err
	}
	return c, nil
}

func echoSocket(family, kind, proto int) (int, error) {
	// No process may be started between the two.
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, kind, proto)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

type echoFD struct {
	f   *os.File
	raw syscall.RawConn
	six bool
}

func (c *echoFD) close() error { return c.f.Close() }

func (c *echoFD) send(b []byte, to netip.Addr) error {
	var sa unix.Sockaddr
	if c.six {
		sa = &unix.SockaddrInet6{Addr: to.As16(), ZoneId: zoneID(to.Zone())}
	} else {
		sa = &unix.SockaddrInet4{Addr: to.As4()}
	}
	var err error
	if errRaw := c.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), b, 0, sa)
		return true // a ping that would have to wait for others is not one
	}); errRaw != nil {
		return errRaw
	}
	if errors.Is(err, unix.EAGAIN) {
		err = unix.ENOBUFS
	}
	return os.NewSyscallError("sendto", err)
}

func (c *echoFD) receive(b []byte) (n int, from netip.Addr, err error) {
	var sa unix.Sockaddr
	if errRaw := c.raw.Read(func(fd uintptr) bool {
		n, sa, err = unix.Recvfrom(int(fd), b, 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	}); errRaw != nil {
		return 0, netip.Addr{}, os.ErrClosed // the only reason not to wait
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		from = netip.AddrFrom4(sa.Addr)
	case *unix.SockaddrInet6:
		from = netip.AddrFrom16(sa.Addr)
	}
	return max(n, 0), from, err
}

// zoneID is the number of the interface that a zone names, 0 where there is none.
func zoneID(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if i, err := net.InterfaceByName(zone); err == nil {
		return uint32(i.Index)
	}
	n, _ := strconv.ParseUint(zone, 10, 32)
	return uint32(n)
}
