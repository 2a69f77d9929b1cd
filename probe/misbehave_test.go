package probe

import (
	"context"
	"io"
	"net"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
)

// plainKinds are one prober of each type that speaks over a connection in plain
// text, with the beginning of a good answer.
func plainKinds() []struct {
	name   string
	prober any
	good   string
} {
	return []struct {
		name   string
		prober any
		good   string
	}{
		{"tcp", TCP{Talk{Send: []byte("PING\r\n"), Expect: regexp.MustCompile(`\+PONG\r\n`)}}, "+PON"},
		{"smtp", SMTP{}, "220-mail.example.com ESMTP\r\n220"},
		{"grpc", GRPC{}, "\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00"},
		{"dns", DNS{Name: "www.example.com", TCP: true}, "\x01\x00\x00\x00"},
	}
}

// drain takes all that the peer says.
func drain(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

// Whatever a peer does instead of answering, the probe ends, at its deadline at the
// latest, and says in its class what it was.
func TestPeersThatMisbehave(t *testing.T) {
	repeat := func(s string, every time.Duration) func(net.Conn, string) {
		return func(c net.Conn, _ string) {
			go drain(c)
			for {
				if _, err := io.WriteString(c, s); err != nil {
					return
				}
				time.Sleep(every)
			}
		}
	}
	for _, peer := range []struct {
		name string
		does func(c net.Conn, good string)
		// class by type; "" is for all others.
		class map[string]Class
		took  time.Duration // 0: at once
	}{
		{"says nothing", func(c net.Conn, _ string) { drain(c) }, map[string]Class{"": ClassTimeout}, 2 * time.Second},
		{
			"reads a byte a second",
			func(c net.Conn, _ string) {
				for {
					if _, err := c.Read(make([]byte, 1)); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			},
			map[string]Class{"": ClassTimeout},
			2 * time.Second,
		},
		{
			"begins an answer",
			func(c net.Conn, good string) {
				go drain(c)
				_, _ = io.WriteString(c, good)
				_, _ = c.Read(make([]byte, 1)) // until it is closed
			},
			// Settings alone are no beginning of an answer.
			map[string]Class{"": ClassSlow, "grpc": ClassTimeout},
			2 * time.Second,
		},
		{
			"answers a byte a second",
			func(c net.Conn, good string) {
				go drain(c)
				for i := range good {
					if _, err := io.WriteString(c, good[i:i+1]); err != nil {
						return
					}
					time.Sleep(time.Second)
				}
			},
			map[string]Class{"": ClassSlow, "grpc": ClassTimeout},
			2 * time.Second,
		},
		{"endless lines", repeat("220-"+strings.Repeat("x", 60)+"\r\n", 0), map[string]Class{"tcp": ClassOversize, "smtp": ClassOversize, "grpc": ClassProtocol, "dns": ClassProtocol}, 0},
		{"one endless line", repeat(strings.Repeat("2", 1000), 0), map[string]Class{"tcp": ClassOversize, "smtp": ClassOversize, "grpc": ClassProtocol, "dns": ClassProtocol}, 0},
		{"endless settings", repeat("\x00\x00\x00\x04\x00\x00\x00\x00\x00", 0), map[string]Class{"tcp": ClassOversize, "smtp": ClassOversize, "grpc": ClassOversize, "dns": ClassProtocol}, 0},
		{"garbage", repeat("\xde\xad\xbe\xef\n", 0), map[string]Class{"tcp": ClassOversize, "": ClassProtocol}, 0},
		{
			"hangs up",
			func(c net.Conn, good string) {
				if !strings.HasPrefix(good, "220") { // the client speaks first
					_, _ = c.Read(make([]byte, 1<<16))
				}
			},
			map[string]Class{"": ClassReset},
			0,
		},
		{
			"hangs up halfway",
			func(c net.Conn, good string) {
				go drain(c)
				_, _ = io.WriteString(c, good)
			},
			map[string]Class{"": ClassReset, "tcp": ClassValue},
			0,
		},
	} {
		for _, kind := range plainKinds() {
			t.Run(peer.name+"/"+kind.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					class, ok := peer.class[kind.name]
					if !ok {
						class = peer.class[""]
					}
					p := pipes{handle: func(c net.Conn) { peer.does(c, kind.good) }}
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					defer cancel()
					r := on(t, must(t, kind.prober), p.network()).Probe(ctx, somewhere)
					check(t, r, class, "")
					if r.RTT != peer.took {
						t.Errorf("took %v, want %v: %+v", r.RTT, peer.took, r)
					}
					if n := p.open.Load(); n != 0 {
						t.Errorf("%d connections open after the probe", n)
					}
					p.peers.Wait()
				})
			})
		}
	}
}

