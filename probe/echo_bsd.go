//go:build unix && !linux

package probe

import "golang.org/x/sys/unix"

func filterEcho(int, bool) {}

// widen makes the buffers of a socket larger, as far as the system allows.
func widen(fd int) {
	for size := echoBuffer; size >= 64<<10; size /= 2 {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size) == nil {
			break
		}
	}
}
