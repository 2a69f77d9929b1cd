package document

import "bytes"

const (
	plainFirst  = 1 << iota // may start a plain scalar
	plainInside             // needs no look when inside of one
)

// plainBytes says of every byte what it may be in a plain scalar.
var plainBytes = func() (t [256]uint8) {
	for c := 0x21; c < 256; c++ {
		t[c] = plainFirst | plainInside
	}
	for _, c := range "-?:,[]{}#&*!|>'\"%@`=" {
		t[c] &^= plainFirst
	}
	for _, c := range ":#$" {
		t[c] &^= plainInside
	}
	t[0x7f] = 0
	return t
}()

// plainLen is the length of the plain scalar that starts here, 0 when it is
// none or not certainly one. It ends before a comment, the end of the line or
// the colon of a key, in a flow collection also before a comma or bracket.
func (p *fast) plainLen(inFlow bool) int {
	src := p.src[p.pos:]
	if len(src) == 0 {
		return 0
	}
	switch c := src[0]; {
	case plainBytes[c]&plainFirst != 0:
	case c == '-' && (word(p.peek(1)) || p.peek(1) == '.'):
	case c == ':' && (word(p.peek(1)) || p.peek(1) == ':' && word(p.peek(2))):
	default:
		return 0
	}
	if src[0] == '.' && bytes.HasPrefix(src, []byte("...")) {
		return 0
	}
	i, end := 0, 0 // end is just past the last character that is no space
scan:
	for i < len(src) {
		c := src[i]
		switch {
		case c == '\n':
			break scan
		case c == ' ':
			i++
			continue
		case c == '\t':
			return 0
		case c == '#':
			if i > 0 && src[i-1] == ' ' {
				break scan
			}
		case c == ':':
			if i+1 == len(src) || src[i+1] == ' ' || src[i+1] == '\n' {
				break scan
			}
			if inFlow && !word(src[i+1]) && src[i+1] != ':' && src[i+1] != '/' {
				return 0
			}
		case c == '$':
			if n := refLen(src[i:]); n > 0 {
				i += n
				end = i
				continue
			}
		case inFlow && (c == ',' || c == ']' || c == '}'):
			break scan
		case inFlow && (c == '[' || c == '{' || c == '?'):
			return 0
		}
		i++
		end = i
	}
	// A key's colon follows its text at once in what we read here.
	if i < len(src) && src[i] == ':' && end != i {
		return 0
	}
	return end
}

func word(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// quoted parses a quoted scalar that ends in the same line.
func (p *fast) quoted(quote byte) bool {
	line, col := p.line, p.col()
	p.pos++
	start := p.pos
	text := -1 // where the text starts in cooked, once it differs from the source
	for ; ; p.pos++ {
		c := p.peek(0)
		if c == '\n' || c == '\t' {
			return false
		}
		if c == quote {
			if quote == '\'' && p.peek(1) == '\'' {
				text = p.cook(text, start)
				p.d.cooked = append(p.d.cooked, '\'')
				p.pos++
				continue
			}
			break
		}
		if c == '\\' && quote == '"' {
			text = p.cook(text, start)
			p.pos++
			switch p.peek(0) {
			case '\\', '"', '/':
				c = p.peek(0)
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			default:
				return false
			}
		}
		if text >= 0 {
			p.d.cooked = append(p.d.cooked, c)
		}
	}
	n := cell{off: uint32(start), end: uint32(p.pos), line: line, col: col, flags: quoted}
	if text >= 0 {
		n.off, n.end, n.flags = uint32(text), uint32(len(p.d.cooked)), quoted|cooked
	}
	p.d.add(n)
	p.pos++
	p.last = p.pos
	return true
}

// cook starts the cooked text with what was read since start.
func (p *fast) cook(text, start int) int {
	if text >= 0 {
		return text
	}
	text = len(p.d.cooked)
	p.d.cooked = append(p.d.cooked, p.src[start:p.pos]...)
	return text
}
