package geo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// loaded is a database in memory.
type loaded struct {
	path  string // or BuiltIn
	layer *layer
	about description
	stamp stamp // of the file that was read
	size  int64
	at    time.Time
	took  time.Duration
}

func (l *loaded) entries() int { return len(l.layer.v4.starts) + len(l.layer.v6.starts) }

// maxFile is the size of file beyond which it is none of these databases: the
// largest, with all that any vendor sells, have some GB less.
const maxFile = 4 << 30

// clockStep is how far the time that a file system gives a change may be behind:
// it comes from a clock that moves on with the kernel's timer, at 100 Hz or more.
const clockStep = 20 * time.Millisecond

// load reads a database. The file is read, not mapped: to touch a mapped page
// that has been cut off would end the process.
func load(path string) (*loaded, error) {
	begun := time.Now()
	l := &loaded{path: path, at: begun}
	if path == BuiltIn {
		var err error
		l.layer, l.about, err = builtIn()
		l.size, l.took = int64(len(countries)), time.Since(begun)
		return l, err
	}
	file, before, err := content(path)
	if err == nil {
		l.layer, l.about, err = file.read(path)
		file.done()
	}
	if err != nil {
		var at *os.PathError
		if errors.As(err, &at) {
			return nil, fmt.Errorf("geo: database: %w", err)
		}
		return nil, fmt.Errorf("geo: database %s: %w", path, err)
	}
	l.size, l.took = before.info.Size(), time.Since(begun)
	// What was written just before may be written once more and look the same. The
	// clock of a file server may be ahead of ours.
	if begun.Sub(before.info.ModTime()).Abs() > clockStep {
		l.stamp = before
	}
	return l, nil
}

var (
	errEmpty   = errors.New("is empty")
	errMoved   = errors.New("has changed while it was read")
	errNoFile  = errors.New("is no file")
	errTooLong = fmt.Errorf("is longer than %d bytes", int64(maxFile))
)

// room is a file in memory while it is read. Nothing of it may be used once it is
// done.
type room struct {
	content []byte
	forget  func(n int) // gives the memory of the first n octets back; nil: cannot
	free    func()      // gives back all of it; nil: nobody has to
}

func (r *room) done() {
	if r.free != nil {
		r.free()
	}
}

// content is what a file has, and the stamp it had before and after.
func content(path string) (*room, stamp, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, stamp{}, err
	}
	defer func() { _ = f.Close() }()
	st, err := f.Stat()
	switch {
	case err != nil:
		return nil, stamp{}, err
	case !st.Mode().IsRegular():
		return nil, stamp{}, errNoFile
	case st.Size() == 0:
		return nil, stamp{}, errEmpty
	case st.Size() > maxFile:
		return nil, stamp{}, errTooLong
	}
	file := allocate(int(st.Size()))
	if _, err := io.ReadFull(f, file.content); err != nil {
		file.done()
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			err = errMoved
		}
		return nil, stamp{}, err
	}
	before := stamp{st}
	if after, err := f.Stat(); err != nil || !before.same(stamp{after}) {
		file.done()
		return nil, stamp{}, errMoved
	}
	return file, before, nil
}

// stamp tells a file from what comes in its place.
type stamp struct{ info os.FileInfo }

// stampOf is the stamp of a file, or an empty one if there is none.
func stampOf(path string) stamp {
	st, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{st}
}

// same is whether two stamps are of the same file with the same content. An empty
// one is the same as no other.
func (s stamp) same(o stamp) bool {
	return s.info != nil && o.info != nil && os.SameFile(s.info, o.info) &&
		s.info.Size() == o.info.Size() && s.info.ModTime().Equal(o.info.ModTime())
}
