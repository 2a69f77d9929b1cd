package probe

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Whatever a probe meets, it leaves no goroutine and no descriptor, of whatever kind it
// is.
func TestProbesLeaveNothing(t *testing.T) {
	says := func(s string) func(net.Conn) {
		return func(c net.Conn) {
			_, _ = io.WriteString(c, s)
			_ = c.(*net.TCPConn).CloseWrite()
		}
	}
	peers := map[string]Target{
		"refuses":    closedPort(t, "127.0.0.1"),
		"silent":     silent(t),
		"does not":   ignoring(t),
		"hangs up":   serve(t, "127.0.0.1", says("")),
		"nonsense":   serve(t, "127.0.0.1", says("\x00\xff nonsense \r\n")),
		"too much":   serve(t, "127.0.0.1", says(strings.Repeat("220-x\r\n", 50_000))),
		"an address": {Host: "127.0.0.1", Port: 9},
		"no name":    {Host: "a..b", Port: 80},
	}
	all := func(p Prober) {
		for _, to := range peers {
			p.Probe(ctxFor(t, 15*time.Millisecond), to)
		}
	}
	var probers []Prober
	for _, make := range everyKind(t) {
		probers = append(probers, make())
	}
	for _, o := range []any{
		SMTP{TLS: &TLSConfig{}},
		GRPC{TLS: &TLSConfig{}},
		Redis{TLS: &TLSConfig{}},
		Postgres{TLS: &TLSConfig{}},
		HTTP{Version: HTTP2, TLS: &TLSConfig{}},
		HTTP{FollowRedirects: true},
		DNS{Name: "example.com"},
	} {
		probers = append(probers, must(t, o))
	}
	all(probers[0]) // what is made once
	goroutines, open := runtime.NumGoroutine(), files(t)
	for _, p := range probers {
		all(p)
	}
	eventually(t, "goroutines are left", func() bool { return runtime.NumGoroutine() <= goroutines })
	eventually(t, "descriptors are left", func() bool { return files(t) <= open })
}
