package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var anything = regexp.MustCompile(``)

func contextWithTimeout(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// resolvingTo is the real network with one address for every host name.
func resolvingTo(t Target) *network {
	n := system
	n.lookup = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{t.Addr}, nil }
	return &n
}

// answering reads one request, reports it, and answers with raw bytes.
func answering(seen chan<- string, response string) func(net.Conn) {
	return func(c net.Conn) {
		br := bufio.NewReader(c)
		var request strings.Builder
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			request.WriteString(line)
			if line == "\r\n" {
				break
			}
		}
		if seen != nil {
			seen <- request.String()
		}
		_, _ = io.WriteString(c, response)
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
	}
}

const ok200 = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func TestHTTPVerdicts(t *testing.T) {
	big := strings.Repeat("x", maxBody-4) + "edge" + "beyond"
	for _, tc := range []struct {
		name     string
		response string
		probe    HTTP
		class    Class
		detail   string
	}{
		{"200", ok200, HTTP{}, ClassNone, ""},
		{"no content", "HTTP/1.1 204 No Content\r\n\r\n", HTTP{}, ClassNone, ""},
		{"without reason", "HTTP/1.1 200\r\n\r\n", HTTP{}, ClassNone, ""},
		{"http 1.0", "HTTP/1.0 200 OK\r\n\r\nok", HTTP{Body: regexp.MustCompile(`^ok$`)}, ClassNone, ""},
		{"503", "HTTP/1.1 503 Down\r\n\r\n", HTTP{}, ClassStatus, "status 503, expected 200-299"},
		{"redirect stays", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", HTTP{}, ClassStatus, "status 302, expected 200-299"},
		{"redirect expected", "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", HTTP{Status: []Range{{302, 302}}}, ClassNone, ""},
		{"in the second range", "HTTP/1.1 404 None\r\n\r\n", HTTP{Status: []Range{{200, 200}, {400, 404}}}, ClassNone, ""},
		{"in no range", "HTTP/1.1 405 No\r\n\r\n", HTTP{Status: []Range{{200, 200}, {400, 404}}}, ClassStatus, "status 405, expected 200, 400-404"},
		{"interim", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok200, HTTP{Body: regexp.MustCompile(`^ok$`)}, ClassNone, ""},
		{"switching", "HTTP/1.1 101 Switching Protocols\r\n\r\n", HTTP{}, ClassStatus, "status 101"},
		{"head", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", HTTP{Method: "HEAD"}, ClassNone, ""},

		{"body", ok200, HTTP{Body: regexp.MustCompile(`^ok$`)}, ClassNone, ""},
		{"body chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n", HTTP{Body: regexp.MustCompile(`^ok$`)}, ClassNone, ""},
		{"body differs", ok200, HTTP{Body: regexp.MustCompile(`^up$`)}, ClassBody, "the body (2 bytes) does not match ^up$"},
		{"body empty", "HTTP/1.1 204 No Content\r\n\r\n", HTTP{Body: regexp.MustCompile(`x`)}, ClassBody, "(0 bytes)"},
		{"64 KiB matches", "HTTP/1.1 200 OK\r\n\r\n" + big, HTTP{Body: regexp.MustCompile(`edge$`)}, ClassNone, ""},
		{"beyond 64 KiB", "HTTP/1.1 200 OK\r\n\r\n" + big, HTTP{Body: regexp.MustCompile(`beyond`)}, ClassBody, "the beginning of the body (65536 bytes) does not match beyond"},
		{"body not read", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut", HTTP{}, ClassNone, ""},
		{"body cut", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut", HTTP{Body: anything}, ClassReset, "connection closed while reading the response's body"},
		{"bad chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", HTTP{Body: anything}, ClassProtocol, "body is malformed"},

		{"not http", "220 mail.example.com ESMTP\r\n", HTTP{}, ClassProtocol, "not HTTP"},
		{"http 2", "HTTP/2.0 200 OK\r\n\r\n", HTTP{}, ClassProtocol, "not HTTP/1"},
		{"status 000", "HTTP/1.1 000 What\r\n\r\n", HTTP{}, ClassProtocol, "not HTTP/1"},
		{"bad status", "HTTP/1.1 2x0 OK\r\n\r\n", HTTP{}, ClassProtocol, "malformed"},
		{"bad header", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", HTTP{}, ClassProtocol, "malformed"},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", HTTP{}, ClassProtocol, "malformed"},
		{"header cut", "HTTP/1.1 200 OK\r\nServer: ", HTTP{}, ClassReset, "connection closed while waiting for the response's header"},
		{"nothing", "", HTTP{}, ClassReset, "connection closed while waiting for the response's header"},
		{"tls", "\x15\x03\x01\x00\x02\x02\x0a", HTTP{}, ClassProtocol, "the server speaks TLS, not plain http"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, addr := range families(t) {
				target := serve(t, addr, answering(nil, tc.response))
				check(t, must(t, tc.probe).Probe(ctxFor(t, patience), target), tc.class, tc.detail)
			}
		})
	}
}

// Servers that never stop must be stopped by what a probe is willing to read,
// not by its deadline.
func TestHTTPReadsNoMoreThanItNeeds(t *testing.T) {
	for _, tc := range []struct {
		name, head, more string
		probe            HTTP
		class            Class
		detail           string
		atMost           int
	}{
		{"one header line", "HTTP/1.1 200 OK\r\nX: ", "x", HTTP{}, ClassOversize, "header is longer than 32 KiB", maxHeader},
		{"many header lines", "HTTP/1.1 200 OK\r\n", "X: y\r\n", HTTP{}, ClassOversize, "header is longer than 32 KiB", maxHeader},
		{"status line", "HTTP/1.1 200 ", "x", HTTP{}, ClassOversize, "header is longer than 32 KiB", maxHeader},
		{"interim responses", "", "HTTP/1.1 103 Early Hints\r\n\r\n", HTTP{}, ClassOversize, "header is longer than 32 KiB", maxHeader},
		{"body unread", "HTTP/1.1 200 OK\r\n\r\n", "x", HTTP{}, ClassNone, "", 4 << 10},
		{"body", "HTTP/1.1 200 OK\r\n\r\n", "x", HTTP{Body: regexp.MustCompile(`^x{1000}`)}, ClassNone, "", maxBody + 8<<10},
		{"chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "4\r\nxxxx\r\n", HTTP{Body: regexp.MustCompile(`^x{1000}`)}, ClassNone, "", maxBodyWire},
		{"fat chunks", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;" + strings.Repeat("e", 100) + "\r\nx\r\n", HTTP{Body: anything}, ClassProtocol, "body", maxBodyWire},
		{"chunks too small", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "1;eeeeeeeeeeee\r\nx\r\n", HTTP{Body: anything}, ClassProtocol, "chunked too finely", maxHeader + maxBodyWire},
		{"chunk without end", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", "e", HTTP{Body: anything}, ClassProtocol, "body", maxBodyWire},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				sent := make(chan int, 1)
				p := pipes{handle: func(c net.Conn) {
					_, _ = http.ReadRequest(bufio.NewReader(c))
					n, err := io.WriteString(c, tc.head)
					block := []byte(strings.Repeat(tc.more, 1+4096/len(tc.more)))
					for err == nil {
						var k int
						k, err = c.Write(block)
						n += k
					}
					sent <- n
				}}
				ctx, cancel := contextWithTimeout(time.Minute)
				defer cancel()
				r := on(t, must(t, tc.probe), p.network()).Probe(ctx, somewhere)
				check(t, r, tc.class, tc.detail)
				if n := <-sent; n > tc.atMost || r.RTT != 0 {
					t.Errorf("read %d bytes in %v, want %d at most, at once", n, r.RTT, tc.atMost)
				}
			})
		})
	}
}

func TestRequest(t *testing.T) {
	headers := map[string]string{"x-lower": "as is", "Accept": "*/*", "User-Agent": "me/1.0"}
	for _, tc := range []struct {
		name   string
		probe  HTTP
		target Target
		want   string
	}{
		{"default", HTTP{}, somewhere, "GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"port 80", HTTP{}, Target{Addr: somewhere.Addr, Port: 80}, "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"ipv6", HTTP{}, Target{Addr: netip.MustParseAddr("2001:db8::1"), Port: 8080}, "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"ipv6 port 80", HTTP{}, Target{Addr: netip.MustParseAddr("2001:db8::1"), Port: 80}, "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"ipv6 zone", HTTP{}, Target{Addr: netip.MustParseAddr("fe80::1%eth0"), Port: 80}, "GET / HTTP/1.1\r\nHost: [fe80::1]\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"host target", HTTP{}, Target{Host: "origin.example.com", Port: 8080}, "GET / HTTP/1.1\r\nHost: origin.example.com:8080\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"host", HTTP{Host: "www.example.com", Path: "/h?a=b", Headers: headers}, somewhere, "GET /h?a=b HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: me/1.0\r\nConnection: close\r\nAccept: */*\r\nx-lower: as is\r\n\r\n"},
		{"host and port", HTTP{Host: "www.example.com:80"}, somewhere, "GET / HTTP/1.1\r\nHost: www.example.com:80\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"host ipv6", HTTP{Host: "2001:db8::1"}, somewhere, "GET / HTTP/1.1\r\nHost: [2001:db8::1]\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"head", HTTP{Method: "HEAD"}, somewhere, "HEAD / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\n\r\n"},
		{"post", HTTP{Method: "POST"}, somewhere, "POST / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"},
		{"login", HTTP{Basic: &Login{"u", "p"}, Headers: headers}, somewhere, "GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: me/1.0\r\nConnection: close\r\nAuthorization: Basic dTpw\r\nAccept: */*\r\nx-lower: as is\r\n\r\n"},
		{"body judged", HTTP{Body: anything}, somewhere, "GET / HTTP/1.1\r\nHost: 192.0.2.1:8080\r\nUser-Agent: rhumb-probe\r\nConnection: close\r\nAccept-Encoding: identity\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := make(chan string, 1)
				p := pipes{handle: answering(seen, ok200), hosts: map[string][]netip.Addr{"origin.example.com": {somewhere.Addr}}}
				check(t, on(t, must(t, tc.probe), p.network()).Probe(t.Context(), tc.target), ClassNone, "")
				if got := <-seen; got != tc.want {
					t.Errorf("sent\n%q, want\n%q", got, tc.want)
				}
			})
		})
	}
}

