package hosts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Exchange sends a query to a server and returns its answer, over UDP or TCP. It
// ends with its context. What it returns is checked against the query.
type Exchange func(ctx context.Context, server netip.AddrPort, query *dns.Msg, tcp bool) (*dns.Msg, error)

// maxStray is how many datagrams that answer something else are passed over
// before an exchange gives up: someone is guessing.
const maxStray = 64

// long is in the past, for ending an exchange at once.
var long = time.Unix(1, 0)

// overNetwork is the Exchange of the network. Each has a socket of its own, so
// that the system chooses a source port at random and lets in only what the
// server sends (RFC 5452 section 9.2).
func overNetwork(ctx context.Context, server netip.AddrPort, query *dns.Msg, tcp bool) (*dns.Msg, error) {
	network := "udp"
	if tcp {
		network = "tcp"
	}
	wire, err := query.Pack()
	if err != nil {
		return nil, err
	}
	c, err := new(net.Dialer).DialContext(ctx, network, server.String())
	if err != nil {
		return nil, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { _ = c.SetDeadline(long) })()
	conn := dns.Conn{Conn: c, UDPSize: dnswire.MaxUDP}
	if _, err := conn.Write(wire); err != nil {
		return nil, err
	}
	for range maxStray {
		var h dns.Header
		p, err := conn.ReadMsgHeader(&h)
		switch {
		case errors.Is(err, dns.ErrShortRead) && !tcp:
			continue
		case err != nil:
			return nil, err
		}
		const response = 1 << 15
		if !tcp && (h.Id != query.Id || h.Bits&response == 0) {
			continue
		}
		m := new(dns.Msg)
		if err := m.Unpack(p); err != nil {
			return nil, fmt.Errorf("%w: %w", errMalformed, err)
		}
		return m, nil
	}
	return nil, errStray
}

var (
	errMalformed = errors.New("malformed answer")
	errStray     = errors.New("too many packets that answer something else")
)

// trouble reads the error of an exchange.
func trouble(err error) reading {
	var timeout net.Error
	switch {
	case errors.Is(err, context.Canceled):
		return reading{verdict: canceled}
	case errors.Is(err, errMalformed), errors.Is(err, errStray):
		return malformed("%v", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		return reading{result: resultTimeout, reason: "no answer in time", silent: true}
	}
	return reading{result: resultNetwork, reason: err.Error(), silent: true}
}

// query is a query for the addresses of one family of a name, as absolute as it
// stands, with a random ID.
func query(name dnswire.Name, v6, edns bool) *dns.Msg {
	t := dns.TypeA
	if v6 {
		t = dns.TypeAAAA
	}
	q := &dns.Msg{
		MsgHdr:   dns.MsgHdr{Id: dns.Id(), RecursionDesired: true},
		Question: []dns.Question{{Name: name.String(), Qtype: t, Qclass: dns.ClassINET}},
	}
	if edns {
		q.SetEdns0(dnswire.MaxUDP, false)
	}
	return q
}
