package probe

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"google.golang.org/protobuf/encoding/protowire"
)

// GRPC is the check that a server's health service, Check of grpc.health.v1.Health,
// says SERVING. It is one call over a connection of its own.
type GRPC struct {
	// TLS is the TLS side; nil: HTTP/2 in plain text with prior knowledge.
	TLS *TLSConfig
	// Service is whose health is asked for; "" is the server as a whole.
	Service string
	// Host is the call's :authority and, over TLS, the SNI where TLS states none;
	// when it is empty, the target's address or host name and port.
	Host string
}

const (
	// maxGRPCFrame is the largest frame that is taken: what every peer of HTTP/2
	// keeps to while nothing else was agreed (RFC 9113 section 4.2).
	maxGRPCFrame = 16 << 10
	// maxGRPCWire bounds all that a server may send.
	maxGRPCWire = 128 << 10
	// maxGRPCFrames bounds how many frames that may be.
	maxGRPCFrames = 256
	// maxGRPCMessage is the largest message: the answer is two bytes.
	maxGRPCMessage = 4 << 10
)

const (
	calling      stage = "while sending the call"
	awaitingCall stage = "while waiting for the call's answer"
)

// NewGRPC makes the prober of a gRPC check. It fails, naming the field, when the
// call cannot be made so.
func NewGRPC(o GRPC) (Prober, error) {
	p := &grpcProber{net: &system, service: o.Service, host: o.Host}
	if !utf8.ValidString(o.Service) || len(o.Service) > maxGRPCMessage {
		return nil, errors.New("service: not the name of a service")
	}
	name := ""
	if o.Host != "" {
		var ok bool
		if name, _, ok = splitAuthority(o.Host); !ok {
			return nil, fmt.Errorf("host: %q is not a host name or address with or without a port", o.Host)
		}
	}
	if o.TLS != nil {
		sec := *o.TLS
		if sec.SNI == "" {
			sec.SNI = name
		}
		s, err := newSecurity(sec, []string{http2.NextProtoTLS})
		if err != nil {
			return nil, err
		}
		p.tls = s
	}
	return p, nil
}

type grpcProber struct {
	net     *network
	tls     *security
	service string
	host    string
}

func (p *grpcProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	l, f := p.net.connect(ctx, t)
	if f.failed() {
		return f.result(start, 0)
	}
	defer l.release()
	conn := l.Conn
	if p.tls != nil {
		secure, f := p.tls.handshake(ctx, conn, t.name(), true)
		if f.failed() {
			return f.result(start, l.took)
		}
		defer func() { _ = secure.Close() }()
		conn = secure
		// A server that knows no ALPN may speak HTTP/2 all the same.
		if proto := secure.ConnectionState().NegotiatedProtocol; proto != "" && proto != http2.NextProtoTLS {
			return fail(ClassProtocol, "the server does not speak HTTP/2").result(start, l.took)
		}
	}
	host := p.host
	if host == "" {
		host = t.String()
	}
	return p.call(ctx, conn, host).result(start, l.took)
}

// call makes the call and judges its answer.
func (p *grpcProber) call(ctx context.Context, conn net.Conn, authority string) failure {
	if _, err := conn.Write(p.request(ctx, authority)); err != nil {
		return classify(ctx, err, calling)
	}
	in := &wire{conn: conn, left: maxGRPCWire}
	br := readers.Get().(*bufio.Reader)
	br.Reset(in)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()
	lead, err := br.Peek(5)
	switch {
	case err != nil && len(lead) == 0:
		return classify(ctx, err, awaitingCall)
	case speaksTLS(lead) && p.tls == nil:
		return fail(ClassProtocol, "the server speaks TLS, not plain gRPC")
	case strings.HasPrefix(string(lead), "HTTP/"):
		return fail(ClassProtocol, "the server speaks HTTP/1, not HTTP/2")
	}
	a := answer{
		framer: http2.NewFramer(conn, br),
		in:     in,
		ctx:    ctx,
	}
	a.framer.SetMaxReadFrameSize(maxGRPCFrame)
	a.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	a.framer.MaxHeaderListSize = maxHeader
	if f := a.read(); f.failed() {
		return f
	}
	return a.judge(p.service)
}

