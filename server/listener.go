package server

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// door is an address to listen on and what is spoken there: DNS over UDP and
// TCP, or DNS over TLS.
type door struct {
	addr netip.AddrPort
	tls  bool
}

// listener is an open door: its UDP sockets, of which TLS has none, and its TCP
// listener, on one port. Its port is the one that it really has.
type listener struct {
	door
	// shared is whether another listener of ours takes the same queries.
	shared bool
	udp    *sockets
	tcp    net.Listener
	// ended is done when the accept loop has ended. Connections may live on.
	ended sync.WaitGroup

	stopping chan struct{} // closed by stop
	stopOnce sync.Once
}

// serve starts the goroutines of l. The caller holds s.mu.
func (s *Server) serve(l *listener) {
	s.serveSockets(l.udp)
	l.ended.Add(1)
	s.wg.Go(func() {
		defer l.ended.Done()
		s.acceptLoop(l)
	})
}

// stop ends the goroutines of l: each finishes what it has received and closes
// its socket.
func (l *listener) stop() {
	l.stopOnce.Do(func() { close(l.stopping) })
	l.udp.stop()
	_ = l.tcp.Close() // cannot fail but for having been closed
}

// wait waits for the goroutines of l.
func (l *listener) wait() {
	l.udp.ended.Wait()
	l.ended.Wait()
}

// stopped is whether stop has been called.
func (l *listener) stopped() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

// sleep waits for d. It is false when stop comes first.
func (l *listener) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-l.stopping:
		return false
	case <-t.C:
		return true
	}
}

// close closes the sockets of l at once.
func (l *listener) close() {
	l.udp.close()
	if l.tcp != nil {
		_ = l.tcp.Close() // nothing is left to be done about it
	}
}
