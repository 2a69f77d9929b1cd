package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/tap"
)

// tapped is a receiver of dnstap that takes one connection.
type tapped struct {
	config *tap.Config
	ln     net.Listener
	frames chan map[int][]byte // the fields of each Message; varints as text
}

func newTapped(t testing.TB) *tapped {
	t.Helper()
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "tap.sock"))
	if err != nil {
		t.Fatal(err)
	}
	r := &tapped{
		ln: ln, frames: make(chan map[int][]byte, 100),
		config: &tap.Config{
			Network: "unix", Address: ln.Addr().String(), Queries: true, Responses: true,
			Sample: 1, Identity: "ns1", Version: "test", Buffer: tap.MinBuffer,
		},
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = ln.Close()
		<-ended
	})
	go func() {
		defer close(ended)
		defer close(r.frames)
		c, err := ln.Accept()
		if err != nil {
			return
		}
		defer c.Close() //nolint:errcheck // a test's
		_ = c.SetDeadline(time.Now().Add(2 * patience))
		if err := r.collect(c); err != nil {
			t.Errorf("dnstap: %v", err)
		}
	}()
	return r
}

// collect makes the handshake, and reads until STOP.
func (r *tapped) collect(c net.Conn) error {
	for {
		var size uint32
		if err := binary.Read(c, binary.BigEndian, &size); err != nil {
			return err
		}
		isControl := size == 0
		if isControl {
			if err := binary.Read(c, binary.BigEndian, &size); err != nil {
				return err
			}
		}
		b := make([]byte, size)
		if _, err := io.ReadFull(c, b); err != nil {
			return err
		}
		switch {
		case !isControl:
			r.frames <- protoFields(protoFields(b)[14])
		case b[3] == 4: // READY, and the answer is ACCEPT
			b[3] = 1
			if _, err := c.Write(append([]byte{0, 0, 0, 0, 0, 0, 0, byte(size)}, b...)); err != nil {
				return err
			}
		case b[3] == 3: // STOP, and the answer is FINISH
			_, err := c.Write([]byte{0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 5})
			return err
		}
	}
}

func protoFields(b []byte) map[int][]byte {
	out := map[int][]byte{}
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeField(b)
		if n < 0 {
			return nil
		}
		v := b[protowire.SizeTag(num):n]
		switch typ {
		case protowire.VarintType:
			u, _ := protowire.ConsumeVarint(v)
			v = fmt.Append(nil, u)
		case protowire.BytesType:
			v, _ = protowire.ConsumeBytes(v)
		}
		out[int(num)] = v
		b = b[n:]
	}
	return out
}

func (r *tapped) next(t *testing.T) map[int][]byte {
	t.Helper()
	select {
	case f, ok := <-r.frames:
		if !ok {
			t.Fatal("the stream has ended")
		}
		return f
	case <-time.After(patience):
		t.Fatal("no frame came")
	}
	return nil
}

// connectedTap waits until the receiver has its connection.
func (r *node) connectedTap(t testing.TB) {
	t.Helper()
	for end := time.Now().Add(patience); r.metric(t, "rhumb_dns_dnstap_connected") != 1; {
		if time.Now().After(end) {
			t.Fatal("the receiver of dnstap is not connected")
		}
	}
}