// The proxy variables would reach a connection through http.DefaultTransport.
func TestNoProxyFromTheEnvironment(t *testing.T) {
	proxy := closedPort(t, "127.0.0.1")
	t.Setenv("HTTP_PROXY", "http://"+proxy.String())
	t.Setenv("http_proxy", "http://"+proxy.String())
	check(t, must(t, HTTP{Host: "www.example.com"}).Probe(ctxFor(t, patience), serve(t, "127.0.0.1", answering(nil, ok200))), ClassNone, "")
}

func TestEachProbeConnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := pipes{handle: answering(nil, ok200)}
		prober := on(t, must(t, HTTP{Body: anything}), p.network())
		for range 3 {
			check(t, prober.Probe(t.Context(), somewhere), ClassNone, "")
			if n := p.open.Load(); n != 0 {
				t.Errorf("%d connections open after the probe", n)
			}
		}
		if len(p.dialed) != 3 {
			t.Errorf("%d connections for 3 probes", len(p.dialed))
		}
	})
}

func TestNewHTTPRefuses(t *testing.T) {
	for _, tc := range []struct {
		probe HTTP
		want  string
	}{
		{HTTP{Method: "GE T"}, `method: "GE T" is not a method to probe with`},
		{HTTP{Method: "CONNECT"}, `method: "CONNECT" is not a method to probe with`},
		{HTTP{Path: "health"}, "path: does not begin with /"},
		{HTTP{Path: "/a b"}, "path: character 3 (' ') has to be percent-encoded"},
		{HTTP{Path: "/\r\nX: y"}, `path: character 2 ('\r') has to be percent-encoded`},
		{HTTP{Path: "/%zz"}, "path: has a malformed percent-encoding"},
		{HTTP{Path: "/#top"}, "path: character 2 ('#') has to be percent-encoded"},
		{HTTP{Host: "a b"}, `host: "a b" is not a host name or address with or without a port`},
		{HTTP{Headers: map[string]string{"host": "x"}}, "headers: Host is set by the host field"},
		{HTTP{Headers: map[string]string{"Transfer-Encoding": "chunked"}}, "headers: Transfer-Encoding cannot be set"},
		{HTTP{Headers: map[string]string{"connection": "keep-alive"}}, "headers: connection cannot be set"},
		{HTTP{Headers: map[string]string{"X-A": "1", "x-a": "2"}}, "headers: x-a is there twice"},
		{HTTP{Headers: map[string]string{"X A": "1"}}, `headers: "X A" is not a header name`},
		{HTTP{Headers: map[string]string{"X-Token": "s3cret\r\nX: y"}}, "headers: the value of X-Token has a control character"},
		{HTTP{Status: []Range{{300, 200}}}, "status: 300-200 is not a range within 100-999"},
		{HTTP{Status: []Range{{20, 200}}}, "status: 20-200 is not a range within 100-999"},
		{HTTP{Method: "HEAD", Body: anything}, "body: the response to HEAD has none"},
		{HTTP{TLS: &TLSConfig{SNI: "a b"}}, `sni: "a b" is neither a host name nor an address`},
		{HTTP{Version: "4"}, `version: "4" is not one of 1.1, 2, 3`},
		{HTTP{Version: HTTP3}, "version: HTTP/3 is for https checks"},
		{HTTP{Method: "HEAD", JSON: []Expectation{{Name: "$"}}}, "json: the response to HEAD has no body"},
		{HTTP{JSON: []Expectation{{Name: "a"}}}, "json: path: does not begin with $"},
		{HTTP{JSON: []Expectation{{"$.a", []Condition{{"<", "x"}}}}}, `json: $.a: condition: "x" is not a number`},
		{HTTP{ResponseHeaders: []Expectation{{Name: "X A"}}}, `response headers: "X A" is not a header name`},
		{HTTP{ResponseHeaders: []Expectation{{"X", []Condition{{"?", "x"}}}}}, `response headers: X: condition: "?" is not one of =, !=, <, <=, >, >=, ~, !~`},
		{HTTP{Method: "TRACE", Send: []byte("x")}, "send: a TRACE request has no body"},
		{HTTP{Send: make([]byte, maxSend+1)}, "send: longer than 32 KiB"},
		{HTTP{ContentType: "text/plain"}, "content type: there is no body of that type"},
		{HTTP{Send: []byte("x"), ContentType: "a\nb"}, "content type: has a control character"},
		{HTTP{Send: []byte("x"), ContentType: "a/b", Headers: map[string]string{"content-type": "c/d"}}, "headers: content-type is set by the content type"},
		{HTTP{Bearer: "s3cret", Headers: map[string]string{"Authorization": "s3cret"}}, "headers: Authorization is set by the login"},
		{HTTP{Bearer: "s3cret", Basic: &Login{"u", "s3cret"}}, "bearer: basic is there as well"},
		{HTTP{Bearer: "s3 cret"}, "bearer: has something other than visible ASCII characters"},
		{HTTP{Basic: &Login{"u:v", "s3cret"}}, "basic: a user without colon, and neither it nor the password with control characters"},
		{HTTP{Basic: &Login{"u", "s3\ncret"}}, "basic: a user without colon, and neither it nor the password with control characters"},
	} {
		if _, err := NewHTTP(tc.probe); err == nil || err.Error() != tc.want {
			t.Errorf("got %v, want %s", err, tc.want)
		}
	}
}

