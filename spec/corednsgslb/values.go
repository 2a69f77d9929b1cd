package corednsgslb

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/rhumb-dns/rhumb/spec/document"
	"github.com/rhumb-dns/rhumb/spec/near"
)

func (f *file) fail(at document.Node, path, format string, args ...any) {
	f.result.Faults = append(f.result.Faults, fault(at, path, format, args...))
}

func (f *file) warn(at document.Node, path, format string, args ...any) {
	f.result.Warnings = append(f.result.Warnings, fault(at, path, format, args...))
}

func fault(at document.Node, path, format string, args ...any) Fault {
	return Fault{File: at.Name(), Line: at.Line(), Col: at.Col(), Path: path, Msg: fmt.Sprintf(format, args...)}
}

// unknown says that a word is none of those that there are, and which was meant: of the
// first faults, since that is a look at all of them.
func (f *file) unknown(what, word string, known iter.Seq[string]) string {
	const most = 100
	if len(f.result.Faults) >= most {
		known = func(func(string) bool) {}
	}
	return near.Unknown(what, word, known)
}

// where names a place in a message about another.
func where(at document.Node) string { return fmt.Sprintf("%s:%d:%d", at.Name(), at.Line(), at.Col()) }

// dot is the path of a key. Names of records have dots in them, and stand in brackets.
func dot(path, key string) string {
	switch {
	case path == "":
		return key
	case strings.Contains(key, "."):
		return path + "[" + key + "]"
	}
	return path + "." + key
}

func item(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

// stated is a key and its value.
type stated struct {
	name string
	key  document.Node
	val  document.Node
	path string
}

// object is a map of a file: the keys that say something, in the order written.
type object struct {
	at   document.Node
	path string
	keys []stated
}

func (o *object) get(name string) *stated {
	for i := range o.keys {
		if o.keys[i].name == name {
			return &o.keys[i]
		}
	}
	return nil
}

// object opens a map with keys that are known, or any when known is nil: names, which are
// there whatever they have. A known key whose value is null is not stated. Extra says which
// others may be there.
func (f *file) object(n document.Node, path string, known []string, extra func(string) bool) *object {
	o := &object{at: n, path: path}
	if n.Null() {
		return o
	}
	if n.Kind() != document.Mapping {
		f.fail(n, path, "a map is expected, not %s", describe(n))
		return o
	}
	first := map[string]document.Node{}
	for k, v := range n.Pairs() {
		name := string(k.Raw())
		p := dot(path, name)
		f.note(k, p)
		f.note(v, p)
		if at, twice := first[name]; twice {
			f.fail(k, p, "stated twice; first at %s", where(at))
			continue
		}
		first[name] = k
		switch {
		case known != nil && !slices.Contains(known, name):
			if extra == nil || !extra(name) {
				f.fail(k, p, "%s", f.unknown("key", name, slices.Values(known)))
			}
		case v.Null() && known != nil:
		default:
			o.keys = append(o.keys, stated{name, k, v, p})
		}
	}
	return o
}

// note keeps the path of a place: the last one that is said, since a map begins where its
// first key does.
func (f *file) note(n document.Node, path string) { f.paths[place{n.Line(), n.Col()}] = path }

func describe(n document.Node) string {
	switch {
	case n.Null():
		return "nothing"
	case n.Kind() != document.Scalar:
		return n.Kind().String()
	}
	return strconv.Quote(string(n.Raw()))
}

// text is the text of a key, def when it is not stated or no text.
func (f *file) text(o *object, name, def string) string {
	k := o.get(name)
	if k == nil {
		return def
	}
	if k.val.Kind() != document.Scalar {
		f.fail(k.val, k.path, "a value is expected, not %s", describe(k.val))
		return def
	}
	return string(k.val.Raw())
}

// integer is the number of a key within bounds.
func (f *file) integer(o *object, name string, def, lo, hi int) int {
	k := o.get(name)
	if k == nil {
		return def
	}
	n, ok := whole(f.text(o, name, strconv.Itoa(def)))
	switch {
	case k.val.Kind() != document.Scalar:
	case !ok:
		f.fail(k.val, k.path, "a whole number is expected, not %s", describe(k.val))
	case n < lo || n > hi:
		f.fail(k.val, k.path, "%d is out of range: %d to %d", n, lo, hi)
	default:
		return n
	}
	return def
}

// whole is a number in the forms that the YAML library of CoreDNS-GSLB takes for one: 30,
// +30, 0x1e, 0o36, 036, 3_0, 30.0 and 3e1.
func whole(s string) (n int, ok bool) {
	s = strings.ReplaceAll(s, "_", "")
	if n, err := strconv.ParseInt(s, 0, 0); err == nil {
		return int(n), true
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || v != math.Trunc(v) || math.Abs(v) > math.MaxInt32 {
		return 0, false
	}
	return int(v), true
}

// boolean is the truth of a key, in all words that the YAML library of CoreDNS-GSLB takes
// for it.
func (f *file) boolean(o *object, name string, def bool) bool {
	k := o.get(name)
	if k == nil {
		return def
	}
	switch f.text(o, name, strconv.FormatBool(def)) {
	case "true", "True", "TRUE", "y", "Y", "yes", "on":
		return true
	case "false", "False", "FALSE", "n", "N", "no", "off":
		return false
	}
	f.fail(k.val, k.path, "true or false is expected, not %s", describe(k.val))
	return def
}

// duration is the duration of a key, which must be positive.
func (f *file) duration(o *object, name string, def time.Duration) time.Duration {
	k := o.get(name)
	if k == nil {
		return def
	}
	s := f.text(o, name, def.String())
	v, err := time.ParseDuration(s)
	switch {
	case k.val.Kind() != document.Scalar:
	case err != nil && number(s):
		f.fail(k.val, k.path, "a duration needs a unit: write %ss or %sms", s, s)
	case err != nil:
		f.fail(k.val, k.path, "a duration such as 5s or 500ms is expected, not %q", s)
	case v <= 0:
		f.fail(k.val, k.path, "must be more than 0s")
	default:
		return v
	}
	return def
}

func number(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// words are the texts of a key that is a list or a single one.
func (f *file) words(o *object, name string) []said {
	k := o.get(name)
	if k == nil {
		return nil
	}
	items := []document.Node{k.val}
	if k.val.Kind() == document.Sequence {
		items = slices.Collect(k.val.Children())
	}
	var out []said
	there := map[string]bool{}
	for i, it := range items {
		p := k.path
		if k.val.Kind() == document.Sequence {
			p = item(k.path, i)
			f.note(it, p)
		}
		switch {
		case it.Kind() != document.Scalar || it.Null():
			f.fail(it, p, "a word is expected, not %s", describe(it))
		case len(it.Raw()) == 0: // the code's default, which says nothing
		case !there[string(it.Raw())]:
			there[string(it.Raw())] = true
			out = append(out, said{string(it.Raw()), it, p})
		}
	}
	return out
}

// said is a word and where it stands.
type said struct {
	text string
	at   document.Node
	path string
}

// list is the items of a key.
func (f *file) list(k *stated) []document.Node {
	if k == nil {
		return nil
	}
	if k.val.Kind() != document.Sequence {
		f.fail(k.val, k.path, "a list is expected, not %s", describe(k.val))
		return nil
	}
	items := slices.Collect(k.val.Children())
	for i, it := range items {
		f.note(it, item(k.path, i))
	}
	return items
}

// The values of native configuration. Those that stand for a value of a file are at its
// place.

func mapping() *document.Value { return &document.Value{Kind: document.Mapping} }

// literal is a text as it stands: a ${ in it is no variable, since the files have none.
func literal(s string) *document.Value {
	return &document.Value{Text: strings.ReplaceAll(s, "${", "$${"), Quoted: true}
}

// word is a word or number of the configuration.
func word(s string) *document.Value { return &document.Value{Text: s} }

// remark is a text as a comment: on one line, without what may stand in a text as an
// escape alone.
func remark(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsControl(r) || r == 0xfeff || r&0xfffe == 0xfffe
	}), " ")
}

