package document

import (
	"fmt"
	"iter"
)

// Parse reads one document and returns its top. The name and the number are
// what its nodes say that they are of. It keeps the text, which must not change
// any more. Without errors there is a top.
func Parse(name string, file int, text []byte) (Node, []Error) {
	d := &document{name: name, file: file, src: text}
	if !parseFast(d) {
		if errs := parseLibrary(d); len(errs) > 0 {
			return Node{}, errs
		}
	}
	return Node{d, 0}, nil
}

// Error is why a document could not be read, at its place.
type Error struct {
	Line, Col int // from 1, in characters; 0 when the whole document is meant
	Msg       string
}

// Error is "line:col: why".
func (e Error) Error() string { return fmt.Sprintf("%d:%d: %s", e.Line, e.Col, e.Msg) }

// Kind is the shape of a node.
type Kind uint8

// The kinds.
const (
	Scalar Kind = iota
	Mapping
	Sequence
)

// String is what a reader of messages calls it, with its article.
func (k Kind) String() string { return [...]string{"a value", "a map", "a list"}[k] }

// Node is one value of one document. The zero value is no node, and has no
// method but IsZero.
type Node struct {
	d *document
	i uint32
}

// IsZero is whether this is no node.
func (n Node) IsZero() bool { return n.d == nil }

// Name is the name of the document.
func (n Node) Name() string { return n.d.name }

// File is the number of the document.
func (n Node) File() int { return n.d.file }

// Line is where the node starts, from 1.
func (n Node) Line() int { return int(n.cell().line) }

// Col is where the node starts, from 1, in characters.
func (n Node) Col() int { return int(n.cell().col) }

// Kind is the shape of the node.
func (n Node) Kind() Kind { return n.cell().kind }

// Raw is the text of a scalar before variables are expanded. It is not to be changed.
func (n Node) Raw() []byte {
	c := n.cell()
	if c.flags&cooked != 0 {
		return n.d.cooked[c.off:c.end]
	}
	return n.d.src[c.off:c.end]
}

// Quoted is whether a scalar is text whatever it looks like.
func (n Node) Quoted() bool { return n.cell().flags&quoted != 0 }

// Span is the text of a collection as it stands in the file, nil where it is
// not known. Two collections with the same span are equal.
func (n Node) Span() []byte {
	c := n.cell()
	if c.kind == Scalar || c.flags&cooked != 0 || c.end == 0 {
		return nil
	}
	return n.d.src[c.off:c.end]
}

// Null is whether a scalar says that there is nothing.
func (n Node) Null() bool {
	c := n.cell()
	if c.kind != Scalar || c.flags&quoted != 0 {
		return false
	}
	switch string(n.Raw()) {
	case "", "~", "null", "Null", "NULL":
		return true
	}
	return false
}

// Children are the nodes directly below a collection.
func (n Node) Children() iter.Seq[Node] {
	n = n.open()
	return func(yield func(Node) bool) {
		last := n.cell().next
		for i := n.i + 1; i < last; i = n.d.cells[i].next {
			if !yield(Node{n.d, i}) {
				return
			}
		}
	}
}

// Pairs are the keys and values of a mapping. The keys are scalars.
func (n Node) Pairs() iter.Seq2[Node, Node] {
	n = n.open()
	return func(yield func(Node, Node) bool) {
		last := n.cell().next
		for i := n.i + 1; i < last; {
			v := n.d.cells[i].next
			if !yield(Node{n.d, i}, Node{n.d, v}) {
				return
			}
			i = n.d.cells[v].next
		}
	}
}
