package server

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

// proxyHead is a header with that command, family and content.
func proxyHead(command, family byte, content []byte) []byte {
	b := append([]byte(proxySignature), command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(content))), content...)
}

// proxyFor is the header of a proxy that speaks for a client.
func proxyFor(client string, family byte, tlvs ...byte) []byte {
	a := netip.MustParseAddrPort(client)
	b := append(a.Addr().AsSlice(), make([]byte, a.Addr().BitLen()/8)...) // to any address
	b = binary.BigEndian.AppendUint16(b, a.Port())
	b = binary.BigEndian.AppendUint16(b, 53)
	return proxyHead(0x21, family, append(b, tlvs...))
}

func TestProxyHeader(t *testing.T) {
	four, six := proxyFor("192.0.2.7:4711", 0x12), proxyFor("[2001:db8::7]:4711", 0x22)
	long := append([]byte{4, 0x01, 0x00}, make([]byte, 256)...)
	for _, c := range []struct {
		name   string
		b      []byte
		client string // "" is none; "-" is malformed
	}{
		{"UDP over IPv4", four, "192.0.2.7:4711"},
		{"TCP over IPv4", proxyFor("192.0.2.7:4711", 0x11), "192.0.2.7:4711"},
		{"UDP over IPv6", six, "[2001:db8::7]:4711"},
		{"TCP over IPv6", proxyFor("[2001:db8::7]:1", 0x21), "[2001:db8::7]:1"},
		{"IPv4 as IPv6", proxyFor("[::ffff:192.0.2.7]:9", 0x22), "192.0.2.7:9"},
		{"extensions", proxyFor("192.0.2.7:4711", 0x12, append(long, 0xe0, 0, 2, 1, 2, 0xe1, 0, 0)...), "192.0.2.7:4711"},
		{"local", proxyHead(0x20, 0x00, nil), ""},
		{"local with addresses", proxyHead(0x20, 0x12, four[proxyFixed:]), ""},
		{"local with anything", proxyHead(0x20, 0xff, []byte{1, 2, 3}), ""},
		{"unspecified family", proxyHead(0x21, 0x00, []byte{1, 2, 3}), ""},
		{"empty", nil, "-"},
		{"version 1", []byte("PROXY TCP4 192.0.2.7 192.0.2.8 4711 53\r\n"), "-"},
		{"version 3", proxyHead(0x31, 0x12, four[proxyFixed:]), "-"},
		{"unknown command", proxyHead(0x22, 0x12, four[proxyFixed:]), "-"},
		{"Unix socket", proxyHead(0x21, 0x31, make([]byte, 216)), "-"},
		{"unknown protocol", proxyHead(0x21, 0x10, four[proxyFixed:]), "-"},
		{"unknown family", proxyHead(0x21, 0x42, make([]byte, 300)), "-"},
		{"IPv4 too short", proxyHead(0x21, 0x12, four[proxyFixed:len(four)-1]), "-"},
		{"IPv6 too short", proxyHead(0x21, 0x22, six[proxyFixed:len(six)-1]), "-"},
		{"IPv6 with the length of IPv4", proxyHead(0x21, 0x22, four[proxyFixed:]), "-"},
		{"extension cut in its head", proxyFor("192.0.2.7:1", 0x12, 4, 0), "-"},
		{"extension too long", proxyFor("192.0.2.7:1", 0x12, 4, 0, 3, 1, 2), "-"},
		{"another signature", append([]byte{'\n'}, four[1:]...), "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client, size := proxyHeader(append(bytes.Clone(c.b), "query"...))
			switch {
			case c.client == "-" && size == 0 && !client.IsValid():
			case c.client == "" && size == len(c.b) && !client.IsValid():
			case size == len(c.b) && client.IsValid() && client.String() == c.client:
			default:
				t.Errorf("client %v, %d of %d bytes; want %q", client, size, len(c.b), c.client)
			}
			// A stream gives the same, and keeps what follows.
			rest := bytes.NewReader(append(bytes.Clone(c.b), make([]byte, 16)...))
			again, err := readProxyHeader(rest)
			if again != client || (err == nil) != (size > 0) || err == nil && rest.Len() != 16 {
				t.Errorf("from a stream: client %v, %v, %d left", again, err, rest.Len())
			}
			for n := range size {
				if client, size := proxyHeader(c.b[:n]); size != 0 || client.IsValid() {
					t.Errorf("cut to %d bytes: client %v, %d bytes", n, client, size)
				}
				if _, err := readProxyHeader(bytes.NewReader(c.b[:n])); n > 0 && !errors.Is(err, errProxyHeader) || n == 0 && !errors.Is(err, io.EOF) {
					t.Errorf("a stream that ends after %d bytes: %v", n, err)
				}
			}
		})
	}
}

