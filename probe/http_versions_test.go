package probe

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// place is where a version of HTTP is spoken, by servers of others.
type place struct {
	name    string
	version string
	secure  bool
}

var places = []place{
	{"HTTP/1.1", HTTP1, false},
	{"HTTP/1.1 over TLS", HTTP1, true},
	{"HTTP/2", HTTP2, false},
	{"HTTP/2 over TLS", HTTP2, true},
	{"HTTP/3", HTTP3, true},
}

// listen serves h there until the test ends.
func (p place) listen(t testing.TB, cfg *tls.Config, h http.Handler) Target {
	t.Helper()
	cfg = cfg.Clone() // the servers change it
	if p.version == HTTP3 {
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &http3.Server{Handler: h, TLSConfig: http3.ConfigureTLSConfig(cfg)}
		var wg sync.WaitGroup
		wg.Go(func() { _ = s.Serve(conn) })
		t.Cleanup(func() {
			_ = s.Close()
			_ = conn.Close()
			wg.Wait()
		})
		ap := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		return Target{Addr: ap.Addr(), Port: ap.Port()}
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	target := targetOf(ln.Addr())
	s := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0), Protocols: &http.Protocols{}, TLSConfig: cfg}
	s.Protocols.SetHTTP1(p.version == HTTP1)
	s.Protocols.SetHTTP2(p.version == HTTP2 && p.secure)
	s.Protocols.SetUnencryptedHTTP2(p.version == HTTP2 && !p.secure)
	var wg sync.WaitGroup
	wg.Go(func() {
		if p.secure {
			_ = s.ServeTLS(ln, "", "")
		} else {
			_ = s.Serve(ln)
		}
	})
	t.Cleanup(func() {
		_ = s.Close()
		wg.Wait()
	})
	return target
}

// check is o as it is made there.
func (p place) check(o HTTP, roots *x509.CertPool) HTTP {
	o.Version = p.version
	if p.secure {
		o.TLS = &TLSConfig{Roots: roots}
		if o.TLS.Roots == nil {
			o.TLS.SkipVerify = true
		}
	}
	return o
}

