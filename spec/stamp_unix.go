//go:build unix

package spec

import (
	"time"

	"golang.org/x/sys/unix"
)

// stampOf is the state of a file. The time when the inode changed and its number
// tell files apart that were given the same size and modification time.
func stampOf(path string) stamp {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return stamp{}
	}
	return stamp{
		size: st.Size, inode: uint64(st.Ino), known: true,
		modified: time.Unix(st.Mtim.Unix()), changed: time.Unix(st.Ctim.Unix()),
	}
}
