//go:build unix

package interop

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// The letters stand for addresses of 127.0.0.1: p plain, t TLS, q plain HTTP/2,
// u TLS with HTTP/2.
const nginxConfig = `
daemon off;
master_process off;
pid DIR/pid;
error_log DIR/error.log info;
events { worker_connections 64; }
http {
	access_log off;
	client_body_temp_path DIR/body;
	proxy_temp_path DIR/proxy;
	fastcgi_temp_path DIR/fastcgi;
	uwsgi_temp_path DIR/uwsgi;
	scgi_temp_path DIR/scgi;
	ssl_certificate CRT;
	ssl_certificate_key KEY;
	ssl_client_certificate CRT;
	ssl_verify_client optional;
	default_type application/json;
	gzip on;
	gzip_min_length 1;
	gzip_types application/json;
	server {
		listen p;
		listen t ssl;
		listen q http2;
		listen u ssl http2;
		location /json { return 200 '{"proto": "$server_protocol", "method": "$request_method", "client": "$ssl_client_verify", "queues": [{"n": 1}, {"n": 20}]}'; }
		location /down { return 503; }
		location /moved { return 302 /json; }
		location /circle { return 302 /circle; }
		location /secret { auth_basic secret; auth_basic_user_file DIR/users; try_files /ok =404; root DIR; }
		location /large { root DIR; }
		location /ok { root DIR; }
		location /post { client_max_body_size 16; proxy_pass http://p/echo; }
		location /echo { return 200 '{"length": "$content_length", "type": "$content_type"}'; }
		location /hang { proxy_pass http://h/; }
	}
}
`

