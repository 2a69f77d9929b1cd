package simulate

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
)

// Places says where addresses are. *geo.View does.
type Places interface {
	// Find4 and Find6 give the number of an address's place, 0 when nothing is
	// known of it, and the length of the prefix around it that has this place
	// throughout. An IPv6 address is its upper and its lower half.
	Find4(addr uint32) (place uint32, bits uint8)
	Find6(hi, lo uint64) (place uint32, bits uint8)
	Place(id uint32) geo.Place
}

// Client is one of those who ask.
type Client struct {
	// Source is where its queries come from.
	Source netip.Addr
	// Subnet is the client subnet option (RFC 7871) of its queries; not valid: they
	// have none.
	Subnet netip.Prefix
	// Network is what reports call it: the prefix that it stands for.
	Network netip.Prefix
	Weight  float64 // in the unit of the mix
}

// addr is the address that says where the client is.
func (c *Client) addr() netip.Addr {
	if c.Subnet.IsValid() && c.Subnet.Bits() > 0 {
		return c.Subnet.Addr()
	}
	return c.Source
}

// Asking is what a client was seen to ask.
type Asking struct {
	Client int // position in Mix.Clients
	Name   dnswire.Name
	Type   dnswire.Type
	Times  float64
}

// Mix is who asks, and how much.
type Mix struct {
	Kind string // "population", "anywhere", "prefixes" or "queries"
	From string // the file, if it is from one
	// Unit is what weights count: "million users", "weight" or "queries".
	Unit    string
	Clients []Client
	// Asked is what they ask, of a mix of recorded queries; nil: every client asks
	// for every service alike.
	Asked []Asking
	// Left are the queries of a recording that are left out, by why.
	Left Left
}

// Left counts what a recording has besides queries for our services.
type Left struct {
	NotOurs    float64 `json:"not_ours"`   // names outside our zones
	NoService  float64 `json:"no_service"` // names of our zones that are no services
	NotWanted  float64 `json:"not_wanted"` // services and types that were not asked for
	NoQuery    float64 `json:"no_query"`   // frames that hold no query
	Answers    float64 `json:"answers"`
	Parts      float64 `json:"tcp_parts"`  // segments of TCP with a part of a query
	Incomplete bool    `json:"incomplete"` // the file ends within a frame
	Countries  int     `json:"-"`          // of a population: countries of which no network is known
	Users      float64 `json:"-"`          // and their users
}

// Total is the sum of the clients' weights.
func (m *Mix) Total() float64 {
	sum := 0.0
	for i := range m.Clients {
		sum += m.Clients[i].Weight
	}
	return sum
}

// The lengths of the networks that resolvers state in their queries (RFC 7871
// section 11.1).
const (
	subnet4 = 24
	subnet6 = 56
)

// subnetOf is the network that a resolver would state for an address.
func subnetOf(a netip.Addr) netip.Prefix {
	bits := subnet6
	if a.Is4() {
		bits = subnet4
	}
	p, _ := a.Prefix(bits) // fails for bits that an address has not
	return p
}

// within is an address of a network, drawn at random: the first one of one of
// its networks of subnet4 or subnet6 bits, or its own first one when it is smaller.
func within(p netip.Prefix, r *rand.Rand) netip.Addr {
	if p.Addr().Is4() {
		b := p.Addr().As4()
		if n := subnet4 - p.Bits(); n > 0 {
			v := binary.BigEndian.Uint32(b[:]) | r.Uint32N(1<<n)<<(32-subnet4)
			binary.BigEndian.PutUint32(b[:], v)
		}
		return netip.AddrFrom4(b)
	}
	b := p.Addr().As16()
	if n := subnet6 - p.Bits(); n > 0 {
		v := binary.BigEndian.Uint64(b[:]) | r.Uint64()>>(64-n)<<(64-subnet6)
		binary.BigEndian.PutUint64(b[:], v)
	}
	return netip.AddrFrom16(b)
}

// random is the random numbers of one purpose, so that none depends on how many
// another one took.
func random(seed uint64, purpose uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, purpose))
}

// The purposes.
const (
	forNetworks = iota + 1
	forOrder
	forShares
	forAnswers
)
