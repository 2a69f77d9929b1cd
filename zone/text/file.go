package text

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

const maxFile = 4 << 30

// openRegular opens a regular file. Anything else could block, or have no end.
func openRegular(path string) (in io.ReadCloser, size int64, err error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, 0, err
	}
	size = st.Size()
	switch {
	case !st.Mode().IsRegular():
		return nil, 0, errors.New("not a regular file")
	case size > maxFile:
		return nil, 0, errors.New("larger than 4 GiB")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	// A file that grows meanwhile is read to the size that it had.
	return limited{io.LimitReader(f, size), f}, size, nil
}

type limited struct {
	io.Reader
	io.Closer
}

// readAll reads the first file, and so all of them.
func (r *reader) readAll(path string) {
	f := &file{name: path, origin: string(r.o.Origin)}
	in, size, err := r.open(f)
	if err != nil {
		r.fail(f, 0, err)
		return
	}
	defer in.Close()
	r.read(f, newStream(in, size))
}

// open opens f and gives it its place among the files.
func (r *reader) open(f *file) (in io.ReadCloser, size int64, err error) {
	abs, err := filepath.Abs(f.name)
	if err != nil {
		abs = f.name
	}
	f.abs = abs
	i := slices.Index(r.files, abs)
	if i < 0 {
		i = len(r.files)
		r.files = append(r.files, abs)
	}
	f.index = int32(i)
	if r.reads++; r.reads > maxReads {
		return nil, 0, fmt.Errorf("more than %d files are included", maxReads)
	}
	in, size, err = r.o.Open(f.name)
	return in, size, bare(err)
}

// bare is err without the path, which is in the place of the error already.
func bare(err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// include reads another file. It begins with the origin, owner and TTLs of f;
// those of f are f's own and so as before when it ends.
func (r *reader) include(f *file, args []token) error {
	if len(args) != 1 && len(args) != 2 || args[0].text == "" {
		return errors.New("takes the path of a file and, if wanted, an origin")
	}
	path := args[0].text
	sub := &file{
		name: path, from: f, origin: f.origin, blind: f.blind,
		owner: f.owner, lost: f.lost, stated: f.stated, last: f.last,
	}
	if !filepath.IsAbs(path) {
		sub.name = filepath.Join(filepath.Dir(f.name), path)
	}
	if len(args) == 2 {
		origin, err := f.wire(nil, args[1])
		if err != nil {
			return err
		}
		sub.origin, sub.blind = string(origin), false
	}
	depth := 0
	abs, err := filepath.Abs(sub.name)
	for up := f; up != nil; up = up.from {
		if err == nil && up.abs == abs {
			return fmt.Errorf("%s includes itself", cite(path))
		}
		depth++
	}
	if depth > maxDepth {
		return fmt.Errorf("%s is more than %d files deep", cite(path), maxDepth)
	}
	in, size, err := r.open(sub)
	if err != nil {
		return fmt.Errorf("%s: %w", cite(path), err)
	}
	defer in.Close()
	r.read(sub, newStream(in, size))
	return nil
}
