package spec

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Error is one thing that is wrong in a configuration, at its place.
type Error struct {
	File      string // as the reader named it
	Line, Col int    // from 1, in characters; 0 when the whole file or line is meant
	Path      string // the key's path from the top, such as "pools.eu.endpoints[1].weight"
	Msg       string
}

// Error is "file:line:col: path: why".
func (e Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		b.WriteByte(':')
		b.WriteString(strconv.Itoa(e.Line))
		if e.Col > 0 { // zone files have no columns
			b.WriteByte(':')
			b.WriteString(strconv.Itoa(e.Col))
		}
	}
	b.WriteString(": ")
	if e.Path != "" {
		b.WriteString(e.Path)
		b.WriteString(": ")
	}
	b.WriteString(e.Msg)
	return b.String()
}

// Errors is everything that is wrong, sorted by file, line and column.
type Errors []Error

// Error is one line for each error, without a newline at the end.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// sort puts es in order. One mistake found twice is one error.
func (es *Errors) sort() {
	slices.SortStableFunc(*es, func(a, b Error) int {
		return cmp.Or(
			cmp.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Col, b.Col),
		)
	})
	*es = slices.Compact(*es)
}

// path is where in the document a value is. It is a chain that grows towards
// the leaves and becomes text only when there is an error to report.
type path struct {
	up  *path
	key string
	idx int // in a list
	// item is whether this is an item of a list and not a key.
	item bool
}

func (p *path) dot(key string) *path { return &path{up: p, key: key} }
func (p *path) at(i int) *path       { return &path{up: p, idx: i, item: true} }

func (p *path) String() string {
	if p == nil {
		return ""
	}
	up := p.up.String()
	switch {
	case p.item:
		return fmt.Sprintf("%s[%d]", up, p.idx)
	case up == "":
		return p.key
	case p.key == ".": // the root zone
		return up + `."."`
	default:
		return up + "." + p.key
	}
}