// A server that sends back what it was sent, in every place a parser or a
// message of ours might quote.
func TestSecretsStayInside(t *testing.T) {
	const secret = "s3cret"
	probe := HTTP{
		Path: "/health?token=" + secret, Host: "www.example.com", FollowRedirects: true, Body: regexp.MustCompile(`^up$`),
		Headers: map[string]string{"X-Key": secret}, Bearer: secret, Method: "POST", Send: []byte(secret), ContentType: "text/" + secret,
		ResponseHeaders: []Expectation{{"X-Value", []Condition{{"=", "up"}}}},
		JSON:            []Expectation{{"$.status", []Condition{{"=", "up"}}}},
	}
	for _, response := range []string{
		secret + "\r\n",
		"HTTP/1.1 " + secret + "\r\n\r\n",
		secret + " 200 OK\r\n\r\n",
		"HTTP/1.1 500 " + secret + "\r\n\r\n",
		"HTTP/1.1 401 " + secret + "\r\nWWW-Authenticate: Bearer " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Value: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Value: up\r\nContent-Encoding: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Value: up\r\n\r\n" + secret,
		"HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n",
		"HTTP/1.1 200 OK\r\n\r\n" + secret,
		"HTTP/1.1 302 Found\r\nLocation: " + secret + "://x\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://%zz" + secret + "\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://me:" + secret + "@127.0.0.1:0/" + secret + "\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: ?again=" + secret + "\r\n\r\n",
	} {
		target := serve(t, "127.0.0.1", answering(nil, response))
		r := must(t, probe).Probe(ctxFor(t, patience), target)
		if r.OK || r.Detail == "" || strings.Contains(r.Detail, secret) {
			t.Errorf("%q: got %+v", response, r)
		}
	}
}

