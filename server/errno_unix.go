//go:build !windows

package server

import "syscall"

// The reasons for which a socket cannot be opened that have a remedy.
const (
	denied  = syscall.EACCES
	inUse   = syscall.EADDRINUSE
	notOurs = syscall.EADDRNOTAVAIL
)
