package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// silence is how long a server may say nothing on a connection.
const silence = 5 * time.Second

// tlsConfig is that of a client that keeps its sessions. It does not look at the
// certificate: that is not the server's work.
func tlsConfig() *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         []string{"dot"},
		ClientSessionCache: tls.NewLRUClientSessionCache(64),
		// The one that every server has; a hybrid one would cost the servers that
		// have it more than the others.
		CurvePreferences: []tls.CurveID{tls.X25519},
	}
}

// resumed is a new TLS connection that took up an earlier session.
func resumed(o order, config *tls.Config) (*tls.Conn, error) {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: silence}, "tcp", o.To.String(), config)
	if err != nil {
		return nil, err
	}
	if !conn.ConnectionState().DidResume {
		_ = conn.Close()
		return nil, errNotResumed
	}
	return conn, nil
}

var errNotResumed = errors.New("tls: the server did not take up the session")

// firstSession makes a connection for its ticket, which comes behind the
// handshake and so is read with the first answer.
func firstSession(o order, a *asker, config *tls.Config) error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: silence}, "tcp", o.To.String(), config)
	if err != nil {
		return err
	}
	s := newStream(conn, a, 1)
	err = s.once()
	return errors.Join(err, conn.Close())
}

// stream is one connection with queries on the way.
type stream struct {
	conn    net.Conn
	a       *asker
	out, in []byte
	have    int // bytes in in
}

func newStream(conn net.Conn, a *asker, window int) *stream {
	return &stream{conn: conn, a: a, out: make([]byte, 0, window*(a.size()+2)), in: make([]byte, 1<<16)}
}

// ask sends n queries in one write.
func (s *stream) ask(n int) error {
	s.out = s.out[:0]
	for range n {
		k := len(s.out)
		s.out = s.out[:k+2+s.a.size()]
		binary.BigEndian.PutUint16(s.out[k:], uint16(s.a.size()))
		s.a.put(s.out[k+2:])
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(silence))
	_, err := s.conn.Write(s.out)
	return err
}

// take waits for answers and counts them.
func (s *stream) take() (right, wrong int, err error) {
	_ = s.conn.SetReadDeadline(time.Now().Add(silence))
	n, err := s.conn.Read(s.in[s.have:])
	s.have += n
	b := s.in[:s.have]
	for len(b) >= 2 {
		size := int(binary.BigEndian.Uint16(b))
		if len(b) < 2+size {
			break
		}
		if s.a.right(b[2 : 2+size]) {
			right++
		} else {
			wrong++
		}
		b = b[2+size:]
	}
	s.have = copy(s.in, b)
	if right+wrong > 0 {
		err = nil // what comes with the end still counts
	}
	return right, wrong, err
}

// once asks one query and waits for its answer.
func (s *stream) once() error {
	if err := s.ask(1); err != nil {
		return err
	}
	for {
		right, wrong, err := s.take()
		switch {
		case err != nil:
			return err
		case wrong > 0:
			return errors.New("wrong answer")
		case right > 0:
			return nil
		}
	}
}

// phase is where a load of several goroutines is.
type phase struct {
	mu      sync.Mutex
	counted bool
	sum     tally
	hist    histogram
}

func (p *phase) add(right, wrong int) {
	p.mu.Lock()
	if p.counted {
		p.sum.Answers += right
		p.sum.Wrong += wrong
	}
	p.mu.Unlock()
}

