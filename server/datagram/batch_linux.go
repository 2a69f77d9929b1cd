package datagram

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batch is how many datagrams move in one system call. The gain is nearly
	// all there at 16; what lies beyond only has to cost no cache.
	batch = 64
	// stride is the distance of two receive buffers: an odd number of cache
	// lines, since at a power of two the first lines of all of them would fall
	// into the same few sets of the cache.
	stride = maxMessage + 64

	// controlSize holds one IPV6_PKTINFO message, the larger of the two.
	controlSize = 40

	// errorStreak is after how many failures in a row Receive takes a break of
	// errorBreak, so that a lasting failure does not eat a core.
	errorStreak = 16
	errorBreak  = 10 * time.Millisecond
)

// Socket is an open UDP socket with the memory for one batch. Receive,
// ReceiveRest, Message, Room, Reply and Send are for one goroutine; Stop, Close,
// Addr and KernelDrops are for any.
type Socket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	addr     netip.AddrPort
	v6       bool
	wildcard bool

	// The headers of both directions are laid out once. An incoming one keeps
	// its pointers; an outgoing one borrows the address and the control message
	// of the datagram that it answers.
	in, out       []unix.Mmsghdr
	inVec, outVec []unix.Iovec
	names         []unix.RawSockaddrInet6 // an IPv4 address takes the first 16 bytes
	control       []byte                  // batch times controlSize, wildcard sockets only
	inBuf, outBuf []byte

	replies int // headers in out
	outUsed int // bytes in outBuf: replies lie one behind the other, so that few lines are touched

	// What readTurn and writeTurn did. They are method values made once, since
	// making one allocates.
	readTurn, writeTurn func(fd uintptr) bool
	got                 int
	errno               syscall.Errno
	streak              int
	sent                int
	failed              int
}

// lay allocates the batch.
func (s *Socket) lay() {
	s.in, s.out = make([]unix.Mmsghdr, batch), make([]unix.Mmsghdr, batch)
	s.inVec, s.outVec = make([]unix.Iovec, batch), make([]unix.Iovec, batch)
	s.names = make([]unix.RawSockaddrInet6, batch)
	s.inBuf, s.outBuf = make([]byte, batch*stride), make([]byte, batch*maxReply)
	if s.wildcard {
		s.control = make([]byte, batch*controlSize)
	}
	// The kernel writes the length of the address back, and it is always that
	// of the socket's family, so it need not be set again.
	nameLen := uint32(unix.SizeofSockaddrInet4)
	if s.v6 {
		nameLen = unix.SizeofSockaddrInet6
	}
	for i := range batch {
		s.inVec[i].Base = &s.inBuf[i*stride]
		s.inVec[i].SetLen(maxMessage)
		h := &s.in[i].Hdr
		h.Name, h.Namelen = (*byte)(unsafe.Pointer(&s.names[i])), nameLen
		h.Iov = &s.inVec[i]
		h.SetIovlen(1)
		if s.wildcard {
			h.Control = &s.control[i*controlSize]
			h.SetControllen(controlSize)
		}
		o := &s.out[i].Hdr
		o.Namelen = nameLen
		o.Iov = &s.outVec[i]
		o.SetIovlen(1)
	}
	s.readTurn, s.writeTurn = s.receive, s.send
}

// Receive waits until there is at least one datagram and returns how many it
// took. The error is os.ErrDeadlineExceeded after Stop and net.ErrClosed after
// Close.
func (s *Socket) Receive() (int, error) {
	s.clear()
	for {
		if err := s.raw.Read(s.readTurn); err != nil {
			return 0, err
		}
		if s.got > 0 {
			s.streak = 0
			return s.got, nil
		}
		// An error about an earlier reply (ICMP), or the kernel is out of
		// memory: neither says anything about the next datagram.
		if s.streak++; s.streak >= errorStreak {
			s.streak = 0
			time.Sleep(errorBreak)
		}
	}
}

// ReceiveRest takes what is in the socket's buffer after Stop. It does not
// wait; 0 means that the buffer is empty.
func (s *Socket) ReceiveRest() int {
	s.clear()
	for range errorStreak {
		// Control, since Read would report the deadline that Stop has set.
		if err := s.raw.Control(func(fd uintptr) { s.receive(fd) }); err != nil {
			return 0
		}
		if s.got > 0 || s.errno == unix.EAGAIN {
			return s.got
		}
	}
	return 0
}

func (s *Socket) clear() {
	if s.wildcard {
		for i := range s.got {
			s.in[i].Hdr.SetControllen(controlSize)
		}
	}
	s.got, s.replies, s.outUsed = 0, 0, 0
}

