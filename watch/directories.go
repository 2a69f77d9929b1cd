package watch

import (
	"os"
	"path/filepath"
	"slices"
)

// Directories are those in which a change can make one of the paths another
// file: the one it is in, and the one of every symbolic link on the way to it.
// In place of a directory that does not exist stands the one in which it, or
// what leads to it, would appear.
func Directories(paths []string) []string {
	var dirs []string
	add := func(d string) {
		for {
			if st, err := os.Stat(d); err == nil && st.IsDir() || d == filepath.Dir(d) {
				break
			}
			d = filepath.Dir(d)
		}
		if !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	for _, p := range paths {
		if abs, err := filepath.Abs(p); err == nil {
			p = abs
		}
		// The kernel gives up after 40 links too.
		for range 40 {
			if st, err := os.Stat(p); err == nil && st.IsDir() {
				add(p)
			} else {
				add(filepath.Dir(p))
			}
			link, to, found := firstLink(p)
			if !found {
				break
			}
			add(filepath.Dir(link))
			p = to
		}
	}
	return dirs
}

// firstLink is the symbolic link on the way to a path that comes first, and the
// path with that link followed.
func firstLink(path string) (link, to string, found bool) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && !os.IsPathSeparator(path[i]) {
			continue
		}
		link = path[:i]
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(link), target)
		}
		return link, filepath.Join(target, path[i:]), true
	}
	return "", "", false
}
