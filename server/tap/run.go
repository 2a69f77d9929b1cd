package tap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"time"
)

const (
	// look is how often the rings are looked into while they are empty. To be
	// woken would cost a query more than its message, and a ring holds what comes
	// in between several times.
	look = 5 * time.Millisecond
	// bundle is the most that is written at once. It holds the largest record, a
	// query and an answer over TCP.
	bundle = 256 << 10

	dialTimeout  = 5 * time.Second
	greetTimeout = 5 * time.Second
	// writeTimeout is how long a receiver may take for one bundle before it counts
	// as gone.
	writeTimeout = 5 * time.Second
	// closeTimeout is how long the end of a stream may take: what is in the rings,
	// STOP, and the receiver's FINISH.
	closeTimeout = time.Second

	retryMin = 250 * time.Millisecond
	retryMax = 10 * time.Second
)

// Run writes what is recorded until ctx ends, and ends the stream in good order.
// While there is no receiver it drops, counts, and tries again. It returns nil.
func (t *Tap) Run(ctx context.Context) error {
	for {
		t.mu.Lock()
		s := t.stream
		t.mu.Unlock()
		if s != nil {
			unhook := context.AfterFunc(ctx, s.end)
			t.serve(s)
			unhook()
		}
		if ctx.Err() != nil {
			return nil
		}
		select {
		case <-ctx.Done():
		case <-t.changed:
		}
	}
}

// serve connects to the receiver of s, again and again, until s ends.
func (t *Tap) serve(s *stream) {
	out := make([]byte, 0, bundle)
	wait, said := retryMin, false
	for {
		conn, err := s.connect()
		if err == nil {
			wait, said = retryMin, false
			t.log.Info("dnstap receiver connected", "network", s.network, "address", s.address)
			err = t.feed(s, conn, out)
			s.shut()
			t.connected.Store(false)
		}
		if s.ctx.Err() != nil {
			return
		}
		if !said {
			said = true
			t.log.Warn("dnstap receiver is away: messages are dropped until it is back", "network", s.network, "address", s.address, "error", err)
		}
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(wait):
		}
		wait = min(2*wait, retryMax)
	}
}

// connect is a connection that takes frames.
func (s *stream) connect() (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(s.ctx, s.network, s.address)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(greetTimeout)) // here and below: fails only when closed
	unhook := context.AfterFunc(s.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err = greet(conn)
	if !unhook() && err == nil {
		err = s.ctx.Err()
	}
	if err != nil {
		_ = conn.Close() // the reason is in err
		return nil, fmt.Errorf("handshake: %w", err)
	}
	_ = conn.SetDeadline(time.Time{})
	return conn, nil
}

// feed writes to conn what comes into the rings until s ends or conn fails. out
// is memory for a bundle. It opens the rings and leaves them to shut; conn is
// closed afterwards.
func (t *Tap) feed(s *stream, conn net.Conn, out []byte) error {
	// The receiver says nothing before the end, so whatever comes is the end.
	gone := make(chan error, 1)
	go func() {
		c, err := readControl(conn)
		if err == nil && c.kind != controlFinish {
			err = fmt.Errorf("the receiver sent control frame %d amid the stream", c.kind)
		}
		gone <- err
		close(gone)
	}()
	defer func() {
		_ = conn.Close() // what matters has been said by then
		for range gone { // until that goroutine has ended
		}
	}()
	// A receiver that does not take a bundle must not hold up the end either.
	unhook := context.AfterFunc(s.ctx, func() { _ = conn.SetWriteDeadline(time.Now().Add(closeTimeout)) })
	defer unhook()

	for _, r := range s.rings {
		r.open()
	}
	t.connected.Store(true)

	pause := time.NewTimer(look)
	defer pause.Stop()
	for first := 0; ; first++ {
		wrote, err := t.bundle(s, conn, out, first)
		if err != nil {
			return err
		}
		if s.ctx.Err() != nil {
			break
		}
		if wrote {
			continue
		}
		pause.Reset(look)
		select {
		case <-s.ctx.Done():
		case err := <-gone:
			return cmp.Or(err, errors.New("the receiver ended the stream"))
		case <-pause.C:
		}
	}
	return t.finish(s, conn, out, gone)
}

// bundle writes a bundle of what is in the rings, from the first-th on. wrote is
// whether there was anything.
func (t *Tap) bundle(s *stream, conn net.Conn, out []byte, first int) (wrote bool, err error) {
	out = out[:0]
	frames := 0
	for i := range s.rings {
		var n int
		out, n = s.rings[(first+i)%len(s.rings)].take(out)
		frames += n
	}
	if len(out) == 0 {
		return false, nil
	}
	_ = conn.SetWriteDeadline(time.Now().Add(writeTimeout)) // here and below: fails only when closed
	if s.ctx.Err() != nil {
		_ = conn.SetWriteDeadline(time.Now().Add(closeTimeout)) // it may have been set before
	}
	if _, err := conn.Write(out); err != nil {
		t.tallies[0][dropAway].Add(uint64(frames)) // the receiver may have some of them
		return false, err
	}
	t.sent.Add(uint64(frames))
	return true, nil
}

// finish writes what has been recorded and ends the stream in good order, as far
// as the receiver lets us.
func (t *Tap) finish(s *stream, conn net.Conn, out []byte, gone <-chan error) error {
	for _, r := range s.rings {
		r.close()
	}
	end := time.Now().Add(closeTimeout)
	for first := 0; time.Now().Before(end); first++ {
		if wrote, err := t.bundle(s, conn, out, first); err != nil {
			return err
		} else if !wrote {
			break
		}
	}
	_ = conn.SetDeadline(end) // fails only when closed
	if _, err := conn.Write(appendControl(nil, controlStop, false)); err != nil {
		return err
	}
	return <-gone
}

// shut closes the rings and drops what is in them: when the receiver is back it
// shall not be told of the past as if it were now.
func (s *stream) shut() {
	for _, r := range s.rings {
		r.close()
	}
	end := time.Now().Add(closeTimeout)
	for _, r := range s.rings {
		// A record that is being written is there in an instant, if its goroutine
		// has a processor.
		for !r.discard(dropAway) && time.Now().Before(end) {
			runtime.Gosched()
		}
	}
}
