package controller

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
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/spec"
)

// lines are connections in memory to one server.
type lines struct {
	accept chan net.Conn
	dialed []*line
}

// Accept implements net.Listener.
func (l *lines) Accept() (net.Conn, error) {
	if c, ok := <-l.accept; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (*lines) Close() error { return nil }

// Addr implements net.Listener.
func (*lines) Addr() net.Addr { return &net.TCPAddr{} }

func (l *lines) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	over := make(chan struct{})
	c := &line{Conn: here, over: over, end: sync.OnceFunc(func() { close(over) })}
	l.dialed = append(l.dialed, c)
	l.accept <- there
	return c, nil
}

// line is a connection that can go dead: what is written is lost, and nothing comes.
type line struct {
	net.Conn
	dead atomic.Bool
	over chan struct{}
	end  func()
}

// Write implements net.Conn.
func (c *line) Write(b []byte) (int, error) {
	if c.dead.Load() {
		return len(b), nil
	}
	return c.Conn.Write(b)
}

// Read implements net.Conn.
func (c *line) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if c.dead.Load() {
		<-c.over
		return 0, net.ErrClosed
	}
	return n, err
}

// Close implements net.Conn.
func (c *line) Close() error {
	c.end()
	return c.Conn.Close()
}

// TestDeadConnection: a connection of HTTP/2 that has gone dead without a word is given up
// while deliveries go into it, and the next one takes another.
func TestDeadConnection(t *testing.T) {
	sockets := httptest.NewTLSServer(nil)
	cert, now := sockets.TLS.Certificates[0], func() time.Time { return sockets.Certificate().NotAfter }
	roots := x509.NewCertPool()
	roots.AddCert(sockets.Certificate())
	sockets.Close()
	synctest.Test(t, func(t *testing.T) {
		l := &lines{accept: make(chan net.Conn)}
		var protocol atomic.Value
		srv := &http.Server{
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, Time: now},
			Handler:   http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { protocol.Store(r.Proto) }),
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = srv.ServeTLS(l, "", "")
		}()
		e, err := newEdge(&spec.Edge{URL: "https://example.com", Secret: "shared-with-edges", Timeout: 5 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		wire := e.client.Transport.(*http.Transport)
		wire.DialContext, wire.TLSClientConfig = l.dial, &tls.Config{RootCAs: roots, Time: now}
		tell := func() error {
			_, err := e.notify(t.Context(), &api.Notification{})
			return err
		}
		if err := tell(); err != nil || protocol.Load() != "HTTP/2.0" || len(l.dialed) != 1 {
			t.Fatalf("%v, %v, %d dialed", err, protocol.Load(), len(l.dialed))
		}
		l.dialed[0].dead.Store(true)
		begun := time.Now()
		for range 100 { // each takes its timeout
			if tell() == nil {
				break
			}
		}
		if took := time.Since(begun); took > 3*pingAfter || len(l.dialed) != 2 {
			t.Errorf("deliveries fail for %v after it is dead, %d dialed", took, len(l.dialed))
		}
		for _, c := range l.dialed {
			_ = c.Close()
		}
		close(l.accept)
		_ = srv.Close()
		<-over
	})
}
