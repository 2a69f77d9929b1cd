package datagram

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
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

	// yieldEvery is half of the time after which the runtime takes a P away.
	yieldEvery = 5 * time.Millisecond
)

// Socket is an open UDP socket with the memory for one batch. Receive,
// ReceiveRest, Message, Room, Reply and Send are for one goroutine; Stop, Close,
// Addr, SetReceiveBuffer and KernelDrops are for any.
type Socket struct {
	handle

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

	got    int // datagrams in in
	streak int // failures of Receive in a row

	// yielded is when Receive has last let go of the scheduler's P, by its
	// caller's clock.
	yielded time.Duration

	dropsMu   sync.Mutex
	drops     uint64
	dropsSeen uint32
}

// lay allocates the batch.
func (s *Socket) lay() {
	s.in, s.out = make([]unix.Mmsghdr, batch), make([]unix.Mmsghdr, batch)
	s.inVec, s.outVec = make([]unix.Iovec, batch), make([]unix.Iovec, batch)
	s.names = make([]unix.RawSockaddrInet6, batch)
	s.inBuf, s.outBuf = make([]byte, batch*stride), make([]byte, batch*maxReply+slack)
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
}

// Receive waits until there is at least one datagram and returns how many it
// took. The error is os.ErrDeadlineExceeded after Stop and net.ErrClosed after
// Close. Now is a monotonic time, of the batch before is good enough: who serves
// has read the clock for it, and once is enough.
func (s *Socket) Receive(now time.Duration) (int, error) {
	s.clear()
	s.yield(now)
	for {
		if err := s.ended(); err != nil {
			return 0, err
		}
		e := s.receive(unix.MSG_WAITFORONE)
		if s.got > 0 {
			s.streak = 0
			return s.got, nil
		}
		if e == 0 || e == unix.EINTR {
			continue // woken by Stop or Close, or by a signal
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
		e := s.receive(unix.MSG_DONTWAIT)
		if s.got > 0 || e == unix.EAGAIN || e == unix.EBADF {
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

// yield lets the scheduler have this goroutine's P every yieldEvery.
//
// A goroutine that goes from system call to system call and never gives up its
// P looks to the runtime's monitor like one that computes without an end: after
// 10 ms the monitor takes the P away in the midst of the call, and having found
// something to do it looks again after 20 microseconds, and again, for as long
// as queries come. That was a third of the processor time of 20,000 queries a
// second. A P that was given up by itself is left alone for the next 10 ms.
func (s *Socket) yield(now time.Duration) {
	if now-s.yielded >= yieldEvery {
		s.yielded = now
		runtime.Gosched()
	}
}

// receive is one recvmmsg with that flag: MSG_WAITFORONE waits for the first
// datagram and takes what else is there by then. Without an error and without a
// datagram somebody has woken it.
//
// The system call is one that the scheduler knows of, so that garbage collection
// and whoever needs the processor go on while the thread waits in the kernel.
func (s *Socket) receive(flag uintptr) syscall.Errno {
	s.life.RLock()
	defer s.life.RUnlock()
	if s.fd < 0 {
		return unix.EBADF
	}
	n, _, e := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(s.fd),
		uintptr(unsafe.Pointer(&s.in[0])), batch, flag, 0, 0)
	if e != 0 {
		return e
	}
	s.got = int(n)
	if first := &s.in[0].Hdr; first.Namelen == 0 {
		s.dropFirst()
	}
	return 0
}

// dropFirst takes the first datagram out of the batch. It is none: a shutdown
// ends the wait for a datagram as the end of a stream, of no bytes and from
// nobody.
func (s *Socket) dropFirst() {
	first, last := &s.in[0], &s.in[s.got-1]
	first.Hdr.Namelen = s.out[0].Hdr.Namelen
	if s.got--; s.got > 0 {
		// One more came just then. It takes the place.
		first.Len, s.names[0] = last.Len, s.names[s.got]
		copy(s.inBuf[:stride], s.inBuf[s.got*stride:])
		if s.wildcard {
			copy(s.control[:controlSize], s.control[s.got*controlSize:])
			first.Hdr.Controllen = last.Hdr.Controllen
			last.Hdr.SetControllen(controlSize)
		}
		return
	}
	if s.wildcard {
		first.Hdr.SetControllen(controlSize)
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

// Room is empty, with capacity for the next reply, and for one that is cut when
// it has been made.
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
	if s.replies > 0 {
		failed, err = s.send()
		s.replies, s.outUsed = 0, 0
	}
	return failed, err
}

// send sends the batch. Its system call is raw: it does not wait, and to tell
// the scheduler would let it take the processor away in the midst of a batch.
func (s *Socket) send() (failed int, err error) {
	s.life.RLock()
	defer s.life.RUnlock()
	for sent := 0; sent < s.replies; {
		if s.fd < 0 || s.closing.Load() {
			return failed, net.ErrClosed
		}
		n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.out[sent])), uintptr(s.replies-sent), unix.MSG_DONTWAIT, 0, 0)
		switch e {
		case 0:
			sent += int(n) // at least 1
		case unix.EINTR:
		case unix.EAGAIN:
			// Here the scheduler is told. Close ends it; an error does not matter,
			// since the next turn has it too.
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLOUT}}, -1)
		default:
			// The first of them was refused: a firewall (EPERM), no way back
			// to that client (ENETUNREACH), a report about an earlier reply
			// (ECONNREFUSED). The others have other clients.
			sent++
			failed++
		}
	}
	return failed, nil
}

// toHost turns a port as it lies in a socket address.
func toHost(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}
