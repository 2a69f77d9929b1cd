package spec

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// Options are what Load takes from outside of the files.
type Options struct {
	// Env looks up an environment variable; nil is os.LookupEnv.
	Env func(name string) (value string, set bool)
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
	d.spec.Files = []string{name}
	doc := &document{name: name, dir: filepath.Dir(name), src: b}
	if errs := doc.parse(); len(errs) > 0 {
		return nil, errs
	}
	if len(doc.nodes) > 0 && doc.nodes[0].kind == mapping {
		for k := range (ref{doc, 0}).pairs() {
			if string(k.raw()) == "include" {
				d.fail(k, (*path)(nil).dot("include"), "only for files: this document is none")
			}
		}
	}
	return d.finish([]*document{doc})
}

func newDecoder(env func(string) (string, bool)) *decoder {
	return &decoder{
		env:    env,
		spec:   &Spec{Checks: map[string]*Check{}, Pools: map[string]*Pool{}},
		checks: map[string]*Check{}, pools: map[string]*Pool{}, used: map[string]bool{},
		refs: map[*Pool]ref{}, checkAt: map[*Check]ref{},
		policies: policies{byText: map[string]*policyUse{}, byMean: map[string]*policyUse{}},
	}
}

// finish decodes the documents, unless one of them could not be read: what it
// would have stated must not look missing in the others.
func (d *decoder) finish(docs []*document) (*Spec, error) {
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
// certificates and keys among them, and the directories in which include
// patterns were looked up.
func Load(path string, o Options) (*Spec, []string, error) {
	if o.Env == nil {
		o.Env = os.LookupEnv
	}
	l := loader{d: newDecoder(o.Env), read: map[string]bool{}}
	l.file(path, ref{}, nil, nil)
	s, err := l.d.finish(l.docs)
	watch := append(l.watch, l.d.looked...)
	slices.Sort(watch)
	return s, slices.Compact(watch), err
}

// loader reads files and follows their includes.
type loader struct {
	d     *decoder
	docs  []*document
	read  map[string]bool // by the real path, so that a symbolic link is no second file
	watch []string
}

// link is one file of a chain of includes.
type link struct {
	name, real string
}

// file reads one file, unless it was read already. at is the include that led
// to it, for messages; not ok for the first file.
func (l *loader) file(name string, at ref, p *path, chain []link) {
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	l.watch = append(l.watch, abs)
	fail := func(msg string) {
		l.d.incomplete = true
		if at.ok() {
			l.d.fail(at, p, "%s: %s", name, msg)
			return
		}
		l.d.errs = append(l.d.errs, Error{File: name, Msg: msg})
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		fail(reason(err))
		return
	}
	for i, c := range chain {
		if c.real == real {
			var names []string
			for _, c := range chain[i:] {
				names = append(names, c.name)
			}
			fail("files include each other: " + strings.Join(append(names, name), " -> "))
			return
		}
	}
	if l.read[real] {
		return
	}
	l.read[real] = true
	if len(chain) > maxInclude {
		fail("files are included more than 10 deep")
		return
	}
	b, st, why := l.bytes(name)
	if why != "" {
		fail(why)
		return
	}
	doc := &document{name: name, dir: filepath.Dir(name), file: len(l.docs), src: b}
	if st.Mode().IsRegular() {
		doc.mode = st.Mode()
	}
	l.docs = append(l.docs, doc)
	l.d.spec.Files = append(l.d.spec.Files, abs)
	if modified := st.ModTime(); modified.After(l.d.spec.Modified) {
		l.d.spec.Modified = modified
	}
	if errs := doc.parse(); len(errs) > 0 {
		l.d.incomplete = true
		l.d.errs = append(l.d.errs, errs...)
	}
	l.includes(doc, append(chain[:len(chain):len(chain)], link{name, real}))
}

// bytes is the content of a file, or why it is refused.
func (l *loader) bytes(name string) ([]byte, fs.FileInfo, string) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer f.Close()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, nil, reason(err)
	case st.IsDir():
		return nil, nil, "a directory: name a file, or include " + filepath.Join(name, "*.yaml")
	case st.Size() > maxFile:
		return nil, nil, tooLarge(name).Msg
	}
	if st.Mode().IsRegular() && runtime.GOOS != "windows" && st.Mode()&0o002 != 0 {
		l.d.errs = append(l.d.errs, Error{File: name, Msg: "everybody can write this file: chmod o-w " + name})
	}
	b := make([]byte, 0, st.Size()+1)
	for r := io.LimitReader(f, maxFile+1); ; {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, nil, reason(err)
		}
		if len(b) == cap(b) {
			b = slices.Grow(b, len(b)+512)
		}
	}
	if len(b) > maxFile {
		return nil, nil, tooLarge(name).Msg
	}
	return b, st, ""
}

func tooLarge(name string) Error {
	return Error{File: name, Msg: "larger than 1 GiB: divide it"}
}

// includes follows the include key of a document.
func (l *loader) includes(doc *document, chain []link) {
	if len(doc.nodes) == 0 || doc.nodes[0].kind != mapping {
		return
	}
	p := (*path)(nil).dot("include")
	for k, v := range (ref{doc, 0}).pairs() {
		if string(k.raw()) != "include" {
			continue
		}
		if v.kind() == scalar {
			l.pattern(v, p, doc, chain)
			continue
		}
		for i, it := range l.d.list(v, p) {
			l.pattern(it, p.at(i), doc, chain)
		}
	}
}

func (l *loader) pattern(r ref, p *path, doc *document, chain []link) {
	pattern, ok := l.d.text(r, p)
	if !ok {
		return
	}
	if pattern == "" {
		l.d.fail(r, p, "a value is missing")
		return
	}
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(doc.dir, pattern)
	}
	if !strings.ContainsAny(pattern, "*?[") {
		l.file(pattern, r, p, chain)
		return
	}
	l.watchDirs(pattern)
	names, err := filepath.Glob(pattern)
	if err != nil {
		l.d.fail(r, p, "%s is not a pattern: a [ without its ]", pattern)
		return
	}
	slices.Sort(names)
	for _, name := range names {
		// A pattern may match directories that nobody meant.
		if st, err := os.Stat(name); err == nil && st.IsDir() {
			continue
		}
		l.file(name, r, p, chain)
	}
}

// watchDirs notes the directories in which a new file could match.
func (l *loader) watchDirs(pattern string) {
	dirs := []string{filepath.Dir(pattern)}
	if strings.ContainsAny(dirs[0], "*?[") {
		dirs, _ = filepath.Glob(dirs[0])
		base := pattern
		for strings.ContainsAny(base, "*?[") {
			base = filepath.Dir(base)
		}
		dirs = append(dirs, base)
	}
	for _, dir := range dirs {
		st, err := os.Stat(dir)
		if err != nil && !os.IsNotExist(err) || err == nil && st.Mode()&fs.ModeDir == 0 {
			continue
		}
		if abs, err := filepath.Abs(dir); err == nil {
			l.watch = append(l.watch, abs)
		}
	}
}
