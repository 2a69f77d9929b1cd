package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// grpcServer is a real server on a port of its own.
func grpcServer(t *testing.T, register func(*grpc.Server), opts ...grpc.ServerOption) Target {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := grpc.NewServer(opts...)
	register(s)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.Serve(ln)
	}()
	t.Cleanup(func() {
		s.Stop()
		<-ended
	})
	return targetOf(ln.Addr())
}

// failing is a health service that answers with an error, without a message.
type failing struct {
	healthpb.UnimplementedHealthServer
	code codes.Code
}

func (f failing) Check(context.Context, *healthpb.HealthCheckRequest) (*healthpb.HealthCheckResponse, error) {
	return nil, status.Error(f.code, "s3cr3t\r\nwords")
}

func TestGRPCAgainstTheRealOne(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(t, nil, "orders.example.com")
	healthy := health.NewServer()
	healthy.SetServingStatus("up", healthpb.HealthCheckResponse_SERVING)
	healthy.SetServingStatus("down", healthpb.HealthCheckResponse_NOT_SERVING)
	healthy.SetServingStatus("odd", healthpb.HealthCheckResponse_UNKNOWN)
	healthy.SetServingStatus("gone", healthpb.HealthCheckResponse_SERVICE_UNKNOWN)
	register := func(s *grpc.Server) { healthpb.RegisterHealthServer(s, healthy) }
	plain := grpcServer(t, register)
	secure := grpcServer(t, register, grpc.Creds(credentials.NewServerTLSFromCert(&cert)))
	none := grpcServer(t, func(*grpc.Server) {})
	good := &TLSConfig{Roots: ca.roots}
	fails := func(c codes.Code) Target {
		return grpcServer(t, func(s *grpc.Server) { healthpb.RegisterHealthServer(s, failing{code: c}) })
	}

	for _, c := range []struct {
		name   string
		o      GRPC
		target Target
		class  Class
		detail string
	}{
		{"the server as a whole", GRPC{}, plain, ClassNone, ""},
		{"a service", GRPC{Service: "up"}, plain, ClassNone, ""},
		{"not serving", GRPC{Service: "down"}, plain, ClassValue, "service down is NOT_SERVING"},
		{"unknown", GRPC{Service: "odd"}, plain, ClassValue, "service odd is UNKNOWN"},
		{"service unknown", GRPC{Service: "gone"}, plain, ClassValue, "service gone is SERVICE_UNKNOWN"},
		{"no such service", GRPC{Service: "nobody"}, plain, ClassValue, "service nobody is not known to the server's health service"},
		{"no health service", GRPC{}, none, ClassProtocol, "the server has no health service (gRPC status 12 UNIMPLEMENTED)"},
		{"unavailable", GRPC{}, fails(codes.Unavailable), ClassStatus, "gRPC status 14 UNAVAILABLE"},
		{"internal", GRPC{}, fails(codes.Internal), ClassStatus, "gRPC status 13 INTERNAL"},
		{"a code of their own", GRPC{}, fails(codes.Code(99)), ClassStatus, "gRPC status 99 unknown"},
		{"no login", GRPC{}, fails(codes.Unauthenticated), ClassAuth, "gRPC status 16 UNAUTHENTICATED"},
		{"not allowed", GRPC{}, fails(codes.PermissionDenied), ClassAuth, "gRPC status 7 PERMISSION_DENIED"},
		{"too late", GRPC{}, fails(codes.DeadlineExceeded), ClassTimeout, "the server gave up the call"},
		{"tls", GRPC{TLS: good, Host: "orders.example.com", Service: "up"}, secure, ClassNone, ""},
		{"tls, not serving", GRPC{TLS: good, Host: "orders.example.com", Service: "down"}, secure, ClassValue, "NOT_SERVING"},
		{"tls, another name", GRPC{TLS: good, Host: "other.example.com"}, secure, ClassTLS, "certificate is not for other.example.com but for orders.example.com"},
		{"tls, SNI of its own", GRPC{TLS: &TLSConfig{Roots: ca.roots, SNI: "orders.example.com"}, Host: "other.example.com"}, secure, ClassNone, ""},
		{"tls, not verified", GRPC{TLS: &TLSConfig{SkipVerify: true}}, secure, ClassNone, ""},
		{"tls, system's roots", GRPC{TLS: &TLSConfig{}, Host: "orders.example.com"}, secure, ClassTLS, "certificate signed by unknown authority"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := must(t, c.o).Probe(ctxFor(t, patience), c.target)
			check(t, r, c.class, c.detail)
			if strings.Contains(r.Detail, "s3cr3t") {
				t.Errorf("the server's words: %q", r.Detail)
			}
		})
	}
	healthy.Shutdown()
	check(t, must(t, GRPC{Service: "up"}).Probe(ctxFor(t, patience), plain), ClassValue, "service up is NOT_SERVING")
}

