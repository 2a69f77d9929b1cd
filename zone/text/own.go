package text

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// ownType is a type that miekg/dns does not know, or reads more narrowly than
// its RFC.
type ownType struct {
	// read appends the data that tokens write, in the form of the type.
	read func(dst []byte, tokens []token, origin string) ([]byte, error)
	// check judges data in wire form, however they were written.
	check func(data []byte) error
}

var ownTypes = map[dnswire.Type]ownType{
	typeWKS:           {readWKS, checkWKS},
	typeNSAP:          {readNSAP, someData},
	typeAPL:           {readAPL, checkAPL},
	dnswire.TypeSVCB:  {readSVCB, checkSVCB},
	dnswire.TypeHTTPS: {readSVCB, checkSVCB},
	typeDSYNC:         {readDSYNC, checkDSYNC},
	typeHHIT:          {readBase64, someData},
	typeBRID:          {readBase64, someData},
	typeURI:           {readURI, checkURI},
	dnswire.TypeCAA:   {readCAA, checkCAA},
	typeWALLET:        {readStrings, checkStrings},
}

var (
	errShort   = errors.New("the data end too early")
	errDataLen = errors.New("the data are longer than 65535 bytes")
)

// number reads a decimal number; what is what it is, for an error.
func number(what, s string, bits int) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%s %s is not a number from 0 to %d", what, cite(s), uint64(1)<<bits-1)
	}
	return n, nil
}

// appendTarget appends a name; what is what it is, for an error.
func appendTarget(dst []byte, what, s, origin string) ([]byte, error) {
	dst, err := appendName(dst, s, origin)
	if err != nil {
		return dst, fmt.Errorf("%s %s: %w", what, cite(s), err)
	}
	return dst, nil
}

// appendText appends the bytes that text stands for.
func appendText(dst []byte, text string) []byte {
	for i := 0; i < len(text); {
		c, n := text[i], 1
		if c == '\\' {
			c, n = unescape(text[i:])
		}
		dst = append(dst, c)
		i += n
	}
	return dst
}

// wireNameLen is the length of the uncompressed name at the start of data.
func wireNameLen(data []byte) (int, error) {
	for i := 0; i < len(data); i += 1 + int(data[i]) {
		switch {
		case data[i] == 0 && i >= maxNameLen:
			return 0, errNameLen
		case data[i] == 0:
			return i + 1, nil
		case data[i] > maxLabelLen:
			return 0, errors.New("a name is compressed, or has a label longer than 63 bytes")
		}
	}
	return 0, errShort
}

func someData(data []byte) error {
	if len(data) == 0 {
		return errShort
	}
	return nil
}

// readWKS reads an address, a protocol and ports (RFC 1035 section 3.4.2). The
// names of ports are the system's, and not the same on all of them.
func readWKS(dst []byte, tokens []token, _ string) ([]byte, error) {
	addr, err := netip.ParseAddr(tokens[0].text)
	if err != nil || !addr.Is4() {
		return dst, fmt.Errorf("%s is not an IPv4 address", cite(tokens[0].text))
	}
	var protocol uint64
	switch s := tokens[1].text; {
	case strings.EqualFold(s, "tcp"):
		protocol = 6
	case strings.EqualFold(s, "udp"):
		protocol = 17
	default:
		if protocol, err = strconv.ParseUint(s, 10, 8); err != nil {
			return dst, fmt.Errorf("protocol %s is not tcp, udp or a number from 0 to 255", cite(s))
		}
	}
	dst = append(append(dst, addr.AsSlice()...), byte(protocol))
	head := len(dst)
	for _, t := range tokens[2:] {
		port, err := number("port", t.text, 16)
		if err != nil {
			return dst, err
		}
		at := head + int(port/8)
		for len(dst) <= at {
			dst = append(dst, 0)
		}
		dst[at] |= 0x80 >> (port & 7)
	}
	return dst, nil
}

func checkWKS(data []byte) error {
	switch {
	case len(data) < 5:
		return errShort
	case len(data) > 5+65536/8:
		return errors.New("the ports are more than 65536")
	}
	return nil
}

// readNSAP reads 0x and hexadecimal digits, with dots anywhere between them
// (RFC 1706 section 5).
func readNSAP(dst []byte, tokens []token, _ string) ([]byte, error) {
	digits, ok := strings.CutPrefix(strings.ToLower(tokens[0].text), "0x")
	if !ok {
		return dst, fmt.Errorf("%s does not begin with 0x", cite(tokens[0].text))
	}
	dst, err := hex.AppendDecode(dst, []byte(strings.ReplaceAll(digits, ".", "")))
	if err != nil {
		return dst, cleaned(err)
	}
	return dst, nil
}

// readBase64 reads base64 to the end (RFC 9886 sections 5.1 and 5.2).
func readBase64(dst []byte, tokens []token, _ string) ([]byte, error) {
	var all []byte
	for _, t := range tokens {
		all = append(all, t.text...)
	}
	dst, err := base64.StdEncoding.AppendDecode(dst, all)
	if err != nil {
		return dst, cleaned(err)
	}
	return dst, nil
}

