package dnswire

import (
	"errors"
	"fmt"
	"strings"
)

// Name is a domain name in lower-case wire form with its root byte, so that
// equal names are equal strings. The zero value is no name.
//
// A Name comes from ParseName, from another Name, or from the bytes of
// Query.Name; its methods take it to be well-formed.
type Name string

// Root is the name of the root.
const Root Name = "\x00"

var (
	errEmptyLabel = errors.New("empty label")
	errLongName   = errors.New("name is longer than 255 bytes")
)

// ParseName reads a fully-qualified name in presentation format (RFC 1035
// section 5.1): labels with dots between them, \DDD for the byte with that
// decimal number and \X for X itself. The final dot may be left out, and "." is
// the root. Bytes outside ASCII stand for themselves.
//
// The error says what is wrong with s: an empty name or label, a label or name
// that is too long, a bad escape.
func ParseName(s string) (Name, error) {
	switch s {
	case "":
		return "", errors.New("empty name")
	case ".":
		return Root, nil
	}
	wire := make([]byte, 1, len(s)+2) // from the first label's length byte on
	head := 0                         // where the label's length byte is in wire
	text := 0                         // where the label starts in s
	for i := 0; i < len(s); {
		c, n, err := unescape(s[i:])
		if err != nil {
			return "", fmt.Errorf("label %q: %w", s[text:], err)
		}
		last := i+n == len(s)
		dot := c == '.' && n == 1
		if !dot {
			wire = append(wire, lowerByte(c))
		}
		i += n
		if !dot && !last {
			continue
		}
		size := len(wire) - head - 1
		switch {
		case size == 0:
			return "", fmt.Errorf("%w in %q", errEmptyLabel, s)
		case size > maxLabelLen:
			label := s[text:i]
			if dot {
				label = label[:len(label)-1]
			}
			return "", longLabel(label)
		}
		wire[head] = byte(size)
		head, text = len(wire), i
		wire = append(wire, 0) // the root's, unless another label follows
	}
	if len(wire) > maxNameLen {
		return "", errLongName
	}
	return Name(wire), nil
}

func longLabel(label string) error {
	return fmt.Errorf("label %q is longer than 63 bytes", label)
}

// unescape reads the byte at the start of s, which is not empty, and returns
// how many bytes of s stand for it. A plain dot alone is a '.' of length 1.
func unescape(s string) (c byte, n int, err error) {
	if s[0] != '\\' {
		return s[0], 1, nil
	}
	if len(s) < 2 {
		return 0, 0, errors.New(`\ at the end`)
	}
	if !isDigit(s[1]) {
		return s[1], 2, nil
	}
	if len(s) < 4 || !isDigit(s[2]) || !isDigit(s[3]) {
		return 0, 0, errors.New(`\ before a digit needs three digits`)
	}
	v := int(s[1]-'0')*100 + int(s[2]-'0')*10 + int(s[3]-'0')
	if v > 255 {
		return 0, 0, fmt.Errorf("%s is above 255", s[:4])
	}
	return byte(v), 4, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// AppendName appends n in wire form, uncompressed.
func AppendName(dst []byte, n Name) []byte { return append(dst, n...) }

// String is n in presentation format with its final dot, "." for the root and
// "" for no name. ParseName reads it back.
func (n Name) String() string {
	switch n {
	case "":
		return ""
	case Root:
		return "."
	}
	b := make([]byte, 0, len(n)+8)
	for !n.IsRoot() && n != "" {
		label := n.First()
		for i := range len(label) {
			b = appendEscaped(b, label[i])
		}
		b = append(b, '.')
		n = n.Parent()
	}
	return string(b)
}

// appendEscaped appends one byte of a label as it is written in a zone file.
func appendEscaped(b []byte, c byte) []byte {
	switch {
	case c < ' ' || c > '~':
		return append(b, '\\', '0'+c/100, '0'+c/10%10, '0'+c%10)
	case strings.IndexByte(`. '@;()"\`, c) >= 0:
		return append(b, '\\', c)
	}
	return append(b, c)
}

// IsRoot is whether n is the root.
func (n Name) IsRoot() bool { return n == Root }

// Labels is the number of labels of n, the root not counted.
func (n Name) Labels() int {
	count := 0
	for ; len(n) > 1; n = n.Parent() {
		count++
	}
	return count
}

// First is the first label of n, raw bytes without escapes; empty for the root.
func (n Name) First() string {
	if n == "" {
		return ""
	}
	return string(n[1:min(1+int(n[0]), len(n))])
}

// Parent is n without its first label. The root has no parent: it gives no name.
func (n Name) Parent() Name {
	if n == "" {
		return ""
	}
	return n[min(1+int(n[0]), len(n)):]
}

// Within is whether n is zone or below it, by labels: badexample.com is not
// within example.com. Nothing is within no name.
func (n Name) Within(zone Name) bool {
	if zone == "" || !strings.HasSuffix(string(n), string(zone)) {
		return false
	}
	for len(n) > len(zone) {
		n = n.Parent()
	}
	return len(n) == len(zone)
}

// Prepend is the name of label, raw bytes in any case, directly below n. It
// fails when the label is empty or longer than 63 bytes, or the name would be
// longer than 255.
func (n Name) Prepend(label string) (Name, error) {
	switch {
	case label == "":
		return "", errEmptyLabel
	case len(label) > maxLabelLen:
		return "", longLabel(label)
	}
	wire := make([]byte, 0, maxNameLen)
	wire = append(wire, byte(len(label)))
	for i := range len(label) {
		wire = append(wire, lowerByte(label[i]))
	}
	return Name(wire).join(n)
}

// Join is n below zone: www and example.com. give www.example.com. It fails
// when that is longer than 255 bytes.
func (n Name) Join(zone Name) (Name, error) {
	return n[:max(len(n), 1)-1].join(zone)
}

// join puts labels without a root byte in front of zone.
func (n Name) join(zone Name) (Name, error) {
	if len(n)+len(zone) > maxNameLen {
		return "", errLongName
	}
	return n + zone, nil
}
