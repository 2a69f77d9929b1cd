package spec

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// Options are what Load takes from outside of the files.
type Options struct {
	// Env looks up an environment variable; nil is os.LookupEnv.
	Env func(name string) (value string, set bool)
	// Kept spares reading again what has not changed, of zone files and of files
	// of many services; nil: all is read.
	Kept *Kept
	// Beside runs a function on another goroutine, for large files that were read
	// before. Nil: all is done on this one.
	Beside func(func())
	// Text is what the first file says when there is none, and path is its name in
	// messages; nil reads it. Files that it includes are read.
	Text []byte
	// Enabled is what was said since of a backend in a file of the dialect coredns-gslb,
	// as corednsgslb.Options have it.
	Enabled func(record, address string) (enabled, stated bool)
}

// Parse reads one document. The name is for messages and for relative paths in
// it. Includes are refused: use Load. The error is an Errors.
func Parse(name string, b []byte) (*Spec, error) {
	return parse(name, b, os.LookupEnv)
}

func parse(name string, b []byte, env func(string) (string, bool)) (*Spec, error) {
	if len(b) > maxFile {
		return nil, Errors{tooLarge(name)}
	}
	d := newDecoder(env)
	top, ok := d.read(name, name, b)
	if ok && top.Kind() == document.Mapping {
		for k := range top.Pairs() {
			if string(k.Raw()) == "include" {
				d.fail(k, (*path)(nil).dot("include"), "only for files: this document is none")
			}
		}
	}
	return d.finish([]origin{{top: top}})
}

// origin is one document and what is known of where it came from.
type origin struct {
	top    document.Node
	public bool // everybody on this machine can read it
}

// read makes the tree of a document, which becomes the next of Spec.Files. The
// name is for messages, abs for Spec.Files.
func (d *decoder) read(name, abs string, b []byte) (document.Node, bool) {
	top, errs := document.Parse(name, len(d.spec.Files), b)
	d.spec.Files, d.spec.names = append(d.spec.Files, abs), append(d.spec.names, name)
	for _, e := range errs {
		d.incomplete = true
		d.errs = append(d.errs, Error{File: name, Line: e.Line, Col: e.Col, Msg: e.Msg})
	}
	return top, len(errs) == 0
}

func newDecoder(env func(string) (string, bool)) *decoder {
	return &decoder{
		env:    env,
		spec:   &Spec{Checks: map[string]*Check{}, Pools: map[string]*Pool{}},
		checks: map[string]*Check{}, pools: map[string]*Pool{}, used: map[string]bool{}, named: map[string]*namedChain{},
		refs: map[*Pool]document.Node{}, checkAt: map[*Check]document.Node{},
		checkPlace: map[*Check]*path{}, checkEntries: map[string]*entry{}, variants: map[string]*Check{}, calculations: map[*Check]*calculation{},
		cuts: map[document.Node]*region{}, vocabs: map[*words]*vocabulary{},
		policies: policies{byText: map[string]*policyUse{}, atApex: map[string]*policyUse{}, byMean: map[string]*policyUse{}},
	}
}

// finish decodes the documents, unless one of them could not be read: what it
// would have stated must not look missing in the others.
func (d *decoder) finish(docs []origin) (*Spec, error) {
	if !d.incomplete {
		d.decode(docs)
	}
	if len(d.errs) > 0 {
		d.errs.sort()
		return nil, d.errs
	}
	return d.spec, nil
}

// Load reads the file at path and all that it includes. The error is an Errors.
//
// The second result is what to watch for changes, also when Load fails: the
// absolute paths of every file that was read or should have been, those of
// certificates and keys among them, and the patterns of includes, by which new
// files would be found.
func Load(path string, o Options) (*Spec, []string, error) {
	return load(path, o, sizes)
}

func load(path string, o Options, size readSizes) (*Spec, []string, error) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	l, s, err := once(path, o, size)
	if len(l.d.cuts) > 0 && (err != nil || l.d.unsure) {
		// The places of what is wrong are those of a tree of all.
		size.least = -1
		l, s, err = once(path, o, size)
	}
	o.Kept.end(err == nil)
	if err == nil && o.Kept != nil && l.d.wordy(o.Kept.words) {
		o.Kept.words, o.Kept.texts = nil, nil
	}
	watch := append(l.watch, l.d.looked...)
	slices.Sort(watch)
	return s, slices.Compact(watch), err
}

