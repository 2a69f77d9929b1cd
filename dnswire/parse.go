package dnswire

import "encoding/binary"

// The EDNS options that Parse reads and AppendOPT writes.
const (
	optNSID          = 3  // RFC 5001
	optECS           = 8  // RFC 7871
	optCookie        = 10 // RFC 7873
	optTCPKeepalive  = 11 // RFC 7828
	optPadding       = 12 // RFC 7830
	optEDE           = 15 // RFC 8914
	optReportChannel = 18 // RFC 9567
	optZoneVersion   = 19 // RFC 9660
)

const (
	maxNameLen  = 255 // RFC 1035 section 2.3.4, with the root byte
	maxLabelLen = 63

	// minCookies and maxCookies bound the length of a client cookie with a server
	// cookie (RFC 7873 section 5.2.2).
	minCookies = 16
	maxCookies = 40

	// rrFixed is type, class, TTL and data length, which follow a record's owner.
	rrFixed = 10
)

// Parse makes q the query in msg: it sets every field but those of whoever
// received msg, and says in Status what msg is.
//
// q keeps msg, so msg must not change while q is in use. When there is no
// question that could be read in full, QuestionEnd is HeaderLen and no name;
// when it could, errors found after it still leave it to be echoed. EDNS is
// set for every status once an OPT record's fixed part has been read, because
// an answer to it then has one too (RFC 6891 section 6.1.1).
func (q *Query) Parse(msg []byte) {
	q.Msg, q.Cookie = msg, nil
	q.QuestionEnd = HeaderLen
	q.ID, q.Flags, q.Type, q.Class = 0, 0, 0, 0
	q.EDNS, q.DO, q.NSID, q.TSIG = false, false, false, false
	q.TCPKeepalive, q.Padding, q.ZoneVersion = false, false, false
	q.Version, q.UDPSize = 0, 0
	q.CookieState = CookieNone
	q.ECS = ECS{}
	// The arrays behind the name keep their old bytes: the lengths say what
	// of them counts.
	q.nameLen, q.nlabels = 0, 0
	q.Status = q.parse(msg)
}

func (q *Query) parse(msg []byte) Status {
	if len(msg) < HeaderLen {
		return StatusDrop
	}
	head := binary.BigEndian.Uint64(msg) // ID, flags, QDCOUNT, ANCOUNT
	q.ID, q.Flags = uint16(head>>48), uint16(head>>32)
	if q.Flags&FlagQR != 0 {
		return StatusDrop // answering an answer lets two servers loop
	}
	if q.Flags&opcodeMask != 0 {
		return StatusNotImp // what the sections mean depends on the opcode
	}
	off := HeaderLen
	switch uint16(head >> 16) {
	case 0: // nothing but a cookie can be asked for then
	case 1:
		if off = q.question(msg); off == 0 {
			return StatusFormErr
		}
		q.QuestionEnd = off
	default: // RFC 9619 section 4
		return StatusFormErr
	}

	if uint16(head) != 0 {
		return StatusFormErr
	}
	counts := binary.BigEndian.Uint32(msg[8:]) // NSCOUNT, ARCOUNT
	if ns := counts >> 16; ns != 0 {
		if q.Type != TypeIXFR { // RFC 1995 section 3: the client's SOA
			return StatusFormErr
		}
		for ; ns > 0; ns-- {
			data, end := record(msg, off)
			if data == 0 {
				return StatusFormErr
			}
			off = end
		}
	}
	for ar := counts & 0xffff; ar > 0; ar-- {
		data, end := record(msg, off)
		if data == 0 {
			return StatusFormErr
		}
		if q.TSIG { // it is the last record (RFC 8945 section 5.1)
			return StatusFormErr
		}
		fixed := msg[data-rrFixed : data]
		switch Type(binary.BigEndian.Uint16(fixed)) {
		case TypeOPT:
			// RFC 6891 sections 6.1.1 (one) and 6.1.2 (owned by the root). Only
			// a root owner is one byte long.
			if q.EDNS || data-rrFixed != off+1 {
				return StatusFormErr
			}
			q.EDNS = true
			q.UDPSize = binary.BigEndian.Uint16(fixed[2:])
			q.Version = fixed[5]
			q.DO = fixed[6]&0x80 != 0
			// The options of a version we do not know may have another form.
			if q.Version == 0 && data != end && !q.options(msg[data:end]) {
				return StatusFormErr
			}
		case TypeTSIG:
			q.TSIG = true
		}
		off = end
	}
	switch {
	case off != len(msg):
		return StatusFormErr
	case q.Version > 0: // RFC 6891 section 6.1.3
		return StatusBadVers
	case q.nameLen == 0:
		if q.Cookie == nil {
			return StatusFormErr
		}
		return StatusCookieOnly
	case q.Type == TypeOPT, q.Type == TypeNXNAME: // RFC 9824 section 3.5
		return StatusFormErr
	}
	return StatusOK
}

