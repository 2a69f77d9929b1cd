package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rhumb-dns/rhumb/resolve"
)

// certificate makes one that is signed by itself.
func certificate(t testing.TB, serial int64) *tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(serial), DNSNames: []string{"ns1.x.test"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// trusting is how a client trusts a server with that certificate.
func trusting(c *tls.Certificate) *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(c.Leaf)
	return &tls.Config{RootCAs: roots, ServerName: "ns1.x.test"}
}

func dialTLS(t testing.TB, addr netip.AddrPort, config *tls.Config) *tls.Conn {
	t.Helper()
	c := tls.Client(dial(t, "tcp", addr), config)
	t.Cleanup(func() { _ = c.Close() })
	if err := c.Handshake(); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTLS(t *testing.T) {
	cert := certificate(t, 1)
	r := startSetup(t, Options{}, Setup{TLS: addresses("127.0.0.1:0", "[::1]:0"), Certificate: cert})
	if len(r.Addrs()) != 0 || len(r.TLSAddrs()) != 2 {
		t.Fatalf("addresses %v, over TLS %v", r.Addrs(), r.TLSAddrs())
	}
	asked := 0.0
	for _, c := range []struct {
		name     string
		at       int
		versions [2]uint16
		alpn     []string
		refused  bool
	}{
		{"TLS 1.3", 0, [2]uint16{tls.VersionTLS13, tls.VersionTLS13}, []string{"dot"}, false},
		{"TLS 1.2", 0, [2]uint16{tls.VersionTLS12, tls.VersionTLS12}, []string{"dot"}, false},
		{"IPv6", 1, [2]uint16{}, []string{"dot"}, false},
		{"no ALPN", 0, [2]uint16{}, nil, false},
		{"several ALPN", 0, [2]uint16{}, []string{"h2", "dot"}, false},
		{"other ALPN", 0, [2]uint16{}, []string{"h2", "http/1.1"}, true},
		{"TLS 1.1", 0, [2]uint16{tls.VersionTLS10, tls.VersionTLS11}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := trusting(cert)
			config.MinVersion, config.MaxVersion, config.NextProtos = c.versions[0], c.versions[1], c.alpn
			if c.refused {
				conn := tls.Client(dial(t, "tcp", r.TLSAddrs()[c.at]), config)
				var alert *net.OpError
				if err := conn.Handshake(); !errors.As(err, &alert) || alert.Op != "remote error" {
					t.Errorf("%v, want an alert of the server", err)
				}
				return
			}
			conn := dialTLS(t, r.TLSAddrs()[c.at], config)
			if got := conn.ConnectionState().NegotiatedProtocol; (got == "dot") != (c.alpn != nil) {
				t.Errorf("ALPN %q", got)
			}
			send(t, conn, query(t, 1, "www.x.test."), query(t, 2, "big.x.test."))
			if rcode, n := check(t, receive(t, conn), 1); rcode != 0 || n != 1 {
				t.Errorf("rcode %d, %d answers", rcode, n)
			}
			if rcode, n := check(t, receive(t, conn), 2); rcode != 0 || n != 256 {
				t.Errorf("rcode %d, %d answers", rcode, n)
			}
			asked += 2
		})
	}
	// Who speaks DNS without TLS gets nothing.
	plain := dial(t, "tcp", r.TLSAddrs()[0])
	send(t, plain, query(t, 1, "www.x.test."))
	ends(t, plain)
	// Who only looks whether the port is open has not failed.
	_ = dial(t, "tcp", r.TLSAddrs()[0]).Close()
	for r.metric(t, "rhumb_tcp_accepted_total") < 9 || r.metric(t, "rhumb_tcp_connections") > 0 {
		runtime.Gosched()
	}
	for series, want := range map[string]float64{
		`rhumb_dns_queries_total{rcode="NOERROR",transport="tls",type="A",zone="x.test."}`: asked,
		`rhumb_dns_queries_total{rcode="NOERROR",transport="tcp",type="A",zone="x.test."}`: 0,
		`rhumb_answers_total{pool="one",service="www.x.test."}`:                            asked / 2,
		`rhumb_tls_handshakes_total{result="full"}`:                                        5,
		`rhumb_tls_handshakes_total{result="failed"}`:                                      3,
		`rhumb_tls_certificate_expiry_timestamp_seconds`:                                   float64(cert.Leaf.NotAfter.Unix()),
	} {
		if got := r.metric(t, series); got != want {
			t.Errorf("%s is %v, want %v", series, got, want)
		}
	}
}

// TestTLSCertificateChanges changes the certificate: connections that are open
// stay, new ones see the new one, and tickets from before still hold.
func TestTLSCertificateChanges(t *testing.T) {
	first, second := certificate(t, 1), certificate(t, 2)
	r := startSetup(t, Options{}, Setup{TLS: addresses("127.0.0.1:0"), Certificate: first})
	to := r.TLSAddrs()[0]
	before := trusting(first)
	before.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	old := dialTLS(t, to, before)
	send(t, old, query(t, 1, "www.x.test."))
	check(t, receive(t, old), 1)

	r.change(t, Setup{TLS: addresses("127.0.0.1:0"), Certificate: second})
	if got := r.TLSAddrs()[0]; got != to {
		t.Errorf("listens on %v, want %v still", got, to)
	}
	send(t, old, query(t, 2, "www.x.test."))
	check(t, receive(t, old), 2)
	young := dialTLS(t, to, trusting(second))
	if got := young.ConnectionState().PeerCertificates[0].SerialNumber.Int64(); got != 2 {
		t.Errorf("certificate %d, want 2", got)
	}
	send(t, young, query(t, 3, "www.x.test."))
	check(t, receive(t, young), 3)
	again := dialTLS(t, to, before)
	if !again.ConnectionState().DidResume {
		t.Error("a ticket was not taken")
	}
	send(t, again, query(t, 4, "www.x.test."))
	check(t, receive(t, again), 4)
	if got := r.metric(t, `rhumb_tls_handshakes_total{result="resumed"}`); got != 1 {
		t.Errorf("%v resumed, want 1", got)
	}
	if _, err := r.Bind(Setup{TLS: addresses("127.0.0.1:0")}); err == nil {
		t.Error("TLS without a certificate is accepted")
	}
}

