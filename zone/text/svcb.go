package text

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The parameters of SVCB and HTTPS that have a name (RFC 9460 section 14.3.2,
// RFC 9461 section 5, RFC 9540 section 4).
const (
	keyMandatory = iota
	keyALPN
	keyNoDefaultALPN
	keyPort
	keyIPv4Hint
	keyECH
	keyIPv6Hint
	keyDoHPath
	keyOHTTP
	keyInvalid = 65535
)

var paramNames = [...]string{
	keyMandatory: "mandatory", keyALPN: "alpn", keyNoDefaultALPN: "no-default-alpn", keyPort: "port",
	keyIPv4Hint: "ipv4hint", keyECH: "ech", keyIPv6Hint: "ipv6hint", keyDoHPath: "dohpath", keyOHTTP: "ohttp",
}

// param is one SvcParam in wire form.
type param struct {
	key   uint16
	value []byte
}

// paramName is the name of a key, or keyNNNNN.
func paramName(key uint16) string {
	if int(key) < len(paramNames) {
		return paramNames[key]
	}
	return fmt.Sprintf("key%d", key)
}

// parseKey reads a name, or "key" and a number without leading zeros. Names are
// in small letters (RFC 9460 section 2.1).
func parseKey(s string) (uint16, error) {
	if i := slices.Index(paramNames[:], s); i >= 0 {
		return uint16(i), nil
	}
	digits, ok := strings.CutPrefix(s, "key")
	n, err := strconv.ParseUint(digits, 10, 16)
	if !ok || err != nil || n == keyInvalid || digits != strconv.FormatUint(n, 10) {
		return 0, fmt.Errorf("no parameter %s", cite(s))
	}
	return uint16(n), nil
}

// readSVCB reads the data of RFC 9460 section 2.1; the parameters are in any
// order.
func readSVCB(dst []byte, tokens []token, origin string) ([]byte, error) {
	priority, err := number("priority", tokens[0].text, 16)
	if err != nil {
		return dst, err
	}
	dst = binary.BigEndian.AppendUint16(dst, uint16(priority))
	if dst, err = appendTarget(dst, "target", tokens[1].text, origin); err != nil {
		return dst, err
	}
	params := make([]param, 0, len(tokens)-2)
	for _, t := range tokens[2:] {
		p, err := parseParam(t.text)
		if err != nil {
			return dst, err
		}
		params = append(params, p)
	}
	slices.SortStableFunc(params, func(a, b param) int { return cmp.Compare(a.key, b.key) })
	for i, p := range params {
		if i > 0 && p.key == params[i-1].key {
			return dst, fmt.Errorf("%s is there twice", paramName(p.key))
		}
		dst = binary.BigEndian.AppendUint16(dst, p.key)
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(p.value)))
		dst = append(dst, p.value...)
	}
	return dst, nil
}

// parseParam reads key, key=value or key="value".
func parseParam(text string) (p param, err error) {
	name, raw, _ := strings.Cut(text, "=")
	if p.key, err = parseKey(name); err != nil {
		return p, err
	}
	if raw, err = unquote(raw); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	value := appendText(nil, raw)
	if name != paramName(p.key) { // keyNNNNN: the value is as in wire form
		p.value = value
		return p, nil
	}
	switch p.key {
	case keyMandatory, keyPort, keyIPv4Hint, keyIPv6Hint, keyECH:
		if strings.Contains(raw, `\`) {
			return p, fmt.Errorf(`%s: takes no \`, name)
		}
	}
	if p.value, err = encodeParam(p.key, value); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// unquote is a value without its quotes: they are around all of it or absent.
func unquote(s string) (string, error) {
	quoted := strings.HasPrefix(s, `"`)
	s = strings.TrimPrefix(s, `"`)
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] != '"':
		case quoted && i == len(s)-1:
			return s[:i], nil
		case quoted:
			return "", fmt.Errorf("%s stands behind the quotes: a space ends a parameter", cite(s[i+1:]))
		default:
			return "", errors.New(`a " in the middle of the value: put it all into quotes, or \ before the "`)
		}
	}
	return s, nil
}

