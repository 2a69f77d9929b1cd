package probe

import (
	"bufio"
	"bytes"
	"context"
	"net"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP/2 for one request, which is on stream 1: the frames are read and written in
// the probe's own goroutine, one after the other. Flow control bounds what a server
// may send of the body: the window is as large as what is judged, and a byte more, and
// is never made larger.
const (
	// maxFrame2 is the largest frame of a peer that was promised no larger one (RFC
	// 9113 section 4.2).
	maxFrame2 = 16 << 10
	// maxWindow2 is the window of the request's stream.
	maxWindow2 = maxBody + 1
	// maxControl2 is how many frames may come that are not of the answer. Each may cost
	// a write.
	maxControl2 = 256
	// initialWindow2 is that of a connection nobody has spoken on.
	initialWindow2 = 1<<16 - 1
)

// request2 is everything that the client says unasked.
func (p *httpProber) request2(h *hop) []byte {
	var b bytes.Buffer
	b.WriteString(http2.ClientPreface)
	fr := http2.NewFramer(&b, nil)
	// No write to memory fails, nor is any of these frames one that may not be written.
	_ = fr.WriteSettings(
		http2.Setting{ID: http2.SettingEnablePush, Val: 0},
		http2.Setting{ID: http2.SettingInitialWindowSize, Val: maxWindow2},
		http2.Setting{ID: http2.SettingMaxHeaderListSize, Val: maxHeader},
	)
	_ = fr.WriteWindowUpdate(0, maxWindow2-initialWindow2)

	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	for f := range p.fieldLines(h) {
		_ = enc.WriteField(hpack.HeaderField{Name: f.name, Value: f.value})
	}
	body, first := p.bodyOf(h), true
	for first || block.Len() > 0 {
		fragment := block.Next(maxFrame2)
		end := block.Len() == 0
		if first {
			_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: fragment, EndHeaders: end, EndStream: len(body) == 0})
		} else {
			_ = fr.WriteContinuation(1, end, fragment)
		}
		first = false
	}
	for len(body) > 0 {
		n := min(len(body), maxFrame2)
		_ = fr.WriteData(1, n == len(body), body[:n])
		body = body[n:]
	}
	return b.Bytes()
}

// fieldLines yields the header of a request of HTTP/2 or HTTP/3.
func (p *httpProber) fieldLines(h *hop) func(yield func(field) bool) {
	return func(yield func(field) bool) {
		for _, f := range [...]field{
			{":method", h.method},
			{":scheme", h.scheme()},
			{":authority", h.authority()},
			{":path", h.path},
			{"user-agent", p.agent},
		} {
			if !yield(f) {
				return
			}
		}
		for f := range p.fields(h) {
			if !yield(field{strings.ToLower(f.name), f.value}) {
				return
			}
		}
	}
}

// exchange2 sends a request of HTTP/2 over conn and judges what comes back.
func (p *httpProber) exchange2(ctx context.Context, conn net.Conn, h *hop, request []byte) (redirect, failure) {
	if _, err := conn.Write(request); err != nil {
		return redirect{}, classify(ctx, err, sending)
	}
	// What comes before the body is the header and what frames add to it.
	in := &wire{conn: conn, left: 2 * maxHeader}
	br := readers.Get().(*bufio.Reader)
	br.Reset(in)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()
	lead, err := br.Peek(5)
	switch {
	case len(lead) > 0 && lead[0] == tlsAlert && !h.secure:
		return redirect{}, fail(ClassProtocol, "the server speaks TLS, not plain http")
	case string(lead) == "HTTP/":
		return redirect{}, fail(ClassProtocol, "the server speaks HTTP/1, not HTTP/2")
	case err != nil:
		return redirect{}, in.failure(ctx, awaiting)
	}

	s := &stream2{ctx: ctx, in: in, br: br, header: newFieldSection()}
	s.framer = http2.NewFramer(conn, s)
	s.framer.SetMaxReadFrameSize(maxFrame2)
	s.framer.SetReuseFrames()
	s.decoder = hpack.NewDecoder(4096, nil)
	if f := s.readHead(); f.failed() {
		return redirect{}, f
	}
	to, f := p.judgeHead(h, s.header.status, s.header.header)
	if f.failed() || to.location != "" || !p.judgesBody() {
		return to, f
	}
	body, more, f := s.readBody()
	if f.failed() {
		return redirect{}, f
	}
	return redirect{}, p.judgeBody(body, more)
}

// stream2 is the response on stream 1.
type stream2 struct {
	ctx     context.Context
	in      *wire
	framer  *http2.Framer
	decoder *hpack.Decoder
	header  *fieldSection

	br         *bufio.Reader
	got, taken int // bytes: of frames, and of those that have been read whole

	control int  // frames that are not of the response
	begun   bool // the response has
	greeted bool // the server's SETTINGS are there
	ended   bool // END_STREAM is
	at      stage
}

// Read is what the framer reads by.
func (s *stream2) Read(b []byte) (int, error) {
	n, err := s.br.Read(b)
	s.got += n
	return n, err
}

