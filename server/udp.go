package server

import (
	"errors"
	"net"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

const (
	// linger is how long a socket without work stays open after its stop: the
	// kernel chooses the socket of a datagram before it puts it there, and on a
	// busy machine it may be held up in between.
	linger = 20 * time.Millisecond
	// drain is the limit for answering what is left. Only Linux sends new
	// datagrams elsewhere after a stop, so only there is there an end to them.
	drain = time.Second
)

// serveUDP answers what comes to sock until sock is stopped, then what is left
// in its buffer, and closes it.
func (s *Server) serveUDP(sock *datagram.Socket) {
	defer sock.Close() //nolint:errcheck // nothing is left to be done about it
	c := s.newCounters(sock)
	defer s.retire(c)

	w := s.newWorker(dnswire.UDP, c)
	for {
		n, err := sock.Receive(w.watch.began)
		if err != nil {
			break // stopped or closed
		}
		if !w.batch(sock, n) {
			return
		}
	}
	lingered := false
	for end := time.Now().Add(drain); ; {
		switch n := sock.ReceiveRest(); {
		case n > 0:
			lingered = false
			// The limit is for a buffer that does not get empty. It does not end
			// the look after a linger that a busy machine has made long.
			if !w.batch(sock, n) || time.Now().After(end) {
				return
			}
		case lingered:
			return
		default:
			time.Sleep(linger)
			lingered = true
		}
	}
}

// batch answers the n datagrams that sock has received. It is false when sock
// is closed.
func (w *worker) batch(sock *datagram.Socket, n int) bool {
	w.begin()
	for i := 0; i < n; {
		i = w.replies(sock, i, n)
	}
	failed, err := sock.Send()
	w.sent()
	if failed > 0 {
		w.count.dropped[dropSend].Add(uint64(failed))
	}
	w.rest()
	return !errors.Is(err, net.ErrClosed)
}

// replies puts the answers to datagrams i to n into the batch, and returns
// where to go on: n, or behind the one that panicked.
func (w *worker) replies(sock *datagram.Socket, i, n int) (next int) {
	defer w.panicked()
	for next = i; next < n; {
		msg, client := sock.Message(next)
		next++
		if client.Port() == 0 {
			// Nobody can receive there; it is a forgery (RFC 768).
			w.count.drop(dropSource)
			continue
		}
		if len(w.proxies) > 0 && w.proxies.contain(client.Addr()) {
			// The answer goes back to the proxy, and without a header.
			behind, size := proxyHeader(msg)
			if size == 0 {
				w.count.drop(dropProxyHeader)
				continue
			}
			if behind.IsValid() {
				client = behind
			}
			msg = msg[size:]
		}
		out := w.answer(sock.Room(), msg, client)
		if w.tap != nil {
			w.record(msg, out, client, sock.Local(next-1))
		}
		if len(out) > 0 {
			sock.Reply(next-1, out)
		}
	}
	return next
}
