package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// adminServer keeps the admin surface on the address that the configuration
// states, with or without TLS, over reloads.
type adminServer struct {
	handler http.Handler
	log     *slog.Logger
	ending  func()                     // ends responses that do not end by themselves
	tls     atomic.Pointer[tls.Config] // nil: plain HTTP

	mu      sync.Mutex
	stated  netip.AddrPort // as configured; the port may be 0
	bound   netip.AddrPort
	server  *http.Server
	serving sync.WaitGroup
}

// adminChange is a listener that is open and not yet in use. Exactly one of
// commit and abort is called.
type adminChange struct {
	a        *adminServer
	stated   netip.AddrPort
	listener net.Listener // nil: the address stays
	tls      *tls.Config
}

// bind makes ready what the configuration states. It changes nothing.
func (a *adminServer) bind(s spec.Admin) (*adminChange, error) {
	c := &adminChange{a: a, stated: s.Listen}
	if s.TLS != nil {
		t, err := adminTLS(s.TLS)
		if err != nil {
			return nil, err
		}
		c.tls = t
	}
	a.mu.Lock()
	same := a.server != nil && a.stated == s.Listen
	a.mu.Unlock()
	if same {
		return c, nil
	}
	l, err := net.Listen("tcp", s.Listen.String())
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("admin.listen: %s: %w; state another address, or stop what has this one", s.Listen, err)
	}
	c.listener = l
	return c, nil
}

func (c *adminChange) abort() {
	if c.listener != nil {
		_ = c.listener.Close()
	}
}

func (c *adminChange) commit() {
	a := c.a
	a.tls.Store(c.tls)
	if c.listener == nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.retire()
	srv := &http.Server{
		Handler:           a.handler,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelDebug),
	}
	srv.RegisterOnShutdown(a.ending)
	a.stated, a.server = c.stated, srv
	a.bound = c.listener.Addr().(*net.TCPAddr).AddrPort()
	l := &maybeTLS{c.listener, &a.tls}
	a.serving.Go(func() {
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("admin surface ended", "error", err)
		}
	})
}

// adminGrace is how long requests under way may take when the surface moves or
// ends.
const adminGrace = 3 * time.Second

// retire ends the server at the old address, if there is one. The request that
// asked for the change is among those it finishes.
func (a *adminServer) retire() {
	srv := a.server
	if srv == nil {
		return
	}
	a.serving.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), adminGrace)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			_ = srv.Close()
		}
	})
}

// stop ends the surface and waits for it.
func (a *adminServer) stop() {
	a.mu.Lock()
	a.retire()
	a.server = nil
	a.mu.Unlock()
	a.serving.Wait()
}

func (a *adminServer) addr() netip.AddrPort {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.bound
}

// maybeTLS speaks TLS on the connections it accepts while there is a
// configuration for it.
type maybeTLS struct {
	net.Listener
	config *atomic.Pointer[tls.Config]
}

func (l *maybeTLS) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if t := l.config.Load(); t != nil {
		return tls.Server(c, t), nil
	}
	return c, nil
}

// adminTLS reads the files of the admin surface's TLS.
func adminTLS(o *spec.AdminTLS) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(o.Cert, o.Key)
	if err != nil {
		return nil, fmt.Errorf("admin.tls: %w", err)
	}
	c := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{cert},
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if o.ClientCA != "" {
		pem, err := os.ReadFile(o.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("admin.tls.client_ca: %w", err)
		}
		c.ClientCAs = x509.NewCertPool()
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("admin.tls.client_ca: %s holds no PEM certificate", o.ClientCA)
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return c, nil
}