// next reads the next frame of the stream, and answers those of the connection.
func (s *stream2) next() (http2.Frame, failure) {
	for s.control < maxControl2 {
		head, err := s.framer.ReadFrameHeader()
		if err != nil {
			return nil, s.broken(err)
		}
		if !s.greeted && head.Type != http2.FrameSettings {
			// RFC 9113 section 3.4.
			return nil, fail(ClassProtocol, "the response is not HTTP/2")
		}
		s.begun = s.begun || head.StreamID == 1
		f, err := s.framer.ReadFrameForHeader(head)
		if err != nil {
			return nil, s.broken(err)
		}
		s.taken += 9 + int(head.Length)
		switch f := f.(type) {
		case *http2.HeadersFrame, *http2.ContinuationFrame, *http2.DataFrame:
			if head.StreamID != 1 {
				return nil, fail(ClassProtocol, "the server answers on a stream that was not asked on")
			}
			return f, failure{}
		case *http2.RSTStreamFrame:
			if head.StreamID == 1 {
				return nil, fail(ClassReset, "the server reset the stream %s: %s", s.at, knownCode2(f.ErrCode))
			}
		case *http2.GoAwayFrame:
			// RFC 9113 section 6.8: what is not above the last stream is still answered.
			if f.LastStreamID < 1 || f.ErrCode != http2.ErrCodeNo {
				return nil, fail(ClassReset, "the server ended the connection %s: %s", s.at, knownCode2(f.ErrCode))
			}
		case *http2.PushPromiseFrame:
			return nil, fail(ClassProtocol, "the server pushes, which it was told not to")
		case *http2.SettingsFrame:
			s.greeted = true
			if !f.IsAck() {
				err = s.framer.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !f.IsAck() {
				err = s.framer.WritePing(true, f.Data)
			}
		}
		if err != nil {
			return nil, classify(s.ctx, err, s.at)
		}
		s.control++
	}
	return nil, fail(ClassOversize, "more than %d frames that are not of the response", maxControl2)
}

// broken is the failure of an error of the framer, whose words may be the peer's.
func (s *stream2) broken(err error) failure {
	switch {
	case s.in.over && s.at == awaiting:
		return oversizeHeader()
	case s.in.over:
		return fail(ClassProtocol, "the response's body is framed too finely")
	case s.in.caused(err):
		f := classify(s.ctx, s.in.err, s.at)
		if f.class == ClassTimeout && (s.begun || s.got > s.taken) {
			f.class = ClassSlow
		}
		return f
	}
	return fail(ClassProtocol, "the response is not HTTP/2 or is malformed")
}

// readHead reads up to the header that is not interim.
func (s *stream2) readHead() failure {
	for s.at = awaiting; ; s.header = newFieldSection() {
		f, why := s.next()
		if why.failed() {
			return why
		}
		head, ok := f.(*http2.HeadersFrame)
		if !ok {
			return fail(ClassProtocol, "the response has no header")
		}
		s.ended = head.StreamEnded()
		if why := s.decode(head); why.failed() {
			return why
		}
		if !s.header.interim() {
			s.in.left += maxBodyWire
			s.at = reading
			return failure{}
		}
		if s.ended {
			return fail(ClassProtocol, "the response ends before its header")
		}
	}
}

// decode decodes a header and the frames that continue it, as they come: what is
// beyond the bound is not kept, whatever little of the wire stands for it.
func (s *stream2) decode(head *http2.HeadersFrame) failure {
	s.decoder.SetEmitEnabled(true)
	s.decoder.SetMaxStringLength(maxHeader)
	s.decoder.SetEmitFunc(func(f hpack.HeaderField) {
		if !s.header.add(f.Name, f.Value) {
			s.decoder.SetEmitEnabled(false)
		}
	})
	fragment, last := head.HeaderBlockFragment(), head.HeadersEnded()
	for {
		_, err := s.decoder.Write(fragment)
		if f := s.header.failure(); s.header.over || s.header.bad {
			return f
		}
		if last && err == nil {
			err = s.decoder.Close()
		}
		if err != nil {
			return fail(ClassProtocol, "the response's header is malformed")
		}
		if last {
			return s.header.failure()
		}
		f, why := s.next()
		if why.failed() {
			return why
		}
		c, ok := f.(*http2.ContinuationFrame)
		if !ok { // the framer lets nothing else through
			return fail(ClassProtocol, "the response's header is malformed")
		}
		fragment, last = c.HeaderBlockFragment(), c.HeadersEnded()
	}
}

// readBody reads the body as far as it is judged, and whether there is more of it.
func (s *stream2) readBody() (body []byte, more bool, f failure) {
	for !s.ended {
		frame, f := s.next()
		if f.failed() {
			return nil, false, f
		}
		switch frame := frame.(type) {
		case *http2.DataFrame:
			body = append(body, frame.Data()...)
			s.ended = frame.StreamEnded()
		case *http2.HeadersFrame:
			// Trailers, which nobody judges, are the end.
			if !frame.StreamEnded() {
				return nil, false, fail(ClassProtocol, "the response has a second header")
			}
			s.ended = true
		}
		if len(body) > maxBody {
			return body[:maxBody], true, failure{}
		}
	}
	return body, false, failure{}
}

// knownCode2 is the name of an error, for those that have one.
func knownCode2(c http2.ErrCode) string {
	if c <= http2.ErrCodeHTTP11Required {
		return c.String()
	}
	return "unknown error"
}
