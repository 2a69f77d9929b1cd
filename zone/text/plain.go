package text

import (
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// plainForms are the fields of the types that large zones are made of, signed
// ones too:
//
//	4 6        an address of IPv4, of IPv6
//	b w l      a number of 1, 2 or 4 bytes
//	n          a name
//	t          a time (RFC 4034 section 3.2)
//	T M        a type; types to the end, as a bitmap (RFC 4034 section 4.1.2)
//	s          character strings to the end
//	d x        base64, hexadecimal to the end
//	S H        the salt and the hash of NSEC3 (RFC 5155 section 3.3)
var plainForms = [...]string{
	dnswire.TypeA:      "4",
	dnswire.TypeNS:     "n",
	dnswire.TypeCNAME:  "n",
	dnswire.TypePTR:    "n",
	dnswire.TypeMX:     "wn",
	dnswire.TypeTXT:    "s",
	dnswire.TypeAAAA:   "6",
	dnswire.TypeSRV:    "wwwn",
	39:                 "n", // DNAME
	dnswire.TypeDS:     "wbbx",
	dnswire.TypeRRSIG:  "Tbblttwnd",
	typeNSEC:           "nM",
	dnswire.TypeDNSKEY: "wbbd",
	typeNSEC3:          "bbwSHM",
	52:                 "bbbx", // TLSA
}

// appendPlain appends the RDATA of the plainest records: of a type above, with
// no escapes, nothing in quotes but text, numbers as numbers. It gives exactly
// what dataReader.parse gives, or false.
func (d *dataReader) appendPlain(dst []byte, t dnswire.Type, tokens []token, origin string) ([]byte, bool) {
	if int(t) >= len(plainForms) || plainForms[t] == "" || len(tokens) == 0 {
		return dst, false
	}
	form := plainForms[t]
	for _, tok := range tokens {
		if tok.escaped || tok.mixed || tok.quoted && form != "s" {
			return dst, false
		}
	}
	for i, kind := range []byte(form) {
		rest := tokens[min(i, len(tokens)):]
		ok := false
		switch kind {
		case 's', 'd', 'x', 'M': // to the end
			switch kind {
			case 's':
				dst, ok = appendStrings(dst, rest)
			case 'd':
				dst, ok = d.appendBase64(dst, rest)
			case 'x':
				dst, ok = d.appendHex(dst, rest, t)
			case 'M':
				dst, ok = d.appendBitmap(dst, rest)
			}
			return dst, ok && len(dst) <= maxRDLen
		}
		if len(rest) == 0 {
			return dst, false
		}
		if dst, ok = appendField(dst, kind, rest[0].text, origin); !ok {
			return dst, false
		}
	}
	return dst, len(tokens) == len(form)
}

// appendField appends a field of one token.
func appendField(dst []byte, kind byte, text, origin string) ([]byte, bool) {
	var n uint64
	var err error
	switch kind {
	case '4', '6':
		addr, err := netip.ParseAddr(text)
		switch {
		case err != nil || addr.Zone() != "" || addr.Is4() != (kind == '4'):
			return dst, false
		case kind == '4':
			b := addr.As4()
			return append(dst, b[:]...), true
		}
		b := addr.As16()
		return append(dst, b[:]...), true
	case 'n':
		dst, err = appendName(dst, text, origin)
		return dst, err == nil
	case 'b':
		n, err = strconv.ParseUint(text, 10, 8)
		return append(dst, byte(n)), err == nil
	case 'w':
		n, err = strconv.ParseUint(text, 10, 16)
		return binary.BigEndian.AppendUint16(dst, uint16(n)), err == nil
	case 'l':
		n, err = strconv.ParseUint(text, 10, 32)
		return binary.BigEndian.AppendUint32(dst, uint32(n)), err == nil
	case 't':
		seconds, ok := parseTime(text)
		return binary.BigEndian.AppendUint32(dst, seconds), ok
	case 'T':
		t, err := dnswire.ParseType(text)
		return binary.BigEndian.AppendUint16(dst, uint16(t)), err == nil
	case 'S':
		if text == "-" {
			return append(dst, 0), true
		}
		dst = append(dst, byte(len(text)/2))
		dst, err = hex.AppendDecode(dst, []byte(text))
		return dst, err == nil && len(text) <= 2*255
	case 'H':
		if len(text) != 32 { // of SHA-1, the only one there is
			return dst, false
		}
		var upper [32]byte
		for i := range upper {
			upper[i] = text[i]
			if 'a' <= text[i] && text[i] <= 'z' {
				upper[i] -= 'a' - 'A'
			}
		}
		dst = append(dst, 20)
		dst, err = base32.HexEncoding.AppendDecode(dst, upper[:])
		return dst, err == nil
	}
	return dst, false
}

// parseTime reads YYYYMMDDHHmmSS from 1970, or seconds since then. Signatures
// have times modulo 2^32 (RFC 4034 section 3.1.5), and so have those after 2106.
func parseTime(s string) (seconds uint32, ok bool) {
	if len(s) != 14 {
		n, err := strconv.ParseUint(s, 10, 32)
		return uint32(n), err == nil
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
	}
	two := func(i int) int { return int(s[i]-'0')*10 + int(s[i+1]-'0') }
	year, month, day := two(0)*100+two(2), time.Month(two(4)), two(6)
	hour, minute, second := two(8), two(10), two(12)
	at := time.Date(year, month, day, hour, minute, second, 0, time.UTC)
	if at.Month() != month || at.Day() != day || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	unix := at.Unix()
	return uint32(unix), unix >= 0
}

// appendStrings appends character strings (RFC 1035 section 3.3).
func appendStrings(dst []byte, tokens []token) ([]byte, bool) {
	for _, t := range tokens {
		if len(t.text) > 255 {
			return dst, false
		}
		dst = append(dst, byte(len(t.text)))
		dst = append(dst, t.text...)
	}
	return dst, true
}

// joined is the text of tokens in one piece.
func (d *dataReader) joined(tokens []token) []byte {
	d.line = d.line[:0]
	for _, t := range tokens {
		d.line = append(d.line, t.text...)
	}
	return d.line
}

func (d *dataReader) appendBase64(dst []byte, tokens []token) ([]byte, bool) {
	dst, err := base64.StdEncoding.AppendDecode(dst, d.joined(tokens))
	return dst, err == nil && len(tokens) > 0
}

// appendHex appends a digest, of DS with the length that its type has.
func (d *dataReader) appendHex(dst []byte, tokens []token, t dnswire.Type) ([]byte, bool) {
	before := len(dst)
	dst, err := hex.AppendDecode(dst, d.joined(tokens))
	if err != nil || len(tokens) == 0 {
		return dst, false
	}
	if t == dnswire.TypeDS {
		n, known := digestLens[dst[before-1]]
		return dst, !known || n == len(dst)-before
	}
	return dst, true
}

// appendBitmap appends the bitmap of the types that tokens name, in any order.
func (d *dataReader) appendBitmap(dst []byte, tokens []token) ([]byte, bool) {
	d.types = d.types[:0]
	for _, tok := range tokens {
		t, err := dnswire.ParseType(tok.text)
		if err != nil {
			return dst, false
		}
		d.types = append(d.types, uint16(t))
	}
	d.types = sorted(d.types)
	window, head := -1, 0
	for _, t := range d.types {
		if int(t>>8) != window {
			window, head = int(t>>8), len(dst)
			dst = append(dst, byte(window), 0)
		}
		at := head + 2 + int(t&255)/8
		for len(dst) <= at {
			dst = append(dst, 0)
		}
		dst[at] |= 0x80 >> (t & 7)
		dst[head+1] = byte(len(dst) - head - 2)
	}
	return dst, true
}

// sorted is types in the order that a bitmap has them; text may have another.
func sorted(types []uint16) []uint16 {
	slices.Sort(types)
	return slices.Compact(types)
}
