package meter

import (
	"net/netip"
	"time"
)

// Transports are what queries come over, as Reading has them. TLS is over TCP.
var Transports = [...]string{"udp", "tcp", "tls"}

// Reading is what a server has counted since its start, at one instant. Counts
// only grow; what is not there has not been counted.
type Reading struct {
	At      time.Time
	Queries []QueryCount
	// Services are the answers with records of a service, by the pool that the
	// endpoints are from.
	Services  []ServiceCount
	Endpoints []Count // queries answered with each endpoint: its address or host name
	Dropped   []Count // packets without an answer, by reason, with those of no packet
	Limits    []Count // what limits have kept from clients, by limit, as Dropped
	Limited   []LimitCount
	Denied    []Count // queries of who may not ask, by what became of them

	Latency [len(Transports)]Durations // from reading queries to having sent their answers
	Sizes   [len(Transports)]Octets    // of answers

	// Networks and Names are those asked from and for most, of a sample that
	// stands for all. A Key is what AppendNetwork makes, and the name in lower-case
	// wire form.
	Networks []Hit
	Names    []Hit
	// LimitedNetworks and LimitedNames are those with the most answers beyond a
	// rate limit, likewise. The name is the account's: of what does not exist it is
	// the zone.
	LimitedNetworks []Hit
	LimitedNames    []Hit

	Panics      uint64 // queries that made the server panic
	Connections int    // TCP connections that are open
}

// QueryCount are queries answered. The zone is - when none of ours has answered.
type QueryCount struct {
	Zone, Type, RCode, Transport string
	N                            uint64
}

// ServiceCount are answers with records of a service.
type ServiceCount struct {
	Service, Pool string
	Queries       uint64 // answered so, by the pool of the first record
	Records       uint64 // in these answers
}

// LimitCount are answers beyond a rate limit, by their kind and by what became
// of them.
type LimitCount struct {
	Kind, Action string
	N            uint64
}

// Count is how often something has happened.
type Count struct {
	Name string
	N    uint64
}

// The networks that clients are taken together by: what is announced to the
// world at least of IPv4, and what a site has of IPv6 (RFC 6177).
const (
	bits4 = 24
	bits6 = 56
	// NetworkKey is the length of the longest key of a network.
	NetworkKey = bits6 / 8
)

// AppendNetwork appends the key of the network that a client is in. An IPv4
// address in IPv6 is an IPv4 address.
func AppendNetwork(dst []byte, client netip.Addr) []byte {
	if client = client.Unmap(); client.Is4() {
		a := client.As4()
		return append(dst, a[:bits4/8]...)
	}
	a := client.As16()
	return append(dst, a[:bits6/8]...)
}

// Network is the network of a key.
func Network(key string) netip.Prefix {
	if len(key) == bits4/8 {
		var a [4]byte
		copy(a[:], key)
		return netip.PrefixFrom(netip.AddrFrom4(a), bits4)
	}
	var a [16]byte
	copy(a[:], key)
	return netip.PrefixFrom(netip.AddrFrom16(a), bits6)
}
