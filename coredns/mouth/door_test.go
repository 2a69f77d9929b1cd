package mouth

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestDoorOfAnother has connections from before a reload, which may not be let in after it:
// one that the new configuration would not have taken is answered that it is to connect
// again, and closed.
func TestDoorOfAnother(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	server.Close()
	pool := x509.NewCertPool()
	pool.AddCert(server.Certificate())
	secured := func(clients bool) *tls.Config {
		c := &tls.Config{Certificates: server.TLS.Certificates}
		if clients {
			c.ClientCAs, c.ClientAuth = pool.Clone(), tls.RequireAnyClientCert
		}
		return c
	}
	for _, c := range []struct {
		name          string
		before, after *tls.Config
		code          int
		closed        bool
	}{
		{"plain", nil, nil, http.StatusOK, false},
		{"TLS now", nil, secured(false), http.StatusServiceUnavailable, true},
		{"plain now", secured(false), nil, http.StatusServiceUnavailable, true},
		{"TLS with another certificate", secured(false), secured(false), http.StatusOK, true},
		{"clients with certificates now", secured(false), secured(true), http.StatusServiceUnavailable, true},
		{"the same clients", secured(true), secured(true), http.StatusOK, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			doors := NewDoors(slog.New(slog.DiscardHandler), func([]string) (http.Handler, error) {
				return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), nil
			})
			first := &Life{block: &Block{by: &Instance{number: 1}}}
			if err := doors.Open(first, "127.0.0.1:0", "", c.before); err != nil {
				t.Fatal(err)
			}
			addr := ""
			doors.Each(func(a string) { addr = a })
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close() //nolint:errcheck // the test is over
			if c.before != nil {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true, Certificates: server.TLS.Certificates}) //nolint:gosec // of the test
			}
			in := bufio.NewReader(conn)
			ask := func() *http.Response {
				t.Helper()
				if _, err := conn.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
					t.Fatal(err)
				}
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				return resp
			}
			if resp := ask(); resp.StatusCode != http.StatusOK || resp.Close {
				t.Fatalf("before: %v", resp)
			}
			second := &Life{block: &Block{by: &Instance{number: 2}}}
			if err := doors.Open(second, "127.0.0.1:0", "", c.after); err != nil {
				t.Fatal(err)
			}
			if resp := ask(); resp.StatusCode != c.code || resp.Close != c.closed {
				t.Errorf("after: %v", resp)
			}
			for _, l := range []*Life{first, second} {
				if err := l.End(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
