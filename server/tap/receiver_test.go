package tap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// patience is how long a test waits for what must come. It is never waited for
// when all is well.
const patience = 20 * time.Second

// receiver takes one connection after the other, as a program that collects
// dnstap does.
type receiver struct {
	t  testing.TB
	ln net.Listener
}

func listen(t testing.TB, network string) *receiver {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = filepath.Join(t.TempDir(), "tap.sock")
	}
	return listenAt(t, network, addr)
}

func listenAt(t testing.TB, network, addr string) *receiver {
	t.Helper()
	ln, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	return &receiver{t: t, ln: ln}
}

func (r *receiver) config() *Config {
	a := r.ln.Addr()
	return &Config{
		Network: a.Network(), Address: a.String(), Queries: true, Responses: true, Sample: 1,
		Identity: "ns1", Version: "test", Buffer: MinBuffer,
	}
}

// accept takes a connection, whose handshake is not made yet.
func (r *receiver) accept() net.Conn {
	r.t.Helper()
	type deadliner interface{ SetDeadline(time.Time) error }
	_ = r.ln.(deadliner).SetDeadline(time.Now().Add(patience))
	c, err := r.ln.Accept()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// frame reads a frame: a control frame has a kind and no data.
func readFrame(c io.Reader) (data []byte, kind uint32, err error) {
	var word [4]byte
	next := func() uint32 {
		if err == nil {
			_, err = io.ReadFull(c, word[:])
		}
		return binary.BigEndian.Uint32(word[:])
	}
	size := next()
	isControl := err == nil && size == 0
	if isControl {
		size = next()
	}
	if err != nil {
		return nil, 0, err
	}
	if size > 1<<20 {
		return nil, 0, fmt.Errorf("a frame of %d bytes", size)
	}
	data = make([]byte, size)
	if _, err = io.ReadFull(c, data); err != nil {
		return nil, 0, err
	}
	if isControl {
		return data[4:], binary.BigEndian.Uint32(data), nil
	}
	return data, 0, nil
}

// welcome makes the receiver's side of the handshake.
func (r *receiver) welcome() net.Conn {
	r.t.Helper()
	c := r.accept()
	if _, kind, err := readFrame(c); err != nil || kind != controlReady {
		r.t.Fatalf("frame %d %v, want READY", kind, err)
	}
	if _, err := c.Write(appendControl(nil, controlAccept, true)); err != nil {
		r.t.Fatal(err)
	}
	body, kind, err := readFrame(c)
	if err != nil || kind != controlStart {
		r.t.Fatalf("frame %d %v, want START", kind, err)
	}
	if want := "\x00\x00\x00\x01\x00\x00\x00\x16protobuf:dnstap.Dnstap"; string(body) != want {
		r.t.Fatalf("START with %q", body)
	}
	return c
}

// next is the next message that comes over c.
func (r *receiver) next(c net.Conn) message {
	r.t.Helper()
	data, kind, err := readFrame(c)
	if err != nil || kind != 0 {
		r.t.Fatalf("control frame %d, %v; want a data frame", kind, err)
	}
	m, err := decode(data)
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

// rest reads until STOP, answers it, and returns how many frames came before.
func rest(c net.Conn) (frames int, err error) {
	for {
		_, kind, err := readFrame(c)
		switch {
		case err != nil:
			return frames, err
		case kind == controlStop:
			_, err := c.Write(appendControl(nil, controlFinish, false))
			return frames, err
		case kind != 0:
			return frames, fmt.Errorf("control frame %d amid the stream", kind)
		}
		frames++
	}
}

// message is a frame as dnstap.proto has it. A pointer is nil where the field is
// not there.
type message struct {
	identity, version          string
	kind, family, protocol     uint64
	from, to                   netip.Addr
	fromPort, toPort           uint64
	asked, answered            time.Time
	query, zone, response      []byte
	sec, nsec, rsec, rnsec     uint64
	hasAsked, hasAnswered, has bool
}

var errTwice = errors.New("a field twice")

// fields walks over the fields of a protobuf message, each of which may be there
// once.
func fields(b []byte, f func(num protowire.Number, n uint64, data []byte) error) error {
	seen := map[protowire.Number]bool{}
	for len(b) > 0 {
		num, typ, k := protowire.ConsumeTag(b)
		if k < 0 {
			return protowire.ParseError(k)
		}
		b = b[k:]
		if seen[num] {
			return fmt.Errorf("%w: %d", errTwice, num)
		}
		seen[num] = true
		var n uint64
		var data []byte
		switch typ {
		case protowire.VarintType:
			n, k = protowire.ConsumeVarint(b)
			if k >= 0 && k != protowire.SizeVarint(n) {
				return fmt.Errorf("field %d: %d bytes for %d", num, k, n)
			}
		case protowire.Fixed32Type:
			var v uint32
			v, k = protowire.ConsumeFixed32(b)
			n = uint64(v)
		case protowire.BytesType:
			data, k = protowire.ConsumeBytes(b)
			data = append([]byte{}, data...)
		default:
			return fmt.Errorf("field %d has wire type %d", num, typ)
		}
		if k < 0 {
			return protowire.ParseError(k)
		}
		b = b[k:]
		if want, ok := wireTypes[num]; ok && want != typ {
			return fmt.Errorf("field %d has wire type %d, want %d", num, typ, want)
		}
		if err := f(num, n, data); err != nil {
			return err
		}
	}
	return nil
}

// wireTypes are those of the fields that are not text or bytes; their numbers have
// the same in Dnstap and in Message, but for 14 and 15.
var wireTypes = map[protowire.Number]protowire.Type{
	3: protowire.VarintType, 6: protowire.VarintType, 7: protowire.VarintType,
	8: protowire.VarintType, 9: protowire.Fixed32Type, 12: protowire.VarintType, 13: protowire.Fixed32Type,
	14: protowire.BytesType,
}

// decode reads a frame by dnstap.proto, strictly.
func decode(b []byte) (m message, err error) {
	var inner []byte
	err = fields(b, func(num protowire.Number, n uint64, data []byte) error {
		switch num {
		case 1:
			m.identity = string(data)
		case 2:
			m.version = string(data)
		case 14:
			inner = data
		case 15:
			if n != 1 {
				return fmt.Errorf("Dnstap.type %d", n)
			}
			m.has = true
		default:
			return fmt.Errorf("Dnstap has no field %d", num)
		}
		return nil
	})
	if err == nil && !m.has {
		err = errors.New("Dnstap.type is missing, and required")
	}
	if err != nil {
		return m, err
	}
	kind := false
	err = fields(inner, func(num protowire.Number, n uint64, data []byte) error {
		ok := true
		switch num {
		case 1:
			m.kind, kind = n, true
		case 2:
			m.family = n
		case 3:
			m.protocol = n
		case 4:
			m.from, ok = netip.AddrFromSlice(data)
		case 5:
			m.to, ok = netip.AddrFromSlice(data)
		case 6:
			m.fromPort = n
		case 7:
			m.toPort = n
		case 8:
			m.sec = n
		case 9:
			m.nsec, m.hasAsked = n, true
		case 10:
			m.query = data
		case 11:
			m.zone = data
		case 12:
			m.rsec = n
		case 13:
			m.rnsec, m.hasAnswered = n, true
		case 14:
			m.response = data
		default:
			return fmt.Errorf("Message has no field %d that is ours", num)
		}
		if !ok {
			return fmt.Errorf("field %d is no address: %d bytes", num, len(data))
		}
		return nil
	})
	if err == nil && !kind {
		err = errors.New("Message.type is missing, and required")
	}
	m.asked, m.answered = time.Unix(int64(m.sec), int64(m.nsec)), time.Unix(int64(m.rsec), int64(m.rnsec))
	return m, err
}

// run runs a Tap until the end of the test, or until the function that it returns
// is called.
func run(t testing.TB, tap *Tap) (stop func()) {
	t.Helper()
	ended := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(ended)
		_ = tap.Run(ctx)
	}()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case <-ended:
			case <-time.After(patience):
				t.Error("Run does not end")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}
