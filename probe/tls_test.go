package probe

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// authority is a CA of the test's own.
type authority struct {
	cert  *x509.Certificate
	key   *ecdsa.PrivateKey
	roots *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-20 * year), NotAfter: time.Now().Add(20 * year),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	cert := sign(t, c, c, key, key)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &authority{cert, key, pool}
}

const year = 365 * 24 * time.Hour

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, c, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// issue makes a server certificate; change may alter it before it is signed.
func (a *authority) issue(t testing.TB, change func(*x509.Certificate), names ...string) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"},
		NotBefore: time.Now().Add(-year), NotAfter: time.Now().Add(year),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			c.IPAddresses = append(c.IPAddresses, ip)
		} else {
			c.DNSNames = append(c.DNSNames, n)
		}
	}
	if change != nil {
		change(c)
	}
	key := newKey(t)
	cert := sign(t, c, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// tlsServer hands every connection's handshake to seen, if not nil, and its
// stream to handle.
func tlsServer(t *testing.T, addr string, cfg *tls.Config, seen chan<- string, handle func(net.Conn)) Target {
	t.Helper()
	return serve(t, addr, func(c net.Conn) {
		s := tls.Server(c, cfg)
		if err := s.Handshake(); err != nil {
			return
		}
		if seen != nil {
			seen <- s.ConnectionState().ServerName
		}
		if handle != nil {
			handle(s)
		}
	})
}

func tlsOf(c tls.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c}} }

func TestTLSVerdicts(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	good := ca.issue(t, nil, "www.example.com", "127.0.0.1")
	expired := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if time.Now().Before(expired) {
		expired = time.Now().Add(-time.Hour).UTC()
	}
	later := time.Now().Add(year).UTC()
	selfKey := newKey(t)
	selfTemplate := &x509.Certificate{
		SerialNumber: big.NewInt(3), DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-year), NotAfter: time.Now().Add(year),
	}
	self := tls.Certificate{
		Certificate: [][]byte{sign(t, selfTemplate, selfTemplate, selfKey, selfKey).Raw},
		PrivateKey:  selfKey,
	}

	for _, tc := range []struct {
		name   string
		cert   tls.Certificate
		probe  TLSConfig
		class  Class
		detail string
	}{
		{"by name", good, TLSConfig{SNI: "www.example.com", Roots: ca.roots}, ClassNone, ""},
		{"by name with a dot", good, TLSConfig{SNI: "www.example.com.", Roots: ca.roots}, ClassNone, ""},
		{"by address", good, TLSConfig{Roots: ca.roots}, ClassNone, ""},
		{"unverified", self, TLSConfig{SNI: "other.example.com", SkipVerify: true}, ClassNone, ""},
		{"unverified by address", self, TLSConfig{SkipVerify: true}, ClassNone, ""},
		{
			"expired",
			ca.issue(t, func(c *x509.Certificate) { c.NotAfter = expired }, "www.example.com"),
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "certificate expired on " + expired.Format(time.DateOnly),
		},
		{
			"not yet valid",
			ca.issue(t, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = later, later.Add(year) }, "www.example.com"),
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "certificate not valid before " + later.Format(time.DateOnly),
		},
		{
			"unknown authority",
			other.issue(t, nil, "www.example.com"),
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "certificate signed by unknown authority",
		},
		{
			"self-signed", self,
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "certificate signed by unknown authority (self-signed)",
		},
		{
			"wrong name", good,
			TLSConfig{SNI: "api.example.com", Roots: ca.roots},
			ClassTLS, "certificate is not for api.example.com but for www.example.com, 127.0.0.1",
		},
		{
			"wrong address",
			ca.issue(t, nil, "www.example.com", "192.0.2.7"),
			TLSConfig{Roots: ca.roots},
			ClassTLS, "certificate is not for 127.0.0.1 but for www.example.com, 192.0.2.7",
		},
		{
			"many names",
			ca.issue(t, nil, "a.test", "b.test", "c.test", "d.test"),
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "but for a.test, b.test, c.test, ...",
		},
		{
			"no name", ca.issue(t, nil),
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "certificate is for no name at all, not for www.example.com",
		},
		{
			"not for servers",
			ca.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "www.example.com"),
			TLSConfig{SNI: "www.example.com", Roots: ca.roots},
			ClassTLS, "incompatible key usage",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			target := tlsServer(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{tc.cert}}, nil, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write([]byte("HTTP/1.1 204 No Content\r\n\r\n"))
			})
			check(t, must(t, TLS{TLSConfig: tc.probe}).Probe(ctxFor(t, patience), target), tc.class, tc.detail)
			check(t, must(t, HTTP{TLS: &tc.probe}).Probe(ctxFor(t, patience), target), tc.class, tc.detail)
		})
	}
}

