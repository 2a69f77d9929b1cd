package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
)

// quicLink is a QUIC connection over a socket of its own. A socket for each probe
// costs a few system calls, which is little beside the handshake, and it is told what
// one for all probes is not: that nothing listens, or that there is no route.
type quicLink struct {
	link   *link
	socket *datagramSocket
	layer  *quic.Transport
	conn   *quic.Conn
	took   time.Duration // for the handshake
}

// forever is longer than a probe can take: no timeout but the context's.
const forever = 48 * time.Hour

// quicConfig bounds what a server may send: on the stream of the request as much as
// is read, and on streams of its own what has no reader.
func quicConfig(ctx context.Context) *quic.Config {
	idle := forever
	if deadline, ok := ctx.Deadline(); ok {
		// A server that cannot be told of the end, because the time is over, forgets
		// the connection a second later.
		idle = min(idle, time.Until(deadline)+time.Second)
	}
	return &quic.Config{
		HandshakeIdleTimeout:           forever,
		MaxIdleTimeout:                 idle,
		InitialStreamReceiveWindow:     2 * maxHeader,
		MaxStreamReceiveWindow:         2 * maxHeader,
		InitialConnectionReceiveWindow: 8 * maxHeader,
		MaxConnectionReceiveWindow:     8 * maxHeader,
		MaxIncomingStreams:             -1,
		MaxIncomingUniStreams:          8, // three are common
		DisablePathMTUDiscovery:        true,
	}
}

// dialQUIC makes a connection to the target, which the caller releases.
func (n *network) dialQUIC(ctx context.Context, t Target, cfg *tls.Config) (*quicLink, failure) {
	l, f := n.connect(ctx, t)
	if f.failed() {
		return nil, f
	}
	q := &quicLink{link: l, socket: &datagramSocket{Conn: l.Conn}}
	q.layer = &quic.Transport{Conn: q.socket}
	start := time.Now()
	conn, err := q.layer.Dial(ctx, l.RemoteAddr(), cfg, quicConfig(ctx))
	if err != nil {
		f := late(q.failure(ctx, err, handshaking), q.socket.heard.Load())
		q.release()
		return nil, f
	}
	q.conn, q.took = conn, time.Since(start)
	return q, failure{}
}

// release ends the connection, and tells the server. It is called once.
func (q *quicLink) release() {
	if q.conn != nil {
		_ = q.conn.CloseWithError(noError3, "")
	}
	_ = q.layer.Close()
	q.link.release()
}

// failure is what an error of the connection or its streams means. None of the
// server's words are in it.
func (q *quicLink) failure(ctx context.Context, err error, at stage) failure {
	if f := classifyQUIC(err, at); f.failed() {
		return f
	}
	// What the socket said first is why the connection ended.
	if first := q.socket.cause(); first != nil {
		return classify(ctx, first, at)
	}
	if ctx.Err() != nil {
		return classify(ctx, ctx.Err(), at)
	}
	if deadline, ok := ctx.Deadline(); ok && !time.Now().Before(deadline) {
		return classify(ctx, os.ErrDeadlineExceeded, at)
	}
	return fail(ClassProtocol, "the server does not speak QUIC as it should")
}

// classifyQUIC is the failure of an error of QUIC; the zero failure when it is none.
func classifyQUIC(err error, at stage) failure {
	var (
		transport   *quic.TransportError
		application *quic.ApplicationError
		stream      *quic.StreamError
		version     *quic.VersionNegotiationError
		reset       *quic.StatelessResetError
	)
	switch {
	case errors.As(err, &stream) && stream.Remote:
		return fail(ClassReset, "the server reset the stream %s", at)
	case errors.As(err, &application) && application.Remote:
		return fail(ClassReset, "the server closed the connection %s", at)
	case errors.As(err, &version):
		return fail(ClassProtocol, "the server speaks no version of QUIC that is known here")
	case errors.As(err, &reset):
		return fail(ClassReset, "connection reset %s", at)
	case !errors.As(err, &transport):
		return failure{}
	case !transport.Remote:
		if f := classifyTLS(err); f.failed() {
			return f
		}
		if transport.ErrorCode.IsCryptoError() {
			return fail(ClassTLS, "the TLS handshake failed: %s", alertOf(transport))
		}
		return fail(ClassProtocol, "the server does not speak QUIC as it should")
	case transport.ErrorCode.IsCryptoError():
		return fail(ClassTLS, "the server refused the handshake: %s", alertOf(transport))
	case transport.ErrorCode == quic.ConnectionRefused:
		return fail(ClassRefused, "the server refused the connection")
	}
	return fail(ClassReset, "the server ended the connection %s", at)
}

// alertOf is the name of the TLS alert that an error code stands for (RFC 9001 section
// 4.8).
func alertOf(e *quic.TransportError) string {
	name := tls.AlertError(uint8(e.ErrorCode - 0x100)).Error()
	return name[len("tls: "):]
}

// datagramSocket is a connected socket as QUIC takes it, which is an unconnected one.
// It keeps the first error: QUIC may take another for the reason.
type datagramSocket struct {
	net.Conn
	heard atomic.Bool // something has come
	mu    sync.Mutex
	first error
}

func (s *datagramSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := s.Read(b)
	if err == nil {
		s.heard.Store(true)
	}
	return n, s.RemoteAddr(), s.ended(err)
}

func (s *datagramSocket) WriteTo(b []byte, _ net.Addr) (int, error) {
	n, err := s.Write(b)
	return n, s.ended(err)
}

// ended makes of any error one that ends the connection. A deadline, and what the
// network says of an earlier datagram, would be tried again and again otherwise.
func (s *datagramSocket) ended(err error) error {
	if err == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first == nil {
		s.first = err
	}
	return net.ErrClosed
}

func (s *datagramSocket) cause() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first
}

// The buffers of the system are enough for one request; asking for larger ones takes
// several system calls.
func (*datagramSocket) SetReadBuffer(int) error  { return nil }
func (*datagramSocket) SetWriteBuffer(int) error { return nil }
