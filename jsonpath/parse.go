package jsonpath

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxLength is the length of the longest path in bytes.
const MaxLength = 1024

// Path is a path made ready. It is safe for concurrent use.
type Path struct {
	text string
	query
}

// String gives the path as it was written.
func (p *Path) String() string { return p.text }

// query is what begins with $, or with @ in a filter.
type query struct {
	relative bool // begins with @
	segments []segment
}

// segment is one step: of each value that the steps before it found it selects
// children, or descendants as well.
type segment struct {
	descendant bool
	selectors  []selector
}

type selectorKind byte

const (
	byName selectorKind = iota
	byIndex
	everything
	bySlice
	byFilter
)

type selector struct {
	kind       selectorKind
	name       string
	index      int64
	start, end *int64 // of a slice; nil: not stated
	step       int64
	filter     expression
}

// singular says that q finds one value at most (RFC 9535 section 2.3.5.1).
func (q *query) singular() bool {
	for _, s := range q.segments {
		if s.descendant || len(s.selectors) != 1 || s.selectors[0].kind > byIndex {
			return false
		}
	}
	return true
}

// Parse makes a path ready. Its errors name the place in bytes from 1.
func Parse(s string) (*Path, error) {
	switch {
	case len(s) > MaxLength:
		return nil, fmt.Errorf("path: longer than %d bytes", MaxLength)
	case !utf8.ValidString(s):
		return nil, errors.New("path: not UTF-8")
	case s == "" || s[0] != '$':
		return nil, errors.New("path: does not begin with $")
	}
	r := &reader{s: s, at: 1}
	p := &Path{text: s}
	var err error
	if p.segments, err = r.segments(); err != nil {
		return nil, err
	}
	if r.at != len(s) {
		return nil, r.errorf("a segment such as .name or [0] is expected")
	}
	return p, nil
}

// reader is a path that is being read.
type reader struct {
	s  string
	at int
}

func (r *reader) errorf(format string, args ...any) error {
	return fmt.Errorf("path: at byte %d: %s", r.at+1, fmt.Sprintf(format, args...))
}

// peek is the next byte, 0 at the end.
func (r *reader) peek() byte {
	if r.at < len(r.s) {
		return r.s[r.at]
	}
	return 0
}

// take goes behind the token if it is next.
func (r *reader) take(token string) bool {
	if strings.HasPrefix(r.s[r.at:], token) {
		r.at += len(token)
		return true
	}
	return false
}

func (r *reader) blanks() {
	for r.at < len(r.s) && strings.IndexByte(" \t\n\r", r.s[r.at]) >= 0 {
		r.at++
	}
}