func TestTLSHandshakeRefused(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil, "127.0.0.1")
	for name, cfg := range map[string]*tls.Config{
		"no common version": {Certificates: []tls.Certificate{cert}, MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		"no certificate":    {GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, nil }},
		"client certificate": {
			Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12,
		},
	} {
		t.Run(name, func(t *testing.T) {
			target := tlsServer(t, "127.0.0.1", cfg, nil, nil)
			check(t, must(t, TLS{TLSConfig: TLSConfig{Roots: ca.roots}}).Probe(ctxFor(t, patience), target), ClassTLS, "the server refused the handshake: ")
		})
	}
	for text, detail := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "the server speaks plain http, not TLS",
		"220 mail.example.com ESMTP\r\n":   "the server does not speak TLS",
	} {
		target := serve(t, "127.0.0.1", func(c net.Conn) { _, _ = c.Write([]byte(text)) })
		check(t, must(t, TLS{}).Probe(ctxFor(t, patience), target), ClassTLS, detail)
		check(t, must(t, HTTP{TLS: &TLSConfig{}}).Probe(ctxFor(t, patience), target), ClassTLS, detail)
	}
}

// TLS 1.3 lets the client finish before the server has judged its certificate.
func TestClientCertificateWantedLate(t *testing.T) {
	ca := newAuthority(t)
	target := tlsServer(t, "127.0.0.1", &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, nil, "127.0.0.1")},
		ClientAuth:   tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13,
	}, nil, nil)
	check(t, must(t, HTTP{TLS: &TLSConfig{Roots: ca.roots}}).Probe(ctxFor(t, patience), target), ClassTLS, "certificate required")
}

// A tls check says nothing to the server and is told all the same that its certificate is
// not taken, in every version; silence, and a ticket, mean that it is.
func TestClientCertificateOfTLS(t *testing.T) {
	ca, stranger := newAuthority(t), newAuthority(t)
	client := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }
	mine, other := ca.issue(t, client, "probe.example.com"), stranger.issue(t, client, "probe.example.com")
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, silent := range []bool{false, true} {
			target := tlsServer(t, "127.0.0.1", &tls.Config{
				Certificates: []tls.Certificate{ca.issue(t, nil, "127.0.0.1")}, ClientCAs: ca.roots,
				ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: version, MaxVersion: version, SessionTicketsDisabled: silent,
			}, nil, func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) })
			for _, tc := range []struct {
				name   string
				cert   *tls.Certificate
				class  Class
				detail string
			}{
				{"right", &mine, ClassNone, ""},
				{"none", nil, ClassTLS, "the server refused the handshake: "},
				{"of a stranger", &other, ClassTLS, "the server refused the handshake: "},
			} {
				for _, talk := range []Talk{{}, {Send: []byte("x")}} {
					start := time.Now()
					o := TLS{TLSConfig: TLSConfig{Roots: ca.roots, Certificate: tc.cert}, Talk: talk}
					r := must(t, o).Probe(ctxFor(t, patience), target)
					check(t, r, tc.class, tc.detail)
					if tc.cert == &other && version == tls.VersionTLS13 && strings.HasSuffix(r.Detail, "certificate required") {
						t.Errorf("%s: the certificate was not shown: %+v", tc.name, r)
					}
					if took := time.Since(start); took > patience/2 {
						t.Errorf("%s took %v", tc.name, took)
					}
				}
			}
		}
	}
}