// during runs for warming up and then for the time that counts, and calls mark at
// both ends of that.
func (p *phase) during(ctx context.Context, o order, mark func()) error {
	if err := wait(ctx, o.Warm); err != nil {
		return err
	}
	mark()
	own := used([]int{os.Getpid()})
	began := time.Now()
	p.mu.Lock()
	p.counted = true
	p.mu.Unlock()
	err := wait(ctx, o.Each)
	p.mu.Lock()
	p.counted = false
	took := time.Since(began)
	p.mu.Unlock()
	mark()
	p.sum.Busy = float64(used([]int{os.Getpid()}).minus(own).Total) / float64(took)
	return err
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// loadStream keeps a window on the way on each connection.
func loadStream(o order, a *asker, mark func()) (tally, error) {
	config := tlsConfig()
	if o.Mode == modeTLS {
		if err := firstSession(o, a, config); err != nil {
			return tally{}, err
		}
	}
	ctx, fail := context.WithCancelCause(context.Background())
	var p phase
	var all sync.WaitGroup
	var conns []net.Conn
	end := func() {
		fail(nil)
		for _, c := range conns {
			_ = c.Close()
		}
		all.Wait()
	}
	defer end()
	for i := range max(1, o.Conns) {
		var conn net.Conn
		var err error
		if o.Mode == modeTLS {
			conn, err = resumed(o, config)
		} else {
			conn, err = net.DialTimeout("tcp", o.To.String(), silence)
		}
		if err != nil {
			return tally{}, err
		}
		conns = append(conns, conn)
		own, err := newAsker(o.Shape, uint64(i)+1)
		if err != nil {
			return tally{}, err
		}
		all.Go(func() {
			if err := newStream(conn, own, o.Window).run(ctx, o.Window, &p); err != nil && ctx.Err() == nil {
				fail(err)
			}
		})
	}
	err := p.during(ctx, o, mark)
	return p.sum, err
}

// run replaces what is answered until ctx ends.
func (s *stream) run(ctx context.Context, window int, p *phase) error {
	if err := s.ask(window); err != nil {
		return err
	}
	for ctx.Err() == nil {
		right, wrong, err := s.take()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return errors.New("the server closed a connection in use")
			}
			return err
		}
		p.add(right, wrong)
		if right+wrong == 0 {
			continue
		}
		if err := s.ask(right + wrong); err != nil {
			return err
		}
	}
	return nil
}

// maxHandshakes is how many may be under way at once.
const maxHandshakes = 64

// loadHandshakes makes resumed connections of one query each, at an even rate.
func loadHandshakes(o order, a *asker, mark func()) (tally, error) {
	config := tlsConfig()
	if err := firstSession(o, a, config); err != nil {
		return tally{}, err
	}
	if o.Rate < 1 {
		return tally{}, fmt.Errorf("rate: %d: at least one a second is needed", o.Rate)
	}
	// All ask the same, since only the handshakes are to differ.
	query := make([]byte, 2+a.size())
	binary.BigEndian.PutUint16(query, uint16(a.size()))
	a.put(query[2:])
	ctx, fail := context.WithCancelCause(context.Background())
	var p phase
	var all sync.WaitGroup
	places := make(chan struct{}, maxHandshakes)
	all.Go(func() {
		tick := time.NewTicker(time.Second / time.Duration(o.Rate))
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			select {
			case places <- struct{}{}:
			default:
				p.mu.Lock()
				p.sum.Lost++ // the server is so far behind that it would not be this rate
				p.mu.Unlock()
				continue
			}
			all.Go(func() {
				defer func() { <-places }()
				if err := p.handshake(o, config, a, query); err != nil && ctx.Err() == nil {
					fail(err)
				}
			})
		}
	})
	err := p.during(ctx, o, mark)
	fail(nil)
	all.Wait()
	p.sum.Latency = p.hist.percentiles()
	return p.sum, err
}

// handshake is one resumed connection with one query, from connecting to the
// answer.
func (p *phase) handshake(o order, config *tls.Config, a *asker, query []byte) error {
	begin := time.Now()
	conn, err := resumed(o, config)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(begin.Add(silence))
	_, err = conn.Write(query)
	if err != nil {
		return err
	}
	b := make([]byte, 1500)
	n, err := io.ReadAtLeast(conn, b, 2+dnswire.HeaderLen)
	if err != nil {
		return err
	}
	took := time.Since(begin)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.counted {
		return nil
	}
	// The whole answer comes in one record.
	if n != 2+int(binary.BigEndian.Uint16(b)) || !a.right(b[2:n]) {
		p.sum.Wrong++
		return nil
	}
	p.sum.Answers++
	p.hist.add(took)
	return nil
}