// readAPL reads items such as !1:192.0.2.0/24 (RFC 3123 section 5). Bits of the
// address beyond its prefix are kept: no rule forbids them.
func readAPL(dst []byte, tokens []token, _ string) ([]byte, error) {
	for _, t := range tokens {
		s, negated := strings.CutPrefix(t.text, "!")
		family, rest, _ := strings.Cut(s, ":")
		address, bits, ok := strings.Cut(rest, "/")
		addr, err := netip.ParseAddr(address)
		n, bitsErr := strconv.ParseUint(bits, 10, 8)
		switch {
		case !ok || family != "1" && family != "2":
			return dst, fmt.Errorf("%s is not an address family of 1 or 2, a colon, an address, a slash and a prefix length", cite(t.text))
		case err != nil || addr.Zone() != "" || addr.Is4() != (family == "1"):
			return dst, fmt.Errorf("%s is not an address of family %s", cite(address), family)
		case bitsErr != nil || int(n) > addr.BitLen():
			return dst, fmt.Errorf("prefix length %s is not a number from 0 to %d", cite(bits), addr.BitLen())
		}
		part := addr.AsSlice()
		for len(part) > 0 && part[len(part)-1] == 0 {
			part = part[:len(part)-1]
		}
		length := byte(len(part))
		if negated {
			length |= 0x80
		}
		dst = append(append(dst, 0, family[0]-'0', byte(n), length), part...)
	}
	return dst, nil
}

func checkAPL(data []byte) error {
	for len(data) > 0 {
		if len(data) < 4 {
			return errShort
		}
		family, bits, length := binary.BigEndian.Uint16(data), int(data[2]), int(data[3]&0x7f)
		if data = data[4:]; len(data) < length {
			return errShort
		}
		part := data[:length]
		data = data[length:]
		most, known := map[uint16]int{1: 4, 2: 16}[family]
		switch {
		case !known:
		case bits > 8*most || length > most:
			return fmt.Errorf("an address or a prefix is longer than family %d has them", family)
		case length > 0 && part[length-1] == 0:
			return errors.New("an address ends with a zero byte (RFC 3123 section 4)")
		}
	}
	return nil
}

// readDSYNC reads a type, a scheme, a port and a target (RFC 9859 section 2).
func readDSYNC(dst []byte, tokens []token, origin string) ([]byte, error) {
	t, err := dnswire.ParseType(tokens[0].text)
	if err != nil {
		return dst, fmt.Errorf("no record type %s", cite(tokens[0].text))
	}
	scheme := uint64(1)
	if s := tokens[1].text; !strings.EqualFold(s, "NOTIFY") {
		if scheme, err = strconv.ParseUint(s, 10, 8); err != nil {
			return dst, fmt.Errorf("scheme %s is not NOTIFY or a number from 0 to 255", cite(s))
		}
	}
	port, err := number("port", tokens[2].text, 16)
	if err != nil {
		return dst, err
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(t))
	dst = append(dst, byte(scheme))
	dst = binary.BigEndian.AppendUint16(dst, uint16(port))
	return appendTarget(dst, "target", tokens[3].text, origin)
}

func checkDSYNC(data []byte) error {
	if len(data) < 5 {
		return errShort
	}
	n, err := wireNameLen(data[5:])
	if err == nil && len(data) != 5+n {
		err = errors.New("the data have another length than the type")
	}
	return err
}

// readURI reads a priority, a weight and a target, which has no limit but that
// of the data (RFC 7553 section 4).
func readURI(dst []byte, tokens []token, _ string) ([]byte, error) {
	for i, what := range []string{"priority", "weight"} {
		n, err := number(what, tokens[i].text, 16)
		if err != nil {
			return dst, err
		}
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	}
	return appendText(dst, tokens[2].text), nil
}

func checkURI(data []byte) error {
	if len(data) < 4 {
		return errShort
	}
	return nil
}

// readCAA reads flags, a tag and a value, which has no limit but that of the
// data (RFC 8659 section 4.1.1).
func readCAA(dst []byte, tokens []token, _ string) ([]byte, error) {
	flags, err := number("flags", tokens[0].text, 8)
	if err != nil {
		return dst, err
	}
	tag := tokens[1].text
	if len(tag) > 255 {
		return dst, fmt.Errorf("tag %s is longer than 255 bytes", cite(tag))
	}
	dst = append(dst, byte(flags), byte(len(tag)))
	return appendText(append(dst, tag...), tokens[2].text), nil
}

func checkCAA(data []byte) error {
	if len(data) < 2 || len(data) < 2+int(data[1]) {
		return errShort
	}
	if tag := string(data[2 : 2+int(data[1])]); !isTag(tag) {
		return fmt.Errorf("tag %s is not of letters and digits", cite(tag))
	}
	return nil
}

// isTag is whether s is a CAA tag (RFC 8659 section 4.1).
func isTag(s string) bool {
	for i := range len(s) {
		if c := lower[s[i]]; !isDigit(c) && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != ""
}

// readStrings reads character strings to the end.
func readStrings(dst []byte, tokens []token, _ string) ([]byte, error) {
	for _, t := range tokens {
		dst = append(dst, byte(textLen(t.text)))
		dst = appendText(dst, t.text)
	}
	return dst, nil
}

func checkStrings(data []byte) error {
	if len(data) == 0 {
		return errShort
	}
	for len(data) > 0 {
		n := 1 + int(data[0])
		if len(data) < n {
			return errShort
		}
		data = data[n:]
	}
	return nil
}