// A server could have what it was told in the names of its certificate, or in where it
// sends the probe on to.
func TestSecretsSaidAgain(t *testing.T) {
	const token = "s3cr3t-T0ken-abcdefghijklmnopqrstuvwxyz0123456789"
	ca := newAuthority(t)
	echo := ca.issue(t, nil, token[:20]+".example.com", strings.ToLower(token)+".example.com", "c3VzaTpodW50ZXIyMg.example.com", "hunter22.example.com")
	target := tlsServer(t, "127.0.0.1", tlsOf(echo), nil, nil)
	basic := &Login{User: "susi", Password: "hunter22"}
	for _, version := range []string{HTTP1, HTTP2} {
		for _, o := range []HTTP{
			{Bearer: token},
			{Headers: map[string]string{"X-Api-Key": token, "Cookie": "session=hunter22; a=c3VzaTpodW50ZXIyMg"}},
			{Basic: basic, Headers: map[string]string{"X-Api-Key": token}},
		} {
			o.Version, o.Host, o.TLS = version, "www.example.com", &TLSConfig{Roots: ca.roots}
			r := must(t, o).Probe(ctxFor(t, patience), target)
			check(t, r, ClassTLS, "certificate is not for www.example.com but for ***")
			for _, part := range []string{"s3cr3t-T0ken", "ghijklmnopqr"} {
				if strings.Contains(strings.ToLower(r.Detail), strings.ToLower(part)) {
					t.Errorf("%+v: %q", o.Headers, r.Detail)
				}
			}
		}
	}
	for _, host := range []string{"hunter22", "HUNTER22", "c3VzaTpodW50ZXIyMg", "c3VzaTpodW50", "xc3VzaT.podW50ZXIyMg"} {
		to := serve(t, "127.0.0.1", answering(nil, "HTTP/1.1 302 x\r\nLocation: http://"+host+".invalid/\r\n\r\n"))
		p := must(t, HTTP{Basic: basic, FollowRedirects: true}).(*httpProber)
		n := system
		n.lookup = func(_ context.Context, host string) ([]netip.Addr, error) {
			return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
		}
		r := on(t, p, &n).Probe(ctxFor(t, patience), to)
		check(t, r, ClassDNS, "after a redirect to http://")
		if low := strings.ToLower(r.Detail); strings.Contains(low, "hunter22") || strings.Contains(low, "dw50zxiymg") {
			t.Errorf("%q", r.Detail)
		}
	}
	// What everybody knows is seen: the name that is asked for, wherever it is from.
	other := tlsServer(t, "127.0.0.1", tlsOf(ca.issue(t, nil, "other.example.com")), nil, nil)
	for _, c := range []struct {
		o    HTTP
		name string
	}{
		{HTTP{Host: "www.example.com", Headers: map[string]string{"X-Forwarded-Host": "www.example.com"}}, "www.example.com"},
		{HTTP{Host: "www.example.com", Headers: map[string]string{"Referer": "https://www.example.com/?from=www.example.com"}}, "www.example.com"},
		{HTTP{Host: "api.example.com", Headers: map[string]string{"Referer": "https://www.example.com"}, TLS: &TLSConfig{SNI: "www.example.com"}}, "www.example.com"},
		{HTTP{Headers: map[string]string{"Origin": "https://other.example.com", "User-Agent": "certificate/1.0"}}, "127.0.0.1"},
	} {
		if c.o.TLS == nil {
			c.o.TLS = &TLSConfig{}
		}
		c.o.TLS.Roots = ca.roots
		check(t, must(t, c.o).Probe(ctxFor(t, patience), other), ClassTLS, "certificate is not for "+c.name+" but for other.example.com")
	}
}

