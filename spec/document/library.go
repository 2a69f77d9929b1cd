package document

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxAliasNodes bounds what aliases may expand to in one file, against a
// document of a few lines that stands for billions of values.
const maxAliasNodes = 100_000

// parseLibrary makes the tree of d by the library, or says why there is none.
func parseLibrary(d *document) []Error {
	d.cells, d.cooked = nil, nil
	text := shield(d.src)
	fail := func(line, col int, msg string) []Error {
		return []Error{{Line: line, Col: col, Msg: msg}}
	}
	l, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return fail(0, 0, err.Error())
	}
	var root yaml.Node
	if err := l.Load(&root); errors.Is(err, io.EOF) {
		return fail(1, 1, "the file is empty: state at least one key, or remove it")
	} else if err != nil {
		return []Error{syntaxError(d, err)}
	}
	var second yaml.Node
	if err := l.Load(&second); err == nil {
		return fail(second.Line, second.Column, "a second document: a file holds one; put the other into a file of its own and include it")
	} else if !errors.Is(err, io.EOF) {
		return []Error{syntaxError(d, err)}
	}
	if root.Kind == yaml.DocumentNode && len(root.Content) > 0 {
		root = *root.Content[0]
	}
	if root.Kind == yaml.ScalarNode && root.Value == "" && root.Style == 0 {
		return fail(1, 1, "the file is empty: state at least one key, or remove it")
	}
	c := converter{d: d, shielded: len(text) != len(d.src), open: map[*yaml.Node]bool{}}
	c.node(&root, 0)
	if len(c.errs) > 0 {
		d.cells, d.cooked = nil, nil
	}
	return c.errs
}

// syntaxError says what the library found, with its place.
func syntaxError(d *document, err error) Error {
	e := Error{Msg: err.Error()}
	var le *yaml.LoadError
	if !errors.As(err, &le) {
		return e
	}
	e.Line, e.Col, e.Msg = le.Mark.Line, le.Mark.Column, le.Message
	if le.ContextMsg != "" && le.ContextMark.Line > 0 && le.ContextMark != le.Mark {
		e.Msg += fmt.Sprintf(" (%s that starts at %d:%d)", le.ContextMsg, le.ContextMark.Line, le.ContextMark.Column)
	}
	if e.Line == 0 {
		e.Line, e.Col = badCharacter(d.src)
	}
	if le.Message == "found character that cannot start any token" {
		switch c := d.byteAt(e.Line, e.Col); c {
		case '\t':
			e.Msg = "a tab: indent with spaces"
		case '@', '`', '%':
			e.Msg = fmt.Sprintf("a value cannot start with %c: put it in quotes", c)
		}
	}
	e.Msg = "syntax: " + e.Msg
	return e
}

// badCharacter is the place of the first byte that is not text.
func badCharacter(src []byte) (line, col int) {
	line, col = 1, 1
	for i := 0; i < len(src); {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85 {
			return line, col
		}
		i += n
		col++
		if r == '\n' {
			line, col = line+1, 1
		}
	}
	return 0, 0
}

// byteAt is the first byte of the character at a place, 0 when there is none.
func (d *document) byteAt(line, col int) byte {
	src := d.src
	for ; line > 1; line-- {
		i := bytes.IndexByte(src, '\n')
		if i < 0 {
			return 0
		}
		src = src[i+1:]
	}
	for ; col > 1 && len(src) > 0; col-- {
		_, n := utf8.DecodeRune(src)
		src = src[n:]
	}
	if len(src) == 0 {
		return 0
	}
	return src[0]
}

// converter lays a library tree down as a document's cells. An alias becomes what it
// stands for, with the position of the anchor; a merge key becomes the keys
// that it brings.
type converter struct {
	d        *document
	shielded bool
	open     map[*yaml.Node]bool // anchors that are being expanded
	aliased  int                 // nodes that came from aliases
	errs     []Error
}

func (c *converter) fail(n *yaml.Node, format string, args ...any) {
	c.errs = append(c.errs, Error{Line: n.Line, Col: n.Column, Msg: fmt.Sprintf(format, args...)})
}

