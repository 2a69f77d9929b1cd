package document

import "bytes"

// closedFlow parses a flow collection to see that it can, and adds it without
// its children.
func (p *fast) closedFlow(open byte) bool {
	k := Sequence
	if open == '{' {
		k = Mapping
	}
	rest := p.src[p.pos:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i]
	}
	n, known := p.flows[string(rest)]
	if !known {
		save, cells, text := p.pos, len(p.d.cells), len(p.d.cooked)
		if !p.flow(0) {
			return false
		}
		n = p.pos - save
		p.pos = save
		p.d.cells, p.d.cooked = p.d.cells[:cells], p.d.cooked[:text]
		if len(p.flows) < maxFlows {
			p.flows[string(rest)] = n
		}
	}
	p.d.add(cell{
		off: uint32(p.pos), end: uint32(p.pos + n), line: p.line, col: p.col(), kind: k, flags: closed,
	})
	p.pos += n
	p.last = p.pos
	return true
}

// spaces goes over spaces within a line.
func (p *fast) spaces() {
	for p.pos < len(p.src) && p.src[p.pos] == ' ' {
		p.pos++
	}
}

// flow parses a flow collection that ends in the same line.
func (p *fast) flow(depth int) bool {
	if depth > maxFastDepth {
		return false
	}
	k, closing := Sequence, byte(']')
	if p.src[p.pos] == '{' {
		k, closing = Mapping, '}'
	}
	i := p.start(k)
	p.pos++
	for {
		p.spaces()
		if p.peek(0) == closing {
			p.pos++
			p.last = p.pos
			return p.end(i)
		}
		switch {
		case k == Mapping:
			if !p.flowKey() || !p.flowValue(depth) {
				return false
			}
		case !p.flowItem(depth):
			return false
		}
		p.spaces()
		switch p.peek(0) {
		case ',':
			p.pos++
		case closing:
		default:
			return false
		}
	}
}

// flowItem parses an item of a flow list: a value, or a map of one key that
// stands without braces, as in [limit: 2].
func (p *fast) flowItem(depth int) bool {
	pos, cells, text := p.pos, len(p.d.cells), len(p.d.cooked)
	if !p.flowValue(depth) {
		return false
	}
	if p.peek(0) != ':' {
		return true
	}
	p.pos = pos
	p.d.cells, p.d.cooked = p.d.cells[:cells], p.d.cooked[:text]
	i := p.start(Mapping)
	if !p.flowKey() || !p.flowValue(depth) {
		return false
	}
	return p.end(i)
}

func (p *fast) flowKey() bool {
	start := p.pos
	switch c := p.peek(0); {
	case c == '"' || c == '\'':
		if !p.quoted(c) {
			return false
		}
	case c == '-' || c == ':':
		return false
	default:
		n := p.plainLen(true)
		if n == 0 || bytes.Equal(p.src[p.pos:p.pos+n], []byte("<<")) {
			return false
		}
		p.scalar(n, 0)
	}
	if p.pos-start > maxFastKey || p.peek(0) != ':' || p.peek(1) != ' ' {
		return false
	}
	p.pos++
	p.spaces()
	return true
}

func (p *fast) flowValue(depth int) bool {
	switch c := p.peek(0); c {
	case '{', '[':
		return p.flow(depth + 1)
	case '"', '\'':
		return p.quoted(c)
	}
	n := p.plainLen(true)
	if n == 0 {
		return false
	}
	p.scalar(n, 0)
	return true
}
