package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/quicvarint"
)

// HTTP/3 for one request (RFC 9114): the QUIC connection is a library's, the frames on
// the stream of the request are read here, one after the other and no further than
// needed. The server's own streams, for its settings and for a compression that it was
// not invited to, are left unread: flow control bounds them.
const (
	frameData     = 0x0
	frameHeaders  = 0x1
	frameSettings = 0x4

	settingMaxFieldSectionSize = 0x6
	streamControl              = 0x0
	noError3                   = 0x100 // H3_NO_ERROR
)

// unexpected3 are the types of frames that have no place on the stream of a request,
// and those that HTTP/2 had and HTTP/3 must not have (RFC 9114 sections 7.2 and
// 7.2.8). Of any other type are frames that extensions may use: they are skipped.
var unexpected3 = map[uint64]bool{
	0x2: true, 0x3: true, 0x4: true, 0x5: true, 0x6: true, 0x7: true, 0x8: true, 0x9: true, 0xd: true,
}

// control3 is the whole of the client's control stream.
var control3 = func() []byte {
	settings := quicvarint.Append(quicvarint.Append(nil, settingMaxFieldSectionSize), maxHeader)
	b := quicvarint.Append(quicvarint.Append([]byte{streamControl}, frameSettings), uint64(len(settings)))
	return append(b, settings...)
}()

// request3 is what goes over the stream of the request.
func (p *httpProber) request3(h *hop) []byte {
	var block bytes.Buffer
	enc := qpack.NewEncoder(&block)
	for f := range p.fieldLines(h) {
		_ = enc.WriteField(qpack.HeaderField{Name: f.name, Value: f.value}) // no write to memory fails
	}
	b := quicvarint.Append(quicvarint.Append(nil, frameHeaders), uint64(block.Len()))
	b = append(b, block.Bytes()...)
	if body := p.bodyOf(h); len(body) > 0 {
		b = quicvarint.Append(quicvarint.Append(b, frameData), uint64(len(body)))
		b = append(b, body...)
	}
	return b
}

// visit3 is visit over QUIC.
func (p *httpProber) visit3(ctx context.Context, h *hop, request []byte) (redirect, time.Duration, failure) {
	q, f := p.udp.dialQUIC(ctx, h.target, p.tls.of(h.name, h.own))
	if f.failed() {
		return redirect{}, 0, p.tls.discreet(f, h.name, h.own)
	}
	defer q.release()
	to, f := p.exchange3(ctx, q, h, request)
	return to, q.took, f
}

// exchange3 sends a request of HTTP/3 and judges what comes back.
func (p *httpProber) exchange3(ctx context.Context, q *quicLink, h *hop, request []byte) (redirect, failure) {
	control, err := q.conn.OpenUniStreamSync(ctx)
	if err == nil {
		// It stays open as long as the connection does (RFC 9114 section 6.2.1).
		_, err = control.Write(control3)
	}
	if err != nil {
		return redirect{}, q.failure(ctx, err, sending)
	}
	stream, err := q.conn.OpenStreamSync(ctx)
	if err != nil {
		return redirect{}, q.failure(ctx, err, sending)
	}
	defer context.AfterFunc(ctx, func() { _ = stream.SetDeadline(longAgo) })()
	if _, err := stream.Write(request); err != nil {
		return redirect{}, q.failure(ctx, err, sending)
	}
	_ = stream.Close() // the end of the request, not of the answer

	in := &wire{conn: stream, left: 2 * maxHeader}
	br := readers.Get().(*bufio.Reader)
	br.Reset(in)
	defer func() {
		br.Reset(nil)
		readers.Put(br)
	}()
	s := &stream3{in: in, br: br, failure: func(err error, at stage) failure { return q.failure(ctx, err, at) }}
	return p.judge3(s, h)
}

// judge3 reads the response and judges it.
func (p *httpProber) judge3(s *stream3, h *hop) (redirect, failure) {
	header, f := s.readHead()
	if f.failed() {
		return redirect{}, f
	}
	to, f := p.judgeHead(h, header.status, header.header)
	if f.failed() || to.location != "" || !p.judgesBody() {
		return to, f
	}
	body, more, f := s.readBody()
	if f.failed() {
		return redirect{}, f
	}
	return redirect{}, p.judgeBody(body, more)
}

