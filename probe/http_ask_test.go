package probe

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// A refused login has a class of its own; without a login it is a status.
func TestHTTPLogin(t *testing.T) {
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !(ok && user == "probe" && password == "pässword") && r.Header.Get("Authorization") != "Bearer t0ken" {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	for _, p := range places {
		t.Run(p.name, func(t *testing.T) {
			target := p.listen(t, &tls.Config{Certificates: []tls.Certificate{testCertificate(t)}}, h)
			for _, tc := range []struct {
				probe HTTP
				class Class
			}{
				{HTTP{}, ClassStatus},
				{HTTP{Status: []Range{{401, 401}}}, ClassNone},
				{HTTP{Basic: &Login{"probe", "pässword"}}, ClassNone},
				{HTTP{Basic: &Login{"probe", ""}}, ClassAuth},
				{HTTP{Bearer: "t0ken"}, ClassNone},
				{HTTP{Bearer: "0ld"}, ClassAuth},
				{HTTP{Bearer: "0ld", Status: []Range{{401, 401}}}, ClassNone},
			} {
				check(t, must(t, p.check(tc.probe, nil)).Probe(ctxFor(t, patience), target), tc.class, "")
			}
		})
	}
}

// What goes along when a server sends the probe on: the login to the same origin
// only, the body with the same method and never to another host.
func TestRedirectsCarry(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil, "www.example.com", "other.example.com")
	to := func(status int, location string) string {
		return fmt.Sprintf("HTTP/1.1 %d x\r\nLocation: %s\r\n\r\n", status, location)
	}
	for _, tc := range []struct {
		name   string
		secure bool
		send   string
		site   map[string]string
		class  Class
		detail string
		saw    string // of each request: method, a for a login, b for a body, t for its type
	}{
		{
			"the same origin", false, "",
			map[string]string{"http://www.example.com/": to(302, "/b"), "http://www.example.com/b": ok200},
			ClassNone, "", "GETa GETa",
		},
		{
			"another port", false, "",
			map[string]string{"http://www.example.com/": to(302, "http://www.example.com:81/"), "http://www.example.com:81/": ok200},
			ClassNone, "", "GETa GET",
		},
		{
			"up to https", false, "",
			map[string]string{"http://www.example.com/": to(301, "https://www.example.com/"), "https://www.example.com/": ok200},
			ClassNone, "", "GETa GET",
		},
		{
			"down to http", true, "",
			map[string]string{"https://www.example.com/": to(301, "http://www.example.com/"), "http://www.example.com/": ok200},
			ClassNone, "", "GETa GET",
		},
		{
			"away and back", false, "",
			map[string]string{
				"http://www.example.com/":   to(302, "http://other.example.com/"),
				"http://other.example.com/": to(302, "http://www.example.com/b"), "http://www.example.com/b": ok200,
			},
			ClassNone, "", "GETa GET GET",
		},
		{
			"away, and refused", false, "",
			map[string]string{
				"http://www.example.com/":   to(302, "http://other.example.com/"),
				"http://other.example.com/": "HTTP/1.1 401 x\r\n\r\n",
			},
			ClassStatus, "after a redirect to http://other.example.com: status 401", "GETa GET",
		},
		{
			"a body that goes along", false, "b",
			map[string]string{"http://www.example.com/": to(307, "/b"), "http://www.example.com/b": to(308, "/c"), "http://www.example.com/c": ok200},
			ClassNone, "", "POSTabt POSTabt POSTabt",
		},
		{
			"a body that stays behind", false, "b",
			map[string]string{"http://www.example.com/": to(303, "/b"), "http://www.example.com/b": to(307, "/c"), "http://www.example.com/c": ok200},
			ClassNone, "", "POSTabt GETa GETa",
		},
		{
			"a body to another host", false, "b",
			map[string]string{"http://www.example.com/": to(307, "http://other.example.com/")},
			ClassRedirect, "redirect would take the request's body to another host", "POSTabt",
		},
		{
			"a body down to http", true, "b",
			map[string]string{"https://www.example.com/": to(308, "http://www.example.com/")},
			ClassRedirect, "redirect would take the request's body to another host", "POSTabt",
		},
		{
			"without it to another host", false, "b",
			map[string]string{"http://www.example.com/": to(302, "http://other.example.com/"), "http://other.example.com/": ok200},
			ClassNone, "", "POSTabt GET",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o := HTTP{Host: "www.example.com", Bearer: "t0ken", FollowRedirects: true}
			if tc.secure {
				o.TLS = &TLSConfig{}
			}
			if tc.send != "" {
				// The type as a header of one's own goes and stays with the body as well.
				o.Method, o.Send, o.Headers = "POST", []byte(tc.send), map[string]string{"Content-Type": "text/plain"}
			}
			p := must(t, o).(*httpProber)
			for _, s := range []*security{p.tls, p.away} {
				if s != nil {
					s.base.RootCAs = ca.roots // as if the system trusted the CA
					s.named.RootCAs = ca.roots
				}
			}
			saw := make(chan string, maxRedirects+1)
			var servers sync.WaitGroup
			p.net = &network{
				lookup: func(context.Context, string) ([]netip.Addr, error) {
					return []netip.Addr{netip.MustParseAddr("198.51.100.7")}, nil
				},
				dial: func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
					near, far := tcpPair(t)
					servers.Go(func() {
						defer far.Close()
						scheme, c := "http://", net.Conn(far)
						if to.Port() == 443 {
							scheme, c = "https://", tls.Server(far, &tls.Config{Certificates: []tls.Certificate{cert}})
						}
						r, err := http.ReadRequest(bufio.NewReader(c))
						if err != nil {
							return
						}
						b, _ := io.ReadAll(r.Body)
						mark := r.Method
						for _, m := range []struct {
							there bool
							as    string
						}{{r.Header.Get("Authorization") == "Bearer t0ken", "a"}, {string(b) == "b", "b"}, {r.Header.Get("Content-Type") != "", "t"}} {
							if m.there {
								mark += m.as
							}
						}
						saw <- mark
						answer, ok := tc.site[scheme+r.Host+r.RequestURI]
						if !ok {
							t.Errorf("unexpected request %s%s%s", scheme, r.Host, r.RequestURI)
						}
						_, _ = io.WriteString(c, answer)
					})
					return near, nil
				},
			}
			target := somewhere
			if tc.secure {
				target.Port = 443
			}
			check(t, p.Probe(ctxFor(t, patience), target), tc.class, tc.detail)
			servers.Wait()
			close(saw)
			var all []string
			for mark := range saw {
				all = append(all, mark)
			}
			if got := strings.Join(all, " "); got != tc.saw {
				t.Errorf("the servers saw %s, want %s", got, tc.saw)
			}
		})
	}
}

