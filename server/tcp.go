package server

import (
	"encoding/binary"
	"errors"
	"math"
	"net"
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/tap"
)

const (
	// tcpFirst is the buffer for queries that a connection starts with. Most queries
	// are far below that, and ten thousand idle connections shall not cost much
	// more each: what answers are made with is there while there are some to make.
	tcpFirst = 512
	// tcpBuffer is the one for answers, and that for queries once they come in
	// numbers.
	tcpBuffer = 2048
	// tcpFlush is how much is collected for one write while more queries are
	// at hand.
	tcpFlush = 16 << 10
	// tcpKeep is the largest buffer that goes back to the pool.
	tcpKeep = 32 << 10

	// lengthSize is the length before every message (RFC 1035 section 4.2.2).
	lengthSize = 2

	acceptBreakMin = 5 * time.Millisecond
	acceptBreakMax = time.Second
)

// tcpWorker is what a connection needs while it has queries to answer.
type tcpWorker struct {
	*worker
	out   []byte
	until time.Time // the answers at hand must be taken in; zero: none yet
}

// tcpWorker takes one from the pool, which spares most queries the allocations.
func (s *Server) tcpWorker(c *conn) *tcpWorker {
	w, ok := s.tcpWorkers.Get().(*tcpWorker)
	if !ok {
		w = &tcpWorker{
			worker: s.newWorker(dnswire.TCP, nil),
			out:    make([]byte, 0, tcpBuffer),
		}
	}
	w.count = s.streamCount(c.from)
	w.q.Transport = dnswire.TCP
	if c.from.tls {
		w.q.Transport = dnswire.TLS
	}
	w.local = addrPort(c.tcp.LocalAddr())
	return w
}

// streamCount is what the connections over l count with.
func (s *Server) streamCount(l *listener) *counters {
	if l.tls {
		return s.tlsCount
	}
	return s.tcpCount
}

func (s *Server) putTCPWorker(w *tcpWorker) {
	if cap(w.out) > tcpKeep {
		w.out = make([]byte, 0, tcpBuffer)
	}
	w.rest()
	w.count, w.x = nil, tap.Exchange{}
	s.tcpWorkers.Put(w)
}

// acceptLoop accepts connections until l is stopped.
func (s *Server) acceptLoop(l *listener) {
	pause := time.Duration(0)
	for {
		nc, err := l.tcp.Accept()
		if err != nil {
			if l.stopped() || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of files, mostly: the connection stays in the queue, so
			// trying at once would only burn the processor. An idle connection
			// may be worth less than the one that waits.
			s.tcp.acceptErrors.Add(1)
			s.tcp.mu.Lock()
			s.tcp.makeRoom()
			s.tcp.mu.Unlock()
			pause = min(max(2*pause, acceptBreakMin), acceptBreakMax)
			if !l.sleep(pause) {
				return
			}
			continue
		}
		pause = 0
		s.admit(l, nc)
	}
}

// admit starts to serve a connection, or closes it when there is no room.
func (s *Server) admit(l *listener, nc net.Conn) {
	c := &conn{Conn: nc, tcp: nc, from: l, client: addrPort(nc.RemoteAddr())}
	c.proxied = s.settings.Load().proxies.contain(c.client.Addr())
	if !c.proxied && !s.welcome(c) || !s.tcp.admit(c) {
		_ = nc.Close() // here and below: nothing is left to be done about it
		return
	}
	if l.stopped() {
		c.finish(s.o.Grace) // it came between stop and the end of acceptLoop
	}
	s.wg.Go(func() {
		defer s.tcp.release(c)
		// Not nc: TLS says goodbye.
		defer func() { _ = c.Close() }()
		if s.greet(c) {
			s.serveConn(c)
		}
	})
}

// serveConn answers what comes over c until the client closes, is silent or
// slow for too long, or sends what no DNS client sends.
func (s *Server) serveConn(c *conn) {
	in := make([]byte, tcpFirst)
	have := 0 // bytes in in
	idle := s.tcp.idle(s.settings.Load().idle)
	for {
		// The deadline is for a whole query, not for a byte of it: it is set
		// when there is none, and no piece of one moves it.
		if !c.finishing.Load() {
			_ = c.tcp.SetDeadline(time.Now().Add(idle)) // fails only when closed
		}
		if c.waiting.Load() == 0 { // else since its last answers went out
			s.tcp.waits(c)
		}
		var err error
		in, have, err = fill(c, in, have)
		if have == len(in) && len(in) < tcpBuffer {
			in = append(in, make([]byte, tcpBuffer-len(in))...) // more of them come at once
		}
		c.waiting.Store(0)
		// What the answers say is what holds from then on.
		taking := s.settings.Load().idle
		idle = s.tcp.idle(taking)
		w := s.tcpWorker(c)
		w.q.IdleTimeout = uint16(min(idle/keepaliveUnit, math.MaxUint16))
		rest, ok := w.answerAll(c, in[:have], taking)
		s.putTCPWorker(w)
		if err != nil || !ok {
			s.left(c, err)
			return
		}
		if have = rest; have == 0 && len(in) > tcpKeep {
			in = make([]byte, tcpBuffer)
		}
	}
}

