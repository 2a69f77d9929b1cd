package document

import (
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Write is a value as YAML, with its comments, which Parse reads as the same value.
func (v *Value) Write() string {
	w := &writer{}
	w.collection(v, 0)
	return w.out.String()
}

type writer struct{ out strings.Builder }

func (w *writer) indent(n int) { w.out.WriteString(strings.Repeat(" ", n)) }

func (w *writer) comments(lines []string, indent int) {
	for _, l := range lines {
		w.indent(indent)
		w.out.WriteString("#" + l + "\n")
	}
}

func (w *writer) beside(v *Value) {
	if v.Beside != "" {
		w.out.WriteString(" #" + v.Beside)
	}
	w.out.WriteByte('\n')
}

// collection writes the keys or items of a collection, each on a line of its own.
func (w *writer) collection(v *Value, indent int) {
	for _, p := range v.Pairs {
		w.comments(p.Key.Above, indent)
		w.indent(indent)
		w.pair(p, indent)
	}
	for _, it := range v.Items {
		w.comments(it.Above, indent)
		if it.Kind == Mapping && len(it.Pairs) > 0 && !it.Flow { // its first key stands in its line
			key := it.Pairs[0].Key
			w.comments(key.Above, indent)
			if key.Beside == "" {
				key.Beside = it.Beside
			} else if it.Beside != "" {
				w.comments([]string{it.Beside}, indent)
			}
		}
		w.indent(indent)
		w.out.WriteString("- ")
		switch {
		case it.inline():
			w.out.WriteString(it.text())
			w.beside(it)
		case it.Kind == Scalar:
			w.literal(it, it, indent+2)
		case it.Kind == Mapping:
			for i, p := range it.Pairs {
				if i > 0 {
					w.comments(p.Key.Above, indent+2)
					w.indent(indent + 2)
				}
				w.pair(p, indent+2)
			}
		default:
			w.out.WriteByte('\n')
			w.collection(it, indent+2)
		}
	}
}

// pair writes a key and its value.
func (w *writer) pair(p Pair, indent int) {
	w.out.WriteString(p.Key.text() + ":")
	switch v := p.Value; {
	case v.inline():
		w.out.WriteString(" " + v.text())
		w.beside(p.Key)
	case v.Kind == Scalar:
		w.out.WriteByte(' ')
		w.literal(v, p.Key, indent+2)
	default:
		w.beside(p.Key)
		w.collection(v, indent+2)
	}
}

// inline is whether a value is written in one line.
func (v *Value) inline() bool {
	if v.Kind == Scalar {
		return !v.lines()
	}
	return v.Flow || len(v.Pairs)+len(v.Items) == 0
}

// lines is whether a scalar is text of several lines that can be a block.
func (v *Value) lines() bool {
	return v.Quoted && strings.Contains(v.Text, "\n") && v.Text[0] != ' ' && v.Text[0] != '\n' && v.Text[0] != '\t' &&
		!strings.ContainsFunc(v.Text, func(r rune) bool {
			return r != '\n' && r != '\t' && !unicode.IsPrint(r) || r == unicode.ReplacementChar || r == 0xfeff || r == 0x2028 || r == 0x2029 || r >= shieldFirst && r <= shieldLast
		})
}

// literal writes a text of several lines, with the comment beside its key or item.
func (w *writer) literal(v, of *Value, indent int) {
	text := strings.TrimRight(v.Text, "\n")
	switch len(v.Text) - len(text) {
	case 0:
		w.out.WriteString("|-")
	case 1:
		w.out.WriteString("|")
	default:
		w.out.WriteString("|+")
	}
	w.beside(of)
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			w.indent(indent)
		}
		w.out.WriteString(line + "\n")
	}
	for range len(v.Text) - len(text) - 1 {
		w.out.WriteByte('\n')
	}
}

var (
	plain = regexp.MustCompile(`^[A-Za-z0-9/_.][A-Za-z0-9/_.@+=~%^-]*$`)
	words = regexp.MustCompile(`(?i)^(true|false|null|yes|no|on|off|y|n|\.inf|\.nan)$`)
)

// text is a value in one line.
func (v *Value) text() string {
	switch v.Kind {
	case Mapping:
		parts := make([]string, len(v.Pairs))
		for i, p := range v.Pairs {
			parts[i] = p.Key.text() + ": " + p.Value.text()
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case Sequence:
		parts := make([]string, len(v.Items))
		for i, it := range v.Items {
			parts[i] = it.text()
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	if plain.MatchString(v.Text) && !(v.Quoted && words.MatchString(v.Text)) {
		return v.Text
	}
	if !v.Quoted && v.Text == "" {
		return "null"
	}
	return quote(v.Text)
}

// quote is a text in double quotes.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80 && r >= ' ' && r != 0x7f, r > 0xa0 && unicode.IsPrint(r) && r != 0xfeff && !(r >= shieldFirst && r <= shieldLast):
			b.WriteRune(r)
		case r > 0xffff:
			b.WriteString(`\U` + pad(strconv.FormatInt(int64(r), 16), 8))
		default:
			b.WriteString(`\u` + pad(strconv.FormatInt(int64(r), 16), 4))
		}
	}
	b.WriteByte('"')
	return b.String()
}

func pad(s string, n int) string { return strings.Repeat("0", max(0, n-len(s))) + s }
