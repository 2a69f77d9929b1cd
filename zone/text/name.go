package text

import (
	"errors"
	"fmt"
)

const (
	maxLabelLen = 63  // RFC 1035 section 2.3.4
	maxNameLen  = 255 // likewise, with the root byte
)

var errNameLen = errors.New("the name is longer than 255 bytes")

// lower maps ASCII capitals to small letters and every other byte to itself.
var lower = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
		if 'A' <= i && i <= 'Z' {
			t[i] += 'a' - 'A'
		}
	}
	return t
}()

// appendName appends the name that text writes (RFC 1035 section 5.1) in wire
// form, with its bytes in the case they were written. "@" is the origin and a
// name without its final dot is relative to it; origin is in wire form too.
//
// text is a token that scan gave, so its escapes are sound.
func appendName(dst []byte, text, origin string) ([]byte, error) {
	switch text {
	case "":
		return dst, errors.New("empty name")
	case "@":
		return append(dst, origin...), nil
	case ".":
		return append(dst, 0), nil
	}
	start := len(dst)
	head := start // where the length byte of the label at hand is
	dst = append(dst, 0)
	label := 0 // where that label starts in text
	for i := 0; i < len(text); {
		c := text[i]
		if c == '.' {
			if err := labelLen(len(dst)-head-1, text, label, i); err != nil {
				return dst[:start], err
			}
			dst[head] = byte(len(dst) - head - 1)
			head = len(dst)
			dst = append(dst, 0) // the root's, unless another label follows
			i++
			label = i
			continue
		}
		n := 1
		if c == '\\' {
			c, n = unescape(text[i:])
		}
		dst = append(dst, c)
		i += n
	}
	if label < len(text) { // no final dot
		if err := labelLen(len(dst)-head-1, text, label, len(text)); err != nil {
			return dst[:start], err
		}
		dst[head] = byte(len(dst) - head - 1)
		dst = append(dst, origin...)
	}
	if len(dst)-start > maxNameLen {
		return dst[:start], errNameLen
	}
	return dst, nil
}

// labelLen judges a label of n bytes, which text[from:to] writes.
func labelLen(n int, text string, from, to int) error {
	switch {
	case n == 0:
		return errors.New("an empty label")
	case n > maxLabelLen:
		return fmt.Errorf("label %s is longer than 63 bytes", cite(text[from:to]))
	}
	return nil
}

// unescape is the byte that the escape at the start of s stands for, and the
// length of the escape: \DDD is the byte with that decimal number, \X is X.
func unescape(s string) (c byte, n int) {
	if len(s) >= 4 && isDigit(s[1]) {
		return (s[1]-'0')*100 + (s[2]-'0')*10 + (s[3] - '0'), 4
	}
	return s[1], 2
}

// checkEscape judges the escape at the start of s.
func checkEscape(s string) (n int, err error) {
	switch {
	case len(s) < 2 || s[1] == '\n' || s[1] == '\r':
		return 1, errors.New(`\ at the end of the line`)
	case !isDigit(s[1]):
		return 2, nil
	case len(s) < 4 || !isDigit(s[2]) || !isDigit(s[3]):
		return 2, errors.New(`\ before a digit needs three digits`)
	case s[1] > '2' || s[1] == '2' && (s[2] > '5' || s[2] == '5' && s[3] > '5'):
		return 4, fmt.Errorf("%s is above 255", s[:4])
	}
	return 4, nil
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// textLen is how many bytes the token text stands for.
func textLen(text string) int {
	n := 0
	for i := 0; i < len(text); n++ {
		if text[i] == '\\' {
			_, size := unescape(text[i:])
			i += size
			continue
		}
		i++
	}
	return n
}

// lowerWire puts a name into lower case. A length byte is at most 63 and so
// below the letters.
func lowerWire(wire []byte) {
	for i, c := range wire {
		wire[i] = lower[c]
	}
}
