package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
	"github.com/quic-go/quic-go/http3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
)

// soakPeers are the endpoints that are probed in the soak: those that are as they
// should be, and others. Each says what it says to whoever connects; hears says that
// it is the client who begins.
var soakPeers = []struct {
	name  string
	hears bool
	says  string
}{
	{"talks", true, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n"},
	{"unavailable", true, "HTTP/1.1 503 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	{"nonsense", true, "\x00\x01\x02\x03 nonsense \xff\xfe\r\n\r\n" + strings.Repeat("z", 100)},
	{"breaks off", true, "HTTP/1.1 200 OK\r\nContent-Le"},
	{"too much", true, "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 64<<10)},
	{"too long a body", true, "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 128<<10)},
	{"metrics", true, "HTTP/1.1 200 OK\r\n\r\n# TYPE up gauge\nup 1\n"},
	{"redis", true, "+PONG\r\n"},
	{"postgres", true, "R\x00\x00\x00\x0c\x00\x00\x00\x05salt"},
	{"mysql", false, "\x15\x00\x00\x00\xff\x10\x04Too many connections"},
	{"smtp", false, "220 mx ESMTP\r\n250 mx\r\n221 bye\r\n"},
	{"hangs up", false, ""},
}

// soakPeersCommand plays the endpoints until its input ends. It prints where they are,
// by name, as JSON on one line.
func soakPeersCommand(cert, key string) error {
	at := map[string]netip.AddrPort{}
	listen := func(name string) (net.Listener, error) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err == nil {
			at[name] = l.Addr().(*net.TCPAddr).AddrPort()
		}
		return l, err
	}
	for _, p := range soakPeers {
		l, err := listen(p.name)
		if err != nil {
			return err
		}
		go accept(l, func(c net.Conn) {
			if p.hears {
				_, _ = c.Read(make([]byte, 4096))
			}
			_, _ = io.WriteString(c, p.says)
		})
	}
	for name, play := range map[string]func(net.Conn){
		"silent": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"resets": func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0) },
		"drips": func(c net.Conn) {
			for range 1000 {
				if _, err := io.WriteString(c, "2"); err != nil {
					return
				}
				time.Sleep(5 * time.Millisecond)
			}
		},
	} {
		l, err := listen(name)
		if err != nil {
			return err
		}
		go accept(l, play)
	}
	// A port that nothing listens on, and nobody else is given meanwhile: it is this side
	// of a connection.
	taken, err := net.Dial("tcp", at["talks"].String())
	if err != nil {
		return err
	}
	defer func() { _ = taken.Close() }()
	at["refuses"] = taken.LocalAddr().(*net.TCPAddr).AddrPort()
	if err := soakServers(at, listen, cert, key); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(at); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// accept plays on each connection, and closes it.
func accept(l net.Listener, play func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(10 * time.Millisecond) // out of descriptors
			continue
		}
		go func() {
			defer func() { _ = c.Close() }()
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			play(c)
		}()
	}
}

// soakServers are the endpoints that take a library, each on a port of its own.
func soakServers(at map[string]netip.AddrPort, listen func(string) (net.Listener, error), cert, key string) (err error) {
	var l librarySockets
	var all [3]error
	l.web, all[0] = listen("https")
	l.calls, all[1] = listen("grpc")
	l.names, all[2] = listen("dns")
	if err := errors.Join(all[:]...); err != nil {
		return err
	}
	if l.quick, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		return err
	}
	at["http3"] = l.quick.LocalAddr().(*net.UDPAddr).AddrPort()
	if l.questions, err = net.ListenPacket("udp", l.names.Addr().String()); err != nil {
		return err
	}
	return l.serve(cert, key)
}

// librarySockets are those of the endpoints that take a library: HTTPS in all versions,
// gRPC, DNS.
type librarySockets struct {
	web, calls, names net.Listener
	quick, questions  net.PacketConn
}

func (l *librarySockets) serve(cert, key string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	secure := &tls.Config{Certificates: []tls.Certificate{pair}}
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	web := &http.Server{
		Handler: ok, TLSConfig: secure, ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() { _ = web.ServeTLS(l.web, "", "") }()
	quick := &http3.Server{Handler: ok, TLSConfig: http3.ConfigureTLSConfig(secure)}
	go func() { _ = quick.Serve(l.quick) }()
	calls := grpc.NewServer()
	healthpb.RegisterHealthServer(calls, health.NewServer())
	go func() { _ = calls.Serve(l.calls) }()
	answer := dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetReply(q)) })
	for _, s := range []*dns.Server{{Listener: l.names, Handler: answer}, {PacketConn: l.questions, Handler: answer}} {
		go func() { _ = s.ActivateAndServe() }()
	}
	return nil
}

// startSoakPeers starts them on the client's core, and says where they are.
func startSoakPeers(ctx context.Context, s *settings) (at string, end func(), err error) {
	cmd := pinned(ctx, []int{s.clientCore}, s.self, "soak-peers", s.cert, s.key)
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	end = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	var where json.RawMessage
	if err := json.NewDecoder(out).Decode(&where); err != nil {
		end()
		return "", nil, fmt.Errorf("soak: peers: %w", err)
	}
	return string(where), end, nil
}