// receive is one recvmmsg. It is false when Receive is to wait for the socket.
//
// The system call is raw, here and in send: it does not block, and telling the
// scheduler would let it take the processor away in the midst of a batch.
func (s *Socket) receive(fd uintptr) bool {
	for {
		n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, fd,
			uintptr(unsafe.Pointer(&s.in[0])), batch, unix.MSG_DONTWAIT, 0, 0)
		if e == unix.EINTR {
			continue
		}
		s.got, s.errno = 0, e
		if e == 0 {
			s.got = int(n)
		}
		return e != unix.EAGAIN
	}
}

// Message is the i-th datagram received, cut at maxMessage bytes, and whom it is
// from.
func (s *Socket) Message(i int) (msg []byte, from netip.AddrPort) {
	msg = s.inBuf[i*stride : i*stride+int(s.in[i].Len)]
	name := &s.names[i]
	port := toHost(name.Port) // at the same place in both families
	if s.v6 {
		from = netip.AddrPortFrom(netip.AddrFrom16(name.Addr), port)
	} else {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		from = netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	return msg, from
}

// Room is empty, with capacity for the next reply.
func (s *Socket) Room() []byte { return s.outBuf[s.outUsed:s.outUsed:len(s.outBuf)] }

// Reply puts b into the batch as the answer to the i-th datagram. b is best
// what was appended to Room, which the next Room then lies behind; any other
// memory must stay as it is until Send.
func (s *Socket) Reply(i int, b []byte) {
	if len(b) == 0 {
		return
	}
	k := s.replies
	s.replies++
	s.outVec[k].Base = &b[0]
	s.outVec[k].SetLen(len(b))
	h, from := &s.out[k].Hdr, &s.in[i].Hdr
	h.Name = from.Name
	if s.wildcard {
		h.Control = nil
		h.SetControllen(0)
		if c := s.control[i*controlSize:][:from.Controllen]; replySource(c) {
			h.Control = from.Control
			h.SetControllen(len(c))
		}
	}
	if s.outUsed < len(s.outBuf) && &b[0] == &s.outBuf[s.outUsed] {
		s.outUsed += len(b)
	}
}

// Send sends the batch. It waits while the socket's buffer is full and leaves
// out what cannot be sent: failed is how many. The error is net.ErrClosed after
// Close.
func (s *Socket) Send() (failed int, err error) {
	if s.replies == 0 {
		return 0, nil
	}
	s.sent, s.failed = 0, 0
	err = s.raw.Write(s.writeTurn)
	s.replies, s.outUsed = 0, 0
	return s.failed, err
}

// send sends what is left of the batch. It is false when Send is to wait.
func (s *Socket) send(fd uintptr) bool {
	for s.sent < s.replies {
		n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, fd,
			uintptr(unsafe.Pointer(&s.out[s.sent])), uintptr(s.replies-s.sent), unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			s.sent += int(n) // at least 1
		case unix.EINTR:
		case unix.EAGAIN:
			return false
		default:
			// The first of them was refused: a firewall (EPERM), no way back
			// to that client (ENETUNREACH), a report about an earlier reply
			// (ECONNREFUSED). The others have other clients.
			s.sent++
			s.failed++
		}
	}
	return true
}

// Stop ends Receive and takes the socket out of the kernel's choice: what comes
// from now on goes to another socket of the same or a wider address, or is
// refused. What is already in the buffer stays for ReceiveRest.
func (s *Socket) Stop() {
	// A connected socket only gets what its peer sends, and the peer is the
	// socket itself. Replies name their destination, so they still go out. When
	// it does not work, the datagrams between the last ReceiveRest and Close
	// are lost, which is what other servers do.
	_ = s.raw.Control(func(fd uintptr) {
		self := s.addr.Addr()
		if self.IsUnspecified() {
			self = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			if s.v6 {
				self = netip.IPv6Loopback()
			}
		}
		if s.v6 {
			_ = unix.Connect(int(fd), &unix.SockaddrInet6{Addr: self.As16(), Port: int(s.addr.Port())})
		} else {
			_ = unix.Connect(int(fd), &unix.SockaddrInet4{Addr: self.As4(), Port: int(s.addr.Port())})
		}
	})
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails only when closed, which ends Receive too
}

// KernelDrops is how many datagrams the kernel has dropped because the buffer
// was full, modulo 2^32.
func (s *Socket) KernelDrops() (n uint32) {
	var info [9]uint32 // SK_MEMINFO_VARS
	size := uint32(unsafe.Sizeof(info))
	_ = s.raw.Control(func(fd uintptr) {
		_, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if e == 0 {
			n = info[unix.SK_MEMINFO_DROPS]
		}
	})
	return n
}

// toHost turns a port as it lies in a socket address.
func toHost(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
