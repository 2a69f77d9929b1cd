package lane

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coredns/coredns/plugin/metrics/vars"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

const (
	// linger is how long a socket without work stays open after its stop: the kernel
	// chooses the socket of a datagram before it puts it there.
	linger = 20 * time.Millisecond
	// drain is the limit for answering what is left.
	drain = time.Second
)

// lane is one socket before a CoreDNS server, and who answers there.
type lane struct {
	*survey
	generation uint64 // of the instance that it belongs to
	sock       *datagram.Socket
	hatch      *hatch
	worker     sync.WaitGroup
	release    func()
	entered    atomic.Pointer[group] // nil before
	place      int                   // where the kernel has the socket; -1: not known. The group's
	totals     *totals

	// What follows is the worker's.

	began time.Time
	draft *mouth.Draft
	now   batch // what has become of the one that is being answered
}

// batch is how many datagrams were answered, handed over to CoreDNS, and neither.
type batch struct{ answered, handed, dropped uint64 }

// begin has a lane work whose socket has joined CoreDNS's.
func begin(v *survey, generation uint64, sock *datagram.Socket) *lane {
	l := &lane{
		survey: v, generation: generation, sock: sock, hatch: coredns(sock, v.server), place: -1, totals: totalsOf(v.server.Addr),
		began: time.Now(), draft: mouth.OwnDraft(),
	}
	l.release = occupy()
	l.worker.Go(l.work)
	return l
}

// end ends it when everything that it got has been answered. The kernel must choose
// other sockets already.
func (l *lane) end() {
	l.sock.Stop()
	l.worker.Wait()
	l.release()
	l.hatch.finish()
	_ = l.sock.Close()
}

// work answers what comes until the socket is stopped, and then what is left.
func (l *lane) work() {
	for {
		n, err := l.sock.Receive(time.Since(l.began))
		if err != nil {
			break // stopped
		}
		if !l.turn(n) {
			return
		}
	}
	lingered := false
	for last := time.Now().Add(drain); ; {
		switch n := l.sock.ReceiveRest(); {
		case n > 0:
			lingered = false
			if !l.turn(n) || time.Now().After(last) {
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

// turn answers n datagrams, or hands them over. It is false when the socket is closed.
func (l *lane) turn(n int) bool {
	for _, b := range l.blocks.of {
		if b != nil && b.tally != nil {
			b.tally.refresh()
		}
	}
	for i := 0; i < n; {
		i = l.replies(i, n)
	}
	_, err := l.sock.Send()
	l.draft.Rest()
	l.totals.add(&l.now)
	if l.now.handed > 0 {
		// On one processor CoreDNS has it only when this lets go: the wait for the next
		// datagram would take it along.
		runtime.Gosched()
	}
	l.now = batch{}
	return !errors.Is(err, net.ErrClosed)
}

// replies answers datagrams i to n, and returns where to go on: n, or behind the one
// that it panicked at.
func (l *lane) replies(i, n int) (next int) {
	next = i
	if !l.debug {
		defer func() {
			if v := recover(); v != nil {
				l.panicked(v)
				// Where it is the query's fault CoreDNS panics too, and answers as it
				// does then.
				msg, from := l.sock.Message(next - 1)
				l.hand(next-1, msg, from)
			}
		}()
	}
	for next < n {
		msg, from := l.sock.Message(next)
		next++
		if len(msg) == probeLen && l.probed(msg) {
			continue
		}
		if out := l.answer(l.sock.Room(), msg, from); len(out) > 0 {
			l.sock.Reply(next-1, out)
			l.now.answered++
		} else {
			l.hand(next-1, msg, from)
		}
	}
	return next
}

// answer is the answer to a datagram, made in the room that there is; nothing when it
// is CoreDNS's. It counts what it answers.
func (l *lane) answer(room, msg []byte, from netip.AddrPort) []byte {
	typ, ok := plain(msg)
	if !ok {
		return nil
	}
	d := l.draft
	d.Read(msg, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), room)
	q := d.Query()
	if q.Status != dnswire.StatusOK {
		return nil
	}
	b, _ := l.blocks.find(q)
	if b == nil || b.tally != nil && place(typ) < 0 {
		return nil
	}
	var since time.Time
	if b.tally != nil {
		since = time.Now()
	}
	if !b.answerer.Answer(d) {
		return nil
	}
	out := d.Bytes()
	if b.tally != nil {
		b.tally.count(&asked{q, len(msg), len(out), d.RCode(), time.Since(since)})
	}
	return out
}

// hand hands a datagram over to CoreDNS.
func (l *lane) hand(i int, msg []byte, from netip.AddrPort) {
	if l.hatch.hand(i, msg, from) {
		l.now.handed++
	} else {
		l.now.dropped++
	}
}

// panics is whether one has been logged.
var panics atomic.Bool

func (l *lane) panicked(v any) {
	vars.Panic.Inc()
	l.draft = mouth.OwnDraft() // whatever state it was left in
	if panics.CompareAndSwap(false, true) {
		log.Error("a query made the lane panic, and CoreDNS gets it; further ones are counted only",
			"panic", v, "stack", string(bytes.TrimSpace(debug.Stack())))
	}
}
