package probe

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"testing"
)

// The cost of one probe with the server's half of the work in the same
// process.
func BenchmarkProbe(b *testing.B) {
	ca := newAuthority(b)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(b, nil, "127.0.0.1")}}
	listen := func(handle func(net.Conn)) Target {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					handle(c)
				}()
			}
		}()
		return targetOf(ln.Addr())
	}
	answer := func(c net.Conn) {
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, ok200)
	}
	for _, bc := range []struct {
		name   string
		prober any
		target Target
	}{
		{"tcp", TCP{}, listen(func(net.Conn) {})},
		{"http", HTTP{Host: "www.example.com"}, listen(answer)},
		{"http-body", HTTP{Host: "www.example.com", Body: anything}, listen(answer)},
		{"https", HTTP{TLS: &TLSConfig{Roots: ca.roots}}, listen(func(c net.Conn) { answer(tls.Server(c, cfg)) })},
	} {
		b.Run(bc.name, func(b *testing.B) {
			p := must(b, bc.prober)
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := contextWithTimeout(patience)
				if r := p.Probe(ctx, bc.target); !r.OK {
					b.Fatalf("%+v", r)
				}
				cancel()
			}
		})
	}
}

// The same for the versions of HTTP over TLS, whose servers are others'.
func BenchmarkProbeVersions(b *testing.B) {
	ca := newAuthority(b)
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.issue(b, nil, "www.example.com")}}
	h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") })
	for _, p := range places {
		b.Run(p.name, func(b *testing.B) {
			target := p.listen(b, cfg.Clone(), h)
			prober := must(b, p.check(HTTP{Host: "www.example.com"}, ca.roots))
			b.ReportAllocs()
			for b.Loop() {
				ctx, cancel := contextWithTimeout(patience)
				if r := prober.Probe(ctx, target); !r.OK {
					b.Fatalf("%+v", r)
				}
				cancel()
			}
		})
	}
}

func BenchmarkLua(b *testing.B) {
	p, err := NewLua(Lua{Source: `return backend.address ~= ""`})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := p.Probe(b.Context(), somewhere); !r.OK {
			b.Fatal(r)
		}
	}
}