// fill reads until in, which has already have bytes, holds a whole message. It
// returns a larger one when it must, and how much is in it, also with an error.
func fill(c *conn, in []byte, have int) ([]byte, int, error) {
	var err error
	for err == nil && !whole(in[:have]) {
		if have == len(in) {
			// Only what has come is made room for, not what is announced.
			in = append(in, make([]byte, len(in))...)
		}
		var n int
		n, err = c.Read(in[have:])
		have += n
	}
	return in, have, err
}

// whole is whether b begins with a whole message, or with one of length zero.
func whole(b []byte) bool {
	return len(b) >= lengthSize && len(b)-lengthSize >= int(binary.BigEndian.Uint16(b))
}

// answerAll answers every whole message in the bytes of in, in their order, and
// moves what is left to the front. The client has the time of
// taking for all of them together. ok is false when the connection is to be
// closed.
func (w *tcpWorker) answerAll(c *conn, in []byte, taking time.Duration) (rest int, ok bool) {
	w.begin()
	b := in
	w.out = w.out[:0]
	w.until = time.Time{}
	for ok = true; ok && whole(b); {
		size := int(binary.BigEndian.Uint16(b))
		if size == 0 {
			ok = false // no client that knows what it does
			break
		}
		if ok = w.hold(c, taking); !ok {
			break
		}
		w.message(b[lengthSize:lengthSize+size], c.client)
		b = b[lengthSize+size:]
		if len(w.out) >= tcpFlush {
			ok = w.flush(c, taking)
			c.waiting.Store(0) // there is more to do
		}
	}
	if !w.flush(c, taking) {
		ok = false
	}
	return copy(in, b), ok
}

// hold waits until the client of c may ask one more question. Meanwhile nothing is
// read from it, so that TCP slows it down, and its connection may make room for
// another. It is false when the connection has ended.
func (w *tcpWorker) hold(c *conn, taking time.Duration) bool {
	t := &w.s.tcp
	for held := false; !c.finishing.Load(); held = true {
		rate := w.s.settings.Load().queries
		if rate == 0 {
			return true
		}
		wait := t.queries.Wait(c.client.Addr(), rate)
		if wait == 0 {
			return true
		}
		if !held {
			t.held.Add(1)
		}
		if !w.flush(c, taking) || c.evicted.Load() {
			return false
		}
		w.until = time.Time{}
		t.waits(c)
		w.rest() // of what may be replaced meanwhile
		on := c.from.sleep(wait)
		c.waiting.Store(0)
		w.begin()
		if !on {
			return true
		}
	}
	return true
}

// message appends the answer to msg and its length to w.out.
func (w *tcpWorker) message(msg []byte, client netip.AddrPort) {
	defer w.panicked()
	n := len(w.out)
	room := append(w.out, 0, 0)
	// The answer gets a slice of its own, which begins where the message does.
	out := w.answer(room[n+lengthSize:], msg, client)
	if len(out) > dnswire.MaxTCP {
		return
	}
	if w.tap != nil {
		w.record(msg, out, client, w.local)
	}
	if len(out) == 0 {
		return
	}
	room = append(room, out...) // onto itself, unless it has outgrown the buffer
	binary.BigEndian.PutUint16(room[n:], uint16(len(out)))
	w.out = room
}

// flush writes w.out. It is false when the client does not take it in time.
func (w *tcpWorker) flush(c *conn, taking time.Duration) bool {
	if len(w.out) == 0 {
		return true
	}
	if w.until.IsZero() {
		w.until = time.Now().Add(taking)
		if !c.finishing.Load() {
			_ = c.tcp.SetWriteDeadline(w.until) // fails only when closed
		}
	}
	w.s.tcp.waits(c)
	_, err := c.Write(w.out)
	w.sent()
	if !c.finishing.Load() {
		w.s.left(c, err)
	}
	w.out = w.out[:0]
	return err == nil
}
