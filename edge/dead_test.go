package edge

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
)

// lines are connections in memory.
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

// A connection of HTTP/2 that has gone dead without a word is given up: requests would be
// sent into it for as long as TCP believes in it.
func TestDeadConnection(t *testing.T) {
	sockets := httptest.NewTLSServer(nil)
	cert := sockets.TLS.Certificates[0]
	roots := x509.NewCertPool()
	roots.AddCert(sockets.Certificate())
	sockets.Close()
	synctest.Test(t, func(t *testing.T) {
		l := &lines{accept: make(chan net.Conn)}
		var protocol atomic.Value
		srv := &http.Server{
			TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, Time: func() time.Time { return sockets.Certificate().NotAfter }},
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				protocol.Store(r.Proto)
				says(snapshot("1", one))(w, r)
			}),
		}
		over := make(chan struct{})
		go func() {
			defer close(over)
			_ = srv.ServeTLS(l, "", "")
		}()
		o := options()
		o.Endpoints, o.SyncInterval = []string{"https://example.com"}, 10*time.Second
		o.TLS = &tls.Config{RootCAs: roots, Time: func() time.Time { return sockets.Certificate().NotAfter }}
		e, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		e.client.http.Transport.(*http.Transport).DialContext = l.dial
		stop := run(t, e)
		<-e.Tried()
		if h := e.Health(); h.LastSyncStatus != "success" || protocol.Load() != "HTTP/2.0" || len(l.dialed) != 1 {
			t.Fatalf("%+v, %v, %d dialed", h, protocol.Load(), len(l.dialed))
		}
		l.dialed[0].dead.Store(true)
		time.Sleep(time.Minute)
		if h := e.Health(); h.LastSyncStatus != "success" || len(l.dialed) != 2 {
			t.Errorf("a minute after it is dead: %+v, %d dialed", h, len(l.dialed))
		}
		stop()
		close(l.accept)
		_ = srv.Close()
		<-over
	})
}