// FuzzProxyHeader gives it any bytes: it never panics, takes no more than there
// is, and what it took is what it would have taken alone.
func FuzzProxyHeader(f *testing.F) {
	f.Add(proxyFor("192.0.2.7:4711", 0x12))
	f.Add(append(proxyFor("[2001:db8::7]:4711", 0x21, 4, 0, 1, 9), "query"...))
	f.Add(proxyHead(0x20, 0, nil))
	f.Add(proxyHead(0x21, 0, []byte{1}))
	f.Add(proxyHead(0x21, 0x11, make([]byte, 11)))
	f.Add([]byte(proxySignature))
	f.Fuzz(func(t *testing.T, b []byte) {
		client, size := proxyHeader(b)
		if size < 0 || size > len(b) || size > 0 && size < proxyFixed || size == 0 && client.IsValid() {
			t.Fatalf("client %v, size %d of %d", client, size, len(b))
		}
		if c, n := proxyHeader(b[:size]); c != client || n != size {
			t.Errorf("alone: client %v, size %d; want %v, %d", c, n, client, size)
		}
		if size == 0 {
			return
		}
		if !bytes.HasPrefix(b, []byte(proxySignature)) || b[12]>>4 != 2 {
			t.Error("accepted without the signature and version")
		}
		rest := bytes.NewReader(b)
		if c, err := readProxyHeader(rest); c != client || err != nil || rest.Len() != len(b)-size {
			t.Errorf("from a stream: client %v, %v, %d left", c, err, rest.Len())
		}
	})
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")}

// TestProxyUDP has a proxy on 127.0.0.1 and ::1, and somebody else on 127.0.0.2.
func TestProxyUDP(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0", "0.0.0.0:0"} {
		r := startSetup(t, Options{Workers: 1}, Setup{Listen: addresses(addr), Proxies: loopback})
		to := r.Addrs()[0]
		if to.Addr().IsUnspecified() {
			to = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), to.Port())
		}
		c := dial(t, "udp", to)
		write := func(parts ...[]byte) {
			t.Helper()
			if _, err := c.Write(bytes.Join(parts, nil)); err != nil {
				t.Fatal(err)
			}
		}
		answer := func(id uint16) (rcode, answers int) {
			t.Helper()
			buf := make([]byte, 4096)
			n, err := c.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			return check(t, buf[:n], id)
		}
		write(query(t, 1, "www.x.test."))                              // no header
		write(proxyFor("192.0.2.7:1", 0x12)[:20])                      // half of one
		write([]byte("PROXY UNKNOWN\r\n"), query(t, 2, "www.x.test.")) // another version
		write(proxyFor("192.0.2.7:0", 0x12), []byte{1, 2})             // no query behind it
		write(proxyFor("192.0.2.7:0", 0x12, 4, 0, 1, 7), query(t, 3, "www.x.test."))
		if rcode, n := answer(3); rcode != 0 || n != 1 {
			t.Errorf("rcode %d, %d answers", rcode, n)
		}
		write(proxyFor("[2001:db8::7]:9", 0x21), query(t, 4, "none.x.test."))
		if rcode, _ := answer(4); rcode != 3 {
			t.Errorf("rcode %d, want NXDOMAIN", rcode)
		}
		write(proxyHead(0x20, 0, nil), query(t, 5, "www.x.test."))
		if rcode, _ := answer(5); rcode != 0 {
			t.Errorf("of the proxy itself: rcode %d", rcode)
		}
		for reason, want := range map[string]float64{"proxy_header": 3, "not_a_query": 1} {
			if got := r.metric(t, `rhumb_dns_dropped_total{reason="`+reason+`"}`); got != want {
				t.Errorf("%v dropped as %s, want %v", got, reason, want)
			}
		}

		if runtime.GOOS != "linux" || !to.Addr().Is4() {
			continue
		}
		// Somebody else needs no header, and one is no query: its bytes say
		// IQUERY, which is not implemented.
		other, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)}, net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = other.Close() })
		if err := other.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if rcode, _ := ask(t, other, 6, "www.x.test."); rcode != 0 {
			t.Errorf("who is no proxy: rcode %d", rcode)
		}
		c = other
		write(proxyFor("192.0.2.7:1", 0x12), query(t, 7, "www.x.test."))
		if rcode, n := answer(0x0d0a); rcode != 4 || n != 0 {
			t.Errorf("a header of who is no proxy: rcode %d, %d answers, want NOTIMP", rcode, n)
		}
	}
}

