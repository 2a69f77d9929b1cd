package edge

import (
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	windowLen = 64 << 10
	// maxText is how much of a string is kept: no name, address or hash is as long.
	maxText = 4 << 10
	// maxDepth is how deep values that nobody asked for may lie in each other.
	maxDepth = 100
)

// errCut is the error of a text that ends too early.
var errCut = errors.New("it ends in the middle")

// scanner reads JSON (RFC 8259) piece by piece. What it gives out is good until it is
// asked for the next piece.
type scanner struct {
	r        io.Reader
	buf      []byte
	pos, end int
	before   int64  // octets before buf
	err      error  // of r, once it has failed
	scratch  []byte // of a string that does not lie in buf as it is
	long     bool   // the last string was longer than maxText
}

func newScanner(r io.Reader) *scanner {
	return &scanner{r: r, buf: make([]byte, windowLen)}
}

// more makes room and reads on, keeping what is from pos on, which is then at the
// beginning. It is false when there is nothing more.
func (s *scanner) more() bool {
	if s.pos > 0 {
		s.before += int64(s.pos)
		copy(s.buf, s.buf[s.pos:s.end])
		s.end -= s.pos
		s.pos = 0
	}
	for tries := 0; s.err == nil && s.end < len(s.buf); tries++ {
		var n int
		n, s.err = s.r.Read(s.buf[s.end:])
		s.end += n
		if n > 0 {
			return true
		}
		if tries == 100 {
			s.err = io.ErrNoProgress
		}
	}
	return false
}

// fault is what is wrong at the place that the scanner is at.
func (s *scanner) fault(format string, args ...any) error {
	return fmt.Errorf("octet %d: "+format, append([]any{s.before + int64(s.pos)}, args...)...)
}

// cut is the error of a text in which more was expected.
func (s *scanner) cut() error {
	if s.err != nil && !errors.Is(s.err, io.EOF) {
		return s.err
	}
	return s.fault("%w", errCut)
}

// peek is the next octet that is no white space.
func (s *scanner) peek() (byte, error) {
	for {
		for s.pos < s.end {
			switch c := s.buf[s.pos]; c {
			case ' ', '\t', '\r', '\n':
				s.pos++
			default:
				return c, nil
			}
		}
		if !s.more() {
			return 0, s.cut()
		}
	}
}

// expect takes an octet.
func (s *scanner) expect(want byte) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	if c != want {
		return s.fault("%q where %q belongs", c, want)
	}
	s.pos++
	return nil
}

// finish is that nothing but white space follows.
func (s *scanner) finish() error {
	c, err := s.peek()
	switch {
	case err == nil:
		return s.fault("%q after the end", c)
	case errors.Is(err, errCut):
		return nil
	}
	return err
}

// object calls f with each key of an object, to read its value. The key is good until
// f reads.
func (s *scanner) object(f func(key []byte) error) error {
	more, err := s.enter('{', '}')
	for more && err == nil {
		var key []byte
		if key, err = s.text(); err != nil {
			return err
		}
		if s.pos < s.end && s.buf[s.pos] == ':' {
			s.pos++
		} else {
			s.scratch = append(s.scratch[:0], key...) // to look for the colon may move buf
			key = s.scratch
			if err := s.expect(':'); err != nil {
				return err
			}
		}
		if err = f(key); err == nil {
			more, err = s.next('}')
		}
	}
	return err
}

// array calls f before each value of an array, to read it.
func (s *scanner) array(f func() error) error {
	more, err := s.enter('[', ']')
	for more && err == nil {
		if err = f(); err == nil {
			more, err = s.next(']')
		}
	}
	return err
}

// enter takes the beginning of an object or an array, and its end when nothing is in it.
func (s *scanner) enter(begin, end byte) (more bool, err error) {
	if err := s.expect(begin); err != nil {
		return false, err
	}
	c, err := s.peek()
	if err == nil && c == end {
		s.pos++
		return false, nil
	}
	return err == nil, err
}

// next takes what follows a value of an object or an array: a comma, or the end.
func (s *scanner) next(end byte) (more bool, err error) {
	c, err := s.peek()
	if err != nil {
		return false, err
	}
	if c != ',' && c != end {
		return false, s.fault("%q where ',' or %q belongs", c, end)
	}
	s.pos++
	return c == ',', nil
}

