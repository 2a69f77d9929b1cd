//go:build !linux

package datagram

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

const (
	controlSize = 64
	// restWait is how long ReceiveRest waits for one more datagram: here the
	// buffer cannot be asked whether it is empty.
	restWait = 10 * time.Millisecond
)

// Socket is an open UDP socket with the memory for one datagram. Receive,
// ReceiveRest, Message, Room, Reply and Send are for one goroutine; Stop, Close,
// Addr and KernelDrops are for any.
type Socket struct {
	conn     *net.UDPConn
	raw      syscall.RawConn
	addr     netip.AddrPort
	v6       bool
	wildcard bool

	in, out []byte
	control []byte
	got     int // bytes in in
	gotC    int // bytes in control
	from    netip.AddrPort
	reply   []byte
}

func (s *Socket) take(conn *net.UDPConn, raw syscall.RawConn) error {
	s.conn, s.raw = conn, raw
	return nil
}

func (s *Socket) lay() {
	s.in, s.out = make([]byte, maxMessage), make([]byte, 0, maxReply+slack)
	if s.wildcard {
		s.control = make([]byte, controlSize)
	}
}

// Receive waits until there is a datagram and returns 1. The error is
// os.ErrDeadlineExceeded after Stop and net.ErrClosed after Close. The time is
// what Linux needs.
func (s *Socket) Receive(time.Duration) (int, error) {
	s.reply = nil
	for failures := 0; ; failures++ {
		n, c, _, from, err := s.conn.ReadMsgUDPAddrPort(s.in, s.control)
		switch {
		case err == nil:
			s.got, s.gotC, s.from = n, c, from
			return 1, nil
		case isEnd(err):
			return 0, err
		case n > 0:
			// Windows reports a datagram that was cut as an error.
			s.got, s.gotC, s.from = n, c, from
			return 1, nil
		case failures >= 16:
			// An error about an earlier reply is no reason to stop; a lasting
			// one must not eat a core.
			time.Sleep(10 * time.Millisecond)
			failures = 0
		}
	}
}

// ReceiveRest takes what is in the socket's buffer after Stop; 0 means that it
// is empty.
func (s *Socket) ReceiveRest() int {
	if s.conn.SetReadDeadline(time.Now().Add(restWait)) != nil {
		return 0
	}
	n, _ := s.Receive(0) // the deadline, or closed: both are the end
	return n
}

// Message is the datagram received, cut at maxMessage bytes, and whom it is
// from.
func (s *Socket) Message(int) (msg []byte, from netip.AddrPort) {
	return s.in[:s.got], s.from
}

// Room is empty, with capacity for the reply.
func (s *Socket) Room() []byte { return s.out[:0] }

// Reply makes b, which must stay as it is until Send, the answer to the
// datagram.
func (s *Socket) Reply(_ int, b []byte) { s.reply = b }

// Send sends the reply, if there is one; failed is 1 when it cannot be sent. The
// error is net.ErrClosed after Close.
func (s *Socket) Send() (failed int, err error) {
	if len(s.reply) == 0 {
		return 0, nil
	}
	var control []byte
	if c := s.control[:s.gotC]; replySource(c) {
		control = c
	}
	_, _, err = s.conn.WriteMsgUDPAddrPort(s.reply, control, s.from)
	s.reply = nil
	if err == nil {
		return 0, nil
	}
	if isEnd(err) {
		return 1, err
	}
	return 1, nil
}

// Stop ends Receive. What is already in the buffer stays for ReceiveRest.
func (s *Socket) Stop() {
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // fails only when closed, which ends Receive too
}

// Close closes the socket. A Receive or Send under way returns net.ErrClosed.
func (s *Socket) Close() error { return s.conn.Close() }

// SetReceiveBuffer asks for a receive buffer of n bytes. The system does not say
// what it has given: the answer is n, or 0 when it refuses.
func (s *Socket) SetReceiveBuffer(n int) int {
	if s.conn.SetReadBuffer(n) != nil {
		return 0
	}
	return n
}

// KernelDrops is always 0: only Linux says.
func (s *Socket) KernelDrops() uint64 { return 0 }

func isEnd(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed)
}
