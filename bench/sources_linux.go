package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sources sends from one address after another of 127.0.0.0/8, a random /24 each,
// all of which are this machine's: what leaves in one piece is of one client.
type sources struct {
	to      unix.RawSockaddrInet4
	msg     unix.Msghdr
	vec     unix.Iovec
	control [controlLen]byte
	random  *rand.PCG
}

// controlLen is the space of a control message with an in_pktinfo: the interface,
// the address to send from, and one that counts on the way in alone.
const controlLen = unix.SizeofCmsghdr + unix.SizeofInet4Pktinfo + 4

func openSources(fd int, to netip.AddrPort) (*sources, error) {
	// No address of the socket's own, so that answers come to all of them, and
	// nothing from beyond this machine.
	if err := unix.SetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE, "lo"); err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{}); err != nil {
		return nil, err
	}
	s := &sources{to: unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: to.Addr().As4()}, random: rand.NewPCG(1, 1)}
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&s.to.Port))[:], to.Port())
	head := (*unix.Cmsghdr)(unsafe.Pointer(&s.control[0]))
	head.Level, head.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	head.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	return s, nil
}

// send sends what is in b, in pieces if the socket cuts.
func (s *sources) send(fd int, b []byte) unix.Errno {
	r := s.random.Uint64()
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&s.control[unix.SizeofCmsghdr]))
	info.Spec_dst = [4]byte{127, byte(r), byte(r >> 8), 1}
	s.vec.Base = &b[0]
	s.vec.SetLen(len(b))
	s.msg = unix.Msghdr{Name: (*byte)(unsafe.Pointer(&s.to)), Namelen: unix.SizeofSockaddrInet4, Iov: &s.vec, Control: &s.control[0]}
	s.msg.SetIovlen(1)
	s.msg.SetControllen(len(s.control))
	_, _, e := unix.RawSyscall6(unix.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&s.msg)), 0, 0, 0, 0)
	return e
}
