//go:build !linux

package chunk

import (
	"io"
	"os"
)

// windows are for systems where the pages of a file can be looked at. There are
// none here: files are read.
type windows struct {
	size      int64
	backwards bool
}

func openWindows(*os.File) *windows { return nil }

func (w *windows) view(int64, int) ([]byte, error) { return nil, ErrAgain }
func (w *windows) end() error                      { return io.EOF }
func (w *windows) close()                          {}
func (w *windows) faulted(bool, *error)            {}