// question reads the question of msg, which has a header, and returns the
// offset just past it, or 0 when it is malformed or cut short.
func (q *Query) question(msg []byte) int {
	// Cut to the longest name, the end of b is the end of the packet and the
	// limit on a name at once; labels are then 128 at most.
	b := msg[HeaderLen:]
	if len(b) > maxNameLen {
		b = b[:maxNameLen]
	}
	n, off := 0, 0
	for {
		if off >= len(b) {
			return 0
		}
		c := int(b[off])
		if c == 0 {
			break
		}
		if c > maxLabelLen { // a pointer has nothing before it to point to
			return 0
		}
		q.labels[n&127] = uint8(off)
		n++
		off += c + 1
	}
	size := off + 1
	end := HeaderLen + size + 4
	if end > len(msg) {
		return 0
	}
	lower(&q.name, msg[HeaderLen:], size)
	tail := binary.BigEndian.Uint32(msg[end-4:])
	q.Type, q.Class = Type(tail>>16), Class(tail)
	q.nameLen, q.nlabels = uint8(size), uint8(n)
	return end
}

// lower copies the first size bytes of src, a name in wire form, to dst in
// lower case, and may write up to seven bytes more. A length byte is below 'A',
// so there is no need to tell the lengths from the letters.
func lower(dst *[256]byte, src []byte, size int) {
	i := 0
	for ; i < size && i+8 <= len(src) && i+8 <= len(dst); i += 8 {
		binary.LittleEndian.PutUint64(dst[i:], lower8(binary.LittleEndian.Uint64(src[i:])))
	}
	for ; i < size; i++ { // near the end of a packet without additional records
		dst[i] = lowerByte(src[i])
	}
}

// lower8 is lowerByte on the eight bytes of x: the high bit of a byte of upper
// is set where that byte is a letter from A to Z. No sum carries into the next
// byte, because the high bits are masked off first.
func lower8(x uint64) uint64 {
	const ones = 0x0101010101010101
	low := x &^ (ones << 7)
	atLeastA := low + ones*(0x80-'A')
	aboveZ := low + ones*(0x7f-'Z')
	upper := (atLeastA &^ aboveZ) &^ x & (ones << 7)
	return x | upper>>2
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// record finds the resource record at off: data is the offset of its data, end
// the offset just past it. A record that is malformed or runs past the end of
// msg has data 0.
func record(msg []byte, off int) (data, end int) {
	data = off
	if off < len(msg) && msg[off] == 0 {
		data++
	} else if data = skipName(msg, off); data == 0 {
		return 0, 0
	}
	data += rrFixed
	if data > len(msg) {
		return 0, 0
	}
	end = data + int(binary.BigEndian.Uint16(msg[data-2:]))
	if end > len(msg) {
		return 0, 0
	}
	return data, end
}

// skipName returns the offset just past the name at off, or 0 when it is
// malformed or cut short. A compression pointer ends the name and is not
// followed: nothing here depends on where it leads. Its second byte may lie
// past the end of msg, as the offset does then.
func skipName(msg []byte, off int) int {
	limit := min(len(msg), off+maxNameLen)
	for off < limit {
		c := int(msg[off])
		switch {
		case c == 0:
			return off + 1
		case c <= maxLabelLen:
			off += c + 1
		case c >= 0xc0:
			return off + 2
		default:
			return 0
		}
	}
	return 0
}

// options reads the options of an OPT record and reports whether they are
// well-formed.
func (q *Query) options(b []byte) bool {
	for len(b) > 0 {
		if len(b) < 4 {
			return false
		}
		code, n := binary.BigEndian.Uint16(b), int(binary.BigEndian.Uint16(b[2:]))
		b = b[4:]
		if n > len(b) {
			return false
		}
		switch code {
		case optNSID:
			q.NSID = true
		case optECS:
			if q.ECS.Present || !q.ECS.parse(b[:n]) {
				return false
			}
		case optCookie:
			// Only the first counts, whatever the others are (RFC 7873 section 5.2).
			if q.Cookie == nil {
				if n != ClientCookieLen && (n < minCookies || n > maxCookies) {
					return false // RFC 7873 section 5.2.2
				}
				q.Cookie = b[:n:n]
			}
		case optTCPKeepalive:
			if q.Transport == UDP {
				break // RFC 7828 section 3.3.1: ignored
			}
			if n != 0 { // the timeout is the server's to state (section 3.2.1)
				return false
			}
			q.TCPKeepalive = true
		case optPadding:
			q.Padding = true
		case optZoneVersion:
			if n != 0 || q.ZoneVersion { // RFC 9660 section 3.2.1
				return false
			}
			q.ZoneVersion = true
		}
		b = b[n:]
	}
	return true
}

// parse reads the data of an ECS option of a query by the rules of RFC 7871
// sections 6 and 7.1.2. It reports whether the option is well-formed, and
// leaves e alone when it is not.
func (e *ECS) parse(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	family, source, scope := binary.BigEndian.Uint16(b), b[2], b[3]
	addr := b[4:]
	var bits uint8
	switch family {
	case 0: // a client that states no network states no family either
	case 1:
		bits = 32
	case 2:
		bits = 128
	default:
		return false
	}
	if source > bits || scope != 0 || len(addr) != addrLen(source) {
		return false
	}
	if used := source % 8; used != 0 && addr[len(addr)-1]<<used != 0 {
		return false
	}
	e.Present = true
	e.Family = family
	e.SourceBits = source
	copy(e.Addr[:], addr)
	return true
}

// addrLen is the number of bytes that hold a prefix of so many bits.
func addrLen(bits uint8) int { return (int(bits) + 7) / 8 }