// Elsewhere than at the host under probe HTTP/1.1 is spoken, and no client
// certificate shown.
func TestHTTPVersionAway(t *testing.T) {
	ca := newAuthority(t)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, "www.example.com", "127.0.0.1")}, ClientAuth: tls.RequestClientCert}
	client := ca.issue(t, nil, "probe.example.com")
	for _, version := range []string{HTTP1, HTTP2, HTTP3} {
		t.Run(version, func(t *testing.T) {
			away := place{version: HTTP1, secure: true}.listen(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Proto != "HTTP/1.1" || len(r.TLS.PeerCertificates) != 0 {
					t.Errorf("away: %s, %d certificates", r.Proto, len(r.TLS.PeerCertificates))
				}
			}))
			own := place{version: version, secure: true}.listen(t, cfg, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if len(r.TLS.PeerCertificates) != 1 {
					t.Errorf("no certificate")
				}
				http.Redirect(w, r, "https://"+away.String()+"/", http.StatusFound)
			}))
			o := HTTP{Version: version, Host: "www.example.com", FollowRedirects: true, TLS: &TLSConfig{Roots: ca.roots, Certificate: &client}}
			check(t, must(t, o).Probe(ctxFor(t, patience), own), ClassNone, "")
		})
	}
}

// TestClientCertificate shows one to servers that ask for it, whatever the check.
func TestClientCertificate(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	issue := func(a *authority) *tls.Certificate {
		c := a.issue(t, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }, "probe.example.com")
		return &c
	}
	cfg := &tls.Config{
		Certificates: []tls.Certificate{ca.issue(t, nil, "127.0.0.1")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.roots,
	}
	target := tlsServer(t, "127.0.0.1", cfg, nil, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, ok200)
	})
	for _, tc := range []struct {
		name  string
		cert  *tls.Certificate
		class Class
	}{{"right", issue(ca), ClassNone}, {"of another authority", issue(other), ClassTLS}, {"none", nil, ClassTLS}} {
		t.Run(tc.name, func(t *testing.T) {
			o := TLSConfig{Roots: ca.roots, Certificate: tc.cert}
			check(t, must(t, HTTP{TLS: &o, Body: regexp.MustCompile("ok")}).Probe(ctxFor(t, patience), target), tc.class, "")
		})
	}
}

