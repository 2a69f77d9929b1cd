package loop

import (
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the loop asks of the kernel never waits, since no socket of it blocks, and some
// of it takes longer than the runtime lets a thread be away without giving its work to
// another one: connect does on loopback. Two threads then take turns, at the price of
// a switch for each connection. The calls below are made without telling the runtime.

// address is that of a socket, as the kernel has it.
type address struct {
	four unix.RawSockaddrInet4
	six  unix.RawSockaddrInet6
}

// set makes it that of an endpoint, and gives what connect takes.
func (a *address) set(to netip.AddrPort) (unsafe.Pointer, uintptr) {
	port := [2]byte{byte(to.Port() >> 8), byte(to.Port())}
	if ip := to.Addr().Unmap(); ip.Is4() {
		a.four = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: ip.As4()}
		return unsafe.Pointer(&a.four), unix.SizeofSockaddrInet4
	}
	a.six = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: *(*uint16)(unsafe.Pointer(&port)), Addr: to.Addr().As16()}
	return unsafe.Pointer(&a.six), unix.SizeofSockaddrInet6
}

// localAddress is this side's address of a socket.
func localAddress(fd int) (netip.AddrPort, unix.Errno) {
	var a unix.RawSockaddrInet6 // which has the port where that of IPv4 has it
	size := uint32(unsafe.Sizeof(a))
	_, _, e := unix.RawSyscall(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&a)), uintptr(unsafe.Pointer(&size)))
	p := *(*[2]byte)(unsafe.Pointer(&a.Port))
	port := uint16(p[0])<<8 | uint16(p[1])
	if a.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4((*unix.RawSockaddrInet4)(unsafe.Pointer(&a)).Addr), port), e
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.Addr), port), e
}

func connect(fd int, to unsafe.Pointer, size uintptr) unix.Errno {
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(to), size)
	return e
}

// dissolve ends a connection by connecting to AF_UNSPEC, which is 0 (connect(2)).
func dissolve(fd int) unix.Errno {
	var nowhere unix.RawSockaddrInet4
	return connect(fd, unsafe.Pointer(&nowhere), unix.SizeofSockaddrInet4)
}

// pending takes the error of a socket, and says whether it could be asked for.
func pending(fd int) (e, asked unix.Errno) {
	var value int32
	size := uint32(unsafe.Sizeof(value))
	_, _, asked = unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&value)), uintptr(unsafe.Pointer(&size)), 0)
	return unix.Errno(value), asked
}

func read(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), e
}

func write(fd int, b []byte) (int, unix.Errno) {
	n, _, e := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), e
}

func shut(fd int) { _, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// happening is the events that there are.
func happening(set int, events []unix.EpollEvent) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(set), uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	return int(n), e
}

func control(set, operation, fd int, e *unix.EpollEvent) unix.Errno {
	_, _, no := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(set), uintptr(operation), uintptr(fd), uintptr(unsafe.Pointer(e)), 0, 0)
	return no
}
