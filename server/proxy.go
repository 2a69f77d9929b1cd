package server

import (
	"encoding/binary"
	"errors"
	"io"
	"net/netip"
)

// The PROXY protocol, version 2: "The PROXY protocol, Versions 1 & 2",
// section 2.2, https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt.
const (
	// proxySignature is what every header begins with. It is no beginning of a
	// DNS message that we would answer, over UDP or TCP, nor of TLS.
	proxySignature = "\r\n\r\n\x00\r\nQUIT\n"
	// proxyFixed is the signature, version and command, family, and length.
	proxyFixed = 16

	proxyLocal = 0x20 // version 2, the proxy speaks for itself
	proxyProxy = 0x21 // version 2, for a client

	proxyUnspec = 0x00
	// The families, with any of stream and datagram: how the client came to the
	// proxy need not be how the proxy comes to us.
	proxyTCP4 = 0x11
	proxyUDP4 = 0x12
	proxyTCP6 = 0x21
	proxyUDP6 = 0x22

	// Two addresses, then two ports.
	proxyLen4 = 4 + 4 + 2 + 2
	proxyLen6 = 16 + 16 + 2 + 2
	// tlvHead is the type and length of an extension.
	tlvHead = 3
)

var errProxyHeader = errors.New("malformed PROXY header")

// proxySize is the length of the header that b, of proxyFixed bytes at least,
// begins with; 0 when it is none.
func proxySize(b []byte) int {
	if string(b[:len(proxySignature)]) != proxySignature {
		return 0
	}
	return proxyFixed + int(binary.BigEndian.Uint16(b[proxyFixed-2:]))
}

// proxyHeader reads the header that b begins with. The client is not valid when
// the proxy speaks for itself, or does not say for whom. The size is that of the
// header, 0 when it is malformed.
func proxyHeader(b []byte) (client netip.AddrPort, size int) {
	if len(b) < proxyFixed {
		return client, 0
	}
	size = proxySize(b)
	if size == 0 || size > len(b) {
		return client, 0
	}
	command, family, rest := b[12], b[13], b[proxyFixed:size]
	if command == proxyLocal || command == proxyProxy && family == proxyUnspec {
		return client, size // what follows has no meaning then
	}
	if command != proxyProxy {
		return client, 0
	}
	switch family {
	case proxyTCP4, proxyUDP4:
		if len(rest) < proxyLen4 {
			return client, 0
		}
		client = netip.AddrPortFrom(netip.AddrFrom4([4]byte(rest)), binary.BigEndian.Uint16(rest[8:]))
		rest = rest[proxyLen4:]
	case proxyTCP6, proxyUDP6:
		if len(rest) < proxyLen6 {
			return client, 0
		}
		client = netip.AddrPortFrom(netip.AddrFrom16([16]byte(rest)).Unmap(), binary.BigEndian.Uint16(rest[32:]))
		rest = rest[proxyLen6:]
	default: // Unix sockets, and what is not assigned
		return client, 0
	}
	for len(rest) > 0 {
		if len(rest) < tlvHead {
			return netip.AddrPort{}, 0
		}
		n := tlvHead + int(binary.BigEndian.Uint16(rest[1:]))
		if n > len(rest) {
			return netip.AddrPort{}, 0
		}
		rest = rest[n:]
	}
	return client, size
}

// readProxyHeader takes a header from r, and not a byte more. The error is
// errProxyHeader when there is none, io.EOF when there is nothing at all, and
// else that of r.
func readProxyHeader(r io.Reader) (client netip.AddrPort, err error) {
	b := make([]byte, proxyFixed, proxyFixed+proxyLen6)
	if _, err := io.ReadFull(r, b); err != nil {
		return client, cutShort(err)
	}
	n := proxySize(b)
	if n == 0 {
		return client, errProxyHeader
	}
	// A proxy is believed more than this much memory.
	b = append(b, make([]byte, n-proxyFixed)...)
	if _, err := io.ReadFull(r, b[proxyFixed:]); err != nil {
		if errors.Is(err, io.EOF) { // nothing of the rest is still too little
			return client, errProxyHeader
		}
		return client, cutShort(err)
	}
	if client, n = proxyHeader(b); n == 0 {
		return client, errProxyHeader
	}
	return client, nil
}

func cutShort(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return errProxyHeader
	}
	return err
}