// framed is an answer in frames: what a peer of HTTP/2 may say to one call.
func framed(t testing.TB, frames func(fr *http2.Framer, header func(stream uint32, end bool, fields ...string))) string {
	t.Helper()
	var out bytes.Buffer
	fr := http2.NewFramer(&out, nil)
	fr.AllowIllegalWrites = true
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	frames(fr, func(stream uint32, end bool, fields ...string) {
		block.Reset()
		for i := 0; i < len(fields); i += 2 {
			if err := enc.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]}); err != nil {
				t.Fatal(err)
			}
		}
		if err := fr.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: end}); err != nil {
			t.Fatal(err)
		}
	})
	return out.String()
}

// serving is the message SERVING in its gRPC frame.
const serving = "\x00\x00\x00\x00\x02\x08\x01"

var (
	grpcHeader  = []string{":status", "200", "content-type", "application/grpc"}
	grpcTrailer = []string{"grpc-status", "0"}
)

func TestGRPCAnswers(t *testing.T) {
	type header = func(stream uint32, end bool, fields ...string)
	good := func(fr *http2.Framer, h header) {
		h(1, false, grpcHeader...)
		_ = fr.WriteData(1, false, []byte(serving))
		h(1, true, grpcTrailer...)
	}
	with := func(message string) func(*http2.Framer, header) {
		return func(fr *http2.Framer, h header) {
			h(1, false, grpcHeader...)
			_ = fr.WriteData(1, false, []byte(message))
			h(1, true, grpcTrailer...)
		}
	}
	for _, c := range []struct {
		name   string
		says   func(*http2.Framer, header)
		class  Class
		detail string
	}{
		{"serving", good, ClassNone, ""},
		{"settings, a ping and other streams before", func(fr *http2.Framer, h header) {
			_ = fr.WriteSettings(http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 1})
			_ = fr.WriteSettingsAck()
			_ = fr.WritePing(false, [8]byte{1})
			_ = fr.WriteWindowUpdate(0, 1000)
			h(3, true, ":status", "500")
			_ = fr.WriteData(5, true, []byte("x"))
			good(fr, h)
		}, ClassNone, ""},
		{"an interim response before", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "103")
			good(fr, h)
		}, ClassNone, ""},
		{"a graceful end of the connection", func(fr *http2.Framer, h header) {
			_ = fr.WriteGoAway(1, http2.ErrCodeNo, nil)
			good(fr, h)
		}, ClassNone, ""},
		{"message in pieces", func(fr *http2.Framer, h header) {
			h(1, false, grpcHeader...)
			for i := range serving {
				_ = fr.WriteData(1, false, []byte(serving[i:i+1]))
			}
			h(1, true, grpcTrailer...)
		}, ClassNone, ""},
		{"trailers only", func(_ *http2.Framer, h header) {
			h(1, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "5", "grpc-message", "s3cr3t")
		}, ClassValue, "the server is not known to the server's health service"},
		{"trailers only, and well", func(_ *http2.Framer, h header) {
			h(1, true, append(append([]string{}, grpcHeader...), grpcTrailer...)...)
		}, ClassProtocol, "the answer is not one of grpc.health.v1"},
		{"refused stream", func(fr *http2.Framer, _ header) {
			_ = fr.WriteRSTStream(1, http2.ErrCodeRefusedStream)
		}, ClassReset, "the server ended the call: REFUSED_STREAM"},
		{"a code that is none", func(fr *http2.Framer, _ header) {
			_ = fr.WriteRSTStream(1, 0xdead)
		}, ClassReset, "the server ended the call: unknown error"},
		{"going away", func(fr *http2.Framer, _ header) {
			_ = fr.WriteGoAway(0, http2.ErrCodeEnhanceYourCalm, []byte("s3cr3t"))
		}, ClassReset, "the server ended the connection while waiting for the call's answer: ENHANCE_YOUR_CALM"},
		{"a web server", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "200", "content-type", "text/html")
			_ = fr.WriteData(1, true, []byte("<html>"))
		}, ClassProtocol, "the server speaks HTTP/2, not gRPC"},
		{"a web server that says that all is well", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "200", "content-type", "text/html")
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		}, ClassProtocol, "the server speaks HTTP/2, not gRPC"},
		{"gRPC-Web", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "200", "content-type", "application/grpc-web+proto")
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		}, ClassProtocol, "the server speaks HTTP/2, not gRPC"},
		{"no content type", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "200")
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		}, ClassProtocol, "the server speaks HTTP/2, not gRPC"},
		{"an encoding in the content type", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "200", "content-type", "application/grpc+proto; charset=utf-8")
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		}, ClassNone, ""},
		{"a proxy that says that all is well", func(fr *http2.Framer, h header) {
			h(1, false, ":status", "503", "content-type", "application/grpc")
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		}, ClassStatus, "HTTP status 503, not a gRPC answer"},
		{"a proxy that speaks gRPC", func(_ *http2.Framer, h header) {
			h(1, true, ":status", "503", "content-type", "application/grpc", "grpc-status", "14")
		}, ClassStatus, "gRPC status 14 UNAVAILABLE"},
		{"no HTTP status", func(fr *http2.Framer, h header) {
			h(1, false, "content-type", "application/grpc")
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		}, ClassProtocol, "the answer has no HTTP status"},
		{"a proxy", func(_ *http2.Framer, h header) { h(1, true, ":status", "503") }, ClassStatus, "HTTP status 503, not a gRPC answer"},
		{"no status", func(_ *http2.Framer, h header) { h(1, true, grpcHeader...) }, ClassProtocol, "the answer has no gRPC status"},
		{"a status that is no number", func(_ *http2.Framer, h header) {
			h(1, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "OK")
		}, ClassProtocol, "the answer's gRPC status is no number"},
		{"data without header", func(fr *http2.Framer, _ header) { _ = fr.WriteData(1, true, []byte(serving)) }, ClassProtocol, "the response has no header"},
		{"not serving", with("\x00\x00\x00\x00\x02\x08\x02"), ClassValue, "the server is NOT_SERVING"},
		{"a status of the future", with("\x00\x00\x00\x00\x02\x08\x09"), ClassValue, "the server is UNKNOWN"},
		{"an empty message", with("\x00\x00\x00\x00\x00"), ClassValue, "the server is UNKNOWN"},
		{"other fields", with("\x00\x00\x00\x00\x07\x12\x03abc\x08\x01"), ClassNone, ""},
		{"compressed", with("\x01" + serving[1:]), ClassProtocol, "the answer is not one of grpc.health.v1"},
		{"a length that is wrong", with(serving + "\x00"), ClassProtocol, "the answer is not one of grpc.health.v1"},
		{"no message", with("\x00\x00\x00\x00\x02\x08\xff"), ClassProtocol, "the answer is not one of grpc.health.v1"},
		{"a long message", with(strings.Repeat("x", maxGRPCMessage+1)), ClassOversize, "the answer is longer than 4 KiB"},
		{"a header without end", func(fr *http2.Framer, _ header) {
			var block bytes.Buffer
			enc := hpack.NewEncoder(&block)
			_ = enc.WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
			for range 20 {
				_ = enc.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", 8<<10), Sensitive: true})
			}
			b := block.Bytes()
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: b[:8<<10]})
			for b = b[8<<10:]; len(b) > 8<<10; b = b[8<<10:] {
				_ = fr.WriteContinuation(1, false, b[:8<<10])
			}
			_ = fr.WriteContinuation(1, true, b)
		}, ClassOversize, "the response's header is longer than 32 KiB"},
		{"frames without an answer", func(fr *http2.Framer, _ header) {
			for range maxGRPCFrames + 1 {
				_ = fr.WriteWindowUpdate(0, 1)
			}
		}, ClassOversize, "more than 256 frames without an answer"},
		{"a frame that is too long", func(_ *http2.Framer, h header) {
			h(1, true, append(grpcHeader[:4:4], "x", strings.Repeat("y", 12<<10), "x", strings.Repeat("y", 12<<10), "x", strings.Repeat("y", 12<<10))...)
		}, ClassProtocol, "the answer is not HTTP/2"},
		{"ends in the middle", func(_ *http2.Framer, h header) { h(1, false, grpcHeader...) }, ClassReset, "connection closed while waiting for the call's answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := must(t, GRPC{}).(*grpcProber)
			f := p.call(t.Context(), scripted{in: strings.NewReader(framed(t, c.says))}, "example.com")
			check(t, f.result(time.Now(), 0), c.class, c.detail)
			if strings.Contains(f.detail, "s3cr3t") {
				t.Errorf("the server's words: %q", f.detail)
			}
		})
	}
}