func (r *reader) segments() ([]segment, error) {
	var out []segment
	for {
		before := r.at
		r.blanks()
		var s segment
		var err error
		switch {
		case r.take(".."):
			s.descendant = true
			if r.peek() == '[' {
				s.selectors, err = r.brackets()
			} else {
				s.selectors, err = r.shorthand()
			}
		case r.take("."):
			s.selectors, err = r.shorthand()
		case r.peek() == '[':
			s.selectors, err = r.brackets()
		default:
			// Blanks are part of a query only before a segment.
			r.at = before
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
}

// shorthand reads what may follow a dot: * or a name without quotes.
func (r *reader) shorthand() ([]selector, error) {
	if r.take("*") {
		return []selector{{kind: everything}}, nil
	}
	name := r.word()
	if name == "" {
		return nil, r.errorf("a name or * is expected behind the dot; other names stand in brackets and quotes: ['...']")
	}
	return []selector{{kind: byName, name: name}}, nil
}

// word reads a name of RFC 9535's member-name-shorthand, "" when there is none.
func (r *reader) word() string {
	start := r.at
	for r.at < len(r.s) {
		c := r.s[r.at]
		digit := '0' <= c && c <= '9'
		if !(c == '_' || c >= 0x80 || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || digit && r.at > start) {
			break
		}
		r.at++
	}
	return r.s[start:r.at]
}

func (r *reader) brackets() ([]selector, error) {
	r.at++ // the bracket
	var out []selector
	for {
		r.blanks()
		s, err := r.selector()
		if err != nil {
			return nil, err
		}
		out = append(out, s)
		r.blanks()
		switch {
		case r.take(","):
		case r.take("]"):
			return out, nil
		default:
			return nil, r.errorf("] or , is expected")
		}
	}
}

func (r *reader) selector() (selector, error) {
	switch c := r.peek(); {
	case c == '\'' || c == '"':
		name, err := r.quoted()
		return selector{kind: byName, name: name}, err
	case r.take("*"):
		return selector{kind: everything}, nil
	case r.take("?"):
		r.blanks()
		e, err := r.either()
		return selector{kind: byFilter, filter: e}, err
	case c == '-' || c == ':' || '0' <= c && c <= '9':
		return r.slice()
	}
	return selector{}, r.errorf("a selector is expected: a name in quotes, a number, a slice, * or ?")
}

// slice reads an index or a slice.
func (r *reader) slice() (selector, error) {
	bound := func() (*int64, error) {
		if c := r.peek(); c != '-' && (c < '0' || c > '9') {
			return nil, nil
		}
		n, err := r.integer()
		r.blanks()
		return &n, err
	}
	start, err := bound()
	if err != nil {
		return selector{}, err
	}
	if !r.take(":") {
		return selector{kind: byIndex, index: *start}, nil
	}
	s := selector{kind: bySlice, start: start, step: 1}
	r.blanks()
	if s.end, err = bound(); err != nil || !r.take(":") {
		return s, err
	}
	r.blanks()
	step, err := bound()
	if step != nil {
		s.step = *step
	}
	return s, err
}

// integer reads a whole number that JSON can carry exactly (RFC 9535 section 2.1).
func (r *reader) integer() (int64, error) {
	start := r.at
	r.take("-")
	for c := r.peek(); '0' <= c && c <= '9'; c = r.peek() {
		r.at++
	}
	digits := strings.TrimPrefix(r.s[start:r.at], "-")
	n, err := strconv.ParseInt(r.s[start:r.at], 10, 64)
	const exact = 1<<53 - 1
	if err != nil || digits[0] == '0' && r.at-start > 1 || n > exact || n < -exact {
		r.at = start
		return 0, r.errorf("a whole number is expected, without leading zeros and within 2^53")
	}
	return n, nil
}

// quoted reads a string in single or double quotes.
func (r *reader) quoted() (string, error) {
	quote := r.s[r.at]
	start := r.at
	r.at++
	var b strings.Builder
	for r.at < len(r.s) {
		c := r.s[r.at]
		switch {
		case c == quote:
			r.at++
			return b.String(), nil
		case c < ' ':
			return "", r.errorf("a control character has to be escaped")
		case c == '\\':
			if err := r.escape(&b, quote); err != nil {
				return "", err
			}
		default:
			b.WriteByte(c)
			r.at++
		}
	}
	r.at = start
	return "", r.errorf("the quote is not closed")
}

func (r *reader) escape(b *strings.Builder, quote byte) error {
	r.at++ // the backslash
	c := r.peek()
	if i := strings.IndexByte(`bfnrt/\`, c); i >= 0 && c != 0 {
		b.WriteByte("\b\f\n\r\t/\\"[i])
		r.at++
		return nil
	}
	switch c {
	case quote:
		b.WriteByte(c)
		r.at++
		return nil
	case 'u':
		u, ok := r.hex()
		if ok && utf16.IsSurrogate(u) {
			// Only a high one with a low one behind it is a character.
			var low rune
			if r.take(`\`) && r.peek() == 'u' {
				low, ok = r.hex()
			}
			u = utf16.DecodeRune(u, low)
			ok = ok && u != utf8.RuneError
		}
		if ok {
			b.WriteRune(u)
			return nil
		}
	}
	return r.errorf("this is no escape of a string")
}

// hex reads u and four hexadecimal digits.
func (r *reader) hex() (rune, bool) {
	if len(r.s)-r.at < 5 {
		return 0, false
	}
	n, err := strconv.ParseUint(r.s[r.at+1:r.at+5], 16, 16)
	if err != nil {
		return 0, false
	}
	r.at += 5
	return rune(n), true
}

// either reads what stands between ||.
func (r *reader) either() (expression, error) {
	return r.joined("||", (*reader).both, func(es []expression) expression { return anyOf(es) })
}

// both reads what stands between &&.
func (r *reader) both() (expression, error) {
	return r.joined("&&", (*reader).basic, func(es []expression) expression { return allOf(es) })
}

func (r *reader) joined(by string, one func(*reader) (expression, error), join func([]expression) expression) (expression, error) {
	var out []expression
	for {
		e, err := one(r)
		if err != nil {
			return nil, err
		}
		out = append(out, e)
		before := r.at
		r.blanks()
		if !r.take(by) {
			r.at = before
			if len(out) == 1 {
				return e, nil
			}
			return join(out), nil
		}
		r.blanks()
	}
}

// basic reads a parenthesis, a comparison, or the test whether something is there.
func (r *reader) basic() (expression, error) {
	if r.take("!") {
		r.blanks()
		if r.peek() != '(' && r.peek() != '@' && r.peek() != '$' {
			return nil, r.errorf("a path or a parenthesis is expected behind !, and functions are not supported")
		}
		e, err := r.operand()
		return not{e}, err
	}
	return r.comparison()
}

// operand reads what ! is for.
func (r *reader) operand() (expression, error) {
	if r.take("(") {
		r.blanks()
		e, err := r.either()
		if err != nil {
			return nil, err
		}
		r.blanks()
		if !r.take(")") {
			return nil, r.errorf(") is expected")
		}
		return e, nil
	}
	q, err := r.query()
	return &exists{q}, err
}

// operators are in an order in which none hides a longer one.
var operators = []string{"==", "!=", "<=", ">=", "<", ">"}

func (r *reader) comparison() (expression, error) {
	if r.peek() == '(' {
		return r.operand()
	}
	start := r.at
	left, err := r.comparable()
	if err != nil {
		return nil, err
	}
	before := r.at
	r.blanks()
	for _, op := range operators {
		if !r.take(op) {
			continue
		}
		r.blanks()
		second := r.at
		right, err := r.comparable()
		if err != nil {
			return nil, err
		}
		for _, c := range []struct {
			side  operand
			begin int
		}{{left, start}, {right, second}} {
			if c.side.query != nil && !c.side.query.singular() {
				r.at = c.begin
				return nil, r.errorf("a path that can find several values cannot be compared")
			}
		}
		return &comparison{op, left, right}, nil
	}
	r.at = before
	if left.query == nil {
		return nil, r.errorf("a comparison is expected: ==, !=, <, <=, > or >=")
	}
	return &exists{left.query}, nil
}

// comparable reads a path or a literal.
func (r *reader) comparable() (operand, error) {
	switch c := r.peek(); {
	case c == '@' || c == '$':
		q, err := r.query()
		return operand{query: q}, err
	case c == '\'' || c == '"':
		s, err := r.quoted()
		return operand{literal: s}, err
	case c == '-' || '0' <= c && c <= '9':
		return r.number()
	}
	start := r.at
	switch r.word() {
	case "true":
		return operand{literal: true}, nil
	case "false":
		return operand{literal: false}, nil
	case "null":
		return operand{}, nil
	case "":
		return operand{}, r.errorf("a path, a number, a string, true, false or null is expected")
	}
	if r.peek() == '(' {
		r.at = start
		return operand{}, r.errorf("functions are not supported")
	}
	r.at = start
	return operand{}, r.errorf("strings stand in quotes")
}

func (r *reader) query() (*query, error) {
	q := &query{relative: r.peek() == '@'}
	r.at++
	var err error
	q.segments, err = r.segments()
	return q, err
}

// number reads a literal of JSON's form.
func (r *reader) number() (operand, error) {
	start := r.at
	for r.at < len(r.s) && strings.IndexByte("-+.eE0123456789", r.s[r.at]) >= 0 {
		r.at++
	}
	text := r.s[start:r.at]
	if !json.Valid([]byte(text)) {
		r.at = start
		return operand{}, r.errorf("this is no number")
	}
	return operand{literal: json.Number(text)}, nil
}
