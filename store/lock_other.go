//go:build !windows && !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package store

import "os"

// tryLock locks nothing: two that open a damaged file at once may each put one in its
// place.
func tryLock(*os.File) (locked bool, err error) { return true, nil }
