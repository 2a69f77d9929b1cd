package probe

import "syscall"

// Windows reports Winsock's own numbers. The package syscall has constants
// with the POSIX names there too, but they are invented and equal to nothing
// that a socket returns.
var (
	errnoLocal           = []syscall.Errno{10024, 10055, 10049} // WSAEMFILE, WSAENOBUFS, WSAEADDRNOTAVAIL
	errnoRefused         = []syscall.Errno{10061}               // WSAECONNREFUSED
	errnoReset           = []syscall.Errno{10054, 10053, 10052} // WSAECONNRESET, WSAECONNABORTED, WSAENETRESET
	errnoTimeout         = []syscall.Errno{10060}               // WSAETIMEDOUT
	errnoNetUnreachable  = []syscall.Errno{10051, 10050}        // WSAENETUNREACH, WSAENETDOWN
	errnoHostUnreachable = []syscall.Errno{10065, 10064}        // WSAEHOSTUNREACH, WSAEHOSTDOWN
)
