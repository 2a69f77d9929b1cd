package text

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Pos is where a record was written.
type Pos struct {
	File int32 // index in the files that were read
	Line int32 // of the record's first line, from 1
}

// Record is one resource record as text gave it.
type Record struct {
	Owner dnswire.Name // lower-case wire form
	Type  dnswire.Type
	TTL   uint32 // seconds, at most 2,147,483,647
	Data  []byte // RDATA in wire form, names uncompressed, in the case they were written
	Pos   Pos
}

// Error is one thing that is wrong in zone text. Line is the first line of the
// record or the directive, or the line of the character that is out of place;
// 0 is the file as a whole.
type Error struct {
	File string
	Line int
	Msg  string
}

// Error is "file:line: msg".
func (e Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// Errors is everything that is wrong in zone text, by file in the order read
// and by line.
type Errors []Error

// Error is a line for each.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Options is what zone text does not say itself.
type Options struct {
	// Origin is what relative names are relative to: the zone. None is the
	// root.
	Origin dnswire.Name
	// TTL, in seconds, is of records that state none where there is no $TTL,
	// no record before them that states one, and no SOA.
	TTL uint32
	// Open opens a file and tells its size in octets, by which room for it is
	// chosen. Nil opens regular files of up to 4 GiB in the file system.
	Open func(path string) (in io.ReadCloser, size int64, err error)
}

// What bounds the work that text can ask for.
const (
	maxErrors  = 100       // reported
	maxDepth   = 10        // files within files
	maxReads   = 10_000    // of files, in all
	maxSteps   = 65_536    // of one $GENERATE
	maxTotal   = 1 << 24   // steps of all $GENERATE
	maxTTL     = 1<<31 - 1 // RFC 2181 section 8
	maxRDLen   = 65_535
	maxStepLen = 8_192 // bytes of text of one step
)

// ReadFile reads a zone file (RFC 1035 section 5, RFC 2308 section 4, RFC 3597
// section 5) and what it includes, and calls emit for each record in order.
// The Record and its Data are overwritten by the next one.
//
// files are the absolute paths of every file that was read or should have been,
// the first one first. errs is all that is wrong, the first 100 of it. Reading
// goes on after an error, but records whose owner cannot be known for one are
// not emitted: judge a zone as a whole only where there is no error.
//
// Of a large file no more is in memory than a window of 256 KiB, or twice the
// longest entry.
func ReadFile(path string, o Options, emit func(*Record)) (files []string, errs Errors) {
	r := newReader(o, emit)
	r.readAll(path)
	return r.files, r.errors()
}

// ReadRecord reads one record, written on one line with its owner; "@" is the
// origin. emit is called once, or not at all where there is an error. A
// directive is an error, and so is a second record.
func ReadRecord(text string, o Options, emit func(*Record)) error {
	r := newReader(o, emit)
	f := &file{origin: string(r.o.Origin)}
	s := newScanner(text)
	e := s.next()
	switch {
	case e == nil:
		return errors.New("no record")
	case e.err != nil:
		return e.err.err
	case e.blank:
		return errors.New("begins with white space: a record on its own states its owner, @ for the zone")
	case e.directive() != "":
		return fmt.Errorf("%s: a record on its own takes no directives", brief(e.directive()))
	case newScanner(s.text[s.off:]).next() != nil:
		return errors.New("more than one record")
	}
	if err := f.setOwner(e.tokens[0]); err != nil {
		return err
	}
	return r.record(f, e.tokens[1:])
}

// reader is the state of one reading, over all its files.
type reader struct {
	o     Options
	emit  func(*Record)
	rec   Record
	data  dataReader
	files []string // absolute
	reads int
	steps int // of $GENERATE that are left
	errs  []placedError
	min   ttl // of the SOA

	alone    bool // other files are not read
	includes bool // but there are some
}

type placedError struct {
	file int32
	Error
}

// ttl is a TTL that may be unknown.
type ttl struct {
	seconds uint32
	known   bool
}

// file is the state that ends with its file: what an included file sets does
// not last beyond it (RFC 1035 section 5.1).
type file struct {
	name     string // as errors name it
	abs      string
	index    int32
	from     *file  // that includes it
	origin   string // wire form, in the case it was written
	blind    bool   // the origin is not known, for an error
	owner    dnswire.Name
	ownerBuf []byte
	lost     bool  // the owner is not known, for an error
	stated   ttl   // by $TTL
	last     ttl   // by a record
	line     int32 // of the entry at hand
}

func newReader(o Options, emit func(*Record)) *reader {
	if o.Open == nil {
		o.Open = openRegular
	}
	if o.Origin == "" {
		o.Origin = dnswire.Root
	}
	return &reader{o: o, emit: emit, steps: maxTotal}
}

// read reads the entries of f, until there are more errors than are reported.
func (r *reader) read(f *file, s *scanner) {
	for e := s.next(); e != nil && len(r.errs) <= maxErrors; e = s.next() {
		f.line = int32(e.line)
		if e.err != nil {
			r.fail(f, e.err.line, e.err.err)
			f.lose(e)
			continue
		}
		if err := r.entry(f, e); err != nil {
			r.fail(f, e.line, err)
		}
	}
	if s.err != nil {
		r.fail(f, 0, bare(s.err))
	}
}

func (r *reader) fail(f *file, line int, err error) {
	r.errs = append(r.errs, placedError{f.index, Error{File: f.name, Line: line, Msg: err.Error()}})
}

// errors are the errors in order, with a word where there are more than we say.
func (r *reader) errors() Errors {
	if len(r.errs) == 0 {
		return nil
	}
	more := len(r.errs) > maxErrors
	r.errs = r.errs[:min(len(r.errs), maxErrors)]
	slices.SortStableFunc(r.errs, func(a, b placedError) int {
		return cmp.Or(cmp.Compare(a.file, b.file), cmp.Compare(a.Line, b.Line))
	})
	errs := make(Errors, 0, len(r.errs)+1)
	for _, e := range r.errs {
		errs = append(errs, e.Error)
	}
	if more {
		last := errs[len(errs)-1]
		errs = append(errs, Error{
			File: last.File, Line: last.Line,
			Msg: fmt.Sprintf("and more: only the first %d errors are shown", maxErrors),
		})
	}
	return errs
}