// TestDnstap compares what clients send and get with what the receiver is told.
func TestDnstap(t *testing.T) {
	cert := certificate(t, 1)
	recv := newTapped(t)
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"),
		TLS:    addresses("127.0.0.1:0"), Certificate: cert, Tap: recv.config,
	})
	r.connectedTap(t)
	at := func(addr string, i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(addr), r.Addrs()[i].Port())
	}
	type want struct {
		protocol string
		to       netip.AddrPort
		zone     string
	}
	check := func(local net.Addr, w want, query, answer []byte) {
		t.Helper()
		q, a := recv.next(t), recv.next(t)
		client := netip.MustParseAddrPort(local.String())
		family := "1"
		if client.Addr().Is6() {
			family = "2"
		}
		for i, m := range []map[int][]byte{q, a} {
			for field, want := range map[int]string{
				1: fmt.Sprint(i + 1), 2: family, 3: w.protocol,
				4: string(client.Addr().AsSlice()), 5: string(w.to.Addr().AsSlice()),
				6: fmt.Sprint(client.Port()), 7: fmt.Sprint(w.to.Port()),
			} {
				if string(m[field]) != want {
					t.Errorf("%+v, message %d: field %d is %q, want %q", w, i+1, field, m[field], want)
				}
			}
		}
		if !bytes.Equal(q[10], query) || !bytes.Equal(a[14], answer) || string(a[11]) != w.zone {
			t.Errorf("%+v: %x, %x in %q", w, q[10], a[14], a[11])
		}
		asked, err1 := strconv.ParseInt(string(a[8]), 10, 64)
		answered, err2 := strconv.ParseInt(string(a[12]), 10, 64)
		if string(q[8]) != string(a[8]) || len(a[13]) != 4 || err1 != nil || err2 != nil || answered < asked || time.Duration(answered-asked) > patience/time.Second {
			t.Errorf("%+v: asked at %s and %s, answered at %s", w, q[8], a[8], a[12])
		}
	}

	buf := make([]byte, 4096)
	const zone = "\x01x\x04test\x00"
	for _, c := range []struct {
		to         netip.AddrPort
		name, zone string
		wildcard   bool
	}{
		{at("127.0.0.1", 0), "www.x.test.", zone, false},
		{at("127.0.0.1", 0), "elsewhere.test.", "", false},
		{at("127.0.0.1", 1), "WWW.x.test.", zone, true},
		{at("::1", 2), "nothing.x.test.", zone, false},
		{at("::1", 3), "www.x.test.", zone, true},
	} {
		conn := dial(t, "udp", c.to)
		if known := runtime.GOOS == "linux" || runtime.GOOS == "darwin"; !known && c.wildcard {
			c.to = netip.AddrPortFrom(netip.Addr{}, c.to.Port())
		}
		msg := query(t, 1, c.name)
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
		n, err := conn.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		check(conn.LocalAddr(), want{"1", c.to, c.zone}, msg, buf[:n])
	}

	plain := dial(t, "tcp", at("127.0.0.1", 1))
	over := dialTLS(t, r.TLSAddrs()[0], trusting(cert))
	for _, c := range []struct {
		conn     net.Conn
		protocol string
		to       netip.AddrPort
	}{{plain, "2", at("127.0.0.1", 1)}, {over, "3", r.TLSAddrs()[0]}} {
		msg := query(t, 1, "big.x.test.")
		if _, err := c.conn.Write(append([]byte{0, byte(len(msg))}, msg...)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c.conn, buf[:2]); err != nil {
			t.Fatal(err)
		}
		answer := make([]byte, binary.BigEndian.Uint16(buf))
		if _, err := io.ReadFull(c.conn, answer); err != nil {
			t.Fatal(err)
		}
		check(c.conn.LocalAddr(), want{c.protocol, c.to, zone}, msg, answer)
	}

	// Of what is no query nothing is recorded, and a query without an answer alone.
	conn := dial(t, "udp", at("127.0.0.1", 0))
	r.snap.Store(nil)
	response := query(t, 2, "www.x.test.")
	response[2] |= 0x80
	for _, msg := range [][]byte{{1, 2, 3}, response, query(t, 3, "www.x.test.")} {
		if _, err := conn.Write(msg); err != nil {
			t.Fatal(err)
		}
	}
	if m := recv.next(t); string(m[1]) != "1" || !bytes.Equal(m[10], query(t, 3, "www.x.test.")) {
		t.Errorf("%v", m)
	}

	// A change of something else leaves the stream as it is; without dnstap it ends.
	setup := Setup{Listen: r.Addrs(), Tap: recv.config}
	r.change(t, setup)
	if _, err := conn.Write(query(t, 4, "www.x.test.")); err != nil {
		t.Fatal(err)
	}
	if m := recv.next(t); !bytes.Equal(m[10], query(t, 4, "www.x.test.")) {
		t.Errorf("%v", m)
	}
	setup.Tap = nil
	r.change(t, setup)
	if m, more := <-recv.frames; more {
		t.Errorf("%v although dnstap is off", m)
	}
}

// TestDnstapProxied records the client, and the message without its
// header.
func TestDnstapProxied(t *testing.T) {
	recv := newTapped(t)
	r := startSetup(t, Options{}, Setup{Listen: addresses("127.0.0.1:0"), Proxies: loopback, Tap: recv.config})
	r.connectedTap(t)
	msg := query(t, 1, "www.x.test.")
	conn := dial(t, "udp", r.Addrs()[0])
	if _, err := conn.Write(append(proxyFor("[2001:db8::7]:4711", 0x22, 1, 0, 1, 7), msg...)); err != nil {
		t.Fatal(err)
	}
	m := recv.next(t)
	if a, _ := netip.AddrFromSlice(m[4]); a != netip.MustParseAddr("2001:db8::7") || string(m[6]) != "4711" || !bytes.Equal(m[10], msg) {
		t.Errorf("%v", m)
	}
}

// TestDnstapAllocatesNothing is TestUDPAllocatesNothing with dnstap, of which the
// receiver takes nothing.
func TestDnstapAllocatesNothing(t *testing.T) {
	recv := newTapped(t)
	recv.config.Sample = 0.9
	for range cap(recv.frames) {
		recv.frames <- nil
	}
	r := startSetup(t, Options{Workers: 1}, Setup{Listen: addresses("0.0.0.0:0"), Tap: recv.config})
	r.connectedTap(t)
	defer func() {
		go func() {
			for range recv.frames { // until STOP
			}
		}()
	}()
	allocatesNothing(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.Addrs()[0].Port()), query(t, 1, "www.x.test."))
}

// BenchmarkDnstap is a worker with and without dnstap: what it costs a query
// beside its answer. "away" has no receiver.
func BenchmarkDnstap(b *testing.B) {
	for _, c := range []struct {
		name   string
		sample float64
		up     bool
	}{{"off", 0, false}, {"away", 1, false}, {"hundredth", 0.01, true}, {"all", 1, true}} {
		b.Run(c.name, func(b *testing.B) {
			var setup Setup
			if c.sample > 0 {
				recv := newTapped(b)
				go func() {
					for range recv.frames {
					}
				}()
				recv.config.Sample = c.sample
				if !c.up {
					_ = recv.ln.Close()
				}
				setup.Tap = recv.config
			}
			r := startSetup(b, Options{}, setup)
			if c.up {
				r.connectedTap(b)
			}
			w := r.newWorker(dnswire.UDP, r.tcpCount)
			msg, out := query(b, 1, "www.x.test."), make([]byte, 0, 1280)
			client := netip.MustParseAddrPort("192.0.2.7:4711")
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if i%16 == 0 {
					w.begin()
				}
				got := w.answer(out, msg, client)
				if w.tap != nil {
					w.record(msg, got, client, client)
				}
			}
			sent := r.metric(b, `rhumb_dns_dnstap_frames_total{result="sent"}`)
			b.ReportMetric(sent/float64(b.N), "sent/op")
		})
	}
}
