package tap

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// logOf is a logger into the test's output.
func logOf(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}

// until waits for what comes by itself.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%s did not come", what)
		}
	}
}

func record(tap *Tap, port int) {
	if r := tap.Recorder(); r != nil && r.Sampled() {
		x := ordinary()
		x.Query = fmt.Appendf(nil, "query %d", port)
		x.Answer = fmt.Appendf(nil, "answer %d", port)
		r.Record(0, x)
	}
}

// TestStream goes through the life of a stream, over both transports.
func TestStream(t *testing.T) {
	for _, network := range []string{"unix", "tcp"} {
		t.Run(network, func(t *testing.T) {
			recv := listen(t, network)
			tap := New(logOf(t))
			tap.Configure(recv.config())
			record(tap, 0) // before there is anybody
			stop := run(t, tap)
			c := recv.welcome()
			until(t, "the connection", tap.connected.Load)
			record(tap, 1)
			record(tap, 2)
			for i := 1; i <= 2; i++ {
				q, a := recv.next(c), recv.next(c)
				if string(q.query) != fmt.Sprintf("query %d", i) || string(a.response) != fmt.Sprintf("answer %d", i) || q.identity != "ns1" || q.version != "test" {
					t.Errorf("%+v %+v", q, a)
				}
			}
			// What is there at the end goes out before STOP.
			record(tap, 3)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				if n, err := rest(c); n != 2 || err != nil {
					t.Errorf("%d frames before STOP, %v", n, err)
				}
			}()
			stop()
			<-ended
			if sent, full, away := tap.counts(); sent != 6 || full != 0 || away != 2 {
				t.Errorf("%d sent, %d full, %d away", sent, full, away)
			}
			if tap.connected.Load() {
				t.Error("connected still")
			}
		})
	}
}

// TestHandshakeRefused has receivers that are none: each connection is given up,
// and the next one tried.
func TestHandshakeRefused(t *testing.T) {
	answers := map[string][]byte{
		"READY with control frame 5": appendControl(nil, controlFinish, false),
		"does not take":              []byte("\x00\x00\x00\x00\x00\x00\x00\x0f\x00\x00\x00\x01\x00\x00\x00\x01\x00\x00\x00\x03abc"),
		"a data frame came":          []byte("HTTP/1.1 400 Bad Request\r\n"),
		"its length is 513":          []byte("\x00\x00\x00\x00\x00\x00\x02\x01"),
		"ends within a field":        []byte("\x00\x00\x00\x00\x00\x00\x00\x06\x00\x00\x00\x01\x00\x00"),
		"closed instead":             nil,
		"unexpected EOF":             []byte("\x00\x00\x00\x00\x00"),
	}
	for want, answer := range answers {
		a, b := net.Pipe()
		go func() {
			_, _, _ = readFrame(b)
			_, _ = b.Write(answer)
			_ = b.Close()
		}()
		if err := greet(a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", answer, err)
		}
		_ = a.Close()
	}

	recv := listen(t, "tcp")
	tap := New(logOf(t))
	tap.Configure(recv.config())
	run(t, tap)
	bad := recv.accept()
	if _, err := bad.Write([]byte("220 mail.example.com ESMTP\r\n")); err != nil {
		t.Fatal(err)
	}
	c := recv.welcome()
	until(t, "the connection", tap.connected.Load)
	record(tap, 1)
	if m := recv.next(c); string(m.query) != "query 1" {
		t.Errorf("%+v", m)
	}
	_ = c.Close()
}

// TestReceiverStalls has a receiver that takes nothing: whoever records does not
// notice, what is too much is counted, and it is all told when it takes again.
func TestReceiverStalls(t *testing.T) {
	recv := listen(t, "unix")
	tap := New(logOf(t))
	tap.Configure(recv.config())
	stop := run(t, tap)
	c := recv.welcome()
	until(t, "the connection", tap.connected.Load)
	const workers = 4
	var mu sync.Mutex
	recorded := 0
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			lane, n := tap.Lane(), 0
			for full := uint64(0); full < 1000; _, full, _ = tap.counts() {
				for range 100 {
					x := ordinary()
					x.Answer = make([]byte, 1000)
					tap.Recorder().Record(lane, x)
					n += 2
				}
			}
			mu.Lock()
			defer mu.Unlock()
			recorded += n
		})
	}
	all.Wait()
	ended := make(chan int)
	go func() {
		n, err := rest(c)
		if err != nil {
			t.Error(err)
		}
		ended <- n
	}()
	until(t, "the rest", func() bool { sent, full, _ := tap.counts(); return int(sent+full) == recorded })
	stop()
	got := <-ended
	sent, full, away := tap.counts()
	if int(sent) != got || int(sent+full+away) != recorded || full == 0 || away != 0 {
		t.Errorf("%d came of %d; counted %d sent, %d full, %d away", got, recorded, sent, full, away)
	}
}

