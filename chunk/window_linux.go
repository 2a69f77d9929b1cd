package chunk

import (
	"io"
	"os"
	"runtime/debug"
	"unsafe"

	"golang.org/x/sys/unix"
)

// windowSize is how much of a file is looked at through one window, in octets.
// That bounds what the process seems to hold of it, and is enough for the opening
// and closing of windows to cost nothing beside the looking.
var windowSize int64 = 4 << 20

// windows look at the pages of a file that the system has in its memory, one
// window after the other.
type windows struct {
	f    *os.File
	size int64  // of the file, when it was opened
	from int64  // where the window begins
	text []byte // what it shows
	// backwards has a window show what is before the octets that it was opened for.
	backwards bool
}

// openWindows is nil where there are none, or none are worth it.
func openWindows(f *os.File) *windows {
	st, err := f.Stat()
	if err != nil || !st.Mode().IsRegular() || st.Size() < windowSize/4 {
		return nil
	}
	w := &windows{f: f, size: st.Size()}
	if w.move(0, 1) != nil {
		return nil
	}
	return w
}

// view is n octets at a place, or as many as the file has there. They are good
// until the next call. The error is ErrAgain.
func (w *windows) view(at int64, n int) ([]byte, error) {
	n = int(min(int64(n), w.size-at))
	if at < w.from || at+int64(n) > w.from+int64(len(w.text)) {
		if err := w.move(at, n); err != nil {
			return nil, err
		}
	}
	return w.text[at-w.from:][:n:n], nil
}

// move opens the window onto n octets at a place, and what is behind them.
func (w *windows) move(at int64, n int) error {
	w.close()
	from := at
	if w.backwards {
		from = max(0, min(at, at+int64(n)-windowSize))
	}
	from &^= int64(os.Getpagesize() - 1)
	size := min(max(windowSize, at-from+int64(n)), w.size-from)
	text, err := unix.Mmap(int(w.f.Fd()), from, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return ErrAgain
	}
	w.from, w.text = from, text
	return nil
}

func (w *windows) close() {
	if w.text != nil {
		_ = unix.Munmap(w.text) // fails only for what is none
		w.text = nil
	}
}

// end is what comes behind the last octet: io.EOF, unless the file has another
// size by now.
func (w *windows) end() error {
	if st, err := w.f.Stat(); err != nil || st.Size() != w.size {
		return ErrAgain
	}
	return io.EOF
}

// faulted is deferred around what looks through a window, where a file that is
// cut short meanwhile makes the memory vanish: then the error is ErrAgain. was is
// what debug.SetPanicOnFault was before.
func (w *windows) faulted(was bool, err *error) {
	debug.SetPanicOnFault(was)
	v := recover()
	if v == nil {
		return
	}
	if fault, ok := v.(interface{ Addr() uintptr }); ok && len(w.text) > 0 {
		begin := uintptr(unsafe.Pointer(unsafe.SliceData(w.text)))
		if at := fault.Addr(); at >= begin && at-begin < uintptr(len(w.text)) {
			*err = ErrAgain
			return
		}
	}
	panic(v)
}