// TestHTTPVersions asks servers of others the same in every version.
func TestHTTPVersions(t *testing.T) {
	ca := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, "www.example.com")}}
	mux := http.NewServeMux()
	mux.HandleFunc("/ok", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	mux.HandleFunc("/empty", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/down", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	mux.HandleFunc("/early", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("/json", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Add("X-Part", "a")
		w.Header().Add("X-Part", "b")
		_, _ = io.WriteString(w, `{"status":"up","load":0.5,"big":12345678901234567890,"ready":true,"none":null,"queues":[{"n":1},{"n":20}]}`)
	})
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		for range 100 {
			_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
		}
	})
	mux.HandleFunc("/full", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", maxBody))
	})
	mux.HandleFunc("/gzip", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") == "identity" && !r.URL.Query().Has("always") {
			_, _ = io.WriteString(w, "ok")
			return
		}
		w.Header().Set("Content-Encoding", "gzip")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		_, _ = io.WriteString(z, "ok")
		_ = z.Close()
		_, _ = w.Write(b.Bytes())
	})
	mux.HandleFunc("/trailers", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "ok")
		w.Header().Set("X-Sum", "1")
	})
	mux.HandleFunc("/abort", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1000))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	mux.HandleFunc("/moved", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/ok")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		h := maps.Clone(r.Header)
		delete(h, "Connection")
		fmt.Fprintf(w, "%s %s %s %d %s", r.Method, r.Host, r.URL, r.ContentLength, b)
		for _, name := range slices.Sorted(maps.Keys(h)) {
			fmt.Fprintf(w, " %s=%s", name, strings.Join(h[name], "|"))
		}
	})
	is := func(name, op, text string) []Expectation {
		return []Expectation{{name, []Condition{{op, text}}}}
	}
	ok := regexp.MustCompile(`^ok$`)
	long := strings.Repeat("v", 20_000)
	for _, tc := range []struct {
		path   string
		probe  HTTP
		class  Class
		detail string
	}{
		{"/ok", HTTP{}, ClassNone, ""},
		{"/ok", HTTP{Method: "HEAD"}, ClassNone, ""},
		{"/ok", HTTP{Body: ok}, ClassNone, ""},
		{"/ok", HTTP{Body: regexp.MustCompile(`^no$`)}, ClassBody, "the body (2 bytes) does not match ^no$"},
		{"/empty", HTTP{}, ClassNone, ""},
		{"/empty", HTTP{Body: ok}, ClassBody, "(0 bytes)"},
		{"/down", HTTP{}, ClassStatus, "status 503, expected 200-299"},
		{"/early", HTTP{Body: ok}, ClassNone, ""},
		{"/large", HTTP{}, ClassNone, ""},
		{"/large", HTTP{Body: regexp.MustCompile(`^x{900}`)}, ClassNone, ""},
		{"/large", HTTP{Body: ok}, ClassBody, "the beginning of the body (65536 bytes) does not match"},
		{"/full", HTTP{Body: ok}, ClassBody, "the body (65536 bytes) does not match"},
		{"/gzip", HTTP{Body: ok}, ClassNone, ""},
		{"/gzip?always", HTTP{Body: ok}, ClassBody, "the body is compressed"},
		{"/gzip?always", HTTP{}, ClassNone, ""},
		{"/trailers", HTTP{Body: ok}, ClassNone, ""},
		{"/abort", HTTP{Body: ok}, ClassReset, "the response's "},
		{"/moved", HTTP{FollowRedirects: true, Body: ok}, ClassNone, ""},

		{"/json", HTTP{JSON: is("$.status", "=", "up")}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.status", "=", "down")}, ClassValue, "$.status: the value (2 bytes) is not as expected: = down"},
		{"/json", HTTP{JSON: is("$.load", "<", "0.6")}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.load", "=", "0.50")}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.load", "!=", "5e-1")}, ClassValue, "$.load: the value is 0.5, expected != 5e-1"},
		{"/json", HTTP{JSON: is("$.load", "~", `^0\.`)}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.big", "=", "12345678901234567890")}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.ready", "=", "true")}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.none", "!=", "x")}, ClassValue, "$.none: the value is null"},
		{"/json", HTTP{JSON: is("$.queues", "!=", "x")}, ClassValue, "is an object or an array"},
		{"/json", HTTP{JSON: is("$.missing", "!=", "x")}, ClassValue, "$.missing: the JSON has no such value"},
		{"/json", HTTP{JSON: is("$.queues[*].n", "<", "21")}, ClassNone, ""},
		{"/json", HTTP{JSON: is("$.queues[*].n", "<", "20")}, ClassValue, "$.queues[*].n: the value is 20, expected < 20"},
		{"/json", HTTP{JSON: is("$.queues[?@.n > 10].n", "=", "20")}, ClassNone, ""},
		{"/json", HTTP{JSON: append(is("$.status", "=", "up"), is("$.load", ">", "1")...)}, ClassValue, "$.load: the value is 0.5, expected > 1"},
		{"/ok", HTTP{JSON: is("$", "=", "ok")}, ClassBody, "the body (2 bytes) is not JSON"},
		{"/large", HTTP{JSON: is("$", "=", "ok")}, ClassOversize, "JSON"},
		{"/json", HTTP{Body: ok, JSON: is("$.status", "=", "up")}, ClassBody, "does not match ^ok$"},

		{"/json", HTTP{ResponseHeaders: is("content-type", "~", "^application/json")}, ClassNone, ""},
		{"/json", HTTP{ResponseHeaders: is("Content-Type", "=", "text/html")}, ClassValue, "the header Content-Type: the value (16 bytes) is not as expected: = text/html"},
		{"/json", HTTP{ResponseHeaders: is("X-Part", "=", "a, b")}, ClassNone, ""},
		{"/json", HTTP{ResponseHeaders: is("X-Missing", "!=", "a")}, ClassValue, "the header X-Missing is missing"},
		{"/down", HTTP{ResponseHeaders: is("X-Missing", "=", "a")}, ClassStatus, "status 503"},

		{"/echo", HTTP{Body: regexp.MustCompile(`^GET www\.example\.com:8443 /echo (0|-1)  Accept-Encoding=identity User-Agent=rhumb-probe$`), Host: "www.example.com:8443"}, ClassNone, ""},
		{"/echo?a=b%20c", HTTP{Body: regexp.MustCompile(`^GET www\.example\.com /echo\?a=b%20c (0|-1)  Accept-Encoding=gzip User-Agent=me X-Long=v{1000}v+ X-Two=2$`), Headers: map[string]string{"user-agent": "me", "X-Long": long, "x-two": "2", "Accept-Encoding": "gzip"}}, ClassNone, ""},
		{"/echo", HTTP{Body: regexp.MustCompile(`^POST www\.example\.com /echo 12 {"a": "b\\n"} Accept-Encoding=identity Content-Length=12 Content-Type=application/json User-Agent`), Method: "POST", Send: []byte(`{"a": "b\n"}`), ContentType: "application/json"}, ClassNone, ""},
		{"/echo", HTTP{Body: regexp.MustCompile(`^PUT www\.example\.com /echo 32768 s{1000}s+ Accept-Encoding=identity Content-Length=32768 User-Agent`), Method: "PUT", Send: bytes.Repeat([]byte("s"), maxSend)}, ClassNone, ""},
		{"/echo", HTTP{Body: regexp.MustCompile(`^POST www\.example\.com /echo 0  Accept-Encoding=identity Content-Length=0 User-Agent`), Method: "POST"}, ClassNone, ""},
		{"/echo", HTTP{Body: regexp.MustCompile(` Authorization=Basic cHJvYmU6czpjcmV0 `), Basic: &Login{"probe", "s:cret"}}, ClassNone, ""},
		{"/echo", HTTP{Body: regexp.MustCompile(` Authorization=Bearer t0ken `), Bearer: "t0ken"}, ClassNone, ""},
	} {
		for _, p := range places {
			t.Run(tc.path+" "+p.name, func(t *testing.T) {
				tc.probe.Path = tc.path
				if tc.probe.Host == "" {
					tc.probe.Host = "www.example.com"
				}
				target := p.listen(t, cfg, mux)
				check(t, must(t, p.check(tc.probe, ca.roots)).Probe(ctxFor(t, patience), target), tc.class, tc.detail)
			})
		}
	}
}

