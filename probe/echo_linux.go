package probe

import "golang.org/x/sys/unix"

// filterEcho keeps from a raw socket what is not for us: it would get every message
// of ICMP that this machine gets, its own requests to itself among them. Without the
// filter it works all the same.
func filterEcho(fd int, six bool) {
	if six {
		var f unix.ICMPv6Filter // a bit that is set is a type that is kept away
		for i := range f.Data {
			f.Data[i] = 0xffffffff
		}
		for _, kind := range []uint{echoReply6, unreachable6} {
			f.Data[kind/32] &^= 1 << (kind % 32)
		}
		_ = unix.SetsockoptICMPv6Filter(fd, unix.SOL_ICMPV6, unix.ICMPV6_FILTER, &f)
		return
	}
	const icmpFilter = 1 // ICMP_FILTER of linux/icmp.h
	keep := uint32(1<<echoReply4 | 1<<unreachable4)
	_ = unix.SetsockoptInt(fd, unix.SOL_RAW, icmpFilter, int(int32(^keep)))
}

// widen makes the buffers of a socket larger, beyond the system's limit where this
// process may.
func widen(fd int) {
	for _, o := range [][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[0], echoBuffer) != nil {
			_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, o[1], echoBuffer)
		}
	}
}
