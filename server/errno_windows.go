package server

import "golang.org/x/sys/windows"

// The reasons for which a socket cannot be opened that have a remedy.
const (
	denied  = windows.WSAEACCES
	inUse   = windows.WSAEADDRINUSE
	notOurs = windows.WSAEADDRNOTAVAIL
)
