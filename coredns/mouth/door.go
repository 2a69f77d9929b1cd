package mouth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Door is a listener for HTTP that outlives a reload: what answers behind it
// changes, the socket does not.
type Door struct {
	listener net.Listener
	behind   atomic.Pointer[behind]
}

// inside is what answers behind a door.
type inside[T any] struct {
	what T
	tls  *tls.Config // nil: plain HTTP
}

// behind is what answers now.
type behind struct {
	handler http.Handler
	tls     *tls.Config
}

// The limits of a connection, which may come from anywhere. None is configurable:
// whoever needs longer for a request of some kilobytes is not there to be served.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second
	writeTimeout  = 30 * time.Second
	idleTimeout   = 60 * time.Second
	maxHeader     = 16 << 10
	// lastWords is how long requests that are being answered have at the end.
	lastWords = 5 * time.Second
)

// Doors are the listeners of a kind of plugin, by address.
type Doors[T any] struct {
	shared Shared[*Door, inside[T]]
	log    *slog.Logger
}

// NewDoors makes the doors of a plugin. The handler is made for all that have opened
// the same door.
func NewDoors[T any](log *slog.Logger, handler func([]T) (http.Handler, error)) *Doors[T] {
	d := &Doors[T]{log: log}
	d.shared.Leans = true
	d.shared.Apply = func(door *Door, in []inside[T]) error {
		var all []T
		for _, i := range in {
			if (i.tls == nil) != (in[0].tls == nil) {
				return fmt.Errorf("%s is stated with TLS and without", door.listener.Addr())
			}
			all = append(all, i.what)
		}
		h, err := handler(all)
		if err == nil {
			door.behind.Store(&behind{h, in[0].tls})
		}
		return err
	}
	return d
}

// Announce says that Open will be called in an instance, once more each time.
func (d *Doors[T]) Announce(address string, by *Instance) { d.shared.Announce(address, by) }

func listen(address string, log *slog.Logger) (*Door, func(), error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, nil, err
	}
	door := &Door{listener: l}
	srv := &http.Server{
		Handler:           door,
		ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout,
		WriteTimeout: writeTimeout, IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if t, ok := c.(*tls.Conn); ok {
				c = t.NetConn()
			}
			return context.WithValue(ctx, acceptedKey{}, c)
		},
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		if err := srv.Serve(handshakes{l, door}); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the HTTP listener has ended", "address", address, "error", err)
		}
	}()
	return door, func() {
		ctx, cancel := context.WithTimeout(context.Background(), lastWords)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close()
		}
		<-over
	}, nil
}

// ServeHTTP implements http.Handler.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := d.behind.Load()
	if b == nil {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	if a, ok := r.Context().Value(acceptedKey{}).(accepted); ok && a.tls != b.tls {
		// The connection is from before a reload. Who made it may not be let in now.
		w.Header().Set("Connection", "close")
		if !admitsSame(a.tls, b.tls) {
			http.Error(w, "connect again", http.StatusServiceUnavailable)
			return
		}
	}
	b.handler.ServeHTTP(w, r)
}

// admitsSame is whether those who could connect by one configuration can by another. Nil
// is plain HTTP.
func admitsSame(a, b *tls.Config) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.ClientAuth == b.ClientAuth && (a.ClientCAs == b.ClientCAs || a.ClientCAs != nil && b.ClientCAs != nil && a.ClientCAs.Equal(b.ClientCAs))
}

// accepted is a connection, and as what it was taken.
type accepted struct {
	net.Conn
	tls *tls.Config
}

type acceptedKey struct{}

// handshakes is a listener whose connections are as what is behind the door wants
// them now.
type handshakes struct {
	net.Listener
	door *Door
}

// Accept implements net.Listener.
func (h handshakes) Accept() (net.Conn, error) {
	c, err := h.Listener.Accept()
	if err != nil {
		return nil, err
	}
	a := accepted{Conn: c}
	if b := h.door.behind.Load(); b != nil && b.tls != nil {
		a.tls = b.tls
		return tls.Server(a, b.tls), nil
	}
	return a, nil
}

// Each calls f with where each door is that is open.
func (d *Doors[T]) Each(f func(address string)) {
	d.shared.mu.Lock()
	defer d.shared.mu.Unlock()
	for _, h := range d.shared.held {
		f(h.thing.listener.Addr().String())
	}
}