func integer(n int) *document.Value { return word(strconv.Itoa(n)) }

func duration(d time.Duration) *document.Value { return word(short(d)) }

// short is a duration without units of nothing: 1m, not 1m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-2]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-2]
	}
	return s
}

func list(items ...*document.Value) *document.Value {
	return &document.Value{Kind: document.Sequence, Items: items, Flow: true}
}

// from puts a value, and what is in it, at the place of a node, as far as it has none.
func from(n document.Node, v *document.Value) *document.Value {
	if n.IsZero() {
		return v
	}
	if v.Line == 0 {
		v.Line, v.Col = n.Line(), n.Col()
	}
	for _, p := range v.Pairs {
		from(n, p.Key)
		from(n, p.Value)
	}
	for _, it := range v.Items {
		from(n, it)
	}
	return v
}

// put adds a key to a mapping.
func put(m *document.Value, key string, v *document.Value) {
	m.Pairs = append(m.Pairs, document.Pair{
		Key: &document.Value{Text: key, Quoted: true, Line: v.Line, Col: v.Col}, Value: v,
	})
}

// putAt adds a key to a mapping, at the place of a key of a file.
func putAt(m *document.Value, key string, at document.Node, v *document.Value) {
	put(m, key, from(at, v))
	k := m.Pairs[len(m.Pairs)-1].Key
	k.Line, k.Col = at.Line(), at.Col()
}

// putOf adds a key to a mapping that stands for a key of a file: its comments are of the
// line that this is in, and what is said of it is said of the value.
func putOf(m *document.Value, key string, k *stated, v *document.Value) {
	putAt(m, key, k.val, v)
	if into := m.Pairs[len(m.Pairs)-1].Key; v.Kind != document.Scalar && !v.Flow {
		into.Line, into.Col = k.key.Line(), k.key.Col()
	}
}
