package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

const (
	// maxHeader bounds all the header a server sends before its body, interim
	// responses included. Common servers allow 8 KiB.
	maxHeader = 32 << 10
	// maxBody is how much of a body is judged.
	maxBody = 64 << 10
	// maxBodyWire bounds what may come over the wire for maxBody bytes. A
	// chunk of one byte takes six, so it leaves room for any honest encoding.
	maxBodyWire = 8 * maxBody
)

// tlsAlert is the type of the record with which a TLS server answers a plain
// request.
const tlsAlert = 21

// readers keeps the only sizeable thing a probe in flight needs.
var readers = sync.Pool{New: func() any { return bufio.NewReaderSize(nil, 4<<10) }}

// redirect is where a response sends the probe on to; no location means that
// it does not.
type redirect struct {
	location string
	status   int
}

// exchange sends the request over conn and judges what comes back.
func (p *httpProber) exchange(ctx context.Context, conn net.Conn, h hop, request []byte) (redirect, failure) {
	if _, err := conn.Write(request); err != nil {
		return redirect{}, classify(ctx, err, sending)
	}
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
	if p.follow && redirects(resp.StatusCode) {
		if l := resp.Header.Get("Location"); l != "" {
			return redirect{location: l, status: resp.StatusCode}, failure{}
		}
	}
	if !p.expects(resp.StatusCode) {
		return redirect{}, fail(ClassStatus, "status %d, expected %s", resp.StatusCode, p.expectation())
	}
	if p.body == nil {
		return redirect{}, failure{}
	}
	return redirect{}, p.judgeBody(ctx, in, resp)
}

// readResponse reads up to the body. The body must not be closed: that would
// read it to its end, and the connection is closed anyway.
func readResponse(ctx context.Context, in *wire, br *bufio.Reader, h hop) (*http.Response, failure) {
	lead, err := br.Peek(1)
	if err != nil {
		return nil, classify(ctx, err, awaiting)
	}
	if !h.secure && lead[0] == tlsAlert {
		return nil, fail(ClassProtocol, "the server speaks TLS, not plain http")
	}
	asked := &http.Request{Method: h.method}
	for {
		resp, err := http.ReadResponse(br, asked)
		switch {
		case in.over:
			return nil, fail(ClassOversize, "the response's header is longer than %d KiB", maxHeader>>10)
		case in.caused(err):
			return nil, classify(ctx, in.err, awaiting)
		case err != nil:
			// The parser's words quote the server's, which may quote ours.
			return nil, fail(ClassProtocol, "the response is not HTTP or is malformed")
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

func (p *httpProber) judgeBody(ctx context.Context, in *wire, resp *http.Response) failure {
	in.left = maxBodyWire
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	switch {
	case in.over:
		return fail(ClassProtocol, "the response's body is chunked too finely")
	case in.caused(err):
		return classify(ctx, in.err, reading)
	case err != nil:
		return fail(ClassProtocol, "the response's body is malformed")
	case p.body.Match(body):
		return failure{}
	}
	which := "body"
	if len(body) == maxBody {
		which = "beginning of the body"
	}
	return fail(ClassBody, "the %s (%d bytes) does not match %s", which, len(body), oneLine(p.body.String(), 80))
}

func redirects(status int) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

func (p *httpProber) expects(status int) bool {
	for _, r := range p.expected {
		if r.Min <= status && status <= r.Max {
			return true
		}
	}
	return false
}

func (p *httpProber) expectation() string {
	s := make([]string, len(p.expected))
	for i, r := range p.expected {
		s[i] = r.String()
	}
	return strings.Join(s, ", ")
}

// wire reads from a connection up to a limit and remembers why it ended, so
// that an error of the connection can be told from one of the parser.
type wire struct {
	conn io.Reader
	left int
	over bool
	err  error
}

var errOver = errors.New("more than a probe reads")

func (w *wire) Read(b []byte) (int, error) {
	if w.left <= 0 {
		w.over = true
		return 0, errOver
	}
	n, err := w.conn.Read(b[:min(len(b), w.left)])
	w.left -= n
	if err != nil {
		w.err = err
	}
	return n, err
}

// caused reports whether err is the connection's rather than the parser's.
func (w *wire) caused(err error) bool {
	if err == nil || w.err == nil {
		return false
	}
	return errors.Is(err, w.err) || errors.Is(w.err, io.EOF) && errors.Is(err, io.ErrUnexpectedEOF)
}