// TestHTTPOtherVersion meets servers that do not speak the version that is asked for.
func TestHTTPOtherVersion(t *testing.T) {
	cfg := &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}}
	h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	on := map[string]place{}
	for _, p := range places {
		on[p.name] = p
	}
	for _, tc := range []struct {
		server, client string
		class          Class
		detail         string
	}{
		{"HTTP/1.1", "HTTP/2", ClassProtocol, "the server speaks HTTP/1, not HTTP/2"},
		{"HTTP/2", "HTTP/1.1", ClassReset, ""},
		{"HTTP/1.1 over TLS", "HTTP/2 over TLS", ClassTLS, "the server refused the handshake: no application protocol"},
		{"HTTP/2 over TLS", "HTTP/1.1 over TLS", ClassReset, ""},
		{"HTTP/1.1", "HTTP/2 over TLS", ClassTLS, "the server speaks plain http, not TLS"},
		{"HTTP/1.1 over TLS", "HTTP/2", ClassReset, ""},
		{"HTTP/1.1 over TLS", "HTTP/3", ClassRefused, "connection refused"},
	} {
		t.Run(tc.client+" to "+tc.server, func(t *testing.T) {
			target := on[tc.server].listen(t, cfg, h)
			check(t, must(t, on[tc.client].check(HTTP{}, nil)).Probe(ctxFor(t, patience), target), tc.class, tc.detail)
		})
	}
	t.Run("HTTP/2 to TLS without ALPN", func(t *testing.T) {
		target := tlsServer(t, "127.0.0.1", cfg, nil, nil)
		check(t, must(t, on["HTTP/2 over TLS"].check(HTTP{}, nil)).Probe(ctxFor(t, patience), target), ClassProtocol, "the server does not speak HTTP/2")
	})
	t.Run("HTTP/3 to something else over QUIC", func(t *testing.T) {
		other := cfg.Clone()
		other.NextProtos = []string{"doq"}
		conn, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ln, err := quic.Listen(conn, other, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		ap := conn.LocalAddr().(*net.UDPAddr).AddrPort()
		r := must(t, on["HTTP/3"].check(HTTP{}, nil)).Probe(ctxFor(t, patience), Target{Addr: ap.Addr(), Port: ap.Port()})
		check(t, r, ClassTLS, "the server refused the handshake: no application protocol")
	})
}

