package health

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// One real probe of each type, so that every field of a check reaches the wire.
func TestNewProber(t *testing.T) {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != "POST" || r.URL.Path != "/healthz" || r.Host != "example.com" || r.Header.Get("X-Key") != "k" {
			t.Errorf("request %s %s of host %s, key %q", r.Method, r.URL, r.Host, r.Header.Get("X-Key"))
		}
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte("all is well"))
	})
	plain, secure := httptest.NewServer(handler), httptest.NewUnstartedServer(handler)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // handshakes fail on purpose
	secure.StartTLS()
	defer plain.Close()
	defer secure.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}
	if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	base := spec.Check{
		Name: "c", Ask: &spec.HTTPCheck{
			Method: "POST", Path: "/healthz", Headers: map[string]string{"X-Key": "k"},
			Status: []spec.StatusRange{{From: 418, To: 418}}, Body: "is w",
		},
	}
	for _, c := range []struct {
		name  string
		on    *httptest.Server
		edit  func(*spec.Check)
		class probe.Class
	}{
		{"tcp", plain, func(c *spec.Check) { c.Type = spec.CheckTCP }, ""},
		{"http", plain, func(c *spec.Check) { c.Type = spec.CheckHTTP }, ""},
		{"status", plain, func(c *spec.Check) { c.Type, ask(c).Status = spec.CheckHTTP, []spec.StatusRange{{From: 200, To: 299}} }, probe.ClassStatus},
		{"body", plain, func(c *spec.Check) { c.Type, ask(c).Body = spec.CheckHTTP, "broken" }, probe.ClassBody},
		{"https", secure, func(c *spec.Check) { c.Type, c.TLS = spec.CheckHTTPS, &spec.Secure{Verify: true, CA: ca} }, ""},
		{"https with the system's roots", secure, func(c *spec.Check) { c.Type, c.TLS = spec.CheckHTTPS, &spec.Secure{Verify: true} }, probe.ClassTLS},
		{"https not verified", secure, func(c *spec.Check) { c.Type, c.TLS = spec.CheckHTTPS, &spec.Secure{} }, ""},
		{"tls", secure, func(c *spec.Check) { c.Type, c.TLS = spec.CheckTLS, &spec.Secure{Verify: true, CA: ca} }, ""},
		{"tls with the system's roots", secure, func(c *spec.Check) { c.Type, c.TLS = spec.CheckTLS, &spec.Secure{Verify: true} }, probe.ClassTLS},
		{"tls not verified", secure, func(c *spec.Check) { c.Type, c.TLS = spec.CheckTLS, &spec.Secure{} }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := NewProber(Check{Check: with(&base, c.edit), Host: "example.com"})
			if err != nil {
				t.Fatal(err)
			}
			u, err := url.Parse(c.on.URL)
			if err != nil {
				t.Fatal(err)
			}
			port, err := strconv.Atoi(u.Port())
			if err != nil {
				t.Fatal(err)
			}
			res := p.Probe(context.Background(), probe.Target{Addr: netip.MustParseAddr("127.0.0.1"), Port: uint16(port)})
			if res.Class != c.class || res.OK != (c.class == "") {
				t.Errorf("result %+v, want class %q", res, c.class)
			}
		})
	}
}

func TestNewProberRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		check spec.Check
		want  string
	}{
		{spec.Check{Type: "ping"}, `type "ping": not available in this version`},
		{spec.Check{Type: spec.CheckHTTP, Ask: &spec.HTTPCheck{Body: "("}}, "body: error parsing regexp"},
		{spec.Check{Type: spec.CheckHTTPS, Ask: &spec.HTTPCheck{}, TLS: &spec.Secure{CA: "/no/such.pem"}}, "ca: open /no/such.pem: "},
		{spec.Check{Type: spec.CheckTLS, TLS: &spec.Secure{CA: "/no/such.pem"}}, "ca: open /no/such.pem: "},
		{spec.Check{Type: spec.CheckTLS, TLS: &spec.Secure{CA: empty}}, "ca: " + empty + " holds no PEM certificate"},
		{spec.Check{Type: spec.CheckHTTP, Ask: &spec.HTTPCheck{Method: "G T"}}, ""},
	} {
		if _, err := NewProber(Check{Check: &c.check}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.check, err, c.want)
		}
	}
}
