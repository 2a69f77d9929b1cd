package health

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// Every key of an http or https check, from the text of a configuration to the wire:
// with the key as it is the probe passes, with another value it does not.
func TestHTTPCheckReachesTheWire(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b *pem.Block) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "probe"}, DNSNames: []string{"internal.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	crt, secret := write("probe.crt", &pem.Block{Type: "CERTIFICATE", Bytes: der}), write("probe.key", &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("t0ken\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"proto": %q, "method": %q, "sent": %q, "type": %q, "auth": %q, "certificates": %d}`,
			r.Proto, r.Method, b, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), certificates(r))
	})
	serve := func(secure, two bool) *httptest.Server {
		s := httptest.NewUnstartedServer(h)
		s.EnableHTTP2 = two && secure
		s.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
		if two && !secure {
			s.Config.Protocols = &http.Protocols{}
			s.Config.Protocols.SetUnencryptedHTTP2(true)
		}
		if secure {
			// Its own name is another than the host that is asked for.
			s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, ClientAuth: tls.RequestClientCert}
			s.StartTLS()
		} else {
			s.Start()
		}
		t.Cleanup(s.Close)
		return s
	}
	plain, two, secure, secureTwo := serve(false, false), serve(false, true), serve(true, false), serve(true, true)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	udp.Close() // nothing listens there any more

	tls := "type: https, ca: " + crt + ", sni: internal.example.com"
	for _, tc := range []struct {
		name, check string
		on          net.Addr
		class       probe.Class
	}{
		{"version 1.1", `type: http, json: {$.proto: HTTP/1.1}`, plain.Listener.Addr(), ""},
		{"version 2", `type: http, version: 2, json: {$.proto: HTTP/2.0}`, two.Listener.Addr(), ""},
		{"version 2 over TLS", tls + `, version: 2, json: {$.proto: HTTP/2.0}`, secureTwo.Listener.Addr(), ""},
		{"version 3", tls + `, version: 3`, udp.LocalAddr(), probe.ClassRefused},
		{"send", `type: http, send: abc, json: {$.sent: abc, $.method: POST, $.type: ""}`, plain.Listener.Addr(), ""},
		{"method with send", `type: http, send: abc, method: PUT, content_type: text/x, json: {$.method: PUT, $.type: text/x}`, plain.Listener.Addr(), ""},
		{"basic", `type: http, basic: {user: u, password: p}, json: {$.auth: Basic dTpw}`, plain.Listener.Addr(), ""},
		{"basic from a file", `type: http, basic: {user: u, password_file: ` + token + `}, json: {$.auth: Basic dTp0MGtlbg==}`, plain.Listener.Addr(), ""},
		{"bearer", `type: http, bearer: t, json: {$.auth: Bearer t}`, plain.Listener.Addr(), ""},
		{"bearer from a file", `type: http, bearer_file: ` + token + `, json: {$.auth: Bearer t0ken}`, plain.Listener.Addr(), ""},
		{"json", `type: http, json: {$.method: [GET, "!= GET"]}`, plain.Listener.Addr(), probe.ClassValue},
		{"response headers", `type: http, response_headers: {content-type: application/json}`, plain.Listener.Addr(), ""},
		{"other response headers", `type: http, response_headers: {content-type: text/plain}`, plain.Listener.Addr(), probe.ClassValue},
		{"sni", tls, secure.Listener.Addr(), ""},
		{"no sni", `type: https, ca: ` + crt, secure.Listener.Addr(), probe.ClassTLS},
		{"no certificate", tls + `, json: {$.certificates: 0}`, secure.Listener.Addr(), ""},
		{"certificate", tls + `, cert: ` + crt + `, key: ` + secret + `, json: {$.certificates: 1}`, secure.Listener.Addr(), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "rhumb.yaml")
			text := "checks:\n  web: {" + tc.check + ", host: www.example.com}\n"
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			s, _, err := spec.Load(file, spec.Options{})
			if err != nil {
				t.Fatal(err)
			}
			c := s.Checks["web"]
			p, err := NewProber(Check{Check: c, Host: c.Host})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			at := netip.MustParseAddrPort(tc.on.String())
			r := p.Probe(ctx, probe.Target{Addr: at.Addr(), Port: at.Port()})
			if r.Class != tc.class || r.OK != (tc.class == "") {
				t.Errorf("result %+v, want class %q", r, tc.class)
			}
		})
	}
}

func certificates(r *http.Request) int {
	if r.TLS == nil {
		return 0
	}
	return len(r.TLS.PeerCertificates)
}

// What a check asks is part of what it is, its secrets with it, and none of them can be
// read in it.
func TestHTTPCheckIdentity(t *testing.T) {
	ids := map[string]string{}
	for _, text := range []string{
		"type: http", "type: http, version: 2", "type: http, send: s3cret", "type: http, send: s3cret, content_type: a/b",
		"type: http, basic: {user: u, password: s3cret}", "type: http, basic: {user: u, password: s3cret2}", "type: http, bearer: s3cret",
		"type: http, json: {$.a: b}", "type: http, response_headers: {a: b}", "type: https", "type: https, sni: a.example.com",
	} {
		s, err := spec.Parse("x.yaml", []byte("checks:\n  web: {"+text+"}\n"))
		if err != nil {
			t.Fatal(err)
		}
		id := Check{Check: s.Checks["web"], Host: "h"}.request()
		if other, twice := ids[id]; twice || strings.Contains(id, "s3cret") {
			t.Errorf("%s is %s, as %s", text, id, other)
		}
		ids[id] = text
	}
}