// Whatever a server of HTTP/2 sends, a probe ends without a panic, with a result that
// holds together, and with its connection closed.
func FuzzHTTP2Response(f *testing.F) {
	two := tongues[1]
	f.Add([]byte{})
	f.Add([]byte(ok200))
	f.Add(append(two.head(200, true, field{"content-type", "text/plain"}), two.data([]byte("ok"))...))
	f.Add(append(two.head(103, true), two.head(302, false, field{"location", "/x"})...))
	f.Add(append(two.head(200, true), frame3(3, []byte{1, 2, 3})...))
	f.Fuzz(func(t *testing.T, response []byte) {
		p := pipes{hosts: map[string][]netip.Addr{}, handle: func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = c.Write(response)
		}}
		o := HTTP{Version: HTTP2, Host: "www.example.com", FollowRedirects: true, Body: regexp.MustCompile(`ok`)}
		judged(t, on(t, must(t, o), p.network()).Probe(ctxFor(t, patience), somewhere))
		if p.open.Load() != 0 {
			t.Error("connection left open")
		}
	})
}

// The same for what comes on the stream of a request of HTTP/3.
func FuzzHTTP3Response(f *testing.F) {
	three := tongues[2]
	f.Add([]byte{})
	f.Add(append(three.head(200, true, field{"content-type", "text/plain"}), three.data([]byte("ok"))...))
	f.Add(append(three.head(103, true), three.head(302, false, field{"location", "/x"})...))
	f.Add(append(frame3(0x21, []byte("grease")), three.head(200, true)...))
	f.Add([]byte{0x40, 0x01, 0xc0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0xd9})
	f.Fuzz(func(t *testing.T, response []byte) {
		p := must(t, HTTP{Version: HTTP3, TLS: &TLSConfig{}, Host: "www.example.com", FollowRedirects: true, Body: regexp.MustCompile(`ok`)}).(*httpProber)
		in := &wire{conn: bytes.NewReader(response), left: 2 * maxHeader}
		s := &stream3{in: in, br: bufio.NewReader(in), failure: func(err error, at stage) failure {
			return classify(context.Background(), err, at)
		}}
		h := p.firstHop(somewhere)
		_, verdict := p.judge3(s, &h)
		judged(t, verdict.result(time.Now(), 0))
	})
}

// judged checks that a result holds together and is one that a server can cause.
func judged(t *testing.T, r Result) {
	t.Helper()
	if r.OK != (r.Class == ClassNone) || r.OK != (r.Detail == "") {
		t.Errorf("contradiction: %+v", r)
	}
	if r.Detail != oneLine(r.Detail, maxDetail) {
		t.Errorf("detail is not one line: %q", r.Detail)
	}
	if r.Class == ClassTimeout || r.Class == ClassCanceled || r.Class == ClassError || r.Class == ClassLocal {
		t.Errorf("a server cannot cause this: %+v", r)
	}
}
