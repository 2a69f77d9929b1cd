package lines

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Identity is the certificate of a server. It takes a socket to make, and so is made
// outside of bubbles of testing/synctest.
type Identity struct{ server *httptest.Server }

// NewIdentity makes one.
func NewIdentity() Identity {
	s := httptest.NewTLSServer(nil)
	s.Close()
	return Identity{s}
}

// now is a time at which the certificate holds, whatever that of a bubble is.
func (i Identity) now() time.Time { return i.server.Certificate().NotAfter }

// Server answers by HTTP over TLS.
type Server struct {
	Client *tls.Config // of who believes that it is who it is

	accept   chan net.Conn
	over     chan struct{}
	protocol atomic.Value
	server   *http.Server

	mu     sync.Mutex
	dialed []*Line
}

// Serve begins to answer; Stop ends it.
func (i Identity) Serve(f http.HandlerFunc) *Server {
	roots := x509.NewCertPool()
	roots.AddCert(i.server.Certificate())
	s := &Server{
		Client: &tls.Config{RootCAs: roots, Time: i.now},
		accept: make(chan net.Conn), over: make(chan struct{}),
	}
	s.server = &http.Server{
		TLSConfig: &tls.Config{Certificates: i.server.TLS.Certificates, Time: i.now},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.protocol.Store(r.Proto)
			f(w, r)
		}),
	}
	go func() {
		defer close(s.over)
		_ = s.server.ServeTLS(listener{s}, "", "")
	}()
	return s
}

// Stop ends it and all connections, when nobody dials any more.
func (s *Server) Stop() {
	for _, l := range s.Dialed() {
		_ = l.Close()
	}
	close(s.accept)
	_ = s.server.Close()
	<-s.over
}

// Dial is DialContext of an http.Transport.
func (s *Server) Dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	over := make(chan struct{})
	l := &Line{Conn: here, over: over, end: sync.OnceFunc(func() { close(over) })}
	s.mu.Lock()
	s.dialed = append(s.dialed, l)
	s.mu.Unlock()
	s.accept <- there
	return l, nil
}

// Dialed are the connections that there have been.
func (s *Server) Dialed() []*Line {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Line(nil), s.dialed...)
}

// Alone fails a test unless there has been one connection, of HTTP/2, and returns that.
func (s *Server) Alone(t testing.TB) *Line {
	t.Helper()
	all := s.Dialed()
	if p := s.protocol.Load(); len(all) != 1 || p != "HTTP/2.0" {
		t.Fatalf("%d connections, of %v", len(all), p)
	}
	return all[0]
}

// listener is that of a Server.
type listener struct{ *Server }

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	if c, ok := <-l.accept; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (listener) Close() error { return nil }

// Addr implements net.Listener.
func (listener) Addr() net.Addr { return &net.TCPAddr{} }

// Line is a connection.
type Line struct {
	net.Conn
	dead atomic.Bool
	over chan struct{}
	end  func()
}

// Die has it go dead without a word: what is written is lost, and nothing comes.
func (l *Line) Die() { l.dead.Store(true) }

// Write implements net.Conn.
func (l *Line) Write(b []byte) (int, error) {
	if l.dead.Load() {
		return len(b), nil
	}
	return l.Conn.Write(b)
}

// Read implements net.Conn.
func (l *Line) Read(b []byte) (int, error) {
	n, err := l.Conn.Read(b)
	if l.dead.Load() {
		<-l.over
		return 0, net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn.
func (l *Line) Close() error {
	l.end()
	return l.Conn.Close()
}
