package document

import (
	"bytes"
	"unicode/utf8"
)

// parseFast reads the part of YAML that most configurations are written in:
// block maps and lists indented with spaces, flow maps and lists in one line,
// plain and quoted scalars in one line, comments. It makes the same tree as the
// library in a tenth of the time, or says false: then the library decides,
// whatever it was that this parser did not know.
func parseFast(d *document) bool {
	d.cells, d.cooked = nil, nil
	if len(d.src) > 1<<32-2 || !d.readable() {
		return false
	}
	// Two nodes a line are a key and its value.
	d.cells = make([]cell, 0, 2*bytes.Count(d.src, []byte{'\n'})+16)
	p := fast{d: d, src: d.src, line: 1, flows: map[string]int{}}
	ok := p.document()
	if !ok {
		d.cells, d.cooked = nil, nil
	}
	return ok
}

// readable looks at every character once: there is nothing in the text that
// the library refuses, or takes for a line break, or that shield uses.
func (d *document) readable() bool {
	d.ascii = true
	for _, c := range d.src {
		if c >= 0x80 {
			d.ascii = false
		} else if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
	}
	if d.ascii {
		return true
	}
	if !utf8.Valid(d.src) {
		return false
	}
	for i := 0; i < len(d.src); {
		r, n := utf8.DecodeRune(d.src[i:])
		i += n
		switch {
		case r < 0x80:
		case r < 0xa0, r == 0x2028, r == 0x2029, r == 0xfeff, r == 0xfffe, r == 0xffff,
			r >= shieldFirst && r <= shieldLast, r > 0xffff:
			return false
		}
	}
	return true
}

// maxFastDepth bounds recursion; deeper documents are the library's.
const maxFastDepth = 50

// maxFlows bounds the memory for texts that were parsed already.
const maxFlows = 1 << 14

// maxFastKey is well below the 1,024 characters at which YAML ends a key.
const maxFastKey = 500

// fast is the state of the fast parser. pos is the next byte to read.
type fast struct {
	d         *document
	src       []byte
	pos       int
	line      uint32
	lineStart int
	last      int // just past the last token, where a collection's span ends

	// flows are the rests of lines that were flow collections, and the length
	// of the collection in them: a million services end in a few of them.
	flows map[string]int
}

func (p *fast) col() uint32 { return p.d.column(p.lineStart, p.pos) }

func (p *fast) indent() int { return p.pos - p.lineStart }

// peek is the byte n further on, a line break at the end of the text.
func (p *fast) peek(n int) byte {
	if p.pos+n >= len(p.src) {
		return '\n'
	}
	return p.src[p.pos+n]
}

// blank is whether the byte n further on ends a word.
func (p *fast) blank(n int) bool {
	c := p.peek(n)
	return c == ' ' || c == '\n'
}

func (p *fast) document() bool {
	more, ok := p.next()
	if !ok || !more {
		return false
	}
	if p.indent() == 0 && bytes.HasPrefix(p.src[p.pos:], []byte("---")) {
		p.pos += 3
		line := p.line
		if more, ok = p.next(); !ok || !more || p.line == line {
			return false
		}
	}
	if !p.block(0) {
		return false
	}
	// The collection ended because of something that it does not know.
	return p.pos >= len(p.src)
}

// next goes to the next token, over the rest of a line, comments and empty
// lines. more is false at the end of the text.
func (p *fast) next() (more, ok bool) {
	start := p.pos
	for p.pos < len(p.src) {
		switch p.src[p.pos] {
		case ' ':
			p.pos++
		case '\n':
			p.pos++
			p.line++
			p.lineStart = p.pos
			start = p.pos
		case '#':
			if p.pos == start && p.pos != p.lineStart {
				return false, false // a comment has a space before it
			}
			i := bytes.IndexByte(p.src[p.pos:], '\n')
			if i < 0 {
				i = len(p.src) - p.pos
			}
			p.pos += i
		case '\t':
			return false, false
		default:
			// At the start of a line, or something after a value: the caller
			// sees which by the line number.
			return true, true
		}
	}
	return false, true
}

// block parses the block collection that starts here.
func (p *fast) block(depth int) bool {
	if depth > maxFastDepth {
		return false
	}
	if p.src[p.pos] == '-' && p.blank(1) {
		return p.sequence(depth)
	}
	return p.mapping(depth)
}

