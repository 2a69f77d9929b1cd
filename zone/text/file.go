package text

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxFile bounds a file; it is read into memory as a whole.
const maxFile = 4 << 30

// readRegular is the text of a regular file. Anything else could block, or have
// no end.
func readRegular(path string) (string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	size := st.Size()
	switch {
	case !st.Mode().IsRegular():
		return "", errors.New("not a regular file")
	case size > maxFile || int64(int(size)) != size:
		return "", errors.New("larger than 4 GiB")
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	var b strings.Builder
	b.Grow(int(size))
	// A file that grows meanwhile is read to the size that it had.
	if _, err := io.Copy(&b, io.LimitReader(f, size)); err != nil {
		return "", err
	}
	return b.String(), nil
}

// readAll reads the first file, and so all of them.
func (r *reader) readAll(path string) {
	f := &file{name: path, origin: string(r.o.Origin)}
	text, err := r.open(f)
	if err != nil {
		r.fail(f, 0, err)
		return
	}
	r.read(f, text)
}

// open reads the text of f and gives f its place among the files.
func (r *reader) open(f *file) (string, error) {
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
		return "", fmt.Errorf("more than %d files are included", maxReads)
	}
	text, err := r.o.Read(f.name)
	// The path is in the place of the error already.
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		err = pe.Err
	}
	return text, err
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
	text, err := r.open(sub)
	if err != nil {
		return fmt.Errorf("%s: %w", cite(path), err)
	}
	r.read(sub, text)
	return nil
}