func TestSNI(t *testing.T) {
	ca := newAuthority(t)
	for _, addr := range families(t) {
		cert := ca.issue(t, nil, "www.example.com", "localhost", addr)
		seen := make(chan string, 1)
		target := tlsServer(t, addr, &tls.Config{Certificates: []tls.Certificate{cert}}, seen, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		})
		ctx := ctxFor(t, patience)
		for _, tc := range []struct {
			prober any
			sni    string
		}{
			{TLS{TLSConfig: TLSConfig{Roots: ca.roots}}, ""},
			{TLS{TLSConfig: TLSConfig{Roots: ca.roots, SNI: "www.example.com"}}, "www.example.com"},
			{HTTP{TLS: &TLSConfig{Roots: ca.roots}}, ""},
			{HTTP{TLS: &TLSConfig{Roots: ca.roots}, Host: "www.example.com:8443"}, "www.example.com"},
			{HTTP{TLS: &TLSConfig{Roots: ca.roots, SNI: "localhost"}, Host: "www.example.com"}, "localhost"},
			{HTTP{TLS: &TLSConfig{Roots: ca.roots}, Host: addr}, ""},
		} {
			r := must(t, tc.prober).Probe(ctx, target)
			check(t, r, ClassNone, "")
			if !r.OK {
				continue
			}
			if got := <-seen; got != tc.sni {
				t.Errorf("%+v: sni %q, want %q", tc.prober, got, tc.sni)
			}
		}
	}
}

func TestTLSTargetHostIsItsName(t *testing.T) {
	ca := newAuthority(t)
	seen := make(chan string, 1)
	target := tlsServer(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, "www.example.com")}}, seen, nil)
	p := must(t, TLS{TLSConfig: TLSConfig{Roots: ca.roots}}).(*tlsProber)
	p.net = resolvingTo(target)
	check(t, p.Probe(ctxFor(t, patience), Target{Host: "www.example.com", Port: target.Port}), ClassNone, "")
	if got := <-seen; got != "www.example.com" {
		t.Errorf("sni %q", got)
	}
}

// A peer that stops reading must not hold the close_notify for the five seconds
// that the TLS layer would give it: not after a success, and not when the
// deadline has passed already.
func TestTLSCloseObeysTheDeadline(t *testing.T) {
	cert := newAuthority(t).issue(t, nil, "www.example.com")
	unverified := TLSConfig{SkipVerify: true} // the bubble's clock says 2000
	for _, tc := range []struct {
		prober any
		class  Class
		detail string
	}{
		{TLS{TLSConfig: unverified}, ClassNone, ""},
		{HTTP{TLS: &unverified}, ClassTimeout, "timeout while waiting for the response's header"},
	} {
		synctest.Test(t, func(t *testing.T) {
			done := make(chan struct{})
			p := pipes{handle: func(c net.Conn) {
				s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, SessionTicketsDisabled: true})
				_ = s.Handshake()
				if tc.class != ClassNone {
					_, _ = s.Read(make([]byte, 4096))
				}
				<-done
			}}
			start := time.Now()
			ctx, cancel := contextWithTimeout(time.Second)
			defer cancel()
			check(t, on(t, must(t, tc.prober), p.network()).Probe(ctx, somewhere), tc.class, tc.detail)
			if took := time.Since(start); took != time.Second || p.open.Load() != 0 {
				t.Errorf("took %v, %d connections open", took, p.open.Load())
			}
			close(done)
			p.peers.Wait()
		})
	}
}

func TestNewTLSRefuses(t *testing.T) {
	for _, sni := range []string{"a b", "host:443", "[::1]", "a\nb"} {
		if _, err := NewTLS(TLS{TLSConfig: TLSConfig{SNI: sni}}); err == nil {
			t.Errorf("SNI %q accepted", sni)
		}
	}
}
