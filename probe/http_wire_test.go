package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// tongue makes the bytes of a response in one version of HTTP.
type tongue struct {
	version string
	// head is a header, the last one before the body if final. Of HTTP/2 it has the
	// server's settings in front.
	head func(status int, final bool, header ...field) []byte
	// data is a piece of the body.
	data func(b []byte) []byte
}

var tongues = []tongue{
	{
		HTTP1,
		func(status int, _ bool, header ...field) []byte {
			b := []byte("HTTP/1.1 " + strconv.Itoa(status) + " x\r\n")
			for _, f := range header {
				b = append(b, f.name+": "+f.value+"\r\n"...)
			}
			return append(b, "\r\n"...)
		},
		func(b []byte) []byte { return b },
	},
	{
		HTTP2,
		func(status int, final bool, header ...field) []byte {
			return frames2(func(fr *http2.Framer) {
				if final {
					_ = fr.WriteSettings()
				}
				_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: block2(status, header...)})
			})
		},
		func(b []byte) []byte {
			return frames2(func(fr *http2.Framer) { _ = fr.WriteData(1, false, b) })
		},
	},
	{
		HTTP3,
		func(status int, _ bool, header ...field) []byte {
			return frame3(frameHeaders, block3(status, header...))
		},
		func(b []byte) []byte { return frame3(frameData, b) },
	},
}

func frames2(write func(*http2.Framer)) []byte {
	var b bytes.Buffer
	fr := http2.NewFramer(&b, nil)
	fr.AllowIllegalWrites = true
	write(fr)
	return b.Bytes()
}

func block2(status int, header ...field) []byte {
	var b bytes.Buffer
	enc := hpack.NewEncoder(&b)
	for _, f := range append([]field{{":status", strconv.Itoa(status)}}, header...) {
		_ = enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	return b.Bytes()
}

func block3(status int, header ...field) []byte {
	var b bytes.Buffer
	enc := qpack.NewEncoder(&b)
	for _, f := range append([]field{{":status", strconv.Itoa(status)}}, header...) {
		_ = enc.WriteField(qpack.HeaderField{Name: f.name, Value: f.value})
	}
	return b.Bytes()
}

func frame3(kind uint64, payload []byte) []byte {
	return append(quicvarint.Append(quicvarint.Append(nil, kind), uint64(len(payload))), payload...)
}

// peer is the server's end of one request that it has read.
type peer struct {
	t     *testing.T
	wrote int
	write func([]byte) (int, error)
	// end ends the answer as if it were whole, reset does not.
	end, reset func()
	// conn is the connection of HTTP/3.
	conn *quic.Conn
}

// say writes, and says whether the client still reads.
func (p *peer) say(b []byte) bool {
	n, err := p.write(b)
	p.wrote += n
	return err == nil
}

// theatre is where handlers of one version stand; clients reach it through network.
type theatre struct {
	pipes
	packets *packetPipes
}

// perform has play answer every request of a version, over pipes.
func perform(t *testing.T, version string, play func(*peer)) *theatre {
	s := &theatre{}
	cfg := &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}, NextProtos: []string{"h3"}}
	s.pipes.handle = func(c net.Conn) {
		if version == HTTP1 {
			r, err := http.ReadRequest(bufio.NewReader(c))
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
		} else if !readRequest2(c) {
			return
		}
		gone := make(chan struct{})
		go func() {
			_, _ = io.Copy(io.Discard, c) // acknowledgements
			close(gone)
		}()
		play(&peer{t: t, write: c.Write, end: func() { _ = c.Close() }, reset: func() { _ = c.Close() }})
		<-gone
	}
	s.packets = &packetPipes{serve: func(far net.PacketConn) {
		tr := &quic.Transport{Conn: far}
		defer tr.Close()
		ln, err := tr.Listen(cfg, &quic.Config{InitialStreamReceiveWindow: 1 << 20})
		if err != nil {
			t.Error(err)
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		conn, err := ln.Accept(ctx)
		if err != nil {
			return
		}
		stream, err := conn.AcceptStream(ctx)
		if err == nil {
			_, _ = io.Copy(io.Discard, stream)
			play(&peer{
				t: t, conn: conn, write: stream.Write,
				end: func() { _ = stream.Close() }, reset: func() { stream.CancelWrite(0x102) },
			})
			<-conn.Context().Done()
		}
	}}
	return s
}

