package main

import (
	"errors"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// refusals sees the kernel refuse connections to loopback addresses.
type refusals struct {
	fd  int
	buf []byte
}

// watchRefusals needs the right to see packets (CAP_NET_RAW).
func watchRefusals() (*refusals, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 1<<20)
	timeout := unix.NsecToTimeval(int64(100 * time.Millisecond))
	return &refusals{fd, make([]byte, 1<<16)}, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout)
}

func (r *refusals) close() { _ = unix.Close(r.fd) }

// forget drops what has been seen and not looked at.
func (r *refusals) forget() {
	for {
		if _, _, err := unix.Recvfrom(r.fd, r.buf, unix.MSG_DONTWAIT); err != nil {
			return
		}
	}
}

// next is when the next connection to an address is refused.
func (r *refusals) next(of netip.AddrPort, until time.Time) (time.Time, error) {
	for time.Now().Before(until) {
		n, _, err := unix.Recvfrom(r.fd, r.buf, 0)
		at := time.Now()
		if err != nil {
			continue
		}
		// An IPv4 header (RFC 791 section 3.1), then one of TCP (RFC 9293 section 3.1).
		ip := r.buf[:n]
		if n < 40 || ip[0]>>4 != 4 {
			continue
		}
		tcp := ip[int(ip[0]&15)*4:]
		const rst = 4
		if len(tcp) < 20 || tcp[13]&rst == 0 {
			continue
		}
		if from, _ := netip.AddrFromSlice(ip[12:16]); from == of.Addr() && uint16(tcp[0])<<8|uint16(tcp[1]) == of.Port() {
			return at, nil
		}
	}
	return time.Time{}, errors.New("no refusal was seen")
}
