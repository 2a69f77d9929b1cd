package server

import (
	"crypto/tls"
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb/server/limit"
	"github.com/rhumb-dns/rhumb/server/tap"
)

// The defaults of Limits.
const (
	DefaultIdle         = 10 * time.Second
	DefaultMaxConns     = 1000
	DefaultMaxPerClient = 100
	DefaultPerSecond    = 1000
)

// Setup is what a Server serves and to whom, as the configuration states it.
type Setup struct {
	// Listen are the addresses of DNS, UDP and TCP on each.
	Listen []netip.AddrPort
	// TLS are the addresses of DNS over TLS (RFC 7858). They need Certificate.
	TLS         []netip.AddrPort
	Certificate *tls.Certificate
	// Proxies are who is believed about whom it speaks for. Every datagram and
	// connection from there must begin with a header of the PROXY protocol,
	// version 2, and nobody else's is looked for one.
	Proxies []netip.Prefix
	Limits  Limits
	// Tap is dnstap; nil: off.
	Tap    *tap.Config
	UDP    UDP
	Access Access
	// NoCookieSize is the largest answer over UDP to a client without a valid
	// cookie, in octets, 512 or more; 0 is dnswire.MaxUDP.
	NoCookieSize int
	// RateLimit is how often a client network is answered; nil: as often as it
	// asks.
	RateLimit *RateLimit
}

// UDP is how the sockets of UDP are laid out. A change of it replaces the
// sockets of every address, and no query is lost.
type UDP struct {
	// Workers is the number of sockets of one address, each with a goroutine;
	// default Options.Workers. More than one needs a system that shares the load
	// among them, which is Linux.
	Workers int
	// Pin is whether the i-th worker of every address has a thread of its own on
	// the i-th processor that the process may use, Linux only.
	Pin bool
	// ReceiveBuffer is what is asked of the kernel for each socket, in bytes;
	// default datagram.DefaultBuffer.
	ReceiveBuffer int
}

// Limits are what connections may take. Zero values are the defaults.
type Limits struct {
	// Idle is how long a connection may take for a whole query from the end of
	// the one before, for the TLS handshake, and for taking in the answers. It
	// is shorter while few places are free.
	Idle time.Duration
	// MaxConns is the limit of connections, over TLS and not; beyond it the one
	// that has been waiting for its client for longest makes room.
	MaxConns int
	// MaxPerClient is the limit for one IPv4 address or one IPv6 /64.
	MaxPerClient int
	// PerSecond is the limit of new ones for the same in a second; negative: any
	// number.
	PerSecond int
	// Queries is the limit of queries for the same in a second, of all connections
	// together; 0: any number. Beyond it nothing is read until the next one may come.
	Queries int
}

func (l Limits) withDefaults() Limits {
	if l.Idle <= 0 {
		l.Idle = DefaultIdle
	}
	if l.MaxConns <= 0 {
		l.MaxConns = DefaultMaxConns
	}
	if l.MaxPerClient <= 0 {
		l.MaxPerClient = DefaultMaxPerClient
	}
	if l.PerSecond == 0 {
		l.PerSecond = DefaultPerSecond
	}
	return l
}

// settings are what goroutines that serve go by: the part of the committed
// Setup that is not an address. They are not changed after they have been made.
type settings struct {
	certificate *tls.Certificate
	proxies     networks
	idle        time.Duration
	queries     limit.Rate // of one client over connections
	guard       guard
}

// networks are some networks, few enough to look at each.
type networks []netip.Prefix

// contain is whether a, of the family it came in, is in one of them.
func (n networks) contain(a netip.Addr) bool {
	a = a.WithZone("") // a network has none, and would contain no address with one
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