// TestHTTP3Certificates holds the certificates of QUIC to what those of TCP are held.
func TestHTTP3Certificates(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.TLS.PeerCertificates) == 0 {
			w.WriteHeader(http.StatusForbidden)
		}
	})
	client := ca.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "probe.example.com")
	for _, tc := range []struct {
		name   string
		cert   tls.Certificate
		wants  tls.ClientAuthType
		probe  TLSConfig
		class  Class
		detail string
	}{
		{"right", ca.issue(t, nil, "www.example.com"), tls.NoClientCert, TLSConfig{Roots: ca.roots}, ClassStatus, "status 403"},
		{"another name", ca.issue(t, nil, "api.example.com"), tls.NoClientCert, TLSConfig{Roots: ca.roots}, ClassTLS, "certificate is not for www.example.com but for api.example.com"},
		{"as sni", ca.issue(t, nil, "api.example.com"), tls.NoClientCert, TLSConfig{Roots: ca.roots, SNI: "api.example.com"}, ClassStatus, "status 403"},
		{"unknown authority", other.issue(t, nil, "www.example.com"), tls.NoClientCert, TLSConfig{Roots: ca.roots}, ClassTLS, "certificate signed by unknown authority"},
		{"expired", ca.issue(t, func(c *x509.Certificate) { c.NotAfter = c.NotBefore.Add(1) }, "www.example.com"), tls.NoClientCert, TLSConfig{Roots: ca.roots}, ClassTLS, "certificate expired on "},
		{"client's", ca.issue(t, nil, "www.example.com"), tls.RequireAndVerifyClientCert, TLSConfig{Roots: ca.roots, Certificate: &client}, ClassNone, ""},
		{"client's missing", ca.issue(t, nil, "www.example.com"), tls.RequireAndVerifyClientCert, TLSConfig{Roots: ca.roots}, ClassTLS, "the server refused the handshake: certificate required"},
	} {
		for _, version := range []string{HTTP1, HTTP2, HTTP3} {
			t.Run(tc.name+" "+version, func(t *testing.T) {
				p := place{version: version, secure: true}
				target := p.listen(t, &tls.Config{Certificates: []tls.Certificate{tc.cert}, ClientAuth: tc.wants, ClientCAs: ca.roots}, h)
				o := HTTP{Version: version, Host: "www.example.com", TLS: &tc.probe}
				check(t, must(t, o).Probe(ctxFor(t, patience), target), tc.class, tc.detail)
			})
		}
	}
}

// TestHTTP3Network is what the network says of datagrams.
func TestHTTP3Network(t *testing.T) {
	o := HTTP{Version: HTTP3, TLS: &TLSConfig{SkipVerify: true}}
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ap := silent.LocalAddr().(*net.UDPAddr).AddrPort()
	target := Target{Addr: ap.Addr(), Port: ap.Port()}
	r := must(t, o).Probe(ctxFor(t, 1), target)
	check(t, r, ClassTimeout, "timeout ")
	silent.Close()
	check(t, must(t, o).Probe(ctxFor(t, patience), target), ClassRefused, "connection refused")
	check(t, must(t, o).Probe(ctxFor(t, patience), Target{Addr: netip.MustParseAddr("127.0.0.1")}), ClassError, "target has no port")
}
