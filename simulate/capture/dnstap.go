package capture

import (
	"encoding/binary"
	"net/netip"

	"google.golang.org/protobuf/encoding/protowire"
)

// Frame Streams (https://farsightsec.github.io/fstrm): frames with their length
// in front, and among them control frames, behind a length of zero.
const (
	maxControl   = 512 // bytes of a control frame
	controlStart = 2
	controlStop  = 3

	fieldType   = 1
	contentType = "protobuf:dnstap.Dnstap"
)

// dnstap reads the frames between START and STOP.
func (in *input) dnstap() error {
	for {
		in.frame++
		h, err := in.take(4)
		if err != nil {
			return err
		}
		size := binary.BigEndian.Uint32(h)
		if size == 0 {
			stop, err := in.control()
			if err != nil || stop {
				return err
			}
			continue
		}
		b, err := in.rest(size)
		if err != nil {
			return err
		}
		kind, source, message := dnstapQuery(b)
		switch {
		case kind == authResponse || kind == clientResponse:
			in.counts.Answers++
			continue
		case kind != authQuery && kind != clientQuery || message == nil || !source.IsValid():
			in.counts.Other++
			continue
		}
		if err := in.message(source, message); err != nil {
			return err
		}
	}
}

// control reads a control frame, and says whether it is the last.
func (in *input) control() (stop bool, err error) {
	h, err := in.rest(4)
	if err != nil {
		return false, err
	}
	size := binary.BigEndian.Uint32(h)
	if size < 4 || size > maxControl {
		return false, in.fault("a control frame of %d bytes: the file is damaged", size)
	}
	b, err := in.rest(size)
	if err != nil {
		return false, err
	}
	switch binary.BigEndian.Uint32(b) {
	case controlStop:
		return true, nil
	case controlStart:
		for b = b[4:]; len(b) >= 8; {
			field, n := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
			b = b[8:]
			if uint64(n) > uint64(len(b)) {
				return false, in.fault("a control frame that ends within a field: the file is damaged")
			}
			if field == fieldType && string(b[:n]) != contentType {
				return false, in.fault("it holds %q, not %s", b[:n], contentType)
			}
			b = b[n:]
		}
	}
	return false, nil
}

// The fields of dnstap.proto that matter here.
const (
	numMessage      = 14 // of Dnstap
	numType         = 1  // of Message, as those below
	numQueryAddress = 4
	numQuery        = 10

	// A name server says AUTH_QUERY of what it is asked, a proxy before it
	// CLIENT_QUERY, and of their answers the same with RESPONSE. The other messages
	// are what a resolver asks.
	authQuery      = 1
	authResponse   = 2
	clientQuery    = 5
	clientResponse = 6
)

// dnstapQuery is the type of a Dnstap message, and its query. What is malformed is
// of type 0.
func dnstapQuery(b []byte) (kind uint64, source netip.Addr, message []byte) {
	var inner []byte
	if !fields(b, func(num protowire.Number, _ uint64, v []byte) {
		if num == numMessage {
			inner = v
		}
	}) || inner == nil {
		return 0, source, nil
	}
	if !fields(inner, func(num protowire.Number, n uint64, v []byte) {
		switch num {
		case numType:
			kind = n
		case numQueryAddress:
			source, _ = netip.AddrFromSlice(v)
		case numQuery:
			message = v
		}
	}) {
		return 0, source, nil
	}
	return kind, source, message
}

// fields calls each with every field of a protobuf message: a number, or bytes.
// It is false when the message is malformed.
func fields(b []byte, each func(num protowire.Number, n uint64, v []byte)) bool {
	for len(b) > 0 {
		num, typ, size := protowire.ConsumeTag(b)
		if size < 0 {
			return false
		}
		b = b[size:]
		switch typ {
		case protowire.VarintType:
			n, size := protowire.ConsumeVarint(b)
			if size < 0 {
				return false
			}
			each(num, n, nil)
			b = b[size:]
		case protowire.BytesType:
			v, size := protowire.ConsumeBytes(b)
			if size < 0 {
				return false
			}
			each(num, 0, v)
			b = b[size:]
		default:
			size := protowire.ConsumeFieldValue(num, typ, b)
			if size < 0 {
				return false
			}
			b = b[size:]
		}
	}
	return true
}
