package chunk

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

const (
	minBuffer = 256 << 10 // fits the cache of a core, so that what was read is hashed from there
	ahead     = 64 << 10  // octets that are copied from a window at a time, at least
	maxEmpty  = 100       // reads in a row that give nothing
	maxTries  = 8         // stretches that begin with the same line, near the place and elsewhere
)

// Reader divides one file. It is for one goroutine.
type Reader struct {
	in     io.Reader // nil when there are windows
	win    *windows  // nil when there is in
	beside *beside   // nil: nobody
	d      Divider
	skip   Skipper // d, if it is one
	size   Sizes
	err    error // the last

	buf     []byte
	at, end int // the text that is read, from behind the last stretch
	eof     bool
	pos     int64   // of at in the file
	last    Stretch // whose text is at at until the next one
	line    int     // of buf[at], from 1
	behind  []byte  // the line behind a stretch, out of a window

	before []Mark
	used   []bool
	left   int // of before, not used
	next   int // the one that comes next if nothing is new
	found  int // one whose text stands at at for sure; -1 is not known
	told   bool
	spare  int // octets that may be hashed in vain

	// The marks by the hash of their first line: heads by its low bits, then
	// chains in ascending order. They are numbers of marks from 1.
	heads  []int32
	chain  []int32
	listed []int // the result of candidates
}

// NewReader reads a file of which before are the marks of the last reading, in
// order; there are none at the first. It does not change them.
func NewReader(r io.Reader, before []Mark, d Divider, size Sizes) *Reader {
	if size.Wished <= 0 {
		size.Wished = 16 << 10
	}
	if size.Most <= 0 {
		size.Most = 16 << 20
	}
	size.Most = min(size.Most, 1<<30)
	size.Wished = min(size.Wished, size.Most)
	largest := int32(0)
	for _, m := range before {
		largest = max(largest, m.Size)
	}
	skip, _ := d.(Skipper)
	return &Reader{
		in: r, d: d, skip: skip, size: size,
		buf:  make([]byte, max(minBuffer, 4*size.Wished, 2*min(int(largest), size.Most))),
		line: 1, before: before, used: make([]bool, len(before)), left: len(before),
		found: -1, spare: 1 << 20,
	}
}

// Next gives the next stretch, or io.EOF at the end, or the error of the file,
// ErrLong, or ErrAgain. After an error it gives the same one again.
func (r *Reader) Next() (Stretch, error) {
	if r.err != nil {
		return Stretch{}, r.err
	}
	r.advance(int(r.last.Mark.Size))
	s, err := r.watched()
	if err != nil {
		r.err, r.last = err, Stretch{}
		return Stretch{}, err
	}
	r.last = s
	r.line += int(s.Mark.Lines)
	r.spare += 2 * int(s.Mark.Size)
	return s, nil
}

// advance goes n octets on.
func (r *Reader) advance(n int) {
	r.pos += int64(n)
	if r.at += n; r.at > r.end { // what is seen through a window is not in the buffer
		r.at, r.end, r.eof = 0, 0, false
	}
}

func (r *Reader) stretch() (Stretch, error) {
	switch {
	case r.win != nil && r.pos == r.win.size:
		return Stretch{}, r.win.end()
	case r.win == nil:
		if err := r.fill(1); err != nil {
			return Stretch{}, err
		}
		if r.at == r.end {
			return Stretch{}, io.EOF
		}
	}
	i, err := r.known()
	r.found = -1
	switch {
	case err != nil:
		return Stretch{}, err
	case i < 0:
		return r.fresh()
	}
	r.used[i] = true
	r.left--
	r.next = i + 1
	r.told = false
	r.d.Seen(i)
	return Stretch{Was: i, Mark: r.before[i], Line: r.line}, nil
}

