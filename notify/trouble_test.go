package notify

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// listener accepts connections on loopback, each of which is f's.
func listener(t *testing.T, f func(net.Conn)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
	})
	return l.Addr().String()
}

// A receiver that takes a connection and never says a word of TLS costs that connection
// for no longer than a delivery may take.
func TestSilentHandshake(t *testing.T) {
	ended := make(chan error, 1)
	address := listener(t, func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
		_, err := io.Copy(io.Discard, c)
		ended <- err
	})
	w, err := newWebhook(&spec.Webhook{URL: "https://" + address + "/secret", TLS: &spec.Secure{}}, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := w.send(ctx, testDelivery(t)); err == nil {
		t.Error("delivered")
	}
	if err := <-ended; err != nil {
		t.Errorf("the connection is still open: %v", err)
	}
}

// What a receiver answers is in no error: it may repeat the address or a header, and
// be as long as it likes.
func TestWordsOfReceivers(t *testing.T) {
	long := strings.Repeat("secret", 10_000)
	for _, c := range []struct{ name, says, want string }{
		{"a reason", "HTTP/1.1 500 Bearer secret\r\nContent-Length: 0\r\n\r\n", "answered 500 Internal Server Error"},
		{"a reason without end", "HTTP/1.1 500 " + long + "\r\nContent-Length: 0\r\n\r\n", "answered 500 Internal Server Error"},
		{"a status of its own", "HTTP/1.1 599 secret\r\nContent-Length: 0\r\n\r\n", "answered 599"},
		{"a place that is none", "HTTP/1.1 302 Found\r\nLocation: /secret%zz\r\nContent-Length: 0\r\n\r\n", "failed to parse Location header"},
		{"no HTTP", long + "\r\n\r\n", "malformed HTTP response"},
		{"a header that is none", "HTTP/1.1 200 OK\r\nsecret\r\n\r\n", "malformed MIME header"},
	} {
		t.Run(c.name, func(t *testing.T) {
			address := listener(t, func(conn net.Conn) {
				_, _ = conn.Read(make([]byte, 4096))
				_, _ = io.WriteString(conn, c.says)
			})
			w, err := newWebhook(&spec.Webhook{URL: "http://" + address + "/secret"}, 10*time.Second)
			if err != nil {
				t.Fatal(err)
			}
			said, err := w.send(t.Context(), testDelivery(t))
			if err == nil {
				err = errors.New(said)
			}
			if text := err.Error(); !strings.Contains(text, c.want) || strings.Contains(text, "secret") || len(text) > 300 {
				t.Errorf("%.400s", text)
			}
		})
	}
	address := listener(t, func(conn net.Conn) {
		_, _ = conn.Read(make([]byte, 4096))
		_, _ = io.WriteString(conn, "HTTP/1.1 200 secret\r\nContent-Length: 0\r\n\r\n")
	})
	w, err := newWebhook(&spec.Webhook{URL: "http://" + address}, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if said, err := w.send(t.Context(), testDelivery(t)); err != nil || said != "200 OK" {
		t.Errorf("%q, %v", said, err)
	}
}