// once reads the files one time.
func once(path string, o Options, size readSizes) (*loader, *Spec, error) {
	l := newLoader(o, size)
	if o.Text != nil {
		l.text(path, o.Text)
	} else {
		l.file(path, document.Node{}, nil, nil)
	}
	s, err := l.finish(o)
	return l, s, err
}

func newLoader(o Options, size readSizes) *loader {
	l := &loader{d: newDecoder(o.Env), read: map[string]bool{}, sizes: size, beside: o.Beside}
	l.d.kept = o.Kept
	l.d.kept.begin()
	return l
}

// finish decodes what was read.
func (l *loader) finish(o Options) (*Spec, error) {
	l.cut = nil
	l.translate(o)
	s, err := l.d.finish(l.docs)
	if l.translated != nil && !l.d.incomplete {
		l.retrace(&err)
	}
	return s, err
}

// loader reads files and follows their includes.
type loader struct {
	d     *decoder
	docs  []origin
	read  map[string]bool // by the real path, so that a symbolic link is no second file
	watch []string
	sizes readSizes
	cut   *cutter

	foreign    []foreign
	translated *corednsgslb.Result

	beside func(func())
}

// link is one file of a chain of includes.
type link struct {
	name, real string
}

// file reads one file, unless it was read already. at is the include that led
// to it, for messages; not ok for the first file.
func (l *loader) file(name string, at document.Node, p *path, chain []link) {
	o, here, ok := l.take(name, at, p, chain, l.content)
	if !ok {
		return
	}
	l.docs = append(l.docs, o)
	l.includes(o.top, append(chain[:len(chain):len(chain)], here))
}

// text reads a first document that is in no file.
func (l *loader) text(name string, b []byte) {
	if top, ok := l.d.read(name, name, b); ok {
		l.docs = append(l.docs, origin{top: top})
		l.includes(top, []link{{name, name}})
	}
}

// contents read a file that is open: a tree, or else a text, or why it is refused.
type contents func(f *os.File, size int64, name, abs string) (document.Node, []byte, string)

// take reads the tree of one file, unless it was read already or cannot be.
func (l *loader) take(name string, at document.Node, p *path, chain []link, content contents) (o origin, here link, ok bool) {
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	l.watch = append(l.watch, abs)
	fail := func(msg string) {
		l.d.incomplete = true
		if !at.IsZero() {
			l.d.fail(at, p, "%s: %s", name, msg)
			return
		}
		l.d.errs = append(l.d.errs, Error{File: name, Msg: msg})
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		fail(reason(err))
		return o, here, false
	}
	for i, c := range chain {
		if c.real == real {
			var names []string
			for _, c := range chain[i:] {
				names = append(names, c.name)
			}
			fail("files include each other: " + strings.Join(append(names, name), " -> "))
			return o, here, false
		}
	}
	here = link{name, real}
	if l.read[real] {
		return o, here, false
	}
	l.read[real] = true
	if len(chain) > maxInclude {
		fail("files are included more than 10 deep")
		return o, here, false
	}
	f, st, why := l.open(name)
	if why != "" {
		fail(why)
		return o, here, false
	}
	defer f.Close()
	top, b, why := content(f, st.Size(), name, abs)
	if why != "" {
		fail(why)
		return o, here, false
	}
	if modified := st.ModTime(); modified.After(l.d.spec.Modified) {
		l.d.spec.Modified = modified
	}
	if top.IsZero() {
		if top, ok = l.d.read(name, abs, b); !ok {
			return o, here, false
		}
	}
	return origin{top, everybody(st, 0o004)}, here, true
}

// notRegular is why a pipe or a device is refused.
const notRegular = "not a regular file: what is read must be there to be read again"

// open opens a file, or says why it is refused.
func (l *loader) open(name string) (*os.File, fs.FileInfo, string) {
	// A pipe is not even opened: that waits for somebody to write, and with it
	// would every reload.
	if st, err := os.Stat(name); err == nil && !st.IsDir() && !st.Mode().IsRegular() {
		return nil, nil, notRegular
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, reason(err)
	}
	st, err := f.Stat()
	why := ""
	switch {
	case err != nil:
		why = reason(err)
	case st.IsDir():
		why = "a directory: name a file, or include " + filepath.Join(name, "*.yaml")
	case st.Size() > maxFile:
		why = tooLarge(name).Msg
	}
	if why != "" {
		f.Close()
		return nil, nil, why
	}
	if everybody(st, 0o002) {
		l.d.errs = append(l.d.errs, Error{File: name, Msg: "everybody can write this file: chmod o-w " + name})
	}
	return f, st, ""
}

