package spec

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// decoder turns documents into a Spec and collects all that is wrong on the way.
type decoder struct {
	// regionWords are the regions that clients may be in; nil until somebody asks.
	regionWords map[string]bool

	env  func(string) (string, bool)
	errs Errors
	spec *Spec
	// incomplete: a document could not be read.
	incomplete bool
	// zoned is whether all zones are known, with nothing wrong in them.
	zoned bool
	// everybody is where a network of all addresses is trusted.
	everybody document.Node
	// looked are files other than the documents that were read or should have been.
	looked []string
	kept   *Kept

	checks map[string]*Check // nil values are checks that are wrong themselves
	pools  map[string]*Pool
	used   map[string]bool         // checks and pools that something refers to, as "check web"
	refs   map[*Pool]document.Node // where a pool's name stands
	// Of each check, with those that pools have overridden: where it stands, and the
	// path of that.
	checkAt      map[*Check]document.Node
	checkPlace   map[*Check]*path
	checkEntries map[string]*entry // by name
	common       map[string]bool   // files whose checks are for several configurations
	defaults     []*entry          // check_defaults
	variants     map[string]*Check // by name and Variant
	calculations map[*Check]*calculation

	policies policies
	named    map[string]*namedChain // the chains of the section policies
	within   []string               // those that are being decoded, each for the one before it
	nests    nests
	// cuts are the runs of services that are not in the tree, by the value of
	// their services key. Unsure is that one may mean what it should not.
	cuts   map[document.Node]*region
	unsure bool
	vocabs map[*words]*vocabulary // what those of runs mean
}

func (d *decoder) fail(at document.Node, p *path, format string, args ...any) {
	d.errs = append(d.errs, Error{
		File: at.Name(), Line: at.Line(), Col: at.Col(), Path: p.String(), Msg: fmt.Sprintf(format, args...),
	})
}

// where names a place in a message about another.
func where(at document.Node) string {
	return fmt.Sprintf("%s:%d:%d", at.Name(), at.Line(), at.Col())
}

const notAvailable = "not available in this version"

// entry is one key of a map and its value; more than one value when several
// files state a map that merges.
type entry struct {
	name string
	key  document.Node
	vals []document.Node
	// layer is where the key of a check is stated; of other keys it is nothing.
	layer layer
}

func (e *entry) val() document.Node { return e.vals[0] }

// object is a map that is being decoded.
type object struct {
	d    *decoder
	sec  *section
	path *path
	at   document.Node // where to say that a key is missing
	keys []*entry
	// meant is what unknown keys stand for, so that they are not missing as well.
	meant []string
}

// object opens a map whose keys are those of sec. It has no keys when the
// values are not maps.
func (d *decoder) object(sec *section, p *path, at document.Node, vals ...document.Node) *object {
	o := &object{d: d, sec: sec, path: p, at: at}
	all := d.entries(p, vals, func(name string) bool {
		f := sec.field(name)
		return f != nil && f.merge
	})
	for _, e := range all {
		f := sec.field(e.name)
		switch {
		case f == nil:
			d.fail(e.key, p.dot(e.name), "%s", unknown("key", e.name, sec.names))
			o.meant = append(o.meant, near(e.name, sec.names))
		case f.later:
			d.fail(e.key, p.dot(e.name), notAvailable)
		default:
			o.keys = append(o.keys, e)
		}
	}
	if !at.IsZero() && !slices.ContainsFunc(vals, func(v document.Node) bool { return v.Kind() != document.Mapping && !v.Null() }) {
		o.needs(sec.fields)
	}
	return o
}

// needs says which of the fields that must be stated are not.
func (o *object) needs(fields []field) {
	for _, f := range fields {
		if f.need && o.get(f.name) == nil && (f.unless == "" || o.get(f.unless) == nil) && !slices.Contains(o.meant, f.name) {
			what := strconv.Quote(f.name)
			if f.unless != "" {
				what += " or " + strconv.Quote(f.unless)
			}
			o.d.fail(o.at, o.path, "the key %s is missing", what)
		}
	}
}

// narrow makes sec the keys of a map that was opened with more of them. Those that
// sec does not have are given to odd, and left out.
func (o *object) narrow(sec *section, odd func(*entry)) {
	o.keys = slices.DeleteFunc(o.keys, func(e *entry) bool {
		if sec.field(e.name) != nil {
			return false
		}
		odd(e)
		return true
	})
	more := slices.DeleteFunc(slices.Clone(sec.fields), func(f field) bool {
		was := o.sec.field(f.name)
		return was != nil && was.need // said already
	})
	o.sec = sec
	o.needs(more)
}

