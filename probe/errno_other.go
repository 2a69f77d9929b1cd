//go:build !windows

package probe

import "syscall"

var (
	errnoRefused         = []syscall.Errno{syscall.ECONNREFUSED}
	errnoReset           = []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
	errnoTimeout         = []syscall.Errno{syscall.ETIMEDOUT}
	errnoNetUnreachable  = []syscall.Errno{syscall.ENETUNREACH, syscall.ENETDOWN}
	errnoHostUnreachable = []syscall.Errno{syscall.EHOSTUNREACH, syscall.EHOSTDOWN}
)
