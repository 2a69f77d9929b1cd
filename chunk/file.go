package chunk

import (
	"bytes"
	"os"
	"runtime/debug"
)

// NewFileReader is NewReader for a file. What was in the last reading is looked
// at where the system has it in its memory, which spares the copy that reading
// is. Close lets go of it.
func NewFileReader(f File, before []Mark, d Divider, size Sizes) *Reader {
	r := NewReader(f, before, d, size)
	if len(before) > 0 {
		if r.win = openWindows(f.File); r.win != nil {
			r.in, r.beside = nil, lookBeside(f.File, r.win.size, before, f.Beside)
		}
	}
	return r
}

// Close lets go of the file. The reader has no more to give.
func (r *Reader) Close() {
	r.beside.end()
	if r.win != nil {
		r.win.close()
	}
	if r.err == nil {
		r.err = os.ErrClosed
	}
}

// Text is the text of the stretch that Next gave last. It is good until the next
// call of Next. The error is that of the file, or ErrAgain.
func (r *Reader) Text() (text []byte, err error) {
	size := int(r.last.Mark.Size)
	if r.win == nil || r.end-r.at >= size {
		return r.buf[r.at : r.at+size], nil
	}
	if text, err = r.seen(); err != nil {
		r.err = err
	}
	return text, err
}

// seen copies the text of a stretch that has been found through a window.
func (r *Reader) seen() (text []byte, err error) {
	defer r.win.faulted(debug.SetPanicOnFault(true), &err)
	size := int(r.last.Mark.Size)
	if err := r.fill(size); err != nil {
		return nil, err
	}
	if text = r.buf[r.at:min(r.at+size, r.end)]; hash(text) != r.last.Mark.sum {
		return nil, ErrAgain // somebody is writing it
	}
	return text, nil
}

// watched is stretch, where a window may be onto what is gone.
func (r *Reader) watched() (s Stretch, err error) {
	if r.win != nil {
		defer r.win.faulted(debug.SetPanicOnFault(true), &err)
	}
	return r.stretch()
}

// view is the n octets off behind at, or as many as there are. It may be a view
// of what others write to: what is found in it has been found once and no more.
func (r *Reader) view(off, n int) ([]byte, error) {
	if r.win != nil && r.end-r.at < off+n {
		return r.win.view(r.pos+int64(off), n)
	}
	err := r.fill(off + n)
	return r.buf[min(r.at+off, r.end):min(r.at+off+n, r.end)], err
}

// lineBehind is the line that begins off octets behind at, nil at the end of the
// file. It is good until the next call.
func (r *Reader) lineBehind(off int) ([]byte, error) {
	if r.win == nil {
		if err := r.fill(off + 1); err != nil || r.end-r.at == off {
			return nil, err
		}
		line, _, err := r.lineAt(off)
		return line, err
	}
	for n := 256; ; n *= 4 {
		text, err := r.view(off, n)
		if err != nil || len(text) == 0 {
			return nil, err
		}
		end := bytes.IndexByte(text, '\n')
		if end < 0 && len(text) < n {
			end = len(text)
		}
		if end >= 0 {
			r.behind = append(r.behind[:0], text[:end]...)
			return r.behind[:len(r.behind):len(r.behind)], nil
		}
		if n > r.size.Most {
			return nil, ErrLong
		}
	}
}

// copy copies from a window until n octets are there from at on, or all that
// there are: new text is looked at more than once, and must be the same each time.
func (r *Reader) copy(n int) error {
	to := r.buf[r.end:min(r.at+max(n, ahead), len(r.buf))]
	from, err := r.win.view(r.pos+int64(r.end-r.at), len(to))
	r.end += copy(to, from)
	r.eof = r.pos+int64(r.end-r.at) == r.win.size
	return err
}