// manyKeys is from when on a table beats a look at each key.
const manyKeys = 12

// entries are the keys of maps that merge, in the order written. A key twice is
// an error that names both places, unless it stands in different files and
// merges says that its values become one.
func (d *decoder) entries(p *path, vals []document.Node, merges func(name string) bool) []*entry {
	var out []*entry
	var byName map[string]*entry // once there are many; most maps have a few keys
	for _, v := range vals {
		if v.Null() {
			continue
		}
		if v.Kind() != document.Mapping {
			d.fail(v, p, "a map is expected, not %s", d.describe(v))
			continue
		}
		for k, val := range v.Pairs() {
			name := string(k.Raw())
			var e *entry
			if byName != nil {
				e = byName[name]
			} else if i := slices.IndexFunc(out, func(e *entry) bool { return e.name == name }); i >= 0 {
				e = out[i]
			}
			switch {
			case e == nil:
				e = &entry{name: name, key: k, vals: []document.Node{val}}
				out = append(out, e)
				if byName != nil {
					byName[name] = e
				} else if len(out) == manyKeys {
					byName = map[string]*entry{}
					for _, e := range out {
						byName[e.name] = e
					}
				}
			case merges(name) && !slices.ContainsFunc(e.vals, func(r document.Node) bool { return r.File() == val.File() }):
				e.vals = append(e.vals, val)
			default:
				d.fail(k, p.dot(name), "stated twice; first at %s", where(e.key))
			}
		}
	}
	return out
}

// describe says what stands there instead of what was expected.
func (d *decoder) describe(r document.Node) string {
	switch {
	case r.Null():
		return "nothing"
	case r.Kind() != document.Scalar:
		return r.Kind().String()
	default:
		return strconv.Quote(string(r.Raw()))
	}
}

func (o *object) get(name string) *entry {
	for _, e := range o.keys {
		if e.name == name {
			return e
		}
	}
	return nil
}

// Every method below decodes the key called name, or gives its default when it
// is not stated or wrong.

func (o *object) text(name string) string {
	f := o.sec.field(name)
	if e := o.get(name); e != nil {
		if s, ok := o.d.text(e.val(), o.path.dot(name)); ok {
			return s
		}
	}
	return f.def
}

func (o *object) integer(name string) int64 {
	f := o.sec.field(name)
	if e := o.get(name); e != nil {
		if n, ok := o.d.integer(e.val(), o.path.dot(name), f.lo, f.hi); ok {
			return n
		}
	}
	n, _ := strconv.ParseInt(f.def, 10, 64)
	return n
}

func (o *object) boolean(name string) bool {
	f := o.sec.field(name)
	if e := o.get(name); e != nil {
		if s, ok := o.d.plain(e.val(), o.path.dot(name), "true or false"); ok {
			switch s {
			case "true", "True", "TRUE":
				return true
			case "false", "False", "FALSE":
				return false
			}
			o.d.fail(e.val(), o.path.dot(name), "true or false is expected, not %q", s)
		}
	}
	return f.def == "true"
}

func (o *object) duration(name string) time.Duration {
	f := o.sec.field(name)
	def, _ := time.ParseDuration(f.def)
	e := o.get(name)
	if e == nil {
		return def
	}
	p := o.path.dot(name)
	s, ok := o.d.plain(e.val(), p, "a duration")
	if !ok {
		return def
	}
	v, err := time.ParseDuration(s)
	switch {
	case err != nil && decimal.MatchString(s):
		o.d.fail(e.val(), p, "a duration needs a unit: write %ss or %sms", s, s)
	case err != nil:
		o.d.fail(e.val(), p, "a duration such as 5s or 500ms is expected, not %q", s)
	case v < time.Duration(f.lo) && f.lo == 1:
		o.d.fail(e.val(), p, "must be more than 0s")
	case v < time.Duration(f.lo) || v > time.Duration(f.hi):
		o.d.fail(e.val(), p, "%s is out of range: %s to %s", s, short(f.lo), short(f.hi))
	default:
		return v
	}
	return def
}

func (o *object) word(name string) string {
	f := o.sec.field(name)
	e := o.get(name)
	if e == nil {
		return f.def
	}
	s, ok := o.d.text(e.val(), o.path.dot(name))
	if !ok || slices.Contains(f.words, s) {
		return s
	}
	msg := fmt.Sprintf("%q is not one of %s", s, strings.Join(f.words, ", "))
	if n := near(s, slices.Values(f.words)); n != "" {
		msg += fmt.Sprintf("; did you mean %q?", n)
	}
	o.d.fail(e.val(), o.path.dot(name), "%s", msg)
	return f.def
}