func TestRedirects(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil, "www.example.com", "other.example.com")
	elsewhere := netip.MustParseAddr("198.51.100.7")
	secret := map[string]string{"X-Key": "s3cret"}

	// A site maps the URL of each request, as the server sees it, to its
	// response; a connection to port 443 speaks TLS.
	type site map[string]string
	to := func(status int, location string) string {
		return fmt.Sprintf("HTTP/1.1 %d x\r\nLocation: %s\r\n\r\n", status, location)
	}
	for _, tc := range []struct {
		name   string
		probe  HTTP
		site   site
		class  Class
		detail string
		dialed string // every address connected to
		keyed  string // y for each request that had X-Key, n for each other
	}{
		{
			"relative",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "b?q"), "GET http://www.example.com/b?q": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"same origin in full",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(301, "http://WWW.example.com:80/b"), "GET http://WWW.example.com:80/b": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"no host",
			HTTP{},
			site{"GET http://192.0.2.1:8080/": to(302, "/b"), "GET http://192.0.2.1:8080/b": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"to https of the same name",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(301, "https://www.example.com/"), "GET https://www.example.com/": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:443", "yy",
		},
		{
			"down to http",
			HTTP{Host: "www.example.com", TLS: &TLSConfig{}},
			site{"GET https://www.example.com/": to(301, "http://www.example.com/"), "GET http://www.example.com/": ok200},
			ClassNone, "", "192.0.2.1:443 192.0.2.1:80", "yn",
		},
		{
			"another name",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "https://other.example.com/x"), "GET https://other.example.com/x": ok200},
			ClassNone, "", "192.0.2.1:8080 198.51.100.7:443", "yn",
		},
		{
			"another name and back",
			HTTP{Host: "www.example.com"},
			site{
				"GET http://www.example.com/":   to(302, "//other.example.com"),
				"GET http://other.example.com/": to(302, "http://www.example.com/b"),
				"GET http://www.example.com/b":  ok200,
			},
			ClassNone, "", "192.0.2.1:8080 198.51.100.7:80 192.0.2.1:8080", "ynn",
		},
		{
			"an address",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "http://[2001:db8::2]:81/"), "GET http://[2001:db8::2]:81/": ok200},
			ClassNone, "", "192.0.2.1:8080 [2001:db8::2]:81", "yn",
		},
		{
			"post becomes get",
			HTTP{Host: "www.example.com", Method: "POST"},
			site{"POST http://www.example.com/": to(303, "/b"), "GET http://www.example.com/b": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"post stays post",
			HTTP{Host: "www.example.com", Method: "POST"},
			site{"POST http://www.example.com/": to(307, "/b"), "POST http://www.example.com/b": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"head stays head",
			HTTP{Host: "www.example.com", Method: "HEAD"},
			site{"HEAD http://www.example.com/": to(302, "/b"), "HEAD http://www.example.com/b": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"spaces",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "/a b?c d"), "GET http://www.example.com/a%20b?c%20d": ok200},
			ClassNone, "", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"judged at the end",
			HTTP{Host: "www.example.com", Status: []Range{{302, 302}}},
			site{"GET http://www.example.com/": to(302, "/b"), "GET http://www.example.com/b": ok200},
			ClassStatus, "after a redirect to http://www.example.com: status 200, expected 302", "192.0.2.1:8080 192.0.2.1:8080", "yy",
		},
		{
			"without location",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": "HTTP/1.1 302 x\r\n\r\n"},
			ClassStatus, "status 302, expected 200-299", "192.0.2.1:8080", "y",
		},
		{
			"without end",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "/")},
			ClassRedirect, "more than 10 redirects", strings.TrimSpace(strings.Repeat("192.0.2.1:8080 ", 11)), "yyyyyyyyyyy",
		},
		{
			"another scheme",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "file:///etc/passwd")},
			ClassProtocol, "redirect to neither http nor https", "192.0.2.1:8080", "y",
		},
		{
			"malformed",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "http://a..b/")},
			ClassProtocol, "redirect to a malformed location", "192.0.2.1:8080", "y",
		},
		{
			"unknown name",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "http://gone.example.com/")},
			ClassDNS, "after a redirect to http://gone.example.com: no such host", "192.0.2.1:8080", "y",
		},
		{
			"the name is verified",
			HTTP{Host: "www.example.com"},
			site{"GET http://www.example.com/": to(302, "https://third.example.com/")},
			ClassTLS, "after a redirect to https://third.example.com: certificate is not for third.example.com", "192.0.2.1:8080 198.51.100.7:443", "y",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.probe.FollowRedirects = true
			tc.probe.Headers = secret
			p := must(t, tc.probe).(*httpProber)
			p.away.base.RootCAs = ca.roots // as if the system trusted the CA
			if p.away.named != nil {
				p.away.named.RootCAs = ca.roots
			}
			var keyed strings.Builder
			var dialed []string
			var servers sync.WaitGroup
			p.net = &network{
				lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
					if host == "gone.example.com" {
						return nil, &net.DNSError{Name: host, IsNotFound: true}
					}
					return []netip.Addr{elsewhere}, nil
				},
				dial: func(_ context.Context, to netip.AddrPort) (net.Conn, error) {
					dialed = append(dialed, to.String())
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
						if r.Header.Get("X-Key") == "s3cret" {
							keyed.WriteByte('y')
						} else {
							keyed.WriteByte('n')
						}
						answer, ok := tc.site[r.Method+" "+scheme+r.Host+r.RequestURI]
						if !ok {
							t.Errorf("unexpected request %s %s%s%s", r.Method, scheme, r.Host, r.RequestURI)
						}
						_, _ = io.WriteString(c, answer)
					})
					return near, nil
				},
			}
			target := somewhere
			if tc.probe.TLS != nil {
				target.Port = 443
			}
			check(t, p.Probe(ctxFor(t, patience), target), tc.class, tc.detail)
			servers.Wait()
			if got := strings.Join(dialed, " "); got != tc.dialed {
				t.Errorf("connected to %s, want %s", got, tc.dialed)
			}
			if keyed.String() != tc.keyed {
				t.Errorf("headers went along: %s, want %s", keyed.String(), tc.keyed)
			}
		})
	}
}