// TestProxyUDPClient looks at whom the query is taken for.
func TestProxyUDPClient(t *testing.T) {
	snap := snapshot(t, "")
	r := &node{}
	r.snap.Store(snap)
	s := New(Options{Snapshot: r.snap.Load})
	s.configure(&Setup{Proxies: loopback})
	sock, err := datagram.Listen(netip.MustParseAddrPort("127.0.0.1:0"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer sock.Close() //nolint:errcheck // a test's
	w := s.newWorker(dnswire.UDP, s.newCounters(sock))
	c := dial(t, "udp", sock.Addr())
	for _, p := range []struct {
		head []byte
		want string
	}{
		{proxyFor("192.0.2.7:4711", 0x12), "192.0.2.7:4711"},
		{proxyFor("[2001:db8::7]:4711", 0x22, 1, 0, 0), "[2001:db8::7]:4711"},
		{proxyHead(0x20, 0, nil), c.LocalAddr().String()},
		{proxyHead(0x21, 0, nil), c.LocalAddr().String()},
	} {
		if _, err := c.Write(append(p.head, query(t, 1, "www.x.test.")...)); err != nil {
			t.Fatal(err)
		}
		n, err := sock.Receive(0)
		if err != nil || n != 1 || !w.batch(sock, n) {
			t.Fatalf("%d datagrams, %v", n, err)
		}
		if got := w.q.Client.String(); got != p.want {
			t.Errorf("client %s, want %s", got, p.want)
		}
		if _, err := c.Read(make([]byte, 512)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestProxyStreams has a proxy bring clients over TCP and TLS, with the header
// where one or another proxy puts it, and the limit for one client hold for the
// client behind the proxy.
func TestProxyStreams(t *testing.T) {
	cert := certificate(t, 1)
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("127.0.0.1:0"), TLS: addresses("127.0.0.1:0"), Certificate: cert,
		Proxies: loopback, Limits: Limits{MaxPerClient: 1},
	})
	begin := map[string]func(head []byte) net.Conn{
		"tcp": func(head []byte) net.Conn {
			c := dial(t, "tcp", r.Addrs()[0])
			_, _ = c.Write(head) // what comes of it shows in the answer
			return c
		},
		"before TLS": func(head []byte) net.Conn {
			c := dial(t, "tcp", r.TLSAddrs()[0])
			_, _ = c.Write(head)
			return tls.Client(c, trusting(cert))
		},
		"within TLS": func(head []byte) net.Conn {
			c := tls.Client(dial(t, "tcp", r.TLSAddrs()[0]), trusting(cert))
			_, _ = c.Write(head)
			return c
		},
	}
	for name, connect := range begin {
		t.Run(name, func(t *testing.T) {
			var open []net.Conn
			for i, client := range []string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1"} {
				family := byte(0x11)
				if i >= 2 {
					family = 0x21
				}
				c := connect(proxyFor(client, family, 4, 0, 3, 1, 2, 3))
				send(t, c, query(t, 1, "www.x.test."), query(t, 2, "www.x.test."))
				check(t, receive(t, c), 1)
				check(t, receive(t, c), 2)
				open = append(open, c)
			}
			local := connect(proxyHead(0x20, 0, nil))
			send(t, local, query(t, 3, "www.x.test."))
			check(t, receive(t, local), 3)

			before := r.metric(t, `rhumb_tcp_closed_total{reason="client_limit"}`)
			for _, head := range [][]byte{
				proxyFor("192.0.2.2:2", 0x11), proxyFor("[2001:db8:0:2::2]:2", 0x21), proxyHead(0x20, 0, nil),
			} {
				ends(t, connect(head))
			}
			if got := r.metric(t, `rhumb_tcp_closed_total{reason="client_limit"}`); got != before+3 {
				t.Errorf("%v connections beyond the limit for a client, want 3", got-before)
			}

			dropped := r.metric(t, `rhumb_dns_dropped_total{reason="proxy_header"}`)
			for _, head := range [][]byte{
				frame(query(t, 4, "www.x.test.")), proxyHead(0x21, 0x31, make([]byte, 216)), proxyFor("192.0.2.9:1", 0x11, 1),
			} {
				if name == "before TLS" && head[0] != '\r' {
					continue // that is a failed handshake
				}
				ends(t, connect(head))
				dropped++
			}
			if got := r.metric(t, `rhumb_dns_dropped_total{reason="proxy_header"}`); got != dropped {
				t.Errorf("%v headers dropped, want %v", got, dropped)
			}
			for _, c := range append(open, local) {
				_ = c.Close()
			}
			for r.metric(t, "rhumb_tcp_connections") > 0 {
				runtime.Gosched()
			}
		})
	}
	r.tcp.mu.Lock()
	defer r.tcp.mu.Unlock()
	if len(r.tcp.perClient) != 0 {
		t.Errorf("clients left behind: %v", r.tcp.perClient)
	}
}

// TestProxySlowHeader sends the header a byte a second.
func TestProxySlowHeader(t *testing.T) {
	snap := snapshot(t, "")
	synctest.Test(t, func(t *testing.T) {
		r := &node{}
		r.snap.Store(snap)
		s := New(Options{Snapshot: r.snap.Load})
		client, served := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer served.Close() //nolint:errcheck // a test's
			s.greet(&conn{Conn: served, tcp: served, from: &listener{}, proxied: true})
		}()
		begin := time.Now()
		if _, err := (trickle{client}).Write(proxyFor("192.0.2.1:1", 0x11)); err == nil {
			t.Error("the header was waited for")
		}
		<-done
		if got := time.Since(begin); got < DefaultIdle || got > DefaultIdle+time.Second {
			t.Errorf("left after %v, want %v", got, DefaultIdle)
		}
		if s.tcp.closed[closedTimeout].Load() != 1 {
			t.Error("not counted")
		}
	})
}