// stream3 is the response on the stream of the request.
type stream3 struct {
	in *wire
	br *bufio.Reader
	at stage
	// failure is what an error of the stream means.
	failure func(err error, at stage) failure
}

// errFrame3 is a frame that has no place where it is.
var errFrame3 = errors.New("unexpected frame")

// next reads up to the payload of the next frame that is a header or of the body. At
// the end of the stream the error is io.EOF.
func (s *stream3) next() (frame, length uint64, err error) {
	for {
		if _, err := s.br.Peek(1); err != nil {
			return 0, 0, err // the only place where the stream may end
		}
		if frame, err = quicvarint.Read(s.br); err == nil {
			length, err = quicvarint.Read(s.br)
		}
		switch {
		case err != nil:
			return 0, 0, cut(err)
		case frame == frameData || frame == frameHeaders:
			return frame, length, nil
		case unexpected3[frame]:
			return 0, 0, errFrame3
		}
		if _, err := io.CopyN(io.Discard, s.br, int64(min(length, 1<<32))); err != nil {
			return 0, 0, cut(err)
		}
	}
}

// cut is err of a read that was not to be the last.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// broken is the failure of an error.
func (s *stream3) broken(err error) failure {
	switch {
	case s.in.over && s.at == awaiting:
		return oversizeHeader()
	case s.in.over:
		return fail(ClassProtocol, "the response's body is framed too finely")
	case s.in.err != nil && !errors.Is(s.in.err, io.EOF):
		f := s.failure(s.in.err, s.at)
		if f.class == ClassTimeout && s.in.some {
			f.class = ClassSlow
		}
		return f
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fail(ClassReset, "the server ended the stream %s", s.at)
	}
	return fail(ClassProtocol, "the response is not HTTP/3 or is malformed")
}

// readHead reads up to the header that is not interim.
func (s *stream3) readHead() (*fieldSection, failure) {
	s.at = awaiting
	for {
		frame, length, err := s.next()
		switch {
		case err != nil:
			return nil, s.broken(err)
		case frame != frameHeaders:
			return nil, fail(ClassProtocol, "the response has no header")
		case length > maxHeader:
			return nil, oversizeHeader()
		}
		block := make([]byte, length)
		if _, err := io.ReadFull(s.br, block); err != nil {
			return nil, s.broken(cut(err))
		}
		header := newFieldSection()
		if f := header.decode3(block); f.failed() {
			return nil, f
		}
		if !header.interim() {
			s.in.left += maxBodyWire
			s.at = reading
			return header, failure{}
		}
	}
}

// decode3 decodes a header. There is no table of earlier fields (RFC 9204 section
// 3.2.3: unless the client allows one), so nothing is larger than what stands for it
// but by Huffman's code.
func (s *fieldSection) decode3(block []byte) failure {
	next := qpack.NewDecoder().Decode(block)
	for {
		f, err := next()
		switch {
		case errors.Is(err, io.EOF):
			return s.failure()
		case err != nil:
			return fail(ClassProtocol, "the response's header is malformed")
		}
		if !s.add(f.Name, f.Value) {
			return s.failure()
		}
	}
}

// readBody reads the body as far as it is judged, and whether there is more of it.
func (s *stream3) readBody() (body []byte, more bool, f failure) {
	for {
		frame, length, err := s.next()
		switch {
		case errors.Is(err, io.EOF) && s.in.err != nil && errors.Is(s.in.err, io.EOF):
			return body, false, failure{}
		case err != nil:
			return nil, false, s.broken(err)
		case frame == frameHeaders:
			// Trailers, which nobody judges, are the end.
			return body, false, failure{}
		}
		room := uint64(maxBody + 1 - len(body))
		part, err := io.ReadAll(io.LimitReader(s.br, int64(min(length, room))))
		body = append(body, part...)
		switch {
		case err != nil:
			return nil, false, s.broken(err)
		case len(body) > maxBody:
			return body[:maxBody], true, failure{}
		case uint64(len(part)) < length:
			return nil, false, s.broken(io.ErrUnexpectedEOF)
		}
	}
}