// Whatever a server sends, a probe ends without a panic, with a result that
// holds together, and with its connection closed.
func FuzzHTTPResponse(f *testing.F) {
	for _, s := range []string{
		"", ok200, "HTTP/1.1 100 Continue\r\n\r\n" + ok200,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 302 Found\r\nLocation: http://[::1]:81/a b\r\n\r\n",
		"HTTP/1.1 301 Moved\r\nLocation: https://other.example.com\r\n\r\n",
		"HTTP/1.0 200\nA:b\n\n", "\x15\x03\x01\x00\x02\x02\x0a", "HTTP/1.1 200 OK\r\n continued\r\n\r\n",
	} {
		f.Add([]byte(s), true)
		f.Add([]byte(s), false)
	}
	f.Fuzz(func(t *testing.T, response []byte, follow bool) {
		p := pipes{hosts: map[string][]netip.Addr{}, handle: func(c net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, c) }()
			_, _ = c.Write(response)
		}}
		prober := on(t, must(t, HTTP{Host: "www.example.com", FollowRedirects: follow, Body: regexp.MustCompile(`ok`)}), p.network())
		r := prober.Probe(ctxFor(t, patience), somewhere)
		if r.OK != (r.Class == ClassNone) || r.OK != (r.Detail == "") {
			t.Errorf("contradiction: %+v", r)
		}
		if r.Detail != oneLine(r.Detail, maxDetail) {
			t.Errorf("detail is not one line: %q", r.Detail)
		}
		if r.Class == ClassTimeout || r.Class == ClassCanceled || r.Class == ClassError {
			t.Errorf("a server cannot cause this: %+v", r)
		}
		if p.open.Load() != 0 {
			t.Error("connection left open")
		}
	})
}