// readRequest2 reads up to the end of the request.
func readRequest2(c net.Conn) bool {
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
		return false
	}
	fr := http2.NewFramer(nil, c)
	for {
		f, err := fr.ReadFrame()
		if err != nil {
			return false
		}
		if f.Header().StreamID == 1 && f.Header().Flags.Has(http2.FlagDataEndStream) {
			return true
		}
	}
}

// prober puts a check on the stage.
func (s *theatre) prober(t *testing.T, o HTTP) Prober {
	p := must(t, o).(*httpProber)
	p.net, p.udp = s.pipes.network(), s.packets.network()
	return p
}

var testCertificate = func() func(t testing.TB) tls.Certificate {
	var once sync.Once
	var cert tls.Certificate
	return func(t testing.TB) tls.Certificate {
		once.Do(func() { cert = newAuthority(t).issue(t, nil, "www.example.com") })
		return cert
	}
}()

// packetPipes is a network of datagrams whose far ends serve serves, each until its
// client is gone.
type packetPipes struct {
	serve func(net.PacketConn)
	open  atomic.Int32
	peers sync.WaitGroup
}

func (p *packetPipes) network() *network {
	return &network{dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
		near, far := newPacketPipe()
		p.open.Add(1)
		p.peers.Go(func() {
			defer far.Close()
			p.serve(far)
		})
		return &counted{Conn: near, open: &p.open}, nil
	}}
}

// packetPipe is one end of a connection that keeps datagrams apart, and loses those
// for which there is no room.
type packetPipe struct {
	in, out  chan []byte
	mu       sync.Mutex
	deadline chan struct{} // closed once it has passed
	timer    *time.Timer
	local    *net.UDPAddr
	remote   *net.UDPAddr
}

func newPacketPipe() (near, far *packetPipe) {
	a, b := make(chan []byte, 256), make(chan []byte, 256)
	here, there := &net.UDPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 1000}, &net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 443}
	return &packetPipe{in: a, out: b, deadline: make(chan struct{}), local: here, remote: there},
		&packetPipe{in: b, out: a, deadline: make(chan struct{}), local: there, remote: here}
}

func (p *packetPipe) passed() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.deadline
}

func (p *packetPipe) Read(b []byte) (int, error) {
	passed := p.passed()
	select {
	case <-passed:
		return 0, os.ErrDeadlineExceeded
	default:
	}
	select {
	case <-passed:
		return 0, os.ErrDeadlineExceeded
	case d := <-p.in:
		return copy(b, d), nil
	}
}

func (p *packetPipe) Write(b []byte) (int, error) {
	select {
	case <-p.passed():
		return 0, os.ErrDeadlineExceeded
	default:
	}
	select {
	case p.out <- bytes.Clone(b):
	default:
	}
	return len(b), nil
}

func (p *packetPipe) ReadFrom(b []byte) (int, net.Addr, error) {
	n, err := p.Read(b)
	return n, p.remote, err
}

func (p *packetPipe) WriteTo(b []byte, _ net.Addr) (int, error) { return p.Write(b) }

func (p *packetPipe) SetReadBuffer(int) error  { return nil }
func (p *packetPipe) SetWriteBuffer(int) error { return nil }

func (p *packetPipe) Close() error { return p.SetDeadline(longAgo) }

func (p *packetPipe) LocalAddr() net.Addr  { return p.local }
func (p *packetPipe) RemoteAddr() net.Addr { return p.remote }

func (p *packetPipe) SetReadDeadline(t time.Time) error  { return p.SetDeadline(t) }
func (p *packetPipe) SetWriteDeadline(t time.Time) error { return nil }

func (p *packetPipe) SetDeadline(t time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer != nil {
		p.timer.Stop()
	}
	select {
	case <-p.deadline:
		p.deadline = make(chan struct{})
	default:
	}
	switch passed := p.deadline; {
	case t.IsZero():
	case !t.After(time.Now()):
		close(passed)
	default:
		p.timer = time.AfterFunc(time.Until(t), func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			if p.deadline == passed {
				close(passed)
			}
		})
	}
	return nil
}
