package datagram

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Join opens one more socket where somebody of this user has one already that others
// may join, as package net opens those of the network "udp": an unspecified address
// is that of both families, wherever the system has both. From then on the kernel
// spreads the clients over all of them. See Steer.
func Join(addr netip.AddrPort) (*Socket, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return ShareAddress(c) }}
	pc, err := lc.ListenPacket(context.Background(), "udp", addr.String())
	if err != nil {
		return nil, err
	}
	conn := pc.(*net.UDPConn)
	raw, err := conn.SyscallConn()
	if err != nil {
		_ = conn.Close() // the reason is in err
		return nil, err
	}
	s := &Socket{addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	s.v6, s.wildcard = s.addr.Addr().Is6(), s.addr.Addr().IsUnspecified()
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

// The parts of a Way.
const (
	wayControl = unix.SizeofSockaddrInet6
	wayLengths = wayControl + controlSize
)

// Way is how an answer gets back to whom a datagram came from: the address of that,
// and on a wildcard socket the one that it was sent to. It has no pointers.
type Way [wayLengths + 2]byte

// Way is the way back of the i-th datagram, which is good for longer than the batch.
func (s *Socket) Way(i int) (w Way) {
	h := &s.in[i].Hdr
	n := copy(w[:wayControl], unsafe.Slice(h.Name, h.Namelen))
	w[wayLengths] = byte(n)
	if s.wildcard {
		if c := s.control[i*controlSize:][:h.Controllen]; replySource(c) {
			w[wayLengths+1] = byte(copy(w[wayControl:wayLengths], c))
		}
	}
	return w
}

// Scope is the index of the interface that a link-local client is behind, 0 for
// others.
func (w *Way) Scope() int {
	if w[wayLengths] < unix.SizeofSockaddrInet6 {
		return 0
	}
	return int((*unix.RawSockaddrInet6)(unsafe.Pointer(w)).Scope_id)
}

// SendBack sends b on a way, at once. It waits while the socket's buffer is full. It
// is for any goroutine, and works until Close.
func (s *Socket) SendBack(w *Way, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	vec := unix.Iovec{Base: &b[0]}
	vec.SetLen(len(b))
	h := unix.Msghdr{Name: &w[0], Namelen: uint32(w[wayLengths]), Iov: &vec}
	h.SetIovlen(1)
	if n := int(w[wayLengths+1]); n > 0 {
		h.Control = &w[wayControl]
		h.SetControllen(n)
	}
	s.life.RLock()
	defer s.life.RUnlock()
	for {
		if s.fd < 0 || s.closing.Load() {
			return net.ErrClosed
		}
		_, _, e := unix.Syscall(unix.SYS_SENDMSG, uintptr(s.fd), uintptr(unsafe.Pointer(&h)), 0)
		switch e {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("sendmsg", e)
		}
	}
}

// maxSteered bounds the sockets that Steer chooses from, and so its program.
const maxSteered = 256

// Steer has the kernel hand what comes to this address to some of its sockets only,
// by turns: those at the places to, in the order in which they were bound. (When one
// is closed, the last of them takes its place.) It holds for all sockets of the
// address, those of other programs too, until Steer is called again, Unsteer is, or
// the last one is closed. Where there is no socket at a place the kernel chooses as
// before: whatever goes wrong, the datagram gets to one of them.
//
// A datagram of nine bytes that begins with probe goes to the place that its last
// byte says. Who gets it knows its own place then; nothing else says it.
//
// It is a classic socket filter (SO_ATTACH_REUSEPORT_CBPF), which needs no privilege.
func (s *Socket) Steer(to []uint8, probe [8]byte) error {
	if len(to) > maxSteered {
		return fmt.Errorf("datagram: steer: more than %d sockets", maxSteered)
	}
	p := program(to, probe)
	err := net.ErrClosed
	s.using(func(fd int) {
		err = os.NewSyscallError("setsockopt SO_ATTACH_REUSEPORT_CBPF", unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET,
			unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}))
	})
	return err
}

// Unsteer ends what Steer began.
func (s *Socket) Unsteer() error {
	err := net.ErrClosed
	s.using(func(fd int) {
		err = os.NewSyscallError("setsockopt SO_DETACH_REUSEPORT_BPF",
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DETACH_REUSEPORT_BPF, 0))
	})
	return err
}

// nowhere is no place, at which the kernel chooses.
const nowhere = 0xffffffff

// program is the filter of Steer. Its memory begins with the payload, and what reads
// beyond the end of that would choose the place 0.
func program(to []uint8, probe [8]byte) []unix.SockFilter {
	word := func(b []byte) uint32 { return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3]) }
	const probeLen = 9
	p := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_LEN},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: probeLen, Jf: 6},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: word(probe[:4]), Jf: 4},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 4},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: word(probe[4:]), Jf: 2},
		{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 8},
		{Code: unix.BPF_RET | unix.BPF_A},
	}
	ret := func(place uint32) { p = append(p, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: place}) }
	switch len(to) {
	case 0:
		ret(nowhere)
		return p
	case 1:
		ret(uint32(to[0]))
		return p
	}
	// A number of the kernel's, and not one of the packet: that of the processor or of
	// the client's port is the same for too many.
	const random = 56 // SKF_AD_RANDOM
	const ancillary = 0xfffff000
	p = append(
		p,
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: ancillary + random},
		unix.SockFilter{Code: unix.BPF_ALU | unix.BPF_MOD | unix.BPF_K, K: uint32(len(to))},
	)
	for i, place := range to {
		p = append(p, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: uint32(i), Jf: 1})
		ret(uint32(place))
	}
	ret(nowhere)
	return p
}
