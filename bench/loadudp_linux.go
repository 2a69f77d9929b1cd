package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	// batch is how many datagrams move in one system call.
	batch = 64
	// pause is how long the client leaves the socket alone after it has found
	// it empty: polling all the time would take the socket's lock from the
	// kernel, which is delivering on the server's account.
	pauseFull = 5 * time.Microsecond
	pauseRate = 5 * time.Microsecond
	// patience is how long nothing may come before what is on the way is lost.
	patience = 300 * time.Millisecond
	// segments is how many queries leave in one piece, of the kernel's 64.
	segments = 32
)

// client is a connected UDP socket with the memory for a batch each way. It
// polls and never sleeps: a server does not pay for waking it up, as it would
// not if the client were elsewhere.
type client struct {
	fd       int
	in, out  []unix.Mmsghdr
	inVec    []unix.Iovec
	outVec   []unix.Iovec
	buf      []byte // of incoming messages, room bytes each
	queries  []byte // of outgoing ones, one behind the other
	segments bool
	sources  *sources // nil: all leave from one address
}

const room = 1536

func dial(to netip.AddrPort, size int, single, many bool) (*client, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	var from *sources
	if many {
		from, err = openSources(fd, to)
	} else {
		err = unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connect %v: %w", to, err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	c := &client{
		fd: fd, sources: from,
		in: make([]unix.Mmsghdr, batch), inVec: make([]unix.Iovec, batch), buf: make([]byte, batch*room),
		out: make([]unix.Mmsghdr, batch), outVec: make([]unix.Iovec, batch), queries: make([]byte, batch*size),
	}
	for i := range batch {
		c.inVec[i].Base = &c.buf[i*room]
		c.inVec[i].SetLen(room)
		c.in[i].Hdr.Iov = &c.inVec[i]
		c.in[i].Hdr.SetIovlen(1)
		c.outVec[i].Base = &c.queries[i*size]
		c.outVec[i].SetLen(size)
		c.out[i].Hdr.Iov = &c.outVec[i]
		c.out[i].Hdr.SetIovlen(1)
	}
	// Queries that leave in one piece go through the network once together,
	// and come to the server one by one. It is what makes the client faster
	// than any server that has to answer each.
	c.segments = !single && unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT, size) == nil
	return c, nil
}

func (c *client) close() { _ = unix.Close(c.fd) }

// send sends the first n queries.
func (c *client) send(n, size int) error {
	for sent := 0; sent < n; {
		var k int
		var e unix.Errno
		switch {
		case c.sources != nil:
			k = 1
			if c.segments {
				k = min(segments, n-sent)
			}
			e = c.sources.send(c.fd, c.queries[sent*size:][:k*size])
		case c.segments:
			k = min(segments, n-sent)
			_, _, e = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(c.fd),
				uintptr(unsafe.Pointer(&c.queries[sent*size])), uintptr(k*size), 0, 0, 0)
		default:
			var r uintptr
			r, _, e = unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(c.fd),
				uintptr(unsafe.Pointer(&c.out[sent])), uintptr(n-sent), 0, 0, 0)
			k = int(r)
		}
		switch e {
		case 0:
			sent += k
		case unix.EAGAIN, unix.EINTR:
		default:
			return fmt.Errorf("send: %w", e)
		}
	}
	return nil
}

// receive takes what is there.
func (c *client) receive() (int, error) {
	n, _, e := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(c.fd),
		uintptr(unsafe.Pointer(&c.in[0])), batch, unix.MSG_DONTWAIT, 0, 0)
	switch e {
	case 0:
		return int(n), nil
	case unix.EAGAIN, unix.EINTR:
		return 0, nil
	}
	return 0, fmt.Errorf("receive: %w", e)
}

func (c *client) message(i int) []byte { return c.buf[i*room:][:c.in[i].Len] }

// asking is one run of the UDP load.
type asking struct {
	*asker
	c       *client
	start   time.Time
	tally   tally
	hist    *histogram
	parts   stretches
	since   [1 << 16]time.Duration // when it was due, by ID; 0: not on the way
	flying  int
	idle    time.Duration
	counted bool // warming up is over
	paced   bool // queries leave at an even rate
	trace   [][2]int64
}

func (q *asking) now() time.Duration { return time.Since(q.start) + 1 }

