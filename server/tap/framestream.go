package tap

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Frame Streams (https://farsightsec.github.io/fstrm): frames with their length in
// front, and among them control frames, behind a length of zero. In both
// directions it is
//
//	we:        READY types         START type  frames  STOP
//	receiver:              ACCEPT types                      FINISH

// contentType is what the frames are.
const contentType = "protobuf:dnstap.Dnstap"

const (
	// lengthSize is the length before every frame, big-endian.
	lengthSize = 4
	// maxControl is the longest control frame that the protocol allows.
	maxControl = 512

	controlAccept = 1
	controlStart  = 2
	controlStop   = 3
	controlReady  = 4
	controlFinish = 5

	// fieldType is the field of a control frame that holds a content type.
	fieldType = 1
)

// appendControl appends a control frame, with our content type in it or without.
func appendControl(b []byte, kind uint32, typed bool) []byte {
	size := lengthSize
	if typed {
		size += 2*lengthSize + len(contentType)
	}
	b = binary.BigEndian.AppendUint32(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = binary.BigEndian.AppendUint32(b, kind)
	if typed {
		b = binary.BigEndian.AppendUint32(b, fieldType)
		b = binary.BigEndian.AppendUint32(b, uint32(len(contentType)))
		b = append(b, contentType...)
	}
	return b
}

// control is a control frame that was received.
type control struct {
	kind uint32
	// takes is whether our content type is among those stated, or none is, which
	// stands for any.
	takes bool
}

var errShortControl = errors.New("control frame: it ends within a field")

// readControl reads a control frame, and nothing behind it. It takes no more than
// maxControl bytes.
func readControl(r io.Reader) (control, error) {
	var buf [maxControl]byte
	head := buf[:2*lengthSize]
	if _, err := io.ReadFull(r, head); err != nil {
		return control{}, err
	}
	if binary.BigEndian.Uint32(head) != 0 {
		return control{}, errors.New("control frame: a data frame came instead: is it a receiver of Frame Streams?")
	}
	size := binary.BigEndian.Uint32(head[lengthSize:])
	if size < lengthSize || size > maxControl {
		return control{}, fmt.Errorf("control frame: its length is %d, not between %d and %d", size, lengthSize, maxControl)
	}
	b := buf[:size]
	if _, err := io.ReadFull(r, b); err != nil {
		return control{}, err
	}
	return parseControl(b)
}

// parseControl reads what is behind the length of a control frame.
func parseControl(b []byte) (control, error) {
	if len(b) < lengthSize {
		return control{}, errShortControl
	}
	c := control{kind: binary.BigEndian.Uint32(b)}
	stated, ours := false, false
	for b = b[lengthSize:]; len(b) > 0; {
		if len(b) < 2*lengthSize {
			return control{}, errShortControl
		}
		field, size := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[lengthSize:])
		b = b[2*lengthSize:]
		if uint64(size) > uint64(len(b)) {
			return control{}, errShortControl
		}
		if field == fieldType {
			stated = true
			ours = ours || string(b[:size]) == contentType
		}
		b = b[size:]
	}
	c.takes = ours || !stated
	return c, nil
}

// greet makes the handshake of the side that sends.
func greet(rw io.ReadWriter) error {
	if _, err := rw.Write(appendControl(nil, controlReady, true)); err != nil {
		return err
	}
	c, err := readControl(rw)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("the receiver closed instead of answering READY: is it one for two directions?")
	case err != nil:
		return err
	case c.kind != controlAccept:
		return fmt.Errorf("the receiver answered READY with control frame %d, not ACCEPT", c.kind)
	case !c.takes:
		return fmt.Errorf("the receiver does not take %s", contentType)
	}
	_, err = rw.Write(appendControl(nil, controlStart, true))
	return err
}
