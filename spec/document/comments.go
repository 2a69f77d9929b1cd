package document

import (
	"bytes"
	"encoding/binary"
	"regexp"
	"slices"
	"strings"
	"unicode/utf16"
)

// Comment is a comment of a text.
type Comment struct {
	Line   int  // from 1, of what it is on: the line behind it, or the next one that says something; 0: none does
	Beside bool // it stands behind something
	Text   string
}

// blockBegins ends a line behind which a block of text stands.
var blockBegins = regexp.MustCompile(`(^|[ :-])[|>][-+0-9]{0,2}$`)

// breaks are what ends a line in YAML 1.1 (section 5.4), which the library counts by.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// inLines is a text in UTF-8 without a byte order mark, whose lines end in "\n".
func inLines(text []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	}
	s := string(text)
	if order != nil {
		units := make([]uint16, len(text)/2)
		for i := range units {
			units[i] = order.Uint16(text[2*i:])
		}
		s = string(utf16.Decode(units))
	}
	return []byte(breaks.Replace(strings.TrimPrefix(s, "\ufeff")))
}

// Comments are the comments of a text that can be read, in its order.
func Comments(text []byte) []Comment {
	text = inLines(text)
	var out []Comment
	waiting := 0 // of out, those that stand above something
	var quote byte
	block := -1 // the indentation of what has a block of text; -1: none does
	number := 0
	for line := range bytes.Lines(text) {
		number++
		line = bytes.TrimRight(line, "\n")
		indent := len(line) - len(bytes.TrimLeft(line, " "))
		if block >= 0 {
			if indent > block || indent == len(line) {
				continue
			}
			block = -1
		}
		at := commentAt(line, &quote)
		said := bytes.TrimSpace(line[:at])
		if at < len(line) {
			c := Comment{Line: number, Beside: len(said) > 0, Text: string(bytes.TrimRight(line[at+1:], " \t"))}
			out = append(out, c)
		}
		if len(said) == 0 {
			continue
		}
		for ; waiting < len(out); waiting++ {
			out[waiting].Line = number
		}
		if quote == 0 && blockBegins.Match(said) {
			block = indent
			for bytes.HasPrefix(line[block:], []byte("- ")) {
				block += 2
				for block < len(line) && line[block] == ' ' {
					block++
				}
			}
		}
	}
	for i := range out[waiting:] {
		out[waiting+i].Line = 0
	}
	return out
}

// commentAt is where the comment of a line begins, its length where there is none. quote is
// that of the text which goes on into the line, and which goes on behind it.
func commentAt(line []byte, quote *byte) int {
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case *quote == '"' && c == '\\':
			i++
		case *quote != 0:
			if c == *quote {
				*quote = 0
			}
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return i
		case (c == '"' || c == '\'') && (i == 0 || bytes.IndexByte([]byte(" [{,"), line[i-1]) >= 0):
			*quote = c
		}
	}
	return len(line)
}

// Annotate puts comments of the text that a value is from at what is from the same lines, or
// else at what is from the nearest line above. Head are those that stand above all of it,
// and tail those that nothing stands behind.
func (v *Value) Annotate(comments []Comment) (head, tail []string) {
	first := map[int]*Value{}
	var lines []int
	v.anchors(func(a *Value) {
		if a.Line > 0 && first[a.Line] == nil {
			first[a.Line] = a
			lines = append(lines, a.Line)
		}
	})
	slices.Sort(lines)
	for _, c := range comments {
		i, exact := slices.BinarySearch(lines, c.Line)
		switch {
		case c.Line == 0:
			tail = append(tail, c.Text)
		case exact && c.Beside && first[c.Line].Beside == "":
			first[c.Line].Beside = c.Text
		case exact:
			first[c.Line].Above = append(first[c.Line].Above, c.Text)
		case i > 0:
			first[lines[i-1]].Above = append(first[lines[i-1]].Above, c.Text)
		default:
			head = append(head, c.Text)
		}
	}
	return head, tail
}

// anchors calls f with the keys and items that stand on lines of their own.
func (v *Value) anchors(f func(*Value)) {
	if v.Flow {
		return
	}
	for _, p := range v.Pairs {
		f(p.Key)
		p.Value.anchors(f)
	}
	for _, it := range v.Items {
		f(it)
		it.anchors(f)
	}
}