// The call is what RFC 9113 and the gRPC protocol want, and its time limit the
// probe's.
func TestGRPCRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		got := map[string]string{}
		var message []byte
		serve := func(c net.Conn) {
			preface := make([]byte, len(http2.ClientPreface))
			if _, err := io.ReadFull(c, preface); err != nil || string(preface) != http2.ClientPreface {
				t.Errorf("preface %q, %v", preface, err)
			}
			fr := http2.NewFramer(c, c)
			fr.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
			for {
				f, err := fr.ReadFrame()
				if err != nil {
					t.Errorf("before the call: %v", err)
					return
				}
				switch f := f.(type) {
				case *http2.MetaHeadersFrame:
					for _, h := range f.Fields {
						got[h.Name] = h.Value
					}
				case *http2.DataFrame:
					message = append(message, f.Data()...)
					if !f.StreamEnded() {
						t.Error("the stream goes on")
					}
					// It is asked to end a ping while it waits.
					go func() {
						if _, err := fr.ReadFrame(); err != nil && !errors.Is(err, io.EOF) {
							t.Errorf("no pong: %v", err)
						}
						_, _ = io.WriteString(c, framed(t, func(fr *http2.Framer, h func(uint32, bool, ...string)) {
							h(1, false, grpcHeader...)
							_ = fr.WriteData(1, false, []byte(serving))
							h(1, true, grpcTrailer...)
						}))
					}()
					if err := fr.WritePing(false, [8]byte{7}); err != nil {
						t.Error(err)
					}
					return
				}
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		near, far := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			serve(far)
		}()
		f := must(t, GRPC{Service: "shop.Orders"}).(*grpcProber).call(ctx, near, "orders.example.com:50051")
		<-done
		_ = near.Close()
		check(t, f.result(time.Now(), 0), ClassNone, "")
		for name, want := range map[string]string{
			":method": "POST", ":scheme": "http", ":path": "/grpc.health.v1.Health/Check", ":authority": "orders.example.com:50051",
			"content-type": "application/grpc", "te": "trailers", "grpc-timeout": "1500m", "user-agent": userAgent,
		} {
			if got[name] != want {
				t.Errorf("%s: %q, want %q", name, got[name], want)
			}
		}
		if want := "\x00\x00\x00\x00\x0d\x0a\x0bshop.Orders"; string(message) != want {
			t.Errorf("message %q", message)
		}
	})
}