// list is the items of a list, nil when the key is not stated.
func (o *object) list(name string) []document.Node {
	e := o.get(name)
	if e == nil {
		return nil
	}
	return o.d.list(e.val(), o.path.dot(name))
}

func (d *decoder) list(r document.Node, p *path) []document.Node {
	if r.Kind() != document.Sequence {
		d.fail(r, p, "a list is expected, not %s", d.describe(r))
		return nil
	}
	items := []document.Node{}
	for c := range r.Children() {
		items = append(items, c)
	}
	return items
}

// text is a scalar with its variables expanded.
func (d *decoder) text(r document.Node, p *path) (string, bool) {
	if r.Kind() != document.Scalar {
		d.fail(r, p, "text is expected, not %s", d.describe(r))
		return "", false
	}
	if r.Null() {
		d.fail(r, p, "a value is missing")
		return "", false
	}
	s, err := r.Text(d.env)
	if err != nil {
		d.fail(r, p, "%s", err)
		return "", false
	}
	return s, true
}

// plain is a scalar that is not text by its quotes. A value that holds a
// variable may be quoted, because flow collections want it so.
func (d *decoder) plain(r document.Node, p *path, want string) (string, bool) {
	if r.Kind() != document.Scalar || r.Null() {
		d.fail(r, p, "%s is expected, not %s", want, d.describe(r))
		return "", false
	}
	if r.Quoted() && !r.Variable() {
		d.fail(r, p, "%s is expected, not text: remove the quotes", want)
		return "", false
	}
	return d.text(r, p)
}

// decimal is how a number is written: no leading zero, so that no octal one is
// mistaken for it.
var decimal = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})$`)

func (d *decoder) integer(r document.Node, p *path, lo, hi int64) (int64, bool) {
	s, ok := d.plain(r, p, "a whole number")
	if !ok {
		return 0, false
	}
	if number, as := strings.CutPrefix(s, "AS"); as && decimal.MatchString(number) {
		d.fail(r, p, "a whole number is expected: write %s for %s", number, s)
		return 0, false
	}
	if !decimal.MatchString(s) {
		d.fail(r, p, "a whole number is expected, not %q", s)
		return 0, false
	}
	n, _ := strconv.ParseInt(s, 10, 64)
	if n < lo || n > hi {
		d.fail(r, p, "%d is out of range: %d to %d", n, lo, hi)
		return 0, false
	}
	return n, true
}

var fraction = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

func (d *decoder) number(r document.Node, p *path, lo, hi float64) (float64, bool) {
	s, ok := d.plain(r, p, "a number")
	if !ok {
		return 0, false
	}
	if !fraction.MatchString(s) {
		d.fail(r, p, "a number is expected, not %q", s)
		return 0, false
	}
	v, _ := strconv.ParseFloat(s, 64)
	if v < lo || v > hi {
		d.fail(r, p, "%s is out of range: %s to %s", s, plainNumber(lo), plainNumber(hi))
		return 0, false
	}
	return v, true
}

// plainNumber is a number as people write it.
func plainNumber(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// words is a list of text without repetitions.
func (d *decoder) words(items []document.Node, p *path) []string {
	var out []string
	first := map[string]document.Node{}
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		if s == "" {
			d.fail(it, p.at(i), "a value is missing")
			continue
		}
		if at, twice := first[s]; twice {
			d.fail(it, p.at(i), "%q is stated twice; first at %s", s, where(at))
			continue
		}
		first[s] = it
		out = append(out, s)
	}
	return out
}

// lookup finds what a list of names refers to.
func lookup[T any](d *decoder, what string, known map[string]*T, items []document.Node, p *path) []*T {
	out := []*T{}
	first := map[string]document.Node{}
	for i, it := range items {
		s, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		if at, twice := first[s]; twice {
			d.fail(it, p.at(i), "%s %q is stated twice; first at %s", what, s, where(at))
			continue
		}
		first[s] = it
		v, exists := known[s]
		if !exists {
			d.fail(it, p.at(i), "%s", unknown(what, s, maps.Keys(known)))
			continue
		}
		d.used[what+" "+s] = true
		if v != nil {
			out = append(out, v)
		}
	}
	return out
}