// plain is whether an octet stands for itself in a string.
var plain = func() (t [256]bool) {
	for c := ' '; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// text reads a string; see long.
func (s *scanner) text() ([]byte, error) {
	if err := s.expect('"'); err != nil {
		return nil, err
	}
	s.long = false
	for i := s.pos; ; i++ {
		if i == s.end {
			n := i - s.pos
			if n > maxText || !s.more() {
				return s.escaped()
			}
			i = s.pos + n
		}
		if c := s.buf[i]; plain[c] {
			continue
		} else if c != '"' || i-s.pos > maxText {
			return s.escaped()
		}
		t := s.buf[s.pos:i]
		s.pos = i + 1
		return t, nil
	}
}

// octet takes the next one, white space too.
func (s *scanner) octet() (byte, error) {
	if s.pos == s.end && !s.more() {
		return 0, s.cut()
	}
	s.pos++
	return s.buf[s.pos-1], nil
}

// escaped reads the rest of a string that does not stand for itself. What is no UTF-8
// becomes U+FFFD.
func (s *scanner) escaped() ([]byte, error) {
	s.scratch = s.scratch[:0]
	for {
		c, err := s.octet()
		if err != nil {
			return nil, err
		}
		switch {
		case c == '"':
			return s.scratch, nil
		case c == '\\':
			err = s.escape()
		case c < ' ':
			s.pos--
			return nil, s.fault("%q in a string", c)
		case c < utf8.RuneSelf:
			s.keep(rune(c))
		default:
			s.pos--
			s.wide()
		}
		if err != nil {
			return nil, err
		}
	}
}

// keep adds a character to the string, unless that is too long.
func (s *scanner) keep(r rune) {
	if len(s.scratch) > maxText {
		s.long = true
		return
	}
	s.scratch = utf8.AppendRune(s.scratch, r)
}

// wide reads a character of several octets.
func (s *scanner) wide() {
	for !utf8.FullRune(s.buf[s.pos:s.end]) && s.more() {
		continue
	}
	r, n := utf8.DecodeRune(s.buf[s.pos:s.end])
	s.pos += n
	s.keep(r)
}

// escape reads what follows a backslash.
func (s *scanner) escape() error {
	c, err := s.octet()
	if err != nil {
		return err
	}
	switch c {
	case '"', '\\', '/':
		s.keep(rune(c))
	case 'b':
		s.keep('\b')
	case 'f':
		s.keep('\f')
	case 'n':
		s.keep('\n')
	case 'r':
		s.keep('\r')
	case 't':
		s.keep('\t')
	case 'u':
		return s.unicode()
	default:
		s.pos--
		return s.fault("%q after a backslash", c)
	}
	return nil
}

// unicode reads the digits of a \u, and the second half of a surrogate pair.
func (s *scanner) unicode() error {
	r, err := s.hex()
	if err != nil {
		return err
	}
	for utf16.IsSurrogate(r) {
		// Half a pair is U+FFFD, and what follows it stands for itself.
		for s.end-s.pos < 2 && s.more() {
			continue
		}
		if s.end-s.pos < 2 || s.buf[s.pos] != '\\' || s.buf[s.pos+1] != 'u' {
			s.keep(utf8.RuneError)
			return nil
		}
		s.pos += 2
		second, err := s.hex()
		if err != nil {
			return err
		}
		if both := utf16.DecodeRune(r, second); both != utf8.RuneError {
			s.keep(both)
			return nil
		}
		s.keep(utf8.RuneError)
		r = second
	}
	s.keep(r)
	return nil
}

func (s *scanner) hex() (r rune, err error) {
	for range 4 {
		c, err := s.octet()
		if err != nil {
			return 0, err
		}
		switch {
		case '0' <= c && c <= '9':
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			s.pos--
			return 0, s.fault("%q where a hexadecimal digit belongs", c)
		}
		r = r<<4 | rune(c)
	}
	return r, nil
}

// word reads true, false, null or a number, as it is written.
func (s *scanner) word() ([]byte, error) {
	if _, err := s.peek(); err != nil {
		return nil, err
	}
	for i := s.pos; ; i++ {
		if i == s.end {
			n := i - s.pos
			if n > maxText {
				return nil, s.fault("a number is longer than %d octets", maxText)
			}
			if !s.more() {
				if s.err != nil && !errors.Is(s.err, io.EOF) {
					return nil, s.err
				}
				return s.known(s.end)
			}
			i = s.pos + n
		}
		switch c := s.buf[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '+', c == '.', c == 'E':
		default:
			return s.known(i)
		}
	}
}

// known takes the word that ends at i, if it is one.
func (s *scanner) known(i int) ([]byte, error) {
	w := s.buf[s.pos:i]
	switch {
	case string(w) == "true", string(w) == "false", string(w) == "null", number(w):
		s.pos = i
		return w, nil
	case len(w) == 0:
		return nil, s.fault("%q where a value belongs", s.buf[s.pos:min(s.pos+1, s.end)])
	}
	return nil, s.fault("%q where a value belongs", w[:min(len(w), 20)])
}

// number is whether a text is one (RFC 8259 section 6).
func number(w []byte) bool {
	digits := func() bool {
		n := 0
		for n < len(w) && '0' <= w[n] && w[n] <= '9' {
			n++
		}
		w = w[n:]
		return n > 0
	}
	take := func(any string) bool {
		for i := range len(any) {
			if len(w) > 0 && w[0] == any[i] {
				w = w[1:]
				return true
			}
		}
		return false
	}
	take("-")
	if !take("0") && !digits() {
		return false
	}
	if take(".") && !digits() {
		return false
	}
	if take("eE") {
		take("+-")
		if !digits() {
			return false
		}
	}
	return len(w) == 0
}

// skip reads a value that nobody asked for.
func (s *scanner) skip() error { return s.skipWithin(maxDepth) }

func (s *scanner) skipWithin(depth int) error {
	c, err := s.peek()
	if err != nil {
		return err
	}
	switch c {
	case '"':
		_, err = s.text()
	case '{', '[':
		if depth == 0 {
			return s.fault("values lie more than %d deep in each other", maxDepth)
		}
		if c == '{' {
			return s.object(func([]byte) error { return s.skipWithin(depth - 1) })
		}
		return s.array(func() error { return s.skipWithin(depth - 1) })
	default:
		_, err = s.word()
	}
	return err
}
