package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
)

// maxBodyWire bounds what may come over the wire for maxBody bytes, which a Loop keeps
// all of until there is a verdict. It leaves room for any body in chunks of a few bytes,
// and for one of a sixth of maxBody in chunks of one.
const maxBodyWire = 3 * maxBody

// tlsAlert is the type of the record with which a TLS server answers a plain
// request.
const tlsAlert = 21

// readers keeps the only sizeable thing a probe in flight needs.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// exchange sends a request of HTTP/1.1 over conn and judges what comes back.
func (p *httpProber) exchange(ctx context.Context, conn net.Conn, h *hop, request []byte) (redirect, failure) {
	if _, err := conn.Write(request); err != nil {
		return redirect{}, classify(ctx, err, sending)
	}
	return p.judgeStream(ctx, conn, h)
}

// judgeStream reads a response of HTTP/1.1 from conn, no further than it has to, and
// judges it.
func (p *httpProber) judgeStream(ctx context.Context, conn io.Reader, h *hop) (redirect, failure) {
	in := &wire{conn: conn, left: maxHeader}
	br := readers.Get().(*bufio.Reader)
	br.Reset(in)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()

	resp, f := readResponse(ctx, in, br, h)
	if f.failed() {
		return redirect{}, f
	}
	to, f := p.judgeHead(h, resp.StatusCode, resp.Header)
	if f.failed() || to.location != "" || !p.judgesBody() {
		return to, f
	}
	body, more, f := readBody(ctx, in, resp.Body)
	if f.failed() {
		return redirect{}, f
	}
	return redirect{}, p.judgeBody(body, more)
}

// readResponse reads up to the body. The body must not be closed: that would
// read it to its end, and the connection is closed anyway.
func readResponse(ctx context.Context, in *wire, br *bufio.Reader, h *hop) (*http.Response, failure) {
	lead, err := br.Peek(1)
	if err != nil {
		return nil, classify(ctx, err, awaiting)
	}
	switch {
	case !h.secure && lead[0] == tlsAlert:
		return nil, fail(ClassProtocol, "the server speaks TLS, not plain http")
	case lead[0] != 'H':
		return nil, notHTTP()
	}
	// Of the request the parser wants to know only whether it was a HEAD.
	var asked *http.Request
	if h.method == http.MethodHead {
		asked = &http.Request{Method: h.method}
	}
	for {
		resp, err := http.ReadResponse(br, asked)
		switch {
		case in.over:
			return nil, oversizeHeader()
		case err != nil && in.err != nil:
			// The parser takes what it has of a line for all of it.
			return nil, in.failure(ctx, awaiting)
		case err != nil:
			// The parser's words quote the server's, which may quote ours.
			return nil, notHTTP()
		case resp.ProtoMajor != 1 || resp.StatusCode < 100:
			return nil, fail(ClassProtocol, "the response is not HTTP/1")
		}
		// Interim responses (RFC 9110 section 15.2) may come unasked. 101 is
		// final, and as wrong as any other status that nobody asked for.
		if resp.StatusCode >= 200 || resp.StatusCode == http.StatusSwitchingProtocols {
			return resp, failure{}
		}
	}
}

func notHTTP() failure {
	return fail(ClassProtocol, "the response is not HTTP or is malformed")
}

func oversizeHeader() failure {
	return fail(ClassOversize, "the response's header is longer than %d KiB", maxHeader>>10)
}

// readBody reads the body as far as it is judged, and whether there is more of it.
func readBody(ctx context.Context, in *wire, from io.Reader) (body []byte, more bool, f failure) {
	in.left = maxBodyWire
	body, err := io.ReadAll(io.LimitReader(from, maxBody+1))
	switch more = len(body) > maxBody; {
	case more:
		return body[:maxBody], true, failure{}
	case in.over:
		return nil, false, fail(ClassProtocol, "the response's body is chunked too finely")
	case in.caused(err):
		return nil, false, in.failure(ctx, reading)
	case err != nil:
		return nil, false, fail(ClassProtocol, "the response's body is malformed")
	}
	return body, false, failure{}
}

// wire reads from a connection up to a limit and remembers why it ended, so
// that an error of the connection can be told from one of the parser.
type wire struct {
	conn io.Reader
	left int
	some bool // has been read
	over bool
	next error // of the next read
	err  error
}

var errOver = errors.New("more than a probe reads")

func (w *wire) Read(b []byte) (int, error) {
	if w.left <= 0 {
		w.over = true
		return 0, errOver
	}
	if w.next != nil {
		w.err = w.next
		return 0, w.err
	}
	n, err := w.conn.Read(b[:min(len(b), w.left)])
	w.left -= n
	w.some = w.some || n > 0
	if n > 0 {
		// Whoever has enough with these bytes is not to see why they are the last.
		w.next = err
		return n, nil
	}
	w.err = err
	return n, err
}

// caused reports whether err is the connection's rather than the parser's.
func (w *wire) caused(err error) bool {
	if err == nil || w.err == nil {
		return false
	}
	return errors.Is(err, w.err) || errors.Is(w.err, io.EOF) && errors.Is(err, io.ErrUnexpectedEOF)
}

// failure is that of the connection. A peer that had begun to answer when the time
// was over is slow.
func (w *wire) failure(ctx context.Context, at stage) failure {
	f := classify(ctx, w.err, at)
	if f.class == ClassTimeout && w.some {
		f.class = ClassSlow
	}
	return f
}