// A peer that speaks TLS to a check that does not, and the other way.
func TestTLSInsteadOfPlain(t *testing.T) {
	// What many servers say to what is no handshake: an alert, unexpected_message.
	secure := serve(t, "127.0.0.1", func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1<<12))
		_, _ = c.Write([]byte{tlsAlert, 3, 3, 0, 2, 2, 10})
		_ = c.(*net.TCPConn).CloseWrite()
	})
	for _, kind := range plainKinds() {
		if kind.name == "smtp" {
			continue // it waits to be greeted, and so does the server: a timeout
		}
		t.Run(kind.name, func(t *testing.T) {
			check(t, must(t, kind.prober).Probe(ctxFor(t, patience), secure), ClassProtocol, "the server speaks TLS")
		})
	}
	check(t, must(t, SMTP{}).Probe(ctxFor(t, 20*time.Millisecond), secure), ClassTimeout, "timeout while ")

	plain := serve(t, "127.0.0.1", func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.com ESMTP\r\n") })
	for name, p := range map[string]any{"smtp": SMTP{TLS: &TLSConfig{}}, "grpc": GRPC{TLS: &TLSConfig{}}} {
		t.Run(name, func(t *testing.T) {
			check(t, must(t, p).Probe(ctxFor(t, patience), plain), ClassTLS, "the server does not speak TLS")
		})
	}
}

// What a peer answers to one probe is not passed on in a detail: it could hold what
// the probe had sent.
func TestDetailsDoNotQuote(t *testing.T) {
	const secret = "s3cr3t"
	for _, c := range []struct {
		prober any
		says   string
	}{
		{TCP{Talk{Send: []byte(secret), Expect: regexp.MustCompile("fine")}}, secret},
		{SMTP{}, "554 " + secret + "\r\n"},
		{GRPC{}, secret + secret},
		{DNS{Name: "example.com", TCP: true}, secret + secret},
	} {
		target := serve(t, "127.0.0.1", func(conn net.Conn) {
			_, _ = io.WriteString(conn, c.says)
			_ = conn.(*net.TCPConn).CloseWrite()
		})
		r := must(t, c.prober).Probe(ctxFor(t, patience), target)
		if r.OK || strings.Contains(r.Detail, secret) {
			t.Errorf("%T: %+v", c.prober, r)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []any{
		SMTP{Hello: "a b"},
		SMTP{Hello: "a\r\nMAIL FROM:<x@y>"},
		SMTP{MailFrom: "a@b\r\nDATA"},
		SMTP{RcptTo: "a@b"},
		SMTP{StartTLS: true},
		SMTP{TLS: &TLSConfig{SNI: "a b"}},
		GRPC{Host: "a b"},
		GRPC{Service: "\xff"},
		GRPC{TLS: &TLSConfig{SNI: "a b"}},
		DNS{},
		DNS{Name: "a..b"},
		DNS{Name: "example.com", Type: dns.TypeAXFR},
		ICMP{Count: 21},
		ICMP{Count: -1},
		ICMP{MaxLoss: 1.5},
	} {
		var err error
		switch o := o.(type) {
		case SMTP:
			_, err = NewSMTP(o)
		case GRPC:
			_, err = NewGRPC(o)
		case DNS:
			_, err = NewDNS(o)
		case ICMP:
			_, err = NewICMP(o)
		}
		if err == nil {
			t.Errorf("%T %+v is accepted", o, o)
		}
	}
}
