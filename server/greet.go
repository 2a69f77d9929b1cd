package server

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// What came of TLS handshakes.
const (
	handshakeFull = iota
	handshakeResumed
	handshakeFailed
	handshakeResults
)

var handshakeNames = [handshakeResults]string{"full", "resumed", "failed"}

// tlsConfig is DNS over TLS with whatever certificate is in force at the time
// of the handshake. A client that offers no ALPN protocol is taken, as RFC 7858
// has none; one that offers only others is refused by TLS (RFC 7301 section 3.2).
func (s *Server) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, // RFC 8310 section 9
		NextProtos: []string{"dot"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c := s.settings.Load().certificate; c != nil {
				return c, nil
			}
			// A reload has taken TLS away while this connection was opened.
			return nil, errors.New("no certificate")
		},
	}
}

// greet does what comes before the first query: the PROXY header and the TLS
// handshake. Both together have one deadline, which nothing moves. It is false
// when there is nothing to serve.
func (s *Server) greet(c *conn) bool {
	if !c.proxied && !c.from.tls {
		return true
	}
	if !c.finishing.Load() {
		_ = c.tcp.SetDeadline(time.Now().Add(s.tcp.idle(s.settings.Load().idle))) // fails only when closed
	}
	// A header may come before TLS, as from HAProxy, or within, as from dnsdist.
	before := c.proxied
	if c.proxied && c.from.tls {
		p := &peeked{Conn: c.tcp}
		if !p.peek() {
			s.left(c, p.err)
			return false
		}
		before = p.first[0] == proxySignature[0]
		c.Conn = p
	}
	if before && !s.introduced(c) {
		return false
	}
	if c.from.tls && !s.handshake(c) {
		return false
	}
	return !c.proxied || before || s.introduced(c)
}

// handshake puts TLS over c.
func (s *Server) handshake(c *conn) bool {
	t := tls.Server(c.Conn, s.tls)
	c.Conn = t
	err := t.Handshake()
	switch {
	case err == nil && t.ConnectionState().DidResume:
		s.handshakes[handshakeResumed].Add(1)
	case err == nil:
		s.handshakes[handshakeFull].Add(1)
	case errors.Is(err, io.EOF):
		// It came to see whether the port is open.
	case !c.evicted.Load() && !c.finishing.Load():
		s.handshakes[handshakeFailed].Add(1)
		s.left(c, err)
	}
	return err == nil
}

// introduced takes the PROXY header from c, and with it who the client is.
func (s *Server) introduced(c *conn) bool {
	client, err := readProxyHeader(c)
	switch {
	case errors.Is(err, errProxyHeader):
		s.streamCount(c.from).drop(dropProxyHeader)
		return false
	case err != nil:
		s.left(c, err)
		return false
	case !client.IsValid():
		client = c.client
	}
	return s.tcp.identify(c, client) && s.welcome(c)
}

// welcome is whether the client of c may ask, or is to be told that it may not.
// It counts.
func (s *Server) welcome(c *conn) bool {
	if g := &s.settings.Load().guard; !g.drop || g.admits(c.client.Addr()) {
		return true
	}
	s.streamCount(c.from).guard.denied[deniedDropped].Add(1)
	s.tcp.closed[closedAccess].Add(1)
	return false
}

// left counts a connection that was given up because of err, when that is our
// patience.
func (s *Server) left(c *conn, err error) {
	if !c.evicted.Load() && errors.Is(err, os.ErrDeadlineExceeded) {
		s.tcp.closed[closedTimeout].Add(1)
		_ = c.tcp.Close() // without a word, which might not be taken in either
	}
}

// peeked is a connection whose first byte has been looked at.
type peeked struct {
	net.Conn
	first []byte // what has been read and not yet been given
	err   error
}

// peek reads the first byte. It is false when there is none.
func (p *peeked) peek() bool {
	p.first = make([]byte, 1)
	_, p.err = io.ReadFull(p.Conn, p.first)
	return p.err == nil
}

func (p *peeked) Read(b []byte) (int, error) {
	if n := copy(b, p.first); n > 0 {
		p.first = p.first[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}

// addrPort is the address of one end of a connection.
func addrPort(end net.Addr) netip.AddrPort {
	a, ok := end.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := a.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
