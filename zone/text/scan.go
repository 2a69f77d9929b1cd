package text

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxEntry bounds the text of one entry, so that a parenthesis that is never
// closed does not make one entry of the rest of a large file. The data of a
// record are at most 65,535 bytes, each of at most four characters.
const maxEntry = 1 << 20

// token is one item of an entry (RFC 1035 section 5.1), as it is in the file.
type token struct {
	text    string // without its quotes; escapes are left, and sound
	quoted  bool
	escaped bool // text has a \
	mixed   bool // a word with a quoted part: key="value"
}

// entry is a line, or several held together by parentheses.
type entry struct {
	line   int
	blank  bool // begins with white space: the owner is left out
	tokens []token
	err    *syntaxError // the first
}

type syntaxError struct {
	line int
	err  error
}

// scanner divides text into entries. An error ends no more than the entry that
// it is in.
type scanner struct {
	text string // from the entry at hand on, all or what is read so far
	off  int
	line int // of text[off], from 1
	e    entry

	in  io.Reader // of what comes after text; nil is nothing
	buf []byte
	err error // of in
}

func newScanner(text string) *scanner {
	return &scanner{text: strings.TrimPrefix(text, bom), line: 1}
}

// newStream scans a file of about size octets.
func newStream(in io.Reader, size int64) *scanner {
	// One octet more than the file has shows its end.
	s := &scanner{line: 1, in: in, buf: make([]byte, max(512, min(window, size+1)))}
	s.more()
	s.text = strings.TrimPrefix(s.text, bom)
	return s
}

const (
	bom    = "\ufeff"
	window = 256 << 10 // of a file that is read at once
)

// more reads on, and drops the text before off.
func (s *scanner) more() {
	rest := s.text[s.off:]
	if len(s.buf) < len(rest) { // an entry longer than what was read: twice as much
		s.buf = make([]byte, len(rest))
	}
	n, err := io.ReadFull(s.in, s.buf)
	if err != nil {
		s.in = nil
		if err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			s.err = err
			s.text, s.off = "", 0 // half an entry is none
			return
		}
	}
	var b strings.Builder
	b.Grow(len(rest) + n)
	b.WriteString(rest)
	b.Write(s.buf[:n])
	s.text, s.off = b.String(), 0
}

// The kinds of bytes outside quotes.
const (
	plain = iota
	white
	newline
	comment
	quote
	open
	shut
	escape
)

// kinds has '\r' as white space, so that lines may end with CRLF.
var kinds = [256]uint8{
	' ': white, '\t': white, '\r': white, '\n': newline, ';': comment,
	'"': quote, '(': open, ')': shut, '\\': escape,
}

// next reads the next entry that has tokens or an error. The entry is good
// until the next call; nil is the end.
func (s *scanner) next() *entry {
	for {
		off, line := s.off, s.line
		if off < len(s.text) {
			s.read()
		}
		switch {
		case s.off == len(s.text) && s.in != nil:
			// The entry may go on in what is not read yet, so it is read again.
			s.off, s.line = off, line
			s.more()
		case off == len(s.text):
			return nil
		case len(s.e.tokens) > 0 || s.e.err != nil:
			return &s.e
		}
	}
}

// read reads one entry, which may be an empty line, and leaves s behind its
// newline; or at the end of text, if the entry goes on in what is not read yet.
func (s *scanner) read() {
	start, startLine := s.off, s.line
	s.e = entry{
		line:   startLine,
		blank:  kinds[s.text[s.off]] == white,
		tokens: s.e.tokens[:0],
	}
	depth, openLine := 0, 0
	for s.off < len(s.text) {
		if s.off-start > maxEntry {
			if depth > 0 {
				break
			}
			s.fail(errors.New("the line is longer than 1 MiB"))
			if s.skipLine(); s.off == len(s.text) {
				return
			}
		}
		switch kinds[s.text[s.off]] {
		case white:
			s.off++
		case newline:
			s.off++
			s.line++
			if depth == 0 {
				return
			}
		case comment:
			s.skipLine()
		case open:
			if depth == 0 {
				openLine = s.line
			}
			depth++
			s.off++
		case shut:
			depth--
			s.off++
			if depth < 0 {
				s.fail(errors.New(") without a ( before it"))
				depth = 0
			}
		case quote:
			from := s.off + 1
			escaped := s.quoted()
			to := s.off
			if to > from && s.text[to-1] == '"' {
				to--
			}
			s.e.tokens = append(s.e.tokens, token{text: s.text[from:to], quoted: true, escaped: escaped})
		default:
			s.word()
		}
	}
	if depth > 0 && (s.off < len(s.text) || s.in == nil) {
		s.resume(start, startLine, openLine)
	}
}

// resume reports a parenthesis that is not closed and goes back behind the line
// of it, to the first line that begins with no white space: it is likely to be
// the next record.
func (s *scanner) resume(start, startLine, openLine int) {
	s.e.err = nil // what came after the parenthesis is read again
	s.off, s.line = start, openLine
	s.fail(errors.New("( is not closed"))
	s.line = startLine
	for s.off < len(s.text) {
		s.skipLine()
		if s.off == len(s.text) {
			return
		}
		s.off++
		s.line++
		if s.line <= openLine || s.off == len(s.text) {
			continue
		}
		switch kinds[s.text[s.off]] {
		case plain, escape, quote, open:
			return
		}
	}
}

// skipLine goes to the next newline, or to the end.
func (s *scanner) skipLine() {
	if n := strings.IndexByte(s.text[s.off:], '\n'); n >= 0 {
		s.off += n
		return
	}
	s.off = len(s.text)
}

// word reads an unquoted token. A quoted part within it belongs to it, for the
// parameters of SVCB (RFC 9460 section 2.1).
func (s *scanner) word() {
	from := s.off
	var t token
	for s.off < len(s.text) {
		switch kinds[s.text[s.off]] {
		case plain:
			s.off++
			continue
		case escape:
			t.escaped = true
			s.skipEscape()
			continue
		case quote:
			t.mixed = true
			t.escaped = s.quoted() || t.escaped
			continue
		}
		break
	}
	t.text = s.text[from:s.off]
	s.e.tokens = append(s.e.tokens, t)
}

// quoted reads from a quotation mark to behind the next, and tells whether
// there are escapes between them. A newline ends it too: a mark that was
// forgotten spoils one line and not the file.
func (s *scanner) quoted() (escaped bool) {
	s.off++
	for s.off < len(s.text) {
		switch s.text[s.off] {
		case '"':
			s.off++
			return escaped
		case '\n':
			s.fail(errors.New(`" is not closed on its line`))
			return escaped
		case '\\':
			escaped = true
			s.skipEscape()
		default:
			s.off++
		}
	}
	s.fail(errors.New(`" is not closed on its line`))
	return escaped
}

func (s *scanner) skipEscape() {
	n, err := checkEscape(s.text[s.off:])
	if err != nil {
		s.fail(err)
	}
	s.off += n
}

// fail keeps the first error of an entry.
func (s *scanner) fail(err error) {
	if s.e.err == nil {
		s.e.err = &syntaxError{line: s.line, err: fmt.Errorf("syntax: %w", err)}
	}
}