// known is the stretch of the last reading that stands at at and fits, or -1.
func (r *Reader) known() (int, error) {
	if r.left == 0 {
		return -1, nil
	}
	r.beside.expects(r.next)
	first, same := r.found, r.found >= 0 // then its text stands here for sure
	if !same && r.next < len(r.before) && !r.used[r.next] {
		var err error
		first = r.next
		if same, err = r.same(0, first); err != nil {
			return -1, err
		}
	}
	if same {
		if fits, err := r.fits(first); err != nil || fits {
			return first, err
		}
	}
	line, _, err := r.lineAt(0)
	if err != nil {
		return -1, r.wrap(err, r.line)
	}
	for _, i := range r.candidates(hash(line)) {
		if i == first {
			continue
		}
		same, err := r.same(0, i)
		if same {
			same, err = r.fits(i)
		}
		if err != nil || same {
			return i, err
		}
	}
	return -1, nil
}

// fits is whether stretch i, whose text stands at at, may be taken for it.
func (r *Reader) fits(i int) (bool, error) {
	m := &r.before[i]
	if next := i + 1; r.beside != nil && next < len(r.before) && r.beside.has(next, r.pos+int64(m.Size)) {
		return r.d.Fits(i, nil) != Never, nil // it ended here before what comes now as well
	}
	behind, err := r.lineBehind(int(m.Size))
	if err != nil {
		return false, r.wrap(err, r.line+int(m.Lines))
	}
	switch cut := r.d.Fits(i, behind); {
	case cut == Never:
		return false, nil
	case cut == Must || behind == nil || int(m.Size) >= r.size.Wished/2:
		return true, nil
	}
	// A short one is kept only where what came behind it still does. Otherwise
	// a file to which lines are added, one with each reading, would become a
	// stretch for each line.
	return i+1 < len(r.before) && !r.used[i+1] && r.before[i+1].first == hash(behind), nil
}

// fresh divides new text.
func (r *Reader) fresh() (Stretch, error) {
	line, size, err := r.lineAt(0)
	if err != nil {
		return Stretch{}, r.wrap(err, r.line)
	}
	m := Mark{first: hash(line), Lines: 1}
	if !r.told {
		r.d.Line(line)
	}
	if r.left == 0 && r.skip != nil {
		n := 0
		if size, n, err = r.skipped(size); err != nil {
			return Stretch{}, err
		}
		m.Lines += int32(n)
	}
	for r.told = false; ; m.Lines++ {
		if size > r.size.Most {
			return Stretch{}, r.wrap(ErrLong, r.line)
		}
		if r.end-r.at <= size {
			if err := r.fill(size + 1); err != nil {
				return Stretch{}, err
			}
			if r.end-r.at == size {
				break
			}
		}
		line, end, err := r.lineAt(size)
		if err != nil {
			return Stretch{}, r.wrap(err, r.line+int(m.Lines))
		}
		cut := r.d.Line(line)
		r.told = cut == Must || cut == May && (size >= r.size.Wished || end > r.size.Most)
		if cut == May && !r.told && r.left > 0 {
			if r.found, err = r.begins(size, hash(line)); err != nil {
				return Stretch{}, err
			}
			r.told = r.found >= 0
		}
		if r.told {
			break
		}
		size = end
	}
	m.sum, m.Size = hash(r.buf[r.at:r.at+size]), int32(size)
	return Stretch{Was: -1, Mark: m, Line: r.line}, nil
}

// skipped has the Skipper skip the lines from size on up to the wished size, and
// is the place behind them and how many they are.
func (r *Reader) skipped(size int) (end, n int, err error) {
	if err := r.fill(r.size.Wished); err != nil {
		return size, 0, err
	}
	text := r.buf[r.at:min(r.at+r.size.Wished, r.end)]
	end = bytes.LastIndexByte(text, '\n') + 1
	if end <= size {
		return size, 0, nil
	}
	n = bytes.Count(text[size:end], []byte{'\n'})
	r.skip.Skip(text[size:end], n)
	return end, n, nil
}

// begins is the stretch of the last reading whose text stands off octets behind
// at, where a line begins whose hash is first; or -1. One that goes together
// with the text before it into a stretch of the wished size is passed over, so
// that stretches do not become ever shorter.
func (r *Reader) begins(off int, first uint64) (int, error) {
	for _, i := range r.candidates(first) {
		if off+int(r.before[i].Size) <= r.size.Wished {
			continue
		}
		if same, err := r.same(off, i); err != nil || same {
			return i, err
		}
	}
	return -1, nil
}