// TestTLSTakesPort turns a port from DNS to TLS and back, which is what a
// configuration may say, and without a moment when nobody has it.
func TestTLSTakesPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("elsewhere two sockets of one address share it in other ways")
	}
	cert := certificate(t, 1)
	r := start(t, Options{}, "127.0.0.1:0")
	to := r.Addrs()
	for range 3 {
		r.change(t, Setup{TLS: to, Certificate: cert})
		c := dialTLS(t, to[0], trusting(cert))
		send(t, c, query(t, 1, "www.x.test."))
		check(t, receive(t, c), 1)
		r.change(t, Setup{Listen: to})
		ask(t, dial(t, "udp", to[0]), 2, "www.x.test.")
		plain := dial(t, "tcp", to[0])
		send(t, plain, query(t, 3, "www.x.test."))
		check(t, receive(t, plain), 3)
	}
}

// TestTLSStop ends the server with queries in its buffers: they are answered,
// and the end is TLS's, so that the client knows nothing was cut off.
func TestTLSStop(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux gives what is in a buffer after it was shut")
	}
	cert := certificate(t, 1)
	r := startSetup(t, Options{}, Setup{TLS: addresses("127.0.0.1:0"), Certificate: cert})
	c := dialTLS(t, r.TLSAddrs()[0], trusting(cert))
	send(t, c, query(t, 0, "www.x.test."))
	check(t, receive(t, c), 0)
	for id := range uint16(100) {
		send(t, c, query(t, id, "www.x.test."))
	}
	r.stop(t)
	for id := range uint16(100) {
		check(t, receive(t, c), id)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("%d bytes, %v; want TLS's end", n, err)
	}
}

// TestTLSLimits has connections in their handshake and plain ones count
// together.
func TestTLSLimits(t *testing.T) {
	cert := certificate(t, 1)
	r := startSetup(t, Options{}, Setup{
		Listen: addresses("127.0.0.1:0"), TLS: addresses("127.0.0.1:0"), Certificate: cert,
		Limits: Limits{MaxConns: 2},
	})
	silent := dial(t, "tcp", r.TLSAddrs()[0]) // will never say hello
	for r.metric(t, "rhumb_tcp_connections") != 1 {
		runtime.Gosched()
	}
	plain := dial(t, "tcp", r.Addrs()[0])
	send(t, plain, query(t, 1, "www.x.test."))
	check(t, receive(t, plain), 1)
	c := dialTLS(t, r.TLSAddrs()[0], trusting(cert))
	send(t, c, query(t, 2, "www.x.test."))
	check(t, receive(t, c), 2)
	ends(t, silent)
	send(t, plain, query(t, 3, "www.x.test."))
	check(t, receive(t, plain), 3)
	if got := r.metric(t, `rhumb_tls_handshakes_total{result="failed"}`); got != 0 {
		t.Errorf("%v handshakes failed, want 0: we closed it", got)
	}
}

// pipedTLS is piped for a connection that begins with a handshake.
func pipedTLS(t testing.TB, snap *resolve.Snapshot, setup *Setup) (s *Server, client net.Conn, done chan struct{}) {
	t.Helper()
	s = New(Options{Snapshot: func() *resolve.Snapshot { return snap }})
	s.configure(setup)
	client, served := net.Pipe()
	done = make(chan struct{})
	go func() {
		defer close(done)
		defer served.Close() //nolint:errcheck // a test's
		c := &conn{Conn: served, tcp: served, from: &listener{door: door{tls: true}}}
		if s.greet(c) {
			s.serveConn(c)
		}
	}()
	return s, client, done
}

// trickle writes to the connection one byte a second, of the bubble, and reads
// as it likes.
type trickle struct{ net.Conn }

func (c trickle) Write(b []byte) (int, error) {
	for i := range b {
		time.Sleep(time.Second)
		if _, err := c.Conn.Write(b[i : i+1]); err != nil {
			return i, err
		}
	}
	return len(b), nil
}

// TestTLSSlowHandshake says hello a byte a second: the handshake as a whole must
// still come in time.
func TestTLSSlowHandshake(t *testing.T) {
	snap, cert := snapshot(t, ""), certificate(t, 1)
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		s, client, done := pipedTLS(t, snap, &Setup{Certificate: cert})
		if err := tls.Client(trickle{client}, trusting(cert)).Handshake(); err == nil {
			t.Error("the handshake was waited for")
		}
		<-done
		if got := time.Since(begin); got < DefaultIdle || got > DefaultIdle+time.Second {
			t.Errorf("left after %v, want %v", got, DefaultIdle)
		}
		if s.tcp.closed[closedTimeout].Load() != 1 || s.handshakes[handshakeFailed].Load() != 1 {
			t.Error("not counted")
		}
		_ = client.Close()
	})
}