// TestNginx makes http and https checks of nginx, over HTTP/1.1 and HTTP/2.
func TestNginx(t *testing.T) {
	nginx := program(t, "nginx")
	dir := t.TempDir()
	crt, key := certificate(t)
	at := map[string]string{}
	for _, letter := range []string{"p", "t", "q", "u"} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		at[letter] = ln.Addr().String()
		ln.Close()
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	write(t, filepath.Join(dir, "users"), "probe:{PLAIN}s3cret\n")
	write(t, filepath.Join(dir, "ok"), `{"status": "ok"}`)
	write(t, filepath.Join(dir, "large"), strings.Repeat("x", 10<<20))
	text := strings.NewReplacer(
		"DIR", dir, "CRT", crt, "KEY", key, "listen p", "listen "+at["p"], "listen t", "listen "+at["t"],
		"listen q", "listen "+at["q"], "listen u", "listen "+at["u"], "//p/", "//"+at["p"]+"/", "//h/", "//"+silent.Addr().String()+"/",
	).Replace(nginxConfig)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	cmd := exec.CommandContext(ctx, nginx, "-p", dir, "-e", filepath.Join(dir, "error.log"), "-c", write(t, filepath.Join(dir, "nginx.conf"), text))
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	defer func() {
		cancel()
		<-gone
	}()
	for up := false; !up; {
		c, err := net.Dial("tcp", at["p"])
		if up = err == nil; up {
			c.Close()
		}
		select {
		case <-gone:
			t.Fatalf("nginx has ended: %s", &said)
		default:
		}
	}

	tls := "type: https, host: ns1.interop.test, ca: " + crt
	for _, tc := range []struct {
		on, check     string
		class, detail string
	}{
		{"p", `type: http, path: /json, json: {$.proto: HTTP/1.1, $.method: GET, "$.queues[*].n": < 21}`, "", ""},
		{"t", tls + `, path: /json, json: {$.proto: HTTP/1.1, $.client: NONE}`, "", ""},
		{"q", `type: http, version: 2, path: /json, json: {$.proto: HTTP/2.0, $.method: GET, "$.queues[*].n": < 21}`, "", ""},
		{"u", tls + `, version: 2, path: /json, json: {$.proto: HTTP/2.0, $.client: NONE}`, "", ""},
		{"t", tls + `, version: 2`, "tls", "no application protocol"},
		{"p", `type: http, version: 2, path: /json`, "protocol", "the server speaks HTTP/1, not HTTP/2"},
		{"q", `type: http, path: /json`, "protocol", ""},
		{"u", tls + `, path: /json, json: {$.proto: HTTP/1.1}`, "", ""},
		{"t", `type: http, path: /json`, "status", "status 400"},
		{"p", tls, "tls", "the server speaks plain http, not TLS"},
		{"p", tls + `, version: 3`, "refused", "connection refused"}, // nobody listens there over UDP
		{"t", `type: https, host: www.interop.test, ca: ` + crt, "tls", "certificate is not for www.interop.test but for ns1.interop.test"},
		{"t", `type: https, host: www.interop.test, sni: ns1.interop.test, path: /json, ca: ` + crt, "", ""},
		{"t", tls + `, path: /json, cert: ` + crt + `, key: ` + key + `, json: {$.client: SUCCESS}`, "", ""},
		{"u", tls + `, version: 2, path: /json, cert: ` + crt + `, key: ` + key + `, json: {$.client: SUCCESS}`, "", ""},
	} {
		nginxTells(t, at[tc.on], tc.check, tc.class, tc.detail)
	}
	for letter, how := range map[string]string{"p": "type: http", "t": tls, "q": "type: http, version: 2", "u": tls + ", version: 2"} {
		for _, tc := range []struct{ check, class, detail string }{
			{`path: /down`, "status", "status 503"},
			{`path: /down, status: [500-503]`, "", ""},
			{`path: /moved, follow_redirects: true, json: {$.method: GET}`, "", ""},
			{`path: /circle, follow_redirects: true`, "redirect", "more than 10 redirects"},
			{`path: /ok, response_headers: {Content-Type: application/json, Content-Length: < 100}, json: {$.status: ok}`, "", ""},
			{`path: /ok, json: {$.status: up}`, "value", "$.status: the value (2 bytes) is not as expected: = up"},
			{`path: /ok, headers: {Accept-Encoding: gzip}, json: {$.status: ok}`, "body", "the body is compressed"},
			{`path: /large`, "", ""},
			{`path: /large, body: ^x+$`, "", ""},
			{`path: /large, json: {$.status: ok}`, "oversize", ""},
			{`path: /secret`, "status", "status 401"},
			{`path: /secret, basic: {user: probe, password: wrong}`, "auth", "status 401: the login was refused"},
			{`path: /secret, basic: {user: probe, password: s3cret}, json: {$.status: ok}`, "", ""},
			{`path: /post, send: abc, content_type: text/x, json: {$.length: 3, $.type: text/x}`, "", ""},
			{`path: /post, send: more than sixteen bytes`, "status", "status 413"},
			{`path: /hang, timeout: 200ms`, "timeout", "timeout while waiting for the response's header"},
		} {
			nginxTells(t, at[letter], how+", "+tc.check, tc.class, tc.detail)
		}
	}
}

// nginxTells makes one probe of a check as a configuration states it.
func nginxTells(t *testing.T, at, check, class, detail string) {
	t.Helper()
	s, err := spec.Parse("x.yaml", []byte("checks:\n  web: {"+check+"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	c := s.Checks["web"]
	p, err := health.NewProber(health.Check{Check: c, Host: c.Host})
	if err != nil {
		t.Fatal(err)
	}
	timeout := 30 * time.Second
	if strings.Contains(check, "timeout:") {
		timeout = c.Timeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	to := netip.MustParseAddrPort(at)
	r := p.Probe(ctx, probe.Target{Addr: to.Addr(), Port: to.Port()})
	if string(r.Class) != class || !strings.Contains(r.Detail, detail) {
		t.Errorf("%s: %s, want class %q and %q", check, fmt.Sprintf("%+v", r), class, detail)
	}
}
