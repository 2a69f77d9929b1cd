package limit

import (
	"encoding/binary"
	"net/netip"
	"time"
)

// Kind is a kind of answer.
type Kind uint8

// The kinds of answers.
const (
	Answer   Kind = iota // with records, by the name that they are of
	NoData               // no record of the type, by name
	NXDomain             // no such name, by zone: every random name is of one account
	Referral             // to other name servers, by the cut
	Failure              // anything else, such as REFUSED, by nothing but the client
	Kinds
)

// String is the kind's name, as metrics have it.
func (k Kind) String() string {
	return [...]string{"answer", "nodata", "nxdomain", "referral", "error"}[k]
}

// all is the account of a client network for everything.
const all = Kinds

// Rates are limits of answers a second for each client network; 0 is none.
type Rates struct {
	// Kinds are those for each kind, and name where the kind has one.
	Kinds [Kinds]int
	// All is that for all answers together.
	All int
	// Bits4 and Bits6 are the lengths of the prefixes that make a client network,
	// 1 to 32 and 1 to 64.
	Bits4, Bits6 int
	// Exempt are networks without a limit.
	Exempt []netip.Prefix
}

// Responses limits answers by client network, kind and name. It is not changed
// after it has been made, but for the accounts.
type Responses struct {
	accounts *Accounts
	rates    [Kinds]Rate
	all      Rate
	of       clients
	exempt   *Networks // nil: none
}

// NewResponses makes a limiter that keeps its accounts in a table, which others
// before and after it may have too: then a change of the rates forgives nothing.
func NewResponses(a *Accounts, r Rates) *Responses {
	l := &Responses{accounts: a, all: PerSecond(r.All), of: newClients(r.Bits4, r.Bits6)}
	for k, n := range r.Kinds {
		l.rates[k] = PerSecond(n)
	}
	if len(r.Exempt) > 0 {
		l.exempt = NewNetworks(0, Rule{Networks: r.Exempt, Word: 1})
	}
	return l
}

// Accounts are the accounts of l.
func (l *Responses) Accounts() *Accounts { return l.accounts }

// Take accounts for an answer of a kind about a name, in wire form and lower
// case, which may be empty, to a client. It is false when the answer is beyond
// the limit.
func (l *Responses) Take(now Time, client netip.Addr, k Kind, name []byte) bool {
	if l.exempt != nil && l.exempt.Find(client) != 0 {
		return true
	}
	network := l.of.network(client)
	if r := l.rates[k]; r != 0 && !l.accounts.take(l.accounts.id(network, k, name), now, r) {
		return false
	}
	return l.all == 0 || l.accounts.take(l.accounts.id(network, all, nil), now, l.all)
}

// Arrivals limits how often something that is no answer comes from a client
// network, such as connections.
type Arrivals struct {
	accounts *Accounts
	of       clients
}

// NewArrivals makes a table for so many client networks at a time, of prefixes of
// so many bits.
func NewArrivals(n, bits4, bits6 int) *Arrivals {
	return &Arrivals{NewAccounts(n), newClients(bits4, bits6)}
}

// Take accounts for something from a client. It is false when there was more of
// it than the rate.
func (a *Arrivals) Take(client netip.Addr, r Rate) bool {
	return r == 0 || a.accounts.take(a.accounts.id(a.of.network(client), all, nil), a.accounts.Now(), r)
}

// Wait accounts for something from a client, or says how long it is to wait before
// it asks again: 0 is not at all, and it is accounted for.
func (a *Arrivals) Wait(client netip.Addr, r Rate) time.Duration {
	if a.Take(client, r) {
		return 0
	}
	after := a.accounts.after(a.accounts.id(a.of.network(client), all, nil), a.accounts.Now(), r)
	return time.Duration(after+1) * tick
}

// clients are the masks that make networks of addresses.
type clients struct{ mask4, mask6 uint64 }

func newClients(bits4, bits6 int) clients {
	return clients{mask4: v4 | ^uint64(0)<<(32-bits4), mask6: ^uint64(0) << (64 - bits6)}
}

// v4 goes before an IPv4 address. As the beginning of an IPv6 address it is
// multicast, which no client has.
const v4 = 0xffff_ffff << 32

func (c clients) network(a netip.Addr) uint64 {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return (v4 | uint64(binary.BigEndian.Uint32(b[:]))) & c.mask4
	}
	b := a.As16()
	return binary.BigEndian.Uint64(b[:]) & c.mask6
}
