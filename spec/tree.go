package spec

import (
	"io/fs"
	"iter"
	"unicode/utf8"
)

// kind is the shape of a node.
type kind uint8

const (
	scalar kind = iota
	mapping
	sequence
)

func (k kind) String() string { return [...]string{"a value", "a map", "a list"}[k] }

const (
	// quoted: a scalar that is text whatever it looks like.
	quoted = 1 << iota
	// cooked: the text is in doc.cooked and not in doc.src, because it is not
	// what stands in the file (escapes, aliases, folded lines).
	cooked
	// closed: a flow collection in one line whose children are not in the tree;
	// they are parsed when somebody looks.
	closed
)

// node is one value of a document. Nodes lie in one slice without pointers, in
// the order of the text: the children of a node follow it, and next is the
// index of the first node that is not below it. A mapping's children are key,
// value, key, value. A million services are 48 MB this way.
type node struct {
	// off and end are the text of a scalar, or the span of a collection where
	// it is known (end is 0 where not).
	off, end  uint32
	line, col uint32
	next      uint32
	kind      kind
	flags     uint8
}

// document is one parsed file.
type document struct {
	name   string      // for messages
	dir    string      // relative paths in the file start here
	file   int         // index in Spec.Files
	mode   fs.FileMode // 0 when it is no file on a disk
	src    []byte
	cooked []byte
	nodes  []node
	ascii  bool // src is ASCII, so that columns are bytes
}

// ref is one node of one document. The zero value is no node.
type ref struct {
	d *document
	i uint32
}

func (r ref) node() *node { return &r.d.nodes[r.i] }
func (r ref) kind() kind  { return r.d.nodes[r.i].kind }
func (r ref) ok() bool    { return r.d != nil }

// raw is the text of a scalar before variables are expanded.
func (r ref) raw() []byte {
	n := r.node()
	if n.flags&cooked != 0 {
		return r.d.cooked[n.off:n.end]
	}
	return r.d.src[n.off:n.end]
}

// span is the text of a collection as it stands in the file, nil where it is
// not known. Two collections with the same span are equal.
func (r ref) span() []byte {
	n := r.node()
	if n.kind == scalar || n.flags&cooked != 0 || n.end == 0 {
		return nil
	}
	return r.d.src[n.off:n.end]
}

// null is whether a scalar says that there is nothing.
func (r ref) null() bool {
	n := r.node()
	if n.kind != scalar || n.flags&quoted != 0 {
		return false
	}
	switch string(r.raw()) {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// children are the nodes directly below r.
func (r ref) children() iter.Seq[ref] {
	r = r.open()
	return func(yield func(ref) bool) {
		last := r.node().next
		for i := r.i + 1; i < last; i = r.d.nodes[i].next {
			if !yield(ref{r.d, i}) {
				return
			}
		}
	}
}

// pairs are the keys and values of a mapping.
func (r ref) pairs() iter.Seq2[ref, ref] {
	r = r.open()
	return func(yield func(ref, ref) bool) {
		last := r.node().next
		for i := r.i + 1; i < last; {
			v := r.d.nodes[i].next
			if !yield(ref{r.d, i}, ref{r.d, v}) {
				return
			}
			i = r.d.nodes[v].next
		}
	}
}

// open is r with its children in the tree.
func (r ref) open() ref {
	n := r.node()
	if n.flags&closed == 0 {
		return r
	}
	d := *r.d
	d.nodes = make([]node, 0, 16)
	p := fast{d: &d, src: d.src, pos: int(n.off), line: n.line}
	// The column says where the line starts, in an ASCII file; in others the
	// line is searched for.
	p.lineStart = int(n.off) - int(n.col) + 1
	if !d.ascii {
		p.lineStart = int(n.off)
		for p.lineStart > 0 && d.src[p.lineStart-1] != '\n' {
			p.lineStart--
		}
	}
	p.flow(0) // it was parsed once already, so it cannot fail
	return ref{&d, 0}
}

// add appends a node and returns its index; the caller sets next.
func (d *document) add(n node) uint32 {
	i := uint32(len(d.nodes))
	n.next = i + 1
	d.nodes = append(d.nodes, n)
	return i
}

// close ends the collection at i: everything after it is below it.
func (d *document) close(i uint32) { d.nodes[i].next = uint32(len(d.nodes)) }

// column is the column, from 1, of the byte at pos in the line that starts at start.
func (d *document) column(start, pos int) uint32 {
	if d.ascii {
		return uint32(pos-start) + 1
	}
	return uint32(utf8.RuneCount(d.src[start:pos])) + 1
}