func (c *converter) node(n *yaml.Node, depth int) {
	if len(c.errs) > 0 {
		return
	}
	n, depth, done := c.follow(n, depth)
	if n == nil {
		return
	}
	defer done()
	out := cell{line: uint32(n.Line), col: uint32(n.Column), flags: cooked}
	if depth > 0 {
		if c.aliased++; c.aliased > maxAliasNodes {
			c.fail(n, "aliases expand to more than %d values", maxAliasNodes)
			return
		}
	}
	tagged := n.Style&yaml.TaggedStyle != 0
	switch n.Kind {
	case yaml.ScalarNode:
		out.kind = Scalar
		if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
			out.flags |= quoted
		}
		if tagged {
			switch n.Tag {
			case "!!str":
				out.flags |= quoted
			case "!!int", "!!float", "!!bool", "!!null":
			default:
				c.fail(n, "the tag %s is not supported: remove it", n.Tag)
				return
			}
		}
		text := n.Value
		if c.shielded {
			text = unshield(text)
		}
		out.off = uint32(len(c.d.cooked))
		c.d.cooked = append(c.d.cooked, text...)
		out.end = uint32(len(c.d.cooked))
		c.d.add(out)
	case yaml.SequenceNode:
		if tagged && n.Tag != "!!seq" {
			c.fail(n, "the tag %s is not supported: remove it", n.Tag)
			return
		}
		out.kind = Sequence
		i := c.d.add(out)
		for _, child := range n.Content {
			c.node(child, depth)
		}
		c.d.close(i)
	case yaml.MappingNode:
		if tagged && n.Tag != "!!map" {
			c.fail(n, "the tag %s is not supported: remove it", n.Tag)
			return
		}
		out.kind = Mapping
		i := c.d.add(out)
		c.pairs(n, depth, nil)
		c.d.close(i)
	default:
		c.fail(n, "not a value, a list or a map")
	}
}

// follow is what an alias stands for. done is called when it has been laid down.
func (c *converter) follow(n *yaml.Node, depth int) (*yaml.Node, int, func()) {
	at := n
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
		depth++
	}
	if c.open[n] {
		c.fail(at, "the alias *%s is inside of what it stands for", at.Value)
		return nil, 0, nil
	}
	if n.Anchor == "" {
		return n, depth, func() {}
	}
	c.open[n] = true
	return n, depth, func() { delete(c.open, n) }
}

// pairs lays down the keys of a mapping. Keys in hidden were stated nearer and
// win over what a merge key brings.
func (c *converter) pairs(n *yaml.Node, depth int, hidden map[string]bool) {
	merges := false
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		if isMerge(k) {
			merges = true
			continue
		}
		if k.Kind != yaml.ScalarNode {
			c.fail(k, "a key is a word, not a list, a map or an alias")
			return
		}
		if hidden[k.Value] {
			continue
		}
		c.node(k, depth)
		c.node(n.Content[i+1], depth)
	}
	if !merges {
		return
	}
	seen := map[string]bool{}
	for k := range hidden {
		seen[k] = true
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		seen[n.Content[i].Value] = true
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if isMerge(n.Content[i]) {
			c.merge(n.Content[i+1], depth, seen)
		}
	}
}

func isMerge(k *yaml.Node) bool {
	return k.Kind == yaml.ScalarNode && k.Value == "<<" && k.Style == 0
}

func (c *converter) merge(v *yaml.Node, depth int, seen map[string]bool) {
	if len(c.errs) > 0 {
		return
	}
	v, depth, done := c.follow(v, depth)
	if v == nil {
		return
	}
	defer done()
	switch v.Kind {
	case yaml.MappingNode:
		c.pairs(v, depth, seen)
		for i := 0; i+1 < len(v.Content); i += 2 {
			seen[v.Content[i].Value] = true
		}
	case yaml.SequenceNode:
		for _, m := range v.Content {
			c.merge(m, depth, seen)
		}
	default:
		c.fail(v, "a merge key (<<) takes a map or a list of maps")
	}
}