// loadUDP keeps a window on the way, or asks at an even rate, until the time is
// over.
func loadUDP(o order, a *asker, mark func()) (tally, error) {
	c, err := dial(o.To, a.size(), o.Single, o.Shape.Kind == "sources")
	if err != nil {
		return tally{}, err
	}
	defer c.close()
	q := &asking{asker: a, c: c, start: time.Now(), hist: &histogram{}, paced: o.Mode == modeRate}
	q.tally.Batched = c.segments && o.Mode == modeFull
	if o.Mode == modeRate && o.Rate < 1 {
		return tally{}, errors.New("rate: at least one a second is needed")
	}
	if o.Trace != "" {
		q.trace = make([][2]int64, 0, 2*o.Rate*int(o.Each/time.Second+1))
	}
	pace := pacer{every: time.Second / time.Duration(max(1, o.Rate)), next: 1}
	pause := pauseFull
	if o.Mode == modeRate {
		pause = pauseRate
	}
	begin, heard := q.now(), q.now()
	var began time.Duration
	for {
		now := q.now()
		if !q.counted && now-begin >= o.Warm {
			mark()
			now = q.now()
			// What was due while the load looked is not asked for.
			pace.next = now
			q.tally = tally{Batched: q.tally.Batched}
			q.hist, q.parts, q.idle, q.counted, began = &histogram{}, stretches{}, 0, true, now
		}
		if q.counted && now-began >= o.Each {
			break
		}
		sent, err := q.ask(o, &pace, now)
		if err != nil {
			return q.tally, err
		}
		got, err := q.take()
		if err != nil {
			return q.tally, err
		}
		switch {
		case got > 0:
			heard = now
		case sent > 0:
		default:
			for q.now()-now < pause {
			}
			q.idle += q.now() - now
			if q.flying > 0 && now-heard > patience {
				q.lose(now)
				heard = now
			}
		}
	}
	took := q.now() - began
	mark()
	q.tally.Busy = 1 - float64(q.idle)/float64(took)
	q.tally.Latency, q.tally.Typical = q.hist.percentiles(), q.parts.typical()
	q.drain(o)
	if q.trace != nil {
		return q.tally, writeTrace(o.Trace, q.start, q.trace)
	}
	return q.tally, nil
}

// ask sends what is to be sent now.
func (q *asking) ask(o order, pace *pacer, now time.Duration) (int, error) {
	n, at, step := 0, now, time.Duration(0)
	if o.Mode == modeFull {
		// Half a batch at least, so that few calls move many.
		if free := o.Window - q.flying; free >= min(segments, o.Window) {
			n = min(free, batch)
		}
	} else {
		n, at = pace.due(now, batch)
		step = pace.every
	}
	if n == 0 {
		return 0, nil
	}
	size := q.size()
	for i := range n {
		id := q.put(q.c.queries[i*size:])
		if q.since[id] != 0 { // 65,536 later and still on the way
			q.tally.Lost++
			q.flying--
		}
		q.since[id] = at
		if step > 0 && now-at > lateAfter {
			q.tally.Late++
		}
		at += step
	}
	q.flying += n
	q.tally.Sent += n
	return n, q.c.send(n, size)
}

// take reads the answers that have come.
func (q *asking) take() (int, error) {
	n, err := q.c.receive()
	if n == 0 {
		return 0, err
	}
	now := q.now()
	for i := range n {
		b := q.c.message(i)
		if len(b) < digitsAt+digits {
			q.tally.Wrong++
			continue
		}
		id := binary.BigEndian.Uint16(b)
		since := q.since[id]
		if since == 0 {
			continue // it came after it had been given up, or twice
		}
		q.since[id] = 0
		q.flying--
		if !q.right(b) {
			q.tally.Wrong++
			continue
		}
		q.tally.Answers++
		q.hist.add(now - since)
		if q.paced {
			q.parts.add(now, now-since)
		}
		if q.trace != nil && q.counted {
			q.trace = append(q.trace, [2]int64{int64(since), int64(now - since)})
		}
	}
	return n, nil
}

// lose gives up what has been on the way for too long.
func (q *asking) lose(now time.Duration) {
	for id := range q.since {
		if s := q.since[id]; s != 0 && now-s > patience {
			q.since[id] = 0
			q.flying--
			q.tally.Lost++
		}
	}
}

// drain counts what has not come when the load is over, at a fixed rate; a
// window is always on the way and says nothing.
func (q *asking) drain(o order) {
	for end := q.now() + patience; q.flying > 0 && q.now() < end; {
		answers, hist := q.tally.Answers, q.hist
		q.hist = &histogram{}
		_, _ = q.take()
		q.tally.Answers, q.hist = answers, hist
	}
	if o.Mode == modeRate {
		q.tally.Lost += q.flying
	}
}
