package probe

import (
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

// mischief is a server of plain HTTP that does something else than it should.
type mischief struct {
	name  string
	check HTTP
	says  []string // one piece after the other, once it was asked; then it ends
	play  func(net.Conn)
	class Class
}

// httpMischief is what is not in TestHTTPHostile, or only HTTP/1.1 can do.
func httpMischief() []mischief {
	anyBody, ok, js := HTTP{Body: anything}, HTTP{Body: regexp.MustCompile(`^ok$`)}, HTTP{JSON: []Expectation{{"$.status", []Condition{{"=", "up"}}}}}
	const head = "HTTP/1.1 200 OK\r\n"
	const chunked = head + "Transfer-Encoding: chunked\r\n\r\n"
	plain := func(body string) []string { return []string{head + "\r\n" + body} }
	wide := func(s string) string {
		var b strings.Builder
		for _, u := range utf16.Encode([]rune("\ufeff" + s)) {
			b.Write([]byte{byte(u), byte(u >> 8)})
		}
		return b.String()
	}
	var crumbs []string
	for _, c := range "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", 300) + "\r\n\r\nok" {
		crumbs = append(crumbs, string(c))
	}
	all := []mischief{
		{"0.9", HTTP{}, []string{"<html>hello</html>"}, nil, ClassProtocol},
		{"another version", HTTP{}, []string{"HTTP/9.9 200 OK\r\n\r\n"}, nil, ClassProtocol},
		{"version without a minor", HTTP{}, []string{"HTTP/2 200\r\n\r\n"}, nil, ClassProtocol},
		{"small letters", HTTP{}, []string{"http/1.1 200 OK\r\n\r\n"}, nil, ClassProtocol},
		{"lines before the first", HTTP{}, []string{strings.Repeat("\r\n", 50_000)}, nil, ClassProtocol},
		{"lines without line feeds", HTTP{}, []string{"HTTP/1.1 200 OK\rX: y\r\r"}, nil, ClassReset},
		{"lines without carriage returns", ok, []string{"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}, nil, ClassNone},
		{"status 000", HTTP{}, []string{"HTTP/1.1 000 x\r\n\r\n"}, nil, ClassProtocol},
		{"status 999", HTTP{}, []string{"HTTP/1.1 999 x\r\n\r\n"}, nil, ClassStatus},
		{"status 99999", HTTP{}, []string{"HTTP/1.1 99999 x\r\n\r\n"}, nil, ClassProtocol},
		{"status below zero", HTTP{}, []string{"HTTP/1.1 -20 x\r\n\r\n"}, nil, ClassProtocol},
		{"status with a sign", HTTP{}, []string{"HTTP/1.1 +20 x\r\n\r\n"}, nil, ClassProtocol},
		{"no status", HTTP{}, []string{"HTTP/1.1\r\n\r\n"}, nil, ClassProtocol},
		{"switches protocols", HTTP{}, []string{"HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n\x00\x00\x00\x04"}, nil, ClassStatus},
		{"interim headers without end", HTTP{}, []string{strings.Repeat("HTTP/1.1 103 x\r\nLink: y\r\n\r\n", 20_000)}, nil, ClassOversize},
		{"a line of a mebibyte", HTTP{}, []string{head + "X: " + strings.Repeat("x", 1<<20)}, nil, ClassOversize},
		{"many fields", HTTP{}, []string{head + strings.Repeat("x: y\r\n", 20_000) + "\r\n"}, nil, ClassOversize},
		{"folded lines", ok, []string{head + "X: y\r\n  z\r\n\tw\r\nContent-Length: 2\r\n\r\nok"}, nil, ClassNone},
		{"a field without a colon", HTTP{}, []string{head + "oops\r\n\r\n"}, nil, ClassProtocol},
		{"a field with a blank", HTTP{}, []string{head + "Content-Length : 2\r\n\r\nok"}, nil, ClassNone},
		{"two lengths", HTTP{}, []string{head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok"}, nil, ClassProtocol},
		{"the same length twice", ok, []string{head + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok"}, nil, ClassNone},
		{"a length below zero", HTTP{}, []string{head + "Content-Length: -1\r\n\r\nok"}, nil, ClassProtocol},
		{"a length beyond all numbers", HTTP{}, []string{head + "Content-Length: 99999999999999999999\r\n\r\nok"}, nil, ClassProtocol},
		{"a length that lies", ok, []string{head + "Content-Length: 1000000000000\r\n\r\nok"}, nil, ClassReset},
		{"a length and chunks", ok, []string{head + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"}, nil, ClassNone},
		{"chunks twice", HTTP{}, []string{head + "Transfer-Encoding: chunked, chunked\r\n\r\n"}, nil, ClassProtocol},
		{"an unknown coding", HTTP{}, []string{head + "Transfer-Encoding: gzip\r\n\r\n"}, nil, ClassProtocol},
		{"a chunk below zero", anyBody, []string{chunked + "-1\r\nx\r\n0\r\n\r\n"}, nil, ClassProtocol},
		{"a chunk beyond all numbers", anyBody, []string{chunked + "fffffffffffffffff\r\n"}, nil, ClassProtocol},
		{"a chunk that lies", anyBody, []string{chunked + "7fffffffffffffff\r\nx"}, nil, ClassReset},
		{"a chunk with a long extension", anyBody, []string{chunked + "1;x=" + strings.Repeat("x", 1<<20)}, nil, ClassProtocol},
		{"chunks with extensions", anyBody, []string{chunked + strings.Repeat("1;"+strings.Repeat("x", 2000)+"\r\nx\r\n", 2000)}, nil, ClassProtocol},
		{"a chunk without its end", anyBody, []string{chunked + "1\r\nxyz\r\n0\r\n\r\n"}, nil, ClassProtocol},
		{"chunks of a byte", anyBody, []string{chunked + strings.Repeat("1\r\nx\r\n", 60_000)}, nil, ClassProtocol},
		{"chunks of a byte that end", anyBody, []string{chunked + strings.Repeat("1\r\nx\r\n", 10_000) + "0\r\n\r\n"}, nil, ClassNone},
		{"trailers without end", ok, []string{chunked + "2\r\nok\r\n0\r\n" + strings.Repeat("x: y\r\n", 200_000)}, nil, ClassProtocol},
		{"compressed without being asked", anyBody, []string{head + "Content-Encoding: br\r\n\r\n\x8b\x00\x80x\x03"}, nil, ClassBody},
		{"compressed twice", anyBody, []string{head + "Content-Encoding: identity\r\nContent-Encoding: deflate\r\n\r\n\x00"}, nil, ClassBody},
		{"compressed and not judged", HTTP{}, []string{head + "Content-Encoding: gzip\r\n\r\n\x1f\x8b"}, nil, ClassNone},
		{"a wide text", ok, plain(wide("ok")), nil, ClassBody},
		{"wide JSON", js, plain(wide(`{"status":"up"}`)), nil, ClassBody},
		{"JSON with a mark", js, plain("\ufeff" + `{"status":"up"}`), nil, ClassBody},
		{"deep JSON", js, plain(strings.Repeat("[", 60_000)), nil, ClassBody},
		{"deep JSON that is whole", js, plain(strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000)), nil, ClassValue},
		{"deep objects", js, plain(strings.Repeat(`{"status":`, 5_000) + "1" + strings.Repeat("}", 5_000)), nil, ClassValue},
		{"a great number", js, plain(`{"status":1e999999999}`), nil, ClassValue},
		{"a long number", js, plain(`{"status":` + strings.Repeat("9", 60_000) + `}`), nil, ClassValue},
		{"a name twice", js, plain(`{"status":"up","status":"down"}`), nil, ClassValue},
		{"broken escapes", js, plain(`{"status":"\ud800\udfff\x"}`), nil, ClassBody},
		{"zeros", ok, plain(strings.Repeat("\x00", 60_000)), nil, ClassBody},
		{"a body without being asked", HTTP{Method: "HEAD"}, plain(strings.Repeat("x", 1<<20)), nil, ClassNone},
		{"a body where none may be", ok, []string{"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok"}, nil, ClassBody},
		{"not modified", HTTP{}, []string{"HTTP/1.1 304 x\r\n\r\n"}, nil, ClassStatus},
		{"a redirect that is not followed", HTTP{}, []string{"HTTP/1.1 302 x\r\nLocation: file:///etc/passwd\r\n\r\n"}, nil, ClassStatus},
		{"in crumbs", ok, crumbs, nil, ClassNone},
		{"resets at once", HTTP{}, nil, func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); c.Close() }, ClassReset},
		{"ends its half at once", HTTP{}, nil, func(c net.Conn) { _ = c.(*net.TCPConn).CloseWrite() }, ClassReset},
		{"resets behind its header", anyBody, nil, func(c net.Conn) {
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, head+"Content-Length: 9\r\n\r\nx")
			_ = c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}, ClassReset},
		{"answers before it is asked", ok, nil, func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 2\r\n\r\nok") }, ClassNone},
		{"goes on and does not", HTTP{Method: "POST", Send: make([]byte, maxSend)}, nil, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 100 Continue\r\n\r\n")
		}, ClassSlow},
	}
	for i := range all {
		if m := &all[i]; m.play == nil {
			says := m.says
			m.play = func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				for _, s := range says {
					if _, err := io.WriteString(c, s); err != nil {
						return
					}
				}
				_ = c.(*net.TCPConn).CloseWrite()
			}
		}
	}
	return all
}

func (m mischief) timeout() time.Duration {
	if m.class == ClassSlow || m.class == ClassTimeout {
		return 50 * time.Millisecond
	}
	return patience
}

func TestHTTPMischief(t *testing.T) {
	for _, m := range httpMischief() {
		t.Run(m.name, func(t *testing.T) {
			p, to := must(t, m.check), serve(t, "127.0.0.1", m.play)
			within(t, 4<<20, func() {
				check(t, p.Probe(ctxFor(t, m.timeout()), to), m.class, "")
			})
		})
	}
}
