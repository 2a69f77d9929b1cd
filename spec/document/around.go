package document

import "sort"

// Gap is where lines of a text have been cut out before it is parsed.
type Gap struct {
	After int // how many lines of the text that is left stand before it
	Lines int // how many have been cut out
}

// ParseAround reads a document out of which lines have been cut. Gaps are in
// their order; its nodes say the lines at which they stood before. It is for the
// part of YAML in which a line depends on the lines around it by its indentation
// alone, the part that the fast parser reads: not ok is that the text is not
// certainly of that part, or not YAML.
func ParseAround(name string, file int, text []byte, gaps []Gap) (top Node, ok bool) {
	d := &document{name: name, file: file, src: text}
	if !parseFast(d) {
		return Node{}, false
	}
	cut, sum := make([]uint32, len(gaps)+1), 0
	for i, g := range gaps {
		sum += g.Lines
		cut[i+1] = uint32(sum)
	}
	for i := range d.cells {
		c := &d.cells[i]
		c.line += cut[sort.Search(len(gaps), func(k int) bool { return gaps[k].After >= int(c.line) })]
	}
	return Node{d, 0}, true
}

// ParseFlow reads a flow map that is a whole text, without a line break. Not ok
// is that the fast parser does not read it.
func ParseFlow(name string, file int, text []byte) (top Node, ok bool) {
	d := &document{name: name, file: file, src: text}
	if len(text) == 0 || text[0] != '{' || !d.readable() {
		return Node{}, false
	}
	d.cells = make([]cell, 0, 16)
	p := fast{d: d, src: text, line: 1}
	if !p.flow(0) || p.pos != len(text) {
		return Node{}, false
	}
	return Node{d, 0}, true
}
