package demo

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
)

// endpoint is one small HTTP server that can be broken and mended.
type endpoint struct {
	addr   netip.AddrPort
	broken atomic.Bool
	server *http.Server
	ln     net.Listener
}

func listen(addr netip.AddrPort) (*endpoint, error) {
	ln, err := net.Listen("tcp", addr.String())
	if err != nil {
		hint := "stop what has the address"
		if runtime.GOOS == "darwin" {
			hint = fmt.Sprintf("`sudo ifconfig lo0 alias %s` makes the address", addr.Addr())
		}
		return nil, fmt.Errorf("demo: endpoint: %w; %s", err, hint)
	}
	e := &endpoint{addr: addr, ln: ln}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if e.broken.Load() {
			http.Error(w, "broken, as you asked", http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, "hello from %s\n", addr.Addr())
	})
	e.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	return e, nil
}

// run serves until ctx ends.
func (e *endpoint) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = e.server.Close() })
	defer stop()
	if err := e.server.Serve(e.ln); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("demo: endpoint %s: %w", e.addr, err)
	}
	return nil
}

// toggle breaks a whole endpoint and mends a broken one.
func (e *endpoint) toggle() {
	for {
		was := e.broken.Load()
		if e.broken.CompareAndSwap(was, !was) {
			return
		}
	}
}
