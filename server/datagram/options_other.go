//go:build !linux && !darwin

package datagram

import (
	"net/netip"
	"syscall"
)

// SharesLoad is whether several sockets of one address share its load.
const SharesLoad = false

// ShareAddress does nothing here: Windows has no option that lets two sockets
// share an address without also letting strangers take it over.
func ShareAddress(syscall.RawConn) error { return nil }

func (s *Socket) setOptions() error {
	_ = s.conn.SetReadBuffer(DefaultBuffer)
	_ = s.conn.SetWriteBuffer(DefaultBuffer)
	return nil
}

// replySource is never asked for: without control messages the system chooses
// the source of a reply on a wildcard socket.
func replySource([]byte) bool { return false }

// destination is not known here.
func destination(_ []byte, bound netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(netip.Addr{}, bound.Port())
}