// content is the tree of a large file, or else the text of one, or why it is
// refused.
func (l *loader) content(f *os.File, size int64, name, abs string) (document.Node, []byte, string) {
	if l.sizes.least >= 0 && size >= l.sizes.least {
		top, text, err := l.stretches(f, size, name, abs)
		switch {
		case err == nil:
			return top, text, ""
		case errors.Is(err, errLarge):
			return top, nil, tooLarge(name).Msg
		case !errors.Is(err, errDoubt):
			return top, nil, reason(err)
		}
		if _, err := f.Seek(0, io.SeekStart); err != nil {
			return top, nil, reason(err)
		}
	}
	return textOf(f, size, name, abs)
}

// textOf is the text of a file, or why it is refused.
func textOf(f *os.File, size int64, name, _ string) (document.Node, []byte, string) {
	b := make([]byte, 0, size+1)
	for r := io.LimitReader(f, maxFile+1); ; {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return document.Node{}, nil, reason(err)
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b)+512)
		}
	}
	if len(b) > maxFile {
		return document.Node{}, nil, tooLarge(name).Msg
	}
	return document.Node{}, b, ""
}

// everybody is whether all users of this machine may do with a file what the bit says.
func everybody(st fs.FileInfo, bit fs.FileMode) bool {
	return runtime.GOOS != "windows" && st.Mode().IsRegular() && st.Mode()&bit != 0
}

func tooLarge(name string) Error {
	return Error{File: name, Msg: "larger than 1 GiB: divide it"}
}

// includes follows the include key of a document.
func (l *loader) includes(top document.Node, chain []link) {
	if top.Kind() != document.Mapping {
		return
	}
	p := (*path)(nil).dot("include")
	for k, v := range top.Pairs() {
		if string(k.Raw()) != "include" {
			continue
		}
		if v.Kind() == document.Scalar {
			l.pattern(v, p, chain)
			continue
		}
		for i, it := range l.d.list(v, p) {
			if it.Kind() == document.Mapping {
				l.dialect(it, p.at(i), chain)
			} else {
				l.pattern(it, p.at(i), chain)
			}
		}
	}
}

func (l *loader) pattern(r document.Node, p *path, chain []link) {
	for _, name := range l.matches(r, p) {
		l.file(name, r, p, chain)
	}
}

// matches are the files that a pattern names.
func (l *loader) matches(r document.Node, p *path) []string {
	pattern, ok := l.d.text(r, p)
	if !ok {
		return nil
	}
	if pattern == "" {
		l.d.fail(r, p, "a value is missing")
		return nil
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(r.Name()), pattern)
	}
	if !strings.ContainsAny(pattern, "*?[") {
		return []string{pattern}
	}
	l.watchPattern(pattern)
	names, err := filepath.Glob(pattern)
	if err != nil {
		l.d.fail(r, p, "%s is not a pattern: a [ without its ]", pattern)
		return nil
	}
	slices.Sort(names)
	// A pattern may match directories that nobody meant.
	return slices.DeleteFunc(names, func(name string) bool {
		st, err := os.Stat(name)
		return err == nil && st.IsDir()
	})
}

// watchPattern notes by which names a new file could match, in the directories that
// there are, and by which a new directory could.
func (l *loader) watchPattern(pattern string) {
	patterns := []string{pattern}
	if dir := filepath.Dir(pattern); strings.ContainsAny(dir, "*?[") {
		dirs, _ := filepath.Glob(dir)
		patterns = patterns[:0]
		for _, d := range dirs {
			patterns = append(patterns, filepath.Join(d, filepath.Base(pattern)))
		}
		for strings.ContainsAny(filepath.Dir(dir), "*?[") {
			dir = filepath.Dir(dir)
		}
		patterns = append(patterns, dir)
	}
	for _, p := range patterns {
		if abs, err := filepath.Abs(p); err == nil {
			l.watch = append(l.watch, abs)
		}
	}
}
