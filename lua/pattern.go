package lua

import (
	"errors"
	"strings"
)

// match matches the patterns of Lua 5.1 (manual, section 5.4.1), counting what it
// does: a pattern with several repetitions takes a time that grows with the text
// to the power of their number, and has to be stopped within.
type match struct {
	m        *meter
	text     string
	pattern  string
	level    int // captures that have begun
	captures [maxCaptures]capture
	depth    int
	err      error // why it ended without a verdict
}

type capture struct{ at, size int }

const (
	maxCaptures = 32
	maxNested   = 200 // matches within matches: one for each item of the pattern
)

// The sizes of captures that are none.
const (
	unfinished = -1 // it has begun
	placeOnly  = -2 // (), which gives where it is
)

var (
	errMalformed = errors.New("malformed pattern")
	errComplex   = errors.New("pattern too complex")
	errCapture   = errors.New("invalid capture in the pattern")
)

// fail ends the matching. It gives what stands for no match.
func (s *match) fail(err error) int {
	if s.err == nil {
		s.err = err
	}
	return -1
}

// at matches the pattern from p on with the text from i on, and gives where the
// match ends, -1 for none.
func (s *match) at(i, p int) int {
	if s.depth++; s.depth > maxNested {
		return s.fail(errComplex)
	}
	defer func() { s.depth-- }()
	for {
		if s.err != nil {
			return -1
		}
		if !s.m.step(1) {
			return s.fail(s.m.why)
		}
		if p == len(s.pattern) {
			return i
		}
		switch s.pattern[p] {
		case '(':
			if strings.HasPrefix(s.pattern[p+1:], ")") {
				return s.begin(i, p+2, placeOnly)
			}
			return s.begin(i, p+1, unfinished)
		case ')':
			return s.end(i, p+1)
		case '$':
			if p+1 == len(s.pattern) {
				if i == len(s.text) {
					return i
				}
				return -1
			}
		case '%':
			if p+1 < len(s.pattern) {
				switch c := s.pattern[p+1]; {
				case c == 'b':
					if i = s.balanced(i, p+2); i < 0 {
						return -1
					}
					p += 4
					continue
				case c == 'f':
					q := p + 2
					if q >= len(s.pattern) || s.pattern[q] != '[' {
						return s.fail(errMalformed)
					}
					next := s.class(q)
					if next < 0 || !s.read(next-q) || !s.frontier(i, q, next) {
						return -1
					}
					p = next
					continue
				case c >= '0' && c <= '9':
					if i = s.again(i, c); i < 0 {
						return -1
					}
					p += 2
					continue
				}
			}
		}
		next := s.class(p)
		if next < 0 || !s.read(next-p) {
			return -1
		}
		var suffix byte
		if next < len(s.pattern) {
			suffix = s.pattern[next]
		}
		switch suffix {
		case '?':
			if s.single(i, p, next) {
				if end := s.at(i+1, next+1); end >= 0 || s.err != nil {
					return end
				}
			}
			p = next + 1
		case '*':
			return s.greedy(i, p, next, 0)
		case '+':
			return s.greedy(i, p, next, 1)
		case '-':
			return s.lazy(i, p, next)
		default:
			if !s.single(i, p, next) {
				return -1
			}
			i, p = i+1, next
		}
	}
}

// A set is read anew for each byte that is held against it. Up to freeSet bytes of it
// are part of the step that is counted anyway; of more, so many are one.
const (
	freeSet  = 16
	setSteps = 16
)

// read counts the reading of an item of n bytes; false: it has to stop.
func (s *match) read(n int) bool {
	if n <= freeSet || s.m.step(n/setSteps) {
		return true
	}
	s.fail(s.m.why)
	return false
}

// class is where the item at p ends, without its suffix.
func (s *match) class(p int) int {
	c := s.pattern[p]
	p++
	switch c {
	case '%':
		if p == len(s.pattern) {
			return s.fail(errMalformed)
		}
		return p + 1
	case '[':
		if p < len(s.pattern) && s.pattern[p] == '^' {
			p++
		}
		for first := true; first || p < len(s.pattern) && s.pattern[p] != ']'; first = false {
			if p == len(s.pattern) {
				return s.fail(errMalformed)
			}
			if p++; s.pattern[p-1] == '%' {
				p++
			}
		}
		if p >= len(s.pattern) {
			return s.fail(errMalformed)
		}
		return p + 1
	}
	return p
}

// single is whether the byte at i is of the item pattern[p:next].
func (s *match) single(i, p, next int) bool {
	if i >= len(s.text) {
		return false
	}
	c := s.text[i]
	switch s.pattern[p] {
	case '.':
		return true
	case '%':
		return ofClass(c, s.pattern[p+1])
	case '[':
		return s.set(c, p, next-1)
	}
	return s.pattern[p] == c
}