// request is everything that the client says unasked: its preface, and the call on
// stream 1.
func (p *grpcProber) request(ctx context.Context, authority string) []byte {
	var out strings.Builder
	out.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&out, nil)
	// No write to memory fails.
	_ = fr.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeader},
	)
	scheme := "http"
	if p.tls != nil {
		scheme = "https"
	}
	var block strings.Builder
	enc := hpack.NewEncoder(&block)
	fields := [][2]string{
		{":method", "POST"},
		{":scheme", scheme},
		{":path", "/grpc.health.v1.Health/Check"},
		{":authority", authority},
		{"content-type", "application/grpc"},
		{"user-agent", userAgent},
		{"te", "trailers"},
	}
	if deadline, ok := ctx.Deadline(); ok {
		// So that a server that is busy gives up when nobody waits any more.
		fields = append(fields, [2]string{"grpc-timeout", strconv.FormatInt(max(1, min(time.Until(deadline).Milliseconds(), 99_999_999)), 10) + "m"})
	}
	for _, f := range fields {
		_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
	}
	_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true})
	var msg []byte
	if p.service != "" {
		msg = protowire.AppendString(protowire.AppendTag(msg, 1, protowire.BytesType), p.service)
	}
	_ = fr.WriteData(1, true, append([]byte{0, 0, 0, byte(len(msg) >> 8), byte(len(msg))}, msg...))
	return []byte(out.String())
}

// answer is what came back on stream 1.
type answer struct {
	ctx    context.Context
	framer *http2.Framer
	in     *wire

	headers bool // those of the response are there
	status  string
	content string
	code    string // grpc-status
	message []byte
}

// read takes frames until the stream ends.
func (a *answer) read() failure {
	for range maxGRPCFrames {
		f, err := a.framer.ReadFrame()
		if err != nil {
			return a.broken(err)
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				err = a.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = a.framer.WritePing(true, f.Data)
			}
		case *http2.GoAwayFrame:
			// RFC 9113 section 6.8: what is below the last stream is still answered.
			if f.LastStreamID < 1 || f.ErrCode != http2.ErrCodeNo {
				return fail(ClassReset, "the server ended the connection %s: %s", awaitingCall, knownCode2(f.ErrCode))
			}
		case *http2.RSTStreamFrame:
			if f.StreamID == 1 && a.code == "" {
				return fail(ClassReset, "the server ended the call: %s", knownCode2(f.ErrCode))
			}
		case *http2.MetaHeadersFrame:
			if f.StreamID == 1 {
				if f.Truncated {
					return fail(ClassOversize, "the response's header is longer than %d KiB", maxHeader>>10)
				}
				a.take(f)
				if f.StreamEnded() {
					return failure{}
				}
			}
		case *http2.DataFrame:
			if f.StreamID == 1 {
				if !a.headers {
					return fail(ClassProtocol, "the response has no header")
				}
				if len(a.message)+len(f.Data()) > maxGRPCMessage {
					return fail(ClassOversize, "the answer is longer than %d KiB", maxGRPCMessage>>10)
				}
				a.message = append(a.message, f.Data()...)
				if f.StreamEnded() {
					return failure{}
				}
			}
		}
		if err != nil {
			return classify(a.ctx, err, calling)
		}
	}
	return fail(ClassOversize, "more than %d frames without an answer", maxGRPCFrames)
}

// broken is the failure of an error of the framer, whose words may be the peer's.
func (a *answer) broken(err error) failure {
	switch {
	case a.in.over:
		return fail(ClassOversize, "the answer is longer than %d KiB", maxGRPCWire>>10)
	case a.in.caused(err) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		if a.in.err != nil {
			err = a.in.err
		}
		return late(classify(a.ctx, err, awaitingCall), a.headers)
	}
	// The framer has no other word for a header list that goes on and on.
	var broke http2.ConnectionError
	if errors.As(err, &broke) && broke == http2.ConnectionError(http2.ErrCodeProtocol) && maxGRPCWire-a.in.left > maxHeader/2 {
		return fail(ClassOversize, "the response's header is longer than %d KiB", maxHeader>>10)
	}
	return fail(ClassProtocol, "the answer is not HTTP/2")
}

