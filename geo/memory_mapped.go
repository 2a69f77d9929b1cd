//go:build linux || darwin

package geo

import (
	"os"

	"golang.org/x/sys/unix"
)

// allocate is a room of so many octets beyond the collector's memory: all of it
// goes back to the system at once, and what is loaded may not grow by as much
// before the next collection.
func allocate(size int) *room {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return &room{content: make([]byte, size)}
	}
	return &room{
		content: b,
		forget:  func(n int) { _ = unix.Madvise(b[:n-n%os.Getpagesize()], unix.MADV_DONTNEED) },
		free:    func() { _ = unix.Munmap(b) },
	}
}
