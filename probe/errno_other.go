//go:build !windows

package probe

import "syscall"

var (
	// EADDRNOTAVAIL is what connect says when there is no local port left.
	errnoLocal           = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.ENOSPC}
	errnoRefused         = []syscall.Errno{syscall.ECONNREFUSED}
	errnoReset           = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
	errnoTimeout         = []syscall.Errno{syscall.ETIMEDOUT}
	errnoNetUnreachable  = []syscall.Errno{syscall.ENETUNREACH, syscall.ENETDOWN}
	errnoHostUnreachable = []syscall.Errno{syscall.EHOSTUNREACH, syscall.EHOSTDOWN}
)