// TestStalled has a receiver that never takes anything: it counts as gone after
// writeTimeout, and the end of the stream waits for it no longer than closeTimeout,
// whether it comes before the stall or amid it.
func TestStalled(t *testing.T) {
	for _, c := range []struct {
		name   string
		ends   time.Duration // after the first message
		wanted time.Duration
	}{
		{"gone", time.Hour, look + writeTimeout},
		{"end amid the stall", time.Second, time.Second + closeTimeout},
		{"end before", 0, closeTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				config := &Config{Network: "unix", Address: "x", Queries: true, Responses: true, Sample: 1}
				tap := New(logOf(t))
				tap.Configure(config)
				ours, theirs := net.Pipe()
				defer theirs.Close() //nolint:errcheck // a test's
				ended := make(chan error)
				go func() { ended <- tap.feed(tap.stream, ours, make([]byte, 0, bundle)) }()
				synctest.Wait()
				begin := time.Now()
				record(tap, 1)
				after := time.AfterFunc(c.ends, tap.stream.end)
				defer after.Stop()
				if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Error(err)
				}
				if took := time.Since(begin); took != c.wanted {
					t.Errorf("it took %v, want %v", took, c.wanted)
				}
				if sent, full, away := tap.counts(); sent != 0 || full != 0 || away != 2 {
					t.Errorf("%d sent, %d full, %d away", sent, full, away)
				}
			})
		})
	}
}

// TestReceiverReturns takes the receiver away and brings it back.
func TestReceiverReturns(t *testing.T) {
	recv := listen(t, "unix")
	tap := New(logOf(t))
	tap.Configure(recv.config())
	run(t, tap)
	c := recv.welcome()
	until(t, "the connection", tap.connected.Load)
	path := recv.ln.Addr().String()
	_ = recv.ln.Close()
	_ = c.Close()
	// It is noticed without a message.
	until(t, "the end of the connection", func() bool { return !tap.connected.Load() })
	for range 10 {
		record(tap, 1)
	}
	if sent, _, away := tap.counts(); sent != 0 || away != 20 {
		t.Errorf("%d sent, %d away", sent, away)
	}
	recv = listenAt(t, "unix", path)
	c = recv.welcome()
	until(t, "the connection", tap.connected.Load)
	record(tap, 2)
	if m := recv.next(c); string(m.query) != "query 2" {
		t.Errorf("the first message is %q", m.query)
	}
	// A receiver may also say that it is enough.
	if _, err := c.Write(appendControl(nil, controlFinish, false)); err != nil {
		t.Fatal(err)
	}
	c = recv.welcome()
	_ = c.Close()
}

// TestConfigure changes everything while it runs.
func TestConfigure(t *testing.T) {
	first, second := listen(t, "unix"), listen(t, "tcp")
	tap := New(logOf(t))
	if tap.Recorder() != nil {
		t.Fatal("a new tap is on")
	}
	run(t, tap)
	tap.Configure(first.config())
	c := first.welcome()
	until(t, "the connection", tap.connected.Load)

	// The same receiver, other messages: the connection stays.
	config := first.config()
	config.Queries, config.Identity = false, "other"
	tap.Configure(config)
	record(tap, 1)
	if m := first.next(c); string(m.response) != "answer 1" || m.identity != "other" {
		t.Errorf("%+v", m)
	}

	ended := make(chan error, 2)
	end := func(c net.Conn) {
		n, err := rest(c)
		if n != 0 {
			err = errors.Join(err, fmt.Errorf("%d frames", n))
		}
		ended <- err
	}
	go end(c)
	tap.Configure(second.config())
	d := second.welcome()
	if err := <-ended; err != nil {
		t.Errorf("the first receiver: %v", err)
	}
	until(t, "the connection", tap.connected.Load)
	record(tap, 2)
	if m := second.next(d); string(m.query) != "query 2" {
		t.Errorf("%+v", m)
	}
	second.next(d)

	go end(d)
	tap.Configure(nil)
	if tap.Recorder() != nil {
		t.Error("on still")
	}
	if err := <-ended; err != nil {
		t.Errorf("the second receiver: %v", err)
	}
	tap.Configure(first.config())
	go end(first.welcome())
}

// FuzzControl reads what a receiver may send: never more than a control frame, and
// never a field beyond its end.
func FuzzControl(f *testing.F) {
	f.Add(appendControl(nil, controlAccept, true))
	f.Add(appendControl(nil, controlFinish, false))
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x00\x10\x00\x00\x00\x01\x00\x00\x00\x01\xff\xff\xff\xff\x00\x00\x00\x00"))
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &counted{b: b}
		c, err := readControl(in)
		if in.n > 2*lengthSize+maxControl {
			t.Fatalf("%d bytes were read", in.n)
		}
		if err != nil {
			return
		}
		// The slow reading: every field, one after the other, up to the end.
		body := b[2*lengthSize : in.n]
		var types []string
		for rest := body[4:]; len(rest) > 0; {
			size := be(rest[4:])
			if be(rest) == fieldType {
				types = append(types, string(rest[8:8+size]))
			}
			rest = rest[8+size:]
		}
		takes := len(types) == 0
		for _, s := range types {
			takes = takes || s == contentType
		}
		if c.kind != uint32(be(body)) || c.takes != takes {
			t.Fatalf("%+v of %x", c, b)
		}
	})
}

func be(b []byte) int { return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

// counted counts what is read.
type counted struct {
	b []byte
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	if c.n == len(c.b) {
		return 0, errors.New("the end")
	}
	n := copy(p, c.b[c.n:])
	c.n += n
	return n, nil
}
