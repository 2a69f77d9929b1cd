package document

import "unicode/utf8"

const (
	// quoted: a scalar that is text whatever it looks like.
	quoted = 1 << iota
	// cooked: the text is in document.cooked and not in document.src, because it
	// is not what stands in the file (escapes, aliases, folded lines).
	cooked
	// closed: a flow collection in one line whose children are not in the tree;
	// they are parsed when somebody looks.
	closed
)

// cell is what a node is kept in. Cells lie in one slice without pointers, in
// the order of the text: the children of a node follow it, and next is the
// index of the first one that is not below it. A mapping's children are key,
// value, key, value. A million services are 48 MB this way.
type cell struct {
	// off and end are the text of a scalar, or the span of a collection where
	// it is known (end is 0 where not).
	off, end  uint32
	line, col uint32
	next      uint32
	kind      Kind
	flags     uint8
}

// document is one parsed text. One that could not be read has no cells.
type document struct {
	name   string
	file   int
	src    []byte
	cooked []byte
	cells  []cell
	ascii  bool // src is ASCII, so that columns are bytes
}

func (n Node) cell() *cell { return &n.d.cells[n.i] }

// open is n with its children in the tree.
func (n Node) open() Node {
	c := n.cell()
	if c.flags&closed == 0 {
		return n
	}
	d := *n.d
	d.cells = make([]cell, 0, 16)
	p := fast{d: &d, src: d.src, pos: int(c.off), line: c.line}
	// The column says where the line starts, in an ASCII file; in others the
	// line is searched for.
	p.lineStart = int(c.off) - int(c.col) + 1
	if !d.ascii {
		p.lineStart = int(c.off)
		for p.lineStart > 0 && d.src[p.lineStart-1] != '\n' {
			p.lineStart--
		}
	}
	p.flow(0) // it was parsed once already, so it cannot fail
	return Node{&d, 0}
}

// add appends a cell and returns its index; the caller fills in what is below it.
func (d *document) add(c cell) uint32 {
	i := uint32(len(d.cells))
	c.next = i + 1
	d.cells = append(d.cells, c)
	return i
}

// close ends the collection at i: everything after it is below it.
func (d *document) close(i uint32) { d.cells[i].next = uint32(len(d.cells)) }

// column is the column, from 1, of the byte at pos in the line that starts at start.
func (d *document) column(start, pos int) uint32 {
	if d.ascii {
		return uint32(pos-start) + 1
	}
	return uint32(utf8.RuneCount(d.src[start:pos])) + 1
}