// A server that insists on another protocol of HTTP.
func TestGRPCWithoutHTTP2(t *testing.T) {
	ca := newAuthority(t)
	target := tlsServer(t, "127.0.0.1", &tls.Config{Certificates: []tls.Certificate{ca.issue(t, nil, "127.0.0.1")}, NextProtos: []string{"http/1.1"}}, nil, nil)
	check(t, must(t, GRPC{TLS: &TLSConfig{Roots: ca.roots}}).Probe(ctxFor(t, patience), target), ClassTLS, "the server refused the handshake: ")
	web := serve(t, "127.0.0.1", func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	check(t, must(t, GRPC{}).Probe(ctxFor(t, patience), web), ClassProtocol, "the server speaks HTTP/1, not HTTP/2")
}

func FuzzGRPCAnswer(f *testing.F) {
	type header = func(stream uint32, end bool, fields ...string)
	for _, s := range []func(*http2.Framer, header){
		func(fr *http2.Framer, h header) {
			h(1, false, grpcHeader...)
			_ = fr.WriteData(1, false, []byte(serving))
			h(1, true, grpcTrailer...)
		},
		func(fr *http2.Framer, h header) {
			_ = fr.WriteSettings()
			_ = fr.WritePing(false, [8]byte{})
			h(1, true, ":status", "200", "content-type", "application/grpc", "grpc-status", "12")
		},
		func(fr *http2.Framer, _ header) { _ = fr.WriteGoAway(0, 1, []byte("x")) },
	} {
		f.Add([]byte(framed(f, s)))
	}
	f.Add([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
	f.Add([]byte{tlsAlert, 3, 3, 0, 2, 2, 10})
	p, err := NewGRPC(GRPC{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		got := p.(*grpcProber).call(t.Context(), scripted{in: bytes.NewReader(b)}, "example.com")
		if !got.failed() && !bytes.Contains(b, []byte{8}) && !bytes.Contains(b, []byte{1}) {
			t.Errorf("%q is taken as SERVING", b)
		}
		r := got.result(time.Now(), 0)
		if strings.ContainsAny(r.Detail, "\r\n\x1b") {
			t.Errorf("%q", r.Detail)
		}
	})
}