func (p *fast) start(k Kind) uint32 {
	return p.d.add(cell{off: uint32(p.pos), line: p.line, col: p.col(), kind: k})
}

func (p *fast) end(i uint32) bool {
	p.d.cells[i].end = uint32(p.last)
	p.d.close(i)
	return true
}

// absent adds the null that stands just past what was read last.
func (p *fast) absent(line uint32, col uint32) {
	p.d.add(cell{line: line, col: col})
}

func (p *fast) mapping(depth int) bool {
	indent := p.indent()
	m := p.start(Mapping)
	for {
		if !p.key() {
			return false
		}
		line, col := p.line, p.col()
		more, ok := p.next()
		switch {
		case !ok:
			return false
		case more && p.line == line:
			if !p.inline() {
				return false
			}
			line = p.line
			if more, ok = p.next(); !ok || more && (p.line == line || p.indent() > indent) {
				return false // something after the value, or a value that goes on
			}
		case !more || p.indent() < indent || p.indent() == indent && !(p.src[p.pos] == '-' && p.blank(1)):
			p.absent(line, col)
		default:
			if !p.block(depth + 1) {
				return false
			}
			more = p.pos < len(p.src)
			if more && p.indent() > indent {
				return false
			}
		}
		if !more || p.indent() < indent {
			return p.end(m)
		}
	}
}

func (p *fast) sequence(depth int) bool {
	indent := p.indent()
	s := p.start(Sequence)
	for {
		p.pos++ // the hyphen
		p.last = p.pos
		line, col := p.line, p.col()
		more, ok := p.next()
		switch {
		case !ok:
			return false
		case more && p.line == line:
			if p.src[p.pos] == '-' && p.blank(1) {
				return false
			}
			if p.keyAhead() {
				if !p.mapping(depth + 1) {
					return false
				}
				more = p.pos < len(p.src)
			} else {
				if !p.inline() {
					return false
				}
				line = p.line
				if more, ok = p.next(); !ok || more && p.line == line {
					return false
				}
			}
			if more && p.indent() > indent {
				return false
			}
		case !more || p.indent() <= indent:
			p.absent(line, col)
		default:
			if !p.block(depth + 1) {
				return false
			}
			more = p.pos < len(p.src)
			if more && p.indent() > indent {
				return false
			}
		}
		if !more || p.indent() < indent || !(p.src[p.pos] == '-' && p.blank(1)) {
			return p.end(s)
		}
	}
}

// keyAhead is whether a key of a map stands here.
func (p *fast) keyAhead() bool {
	save, cells, text := p.pos, len(p.d.cells), len(p.d.cooked)
	last := p.last
	ok := p.key()
	p.pos, p.last = save, last
	p.d.cells, p.d.cooked = p.d.cells[:cells], p.d.cooked[:text]
	return ok
}

// key parses a key and its colon.
func (p *fast) key() bool {
	start := p.pos
	switch c := p.peek(0); {
	case c == '"' || c == '\'':
		if !p.quoted(c) {
			return false
		}
	case c == '-' || c == '.' || c == ':':
		return false
	default:
		n := p.plainLen(false)
		if n == 0 || bytes.Equal(p.src[p.pos:p.pos+n], []byte("<<")) {
			return false
		}
		p.scalar(n, 0)
	}
	if p.pos-start > maxFastKey || p.peek(0) != ':' || !p.blank(1) {
		return false
	}
	p.pos++
	p.last = p.pos
	return true
}

// scalar adds the next n bytes as a node.
func (p *fast) scalar(n int, flags uint8) {
	p.d.add(cell{off: uint32(p.pos), end: uint32(p.pos + n), line: p.line, col: p.col(), flags: flags})
	p.pos += n
	p.last = p.pos
}

// inline parses a value that stands behind its key or hyphen.
func (p *fast) inline() bool {
	switch c := p.src[p.pos]; c {
	case '{', '[':
		return p.closedFlow(c)
	case '"', '\'':
		return p.quoted(c)
	}
	n := p.plainLen(false)
	if n == 0 {
		return false
	}
	p.scalar(n, 0)
	return true
}