// set is whether c is of the set that begins at p and whose ] is at end.
func (s *match) set(c byte, p, end int) bool {
	is := true
	if s.pattern[p+1] == '^' {
		is = false
		p++
	}
	for p++; p < end; p++ {
		switch {
		case s.pattern[p] == '%':
			p++
			if ofClass(c, s.pattern[p]) {
				return is
			}
		case s.pattern[p+1] == '-' && p+2 < end:
			p += 2
			if s.pattern[p-2] <= c && c <= s.pattern[p] {
				return is
			}
		case s.pattern[p] == c:
			return is
		}
	}
	return !is
}

// ofClass is whether c is of a class such as %a, in the locale C.
func ofClass(c, class byte) bool {
	var is bool
	switch class | 0x20 {
	case 'a':
		is = letter(c)
	case 'c':
		is = c < ' ' || c == 0x7f
	case 'd':
		is = digit(c)
	case 'l':
		is = c >= 'a' && c <= 'z'
	case 'p':
		is = c > ' ' && c < 0x7f && !letter(c) && !digit(c)
	case 's':
		is = c == ' ' || c >= '\t' && c <= '\r'
	case 'u':
		is = c >= 'A' && c <= 'Z'
	case 'w':
		is = letter(c) || digit(c)
	case 'x':
		is = digit(c) || c|0x20 >= 'a' && c|0x20 <= 'f'
	case 'z':
		is = c == 0
	default:
		return class == c
	}
	if !letter(class) {
		return class == c
	}
	return is == (class >= 'a')
}

func letter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func digit(c byte) bool  { return c >= '0' && c <= '9' }

// greedy matches the item as often as it can and at least so many times.
func (s *match) greedy(i, p, next, least int) int {
	n, each := 0, 1+max(next-p-freeSet, 0)
	for s.single(i+n, p, next) {
		if n++; n%setSteps == 0 && !s.m.step(each) {
			return s.fail(s.m.why)
		}
	}
	for ; n >= least; n-- {
		if end := s.at(i+n, next+1); end >= 0 || s.err != nil {
			return end
		}
	}
	return -1
}

func (s *match) lazy(i, p, next int) int {
	for {
		if end := s.at(i, next+1); end >= 0 || s.err != nil {
			return end
		}
		if !s.read(next-p) || !s.single(i, p, next) {
			return -1
		}
		i++
	}
}

func (s *match) begin(i, p, size int) int {
	if s.level == maxCaptures {
		return s.fail(errors.New("too many captures"))
	}
	s.captures[s.level] = capture{i, size}
	s.level++
	end := s.at(i, p)
	if end < 0 {
		s.level--
	}
	return end
}

func (s *match) end(i, p int) int {
	k := s.level - 1
	for k >= 0 && s.captures[k].size != unfinished {
		k--
	}
	if k < 0 {
		return s.fail(errCapture)
	}
	s.captures[k].size = i - s.captures[k].at
	end := s.at(i, p)
	if end < 0 {
		s.captures[k].size = unfinished
	}
	return end
}

// balanced is where %bxy, whose x is at p, ends.
func (s *match) balanced(i, p int) int {
	if p+1 >= len(s.pattern) {
		return s.fail(errMalformed)
	}
	if i >= len(s.text) || s.text[i] != s.pattern[p] {
		return -1
	}
	open, shut := s.pattern[p], s.pattern[p+1]
	depth := 1
	for k := i + 1; k < len(s.text); k++ {
		switch s.text[k] {
		case shut:
			if depth--; depth == 0 {
				if !s.m.step((k - i) / 16) {
					return s.fail(s.m.why)
				}
				return k + 1
			}
		case open:
			depth++
		}
	}
	if !s.m.step((len(s.text) - i) / 16) {
		return s.fail(s.m.why)
	}
	return -1
}

// frontier is whether the text passes into the set pattern[p:next] at i.
func (s *match) frontier(i, p, next int) bool {
	var before, after byte
	if i > 0 {
		before = s.text[i-1]
	}
	if i < len(s.text) {
		after = s.text[i]
	}
	return !s.set(before, p, next-1) && s.set(after, p, next-1)
}

// again matches what capture %1 to %9 has matched.
func (s *match) again(i int, c byte) int {
	k := int(c) - '1'
	if k < 0 || k >= s.level || s.captures[k].size < 0 {
		return s.fail(errCapture)
	}
	had := s.text[s.captures[k].at:][:s.captures[k].size]
	if !s.m.step(len(had) / 64) {
		return s.fail(s.m.why)
	}
	if !strings.HasPrefix(s.text[i:], had) {
		return -1
	}
	return i + len(had)
}

// from tries the pattern at i, which is anchored or not, and where it does not
// match, further on. It gives where the match is, -1 for none.
func (s *match) from(i int) (begin, end int) {
	p, anchored := 0, strings.HasPrefix(s.pattern, "^")
	if anchored {
		p = 1
	}
	for ; i <= len(s.text); i++ {
		s.level = 0
		if end := s.at(i, p); end >= 0 {
			return i, end
		}
		if anchored || s.err != nil {
			break
		}
	}
	return -1, -1
}
