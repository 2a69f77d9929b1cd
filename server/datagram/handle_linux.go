package datagram

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// handle is the file descriptor of a socket, with its end.
//
// It is not in the runtime's network poller. Its owner waits in recvmmsg itself,
// and the kernel wakes that thread and no other: through the poller there would
// be a call of recvmmsg in vain, one of epoll_wait and a switch of goroutines in
// front of every batch, which at a modest rate is every query.
type handle struct {
	// life is held for reading by whoever uses fd, also while waiting, and for
	// writing by Close, so that no number is used that is another file's by then.
	life    sync.RWMutex
	fd      int // -1 when closed
	stopped atomic.Bool
	closing atomic.Bool
}

// take makes the handle from a socket of package net, and closes that.
func (s *Socket) take(conn *net.UDPConn, raw syscall.RawConn) error {
	// A descriptor in the poller wakes the poller, also when somebody waits for
	// it elsewhere. The new one is not, and is the only one from here on.
	s.fd = -1
	var err error
	e := raw.Control(func(fd uintptr) {
		if s.fd, err = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0); err == nil {
			err = unix.SetNonblock(s.fd, false)
		}
	})
	if err == nil {
		err = e
	}
	if e := conn.Close(); err == nil {
		err = e
	}
	if err != nil {
		if s.fd >= 0 {
			_ = unix.Close(s.fd)
		}
		return os.NewSyscallError("fcntl", err)
	}
	return nil
}

// using calls f with the descriptor, unless it is closed.
func (h *handle) using(f func(fd int)) {
	h.life.RLock()
	defer h.life.RUnlock()
	if h.fd >= 0 {
		f(h.fd)
	}
}

// ended is why Receive is to end.
func (h *handle) ended() error {
	switch {
	case h.closing.Load():
		return net.ErrClosed
	case h.stopped.Load():
		return os.ErrDeadlineExceeded
	}
	return nil
}

// Stop ends Receive and takes the socket out of the kernel's choice: what comes
// from now on goes to another socket of the same or a wider address, or is
// refused. What is already in the buffer stays for ReceiveRest.
func (s *Socket) Stop() {
	s.stopped.Store(true)
	s.using(func(fd int) {
		// A connected socket only gets what its peer sends, and the peer is the
		// socket itself. Replies name their destination, so they still go out. When
		// it does not work, the datagrams between the last ReceiveRest and Close
		// are lost, which is what other servers do.
		self := s.addr.Addr()
		if self.IsUnspecified() {
			self = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			if s.v6 {
				self = netip.IPv6Loopback()
			}
		}
		if s.v6 {
			_ = unix.Connect(fd, &unix.SockaddrInet6{Addr: self.As16(), Port: int(s.addr.Port())})
		} else {
			_ = unix.Connect(fd, &unix.SockaddrInet4{Addr: self.As4(), Port: int(s.addr.Port())})
		}
		// It wakes who waits, and does so too when it fails because the socket
		// has no peer (ENOTCONN). Nothing in the buffer is lost.
		_ = unix.Shutdown(fd, unix.SHUT_RD)
	})
}

// Close closes the socket. A Receive or Send under way returns net.ErrClosed,
// and Close returns when it does.
func (s *Socket) Close() error {
	s.closing.Store(true)
	// The close of a descriptor wakes nobody, and a socket somebody waits on
	// would stay open.
	s.using(func(fd int) { _ = unix.Shutdown(fd, unix.SHUT_RDWR) })
	s.life.Lock()
	defer s.life.Unlock()
	if s.fd < 0 {
		return net.ErrClosed
	}
	fd := s.fd
	s.fd = -1
	return os.NewSyscallError("close", unix.Close(fd))
}
