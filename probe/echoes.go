package probe

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"time"
)

// echoConn is a socket of ICMP of one family.
type echoConn interface {
	// send never waits: a socket that is full is an error.
	send(b []byte, to netip.Addr) error
	// receive waits for a message, until close.
	receive(b []byte) (n int, from netip.Addr, err error)
	close() error
}

// echoes is what all pings of one family share: one socket, and one goroutine that
// gives each reply to whom it is for. Both are there while a ping is in flight, and
// gone when none is.
//
//	probe --send--> socket --> ... --> socket --> reader --by mark--> probe
type echoes struct {
	six  bool
	open func(six bool) (echoConn, error)

	mu   sync.Mutex
	line *echoLine // nil: no ping is in flight
}

var (
	echoes4 = &echoes{open: openEcho}
	echoes6 = &echoes{open: openEcho, six: true}
)

// echoLine is the socket from its making to its end.
type echoLine struct {
	all    *echoes
	conn   echoConn
	cookie uint64
	id     uint16
	ended  chan struct{} // the reader has
	users  int           // under all.mu

	mu      sync.Mutex
	number  uint64            // of the last request
	waiting map[uint64]*pings // by the number of a request
}

// pings are the requests of one probe.
type pings struct {
	to      netip.Addr
	begun   uint64 // the number of the first
	sent    []time.Time
	replies chan pong // with room for every reply
}

// pong is what came of request i.
type pong struct {
	i       int
	at      time.Time
	refused bool
}

// join gives the shared socket, which the caller leaves.
func (e *echoes) join() (*echoLine, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.line != nil {
		select {
		case <-e.line.ended: // it broke; those who have it see to themselves
			e.line = nil
		default:
		}
	}
	if e.line == nil {
		conn, err := e.open(e.six)
		if err != nil {
			return nil, err
		}
		e.line = &echoLine{
			all: e, conn: conn, cookie: rand.Uint64(), id: uint16(rand.Uint32()),
			ended: make(chan struct{}), waiting: map[uint64]*pings{},
		}
		go e.line.read()
	}
	e.line.users++
	return e.line, nil
}

// leave ends the use of the socket. The last to leave closes it, and waits for the
// reader.
func (l *echoLine) leave() {
	l.all.mu.Lock()
	l.users--
	last := l.users == 0
	if last && l.all.line == l {
		l.all.line = nil
	}
	l.all.mu.Unlock()
	if last {
		_ = l.conn.close()
		<-l.ended
	}
}

// maxDeaf is how many errors in a row end the reader. A socket may be told of
// something that has gone wrong with one request, and goes on.
const maxDeaf = 100

func (l *echoLine) read() {
	defer close(l.ended)
	buf := make([]byte, 2<<10)
	for deaf := 0; deaf < maxDeaf; {
		n, from, err := l.conn.receive(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			deaf++
			continue
		}
		deaf = 0
		if e, ok := parseEcho(buf[:n], l.all.six); ok && e.cookie == l.cookie {
			l.deliver(e, from, time.Now())
		}
	}
}

// deliver gives a reply to its probe, unless it had it already, or does not want it
// any more.
func (l *echoLine) deliver(e echo, from netip.Addr, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := l.waiting[e.number]
	if p == nil {
		return
	}
	// A refusal comes from whoever could not deliver.
	if e.refused {
		from = e.to
	}
	if from.Unmap().WithZone("") != p.to.WithZone("") {
		return
	}
	delete(l.waiting, e.number)
	p.replies <- pong{int(e.number - p.begun), at, e.refused}
}

// begin is for count requests to one address, which the caller ends.
func (l *echoLine) begin(to netip.Addr, count int) *pings {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &pings{to: to, begun: l.number + 1, replies: make(chan pong, count), sent: make([]time.Time, 0, count)}
	l.number += uint64(count)
	return p
}

func (l *echoLine) end(p *pings) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range p.sent {
		delete(l.waiting, p.begun+uint64(i))
	}
}

// send sends the next of the requests.
func (l *echoLine) send(p *pings) error {
	number := p.begun + uint64(len(p.sent))
	l.mu.Lock()
	l.waiting[number] = p
	l.mu.Unlock()
	p.sent = append(p.sent, time.Now())
	return l.conn.send(appendEcho(make([]byte, 0, echoLen), l.all.six, l.id, mark{l.cookie, number}), p.to)
}

// series sends count requests, one every gap, and gives the replies that came
// before the context's end, by request; zero where there is none.
func (l *echoLine) series(ctx context.Context, to netip.Addr, count int, gap time.Duration) (trips []trip, err error) {
	p := l.begin(to, count)
	defer l.end(p)
	trips = make([]trip, 0, count)
	send := func() error {
		err := l.send(p)
		trips = append(trips, trip{sent: p.sent[len(p.sent)-1]})
		return err
	}
	if err := send(); err != nil {
		return nil, err
	}
	next := time.NewTimer(gap)
	defer next.Stop()
	told := 0
	take := func(r pong) {
		trips[r.i].took, trips[r.i].refused = max(r.at.Sub(p.sent[r.i]), 1), r.refused
		told++
	}
	for told < count {
		due := next.C
		if len(p.sent) == count {
			due = nil
		}
		select {
		case <-due:
			if err := send(); err != nil {
				return nil, err
			}
			next.Reset(gap)
		case r := <-p.replies:
			take(r)
		case <-l.ended:
			return nil, errBroken
		case <-ctx.Done():
			for len(p.replies) > 0 {
				take(<-p.replies)
			}
			return trips, nil
		}
	}
	return trips, nil
}

var errBroken = errors.New("the socket for echo requests broke")

// trip is what came of a request: how long its reply took, 0 where none came.
type trip struct {
	sent    time.Time
	took    time.Duration
	refused bool
}