// same is whether the text of stretch i stands off octets behind at, and ends
// there with a line.
func (r *Reader) same(off, i int) (bool, error) {
	m := &r.before[i]
	if m.Size <= 0 || int(m.Size) > r.size.Most {
		return false, nil
	}
	if r.beside.has(i, r.pos+int64(off)) {
		return true, nil
	}
	size := int(m.Size)
	text, err := r.view(off, size+1)
	if err != nil || len(text) < size || len(text) > size && text[size-1] != '\n' {
		return false, err
	}
	if hash(text[:size]) == m.sum {
		return true, nil
	}
	r.spare -= size
	return false, nil
}

// candidates are the stretches that are not used and whose first line has the
// hash first: those about the next one, then others. They are few, and none
// where too much has been tried in vain: a file may repeat one line for ever.
// They are good until the next call.
func (r *Reader) candidates(first uint64) []int {
	if r.heads == nil {
		r.index()
	}
	r.listed = r.listed[:0]
	head := &r.heads[first&uint64(len(r.heads)-1)]
	for *head != 0 && r.used[*head-1] {
		*head = r.chain[*head-1]
	}
	if *head == 0 || r.spare < 0 {
		return nil
	}
	near := min(r.next+maxTries, len(r.before))
	for i := r.next; i < near; i++ {
		if r.before[i].first == first && !r.used[i] {
			r.listed = append(r.listed, i)
		}
	}
	for n, tries := *head, 0; n != 0 && tries < maxTries; n = r.chain[n-1] {
		i := int(n - 1)
		if r.before[i].first == first && !r.used[i] && (i < r.next || i >= near) {
			r.listed = append(r.listed, i)
		}
		tries++
	}
	return r.listed
}

// index fills heads and chain. A file that is as it was does without them.
func (r *Reader) index() {
	size := 8
	for size < 2*len(r.before) {
		size *= 2
	}
	r.heads, r.chain = make([]int32, size), make([]int32, len(r.before))
	for i := len(r.before) - 1; i >= 0; i-- {
		if !r.used[i] {
			head := &r.heads[r.before[i].first&uint64(size-1)]
			r.chain[i], *head = *head, int32(i+1)
		}
	}
}

// lineAt is the line that begins off octets behind at, and the place behind its
// newline.
func (r *Reader) lineAt(off int) (line []byte, end int, err error) {
	for seen := off; ; {
		text := r.buf[r.at:r.end]
		if n := bytes.IndexByte(text[seen:], '\n'); n >= 0 {
			return text[off : seen+n], seen + n + 1, nil
		}
		if r.eof {
			return text[off:], len(text), nil
		}
		if seen = len(text); seen-off > r.size.Most {
			return nil, 0, ErrLong
		}
		if err := r.fill(seen + 1); err != nil {
			return nil, 0, err
		}
	}
}

// wrap names a line in ErrLong.
func (r *Reader) wrap(err error, line int) error {
	if errors.Is(err, ErrLong) {
		return fmt.Errorf("line %d: %w (%d octets)", line, err, r.size.Most)
	}
	return err
}

// fill reads until n octets are there from at on, or all that there are. What
// is there may move.
func (r *Reader) fill(n int) error {
	if r.end-r.at >= n || r.eof {
		return nil
	}
	if r.at+n > len(r.buf) {
		to := r.buf
		if n > len(r.buf) {
			to = slices.Grow([]byte(nil), max(n, 2*len(r.buf)))
			to = to[:cap(to)]
		}
		r.end = copy(to, r.buf[r.at:r.end])
		r.at, r.buf = 0, to
	}
	if r.win != nil {
		return r.copy(n)
	}
	for empty := 0; r.end-r.at < n; {
		got, err := r.in.Read(r.buf[r.end:])
		r.end += got
		switch {
		case err == io.EOF:
			r.eof = true
			return nil
		case err != nil:
			return err
		case got > 0:
			empty = 0
		default:
			if empty++; empty == maxEmpty {
				return io.ErrNoProgress
			}
		}
	}
	return nil
}