// encodeParam is the wire form of a value whose escapes are undone.
func encodeParam(key uint16, value []byte) (wire []byte, err error) {
	list := strings.Split(string(value), ",")
	switch key {
	case keyPort:
		n, err := strconv.ParseUint(string(value), 10, 16)
		if err != nil {
			return nil, fmt.Errorf("%s is not a number from 0 to 65535", cite(string(value)))
		}
		return binary.BigEndian.AppendUint16(nil, uint16(n)), nil
	case keyECH:
		if wire, err = base64.StdEncoding.AppendDecode(nil, value); err != nil {
			return nil, errors.New("not base64")
		}
		return wire, nil
	case keyALPN:
		return encodeALPN(value)
	case keyMandatory, keyIPv4Hint, keyIPv6Hint:
		switch {
		case len(value) == 0:
			return nil, nil // is judged in wire form
		case slices.Contains(list, ""):
			return nil, fmt.Errorf("an empty item in %s", cite(string(value)))
		}
	default:
		return value, nil
	}
	var keys []uint16
	for _, item := range list {
		switch key {
		case keyMandatory:
			k, err := parseKey(item)
			if err != nil {
				return nil, err
			}
			keys = append(keys, k)
		case keyIPv4Hint:
			addr, err := netip.ParseAddr(item)
			if err != nil || !addr.Is4() {
				return nil, fmt.Errorf("%s is not an IPv4 address", cite(item))
			}
			wire = append(wire, addr.AsSlice()...)
		case keyIPv6Hint:
			addr, err := netip.ParseAddr(item)
			if err != nil || !addr.Is6() || addr.Zone() != "" {
				return nil, fmt.Errorf("%s is not an IPv6 address", cite(item))
			}
			wire = append(wire, addr.AsSlice()...)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		wire = binary.BigEndian.AppendUint16(wire, k)
	}
	return wire, nil
}

// encodeALPN reads a list of RFC 9460 appendix A.1: a comma or a \ within an
// item has a \ before it.
func encodeALPN(value []byte) (wire []byte, err error) {
	if len(value) == 0 {
		return nil, nil // is judged in wire form
	}
	head := 0 // where the length of the item at hand is
	wire = append(wire, 0)
	for i := 0; i <= len(value); i++ {
		switch {
		case i == len(value) || value[i] == ',':
			n := len(wire) - head - 1
			switch {
			case n == 0:
				return nil, errNoProtocol
			case n > 255:
				return nil, errors.New("a protocol is longer than 255 bytes")
			}
			wire[head] = byte(n)
			if i < len(value) {
				head = len(wire)
				wire = append(wire, 0)
			}
			continue
		case value[i] != '\\':
		case i+1 < len(value) && (value[i+1] == ',' || value[i+1] == '\\'):
			i++
		default:
			return nil, errors.New(`a \ in a list stands before a comma or another \ (RFC 9460 appendix A.1)`)
		}
		wire = append(wire, value[i])
	}
	return wire, nil
}

var errNoProtocol = errors.New("a protocol without a name")

// checkSVCB judges data in wire form: RFC 9460 sections 2.2, 2.4.3, 7 and 8.
// Parameters in AliasMode are useless, but clients ignore them and no rule
// forbids them (section 2.4.2).
func checkSVCB(data []byte) error {
	if len(data) < 2 {
		return errShort
	}
	n, err := wireNameLen(data[2:])
	if err != nil {
		return err
	}
	var params []param
	for rest := data[2+n:]; len(rest) > 0; {
		if len(rest) < 4 {
			return errShort
		}
		p := param{key: binary.BigEndian.Uint16(rest)}
		size := int(binary.BigEndian.Uint16(rest[2:]))
		if rest = rest[4:]; len(rest) < size {
			return errShort
		}
		p.value, rest = rest[:size], rest[size:]
		switch {
		case p.key == keyInvalid:
			return fmt.Errorf("no parameter %s", cite(paramName(p.key)))
		case len(params) > 0 && p.key <= params[len(params)-1].key:
			return errors.New("the parameters are not in ascending order")
		}
		params = append(params, p)
	}
	for _, p := range params {
		if err := checkParam(p, params); err != nil {
			return fmt.Errorf("%s: %w", paramName(p.key), err)
		}
	}
	return nil
}

// checkParam judges one parameter among all of its record.
func checkParam(p param, params []param) error {
	present := func(key uint16) bool {
		_, found := slices.BinarySearchFunc(params, key, func(p param, key uint16) int { return cmp.Compare(p.key, key) })
		return found
	}
	if len(p.value) == 0 {
		switch p.key {
		case keyMandatory:
			return errors.New("lists no key")
		case keyALPN, keyPort, keyIPv4Hint, keyECH, keyIPv6Hint, keyDoHPath:
			return errors.New("is empty")
		}
	}
	switch p.key {
	case keyMandatory:
		return checkMandatory(p.value, present)
	case keyALPN:
		for rest := p.value; len(rest) > 0; {
			n := int(rest[0])
			switch {
			case n == 0:
				return errNoProtocol
			case len(rest) <= n:
				return errShort
			}
			rest = rest[1+n:]
		}
	case keyNoDefaultALPN, keyOHTTP:
		switch {
		case len(p.value) > 0:
			return errors.New("takes no value")
		case p.key == keyNoDefaultALPN && !present(keyALPN):
			return errors.New("alpn is absent")
		}
	case keyPort:
		if len(p.value) != 2 {
			return fmt.Errorf("has 2 bytes, and not %d", len(p.value))
		}
	case keyIPv4Hint:
		if len(p.value)%4 != 0 {
			return errors.New("not of addresses of 4 bytes")
		}
	case keyIPv6Hint:
		if len(p.value)%16 != 0 {
			return errors.New("not of addresses of 16 bytes")
		}
	case keyDoHPath:
		return checkDoHPath(p.value)
	}
	return nil
}

// checkMandatory judges a list of keys (RFC 9460 section 8).
func checkMandatory(value []byte, present func(uint16) bool) error {
	if len(value)%2 != 0 {
		return errors.New("not of keys of 2 bytes")
	}
	for i := 0; i < len(value); i += 2 {
		key := binary.BigEndian.Uint16(value[i:])
		last := -1
		if i > 0 {
			last = int(binary.BigEndian.Uint16(value[i-2:]))
		}
		switch {
		case key == keyMandatory:
			return errors.New("lists itself")
		case int(key) == last:
			return fmt.Errorf("lists %s twice", paramName(key))
		case int(key) < last:
			return errors.New("the keys are not in ascending order")
		case !present(key):
			return fmt.Errorf("lists %s, which is absent", paramName(key))
		}
	}
	return nil
}

// checkDoHPath judges the URI template of RFC 9461 section 5: relative to the
// server's root, so that it expands to the path of a request, and with the
// variable dns in one of its expressions (RFC 6570 section 2.2).
func checkDoHPath(value []byte) error {
	switch {
	case !utf8.Valid(value):
		return errors.New("not UTF-8")
	case value[0] != '/':
		return errors.New("not a path that begins with /")
	}
	dns := false
	for {
		_, rest, more := bytes.Cut(value, []byte("{"))
		if !more {
			break
		}
		expression, after, closed := bytes.Cut(rest, []byte("}"))
		if !closed {
			return errors.New("a { without its }")
		}
		for name := range strings.SplitSeq(strings.TrimLeft(string(expression), "+#./;?&"), ",") {
			name, _, _ = strings.Cut(strings.TrimSuffix(name, "*"), ":")
			dns = dns || name == "dns"
		}
		value = after
	}
	if !dns {
		return errors.New("without the variable dns, as in /dns-query{?dns} (RFC 9461 section 5)")
	}
	return nil
}
