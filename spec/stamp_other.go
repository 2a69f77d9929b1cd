//go:build !unix

package spec

import "os"

// stampOf is the state of a file, as far as the system tells.
func stampOf(path string) stamp {
	st, err := os.Stat(path)
	if err != nil {
		return stamp{}
	}
	return stamp{size: st.Size(), known: true, modified: st.ModTime(), changed: st.ModTime()}
}