// take takes header or trailer in.
func (a *answer) take(f *http2.MetaHeadersFrame) {
	for _, h := range f.Fields {
		switch h.Name {
		case ":status":
			a.status = h.Value
		case "content-type":
			a.content = h.Value
		case "grpc-status":
			a.code = h.Value
		}
	}
	// Interim responses (RFC 9110 section 15.2) are no answer.
	if len(a.status) == 3 && a.status[0] == '1' {
		a.status, a.content = "", ""
		return
	}
	a.headers = true
}

// grpcCodes are the names of gRPC's status codes.
var grpcCodes = []string{
	"OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
	"PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
	"INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
}

// isGRPC is whether a content type is that of gRPC, in whatever encoding: that of
// gRPC-Web is another.
func isGRPC(content string) bool {
	rest, ok := strings.CutPrefix(strings.ToLower(content), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// judge says what the answer means. The text of an error is the server's and is
// left out.
func (a *answer) judge(service string) failure {
	whose := "the server"
	if service != "" {
		whose = "service " + oneLine(service, 80)
	}
	// Clients of gRPC go by both, whatever its own status says; where that is an error it
	// says more.
	if a.code == "" || strings.Trim(a.code, "0") == "" {
		switch {
		case len(a.status) == 3 && a.status != "200" && a.status[0] >= '2' && a.status[0] <= '5':
			return fail(ClassStatus, "HTTP status %s, not a gRPC answer", oneLine(a.status, 3))
		case a.status == "200" && !isGRPC(a.content):
			return fail(ClassProtocol, "the server speaks HTTP/2, not gRPC")
		case a.status != "200":
			return fail(ClassProtocol, "the answer has no HTTP status")
		case a.code == "":
			return fail(ClassProtocol, "the answer has no gRPC status")
		}
	}
	code, err := strconv.ParseUint(a.code, 10, 8)
	if err != nil {
		return fail(ClassProtocol, "the answer's gRPC status is no number")
	}
	name := "unknown"
	if code < uint64(len(grpcCodes)) {
		name = grpcCodes[code]
	}
	switch name {
	case "OK":
	case "NOT_FOUND":
		return fail(ClassValue, "%s is not known to the server's health service", whose)
	case "UNIMPLEMENTED":
		return fail(ClassProtocol, "the server has no health service (gRPC status 12 UNIMPLEMENTED)")
	case "UNAUTHENTICATED", "PERMISSION_DENIED":
		return fail(ClassAuth, "gRPC status %d %s", code, name)
	case "DEADLINE_EXCEEDED":
		return fail(ClassTimeout, "the server gave up the call (gRPC status 4 DEADLINE_EXCEEDED)")
	default:
		return fail(ClassStatus, "gRPC status %d %s", code, name)
	}
	status, ok := healthStatus(a.message)
	switch {
	case !ok:
		return fail(ClassProtocol, "the answer is not one of grpc.health.v1")
	case status == 1:
		return failure{}
	case status == 3:
		return fail(ClassValue, "%s is SERVICE_UNKNOWN", whose)
	case status == 2:
		return fail(ClassValue, "%s is NOT_SERVING", whose)
	}
	return fail(ClassValue, "%s is UNKNOWN", whose)
}

// healthStatus reads a HealthCheckResponse in its gRPC frame: five bytes of
// compression flag and length, and a message whose field 1 is the status. As
// protocol buffers have it, the last of several counts and other fields are left
// alone.
func healthStatus(b []byte) (status uint64, ok bool) {
	if len(b) < 5 || b[0] != 0 || uint64(b[1])<<24|uint64(b[2])<<16|uint64(b[3])<<8|uint64(b[4]) != uint64(len(b)-5) {
		return 0, false
	}
	for b = b[5:]; len(b) > 0; {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return 0, false
		}
		b = b[n:]
		if num == 1 && typ == protowire.VarintType {
			if status, n = protowire.ConsumeVarint(b); n < 0 {
				return 0, false
			}
		} else if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return 0, false
		}
		b = b[n:]
	}
	return status, true
}
