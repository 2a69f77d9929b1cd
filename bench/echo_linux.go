package main

import (
	"fmt"
	"net/netip"
	"runtime"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// echo sends every datagram back with a batch each way and without a thought:
// what the kernel costs, which no server of its kind can avoid. It shares no
// code with the server, so that it stays what it is. It prints its address and
// runs until it is killed.
func echo() error {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // a collection would wait for the call in vain
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fmt.Errorf("bind: %w", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return fmt.Errorf("getsockname: %w", err)
	}
	fmt.Println(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(sa.(*unix.SockaddrInet4).Port)))

	// An odd number of cache lines apart, so that the first of all do not fall
	// into the same set.
	const stride = 512 + 64
	hdr, vec := make([]unix.Mmsghdr, batch), make([]unix.Iovec, batch)
	names, buf := make([]unix.RawSockaddrInet4, batch), make([]byte, batch*stride)
	for i := range batch {
		vec[i].Base = &buf[i*stride]
		hdr[i].Hdr.Iov = &vec[i]
		hdr[i].Hdr.SetIovlen(1)
		hdr[i].Hdr.Name = (*byte)(unsafe.Pointer(&names[i]))
	}
	for {
		for i := range batch {
			vec[i].SetLen(stride)
			hdr[i].Hdr.Namelen = unix.SizeofSockaddrInet4
		}
		// It sleeps in the call until there is one, and takes what is there. The
		// call is raw, since Go's scheduler has nothing else to run here, and
		// looking for that at every call is not the kernel's cost.
		r, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&hdr[0])), batch, unix.MSG_WAITFORONE, 0, 0)
		if e == unix.EINTR {
			continue
		}
		if e != 0 {
			return fmt.Errorf("receive: %w", e)
		}
		for i := range int(r) {
			vec[i].SetLen(int(hdr[i].Len))
		}
		for sent := 0; sent < int(r); {
			n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(fd), uintptr(unsafe.Pointer(&hdr[sent])), r-uintptr(sent), 0, 0, 0)
			if e == 0 {
				sent += int(n)
			} else if e != unix.EINTR {
				sent++ // that client is gone
			}
		}
	}
}
