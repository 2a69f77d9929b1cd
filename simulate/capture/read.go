package capture

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
)

// Format is a kind of file.
type Format uint8

// The formats of files.
const (
	Unknown Format = iota
	PCAP           // of libpcap, times in micro- or nanoseconds, in either byte order
	PCAPNG
	DNSTap // a Frame Stream of dnstap messages
)

func (f Format) String() string {
	switch f {
	case PCAP:
		return "pcap"
	case PCAPNG:
		return "pcapng"
	case DNSTap:
		return "dnstap"
	}
	return "unknown"
}

// MagicLen is how many bytes of a file Detect wants to see.
const MagicLen = 12

// Detect says from its first bytes what a file is.
func Detect(b []byte) Format {
	if len(b) < MagicLen {
		return Unknown
	}
	switch binary.BigEndian.Uint32(b) {
	case magicMicro, magicNano, swapped(magicMicro), swapped(magicNano):
		return PCAP
	case blockSection:
		return PCAPNG
	case 0: // the escape before a control frame, its length, and what it is
		if size := binary.BigEndian.Uint32(b[4:]); size >= 4 && size <= maxControl && binary.BigEndian.Uint32(b[8:]) == controlStart {
			return DNSTap
		}
	}
	return Unknown
}

// Counts are the frames of a file by what became of them.
type Counts struct {
	Messages int // given to the caller
	Other    int // something else than a query could be
	Answers  int // dnstap messages of answers
	// Parts are segments of TCP to port 53 that do not have whole messages: those
	// that are divided among segments are not put together.
	Parts int
	Cut   bool // the file ends within a frame
}

// ErrFormat is the error of a file that is of no known format.
var ErrFormat = errors.New("capture: neither pcap nor pcapng nor dnstap")

// Read calls each with every message of a capture that may be a query, and the
// address that it came from. The message is overwritten by the next one. It ends
// with the first error of each, which it returns as it is; other errors say which
// frame of the file cannot be read.
func Read(r io.Reader, each func(source netip.Addr, message []byte) error) (Counts, error) {
	in := &input{r: bufio.NewReaderSize(r, 1<<20), each: each}
	head, err := in.r.Peek(MagicLen)
	if err != nil && !errors.Is(err, io.EOF) {
		return in.counts, err
	}
	switch Detect(head) {
	case PCAP:
		err = in.pcap()
	case PCAPNG:
		err = in.pcapng()
	case DNSTap:
		err = in.dnstap()
	default:
		return in.counts, ErrFormat
	}
	if errors.Is(err, errEnd) {
		err = nil
	}
	return in.counts, err
}

// errEnd is the error of a file that has come to its end.
var errEnd = errors.New("end of file")

// input is a file while it is read.
type input struct {
	r      *bufio.Reader
	each   func(netip.Addr, []byte) error
	counts Counts
	frame  int // counts from 1, for messages
	buf    bytes.Buffer
}

// maxFrame is more than any frame that is worth reading has.
const maxFrame = 1 << 20

// take is the next n bytes of the file, which the next take overwrites. It is
// errEnd when the file has no more than begin of them.
func (in *input) take(n uint32) ([]byte, error) {
	if n > maxFrame {
		return nil, in.fault("its length is %d, more than %d: the file is damaged", n, maxFrame)
	}
	in.buf.Reset()
	got, err := io.CopyN(&in.buf, in.r, int64(n)) // grows with what is there, not with what is said
	if errors.Is(err, io.EOF) {
		in.counts.Cut = in.counts.Cut || got > 0
		return nil, errEnd
	}
	if err != nil {
		return nil, err
	}
	return in.buf.Bytes(), nil
}

// rest is take for what must be there, because a part of the frame was.
func (in *input) rest(n uint32) ([]byte, error) {
	b, err := in.take(n)
	if errors.Is(err, errEnd) {
		in.counts.Cut = true
	}
	return b, err
}

func (in *input) fault(format string, args ...any) error {
	return fmt.Errorf("capture: frame %d: %w", in.frame, fmt.Errorf(format, args...))
}

// message hands on what may be a query.
func (in *input) message(source netip.Addr, b []byte) error {
	in.counts.Messages++
	return in.each(source.Unmap(), b)
}

func swapped(v uint32) uint32 {
	return v>>24 | v>>8&0xff00 | v<<8&0xff0000 | v<<24
}
