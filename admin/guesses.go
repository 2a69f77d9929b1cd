package admin

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

const (
	// guessBurst is how many wrong secrets a network may state at once: somebody
	// who mistypes is not kept waiting.
	guessBurst = 10
	// guessEvery is how often it may state another one, once it has: thirty
	// million guesses a year, of which 64 random bits take no notice.
	guessEvery = time.Second
	// guessSlots is how many networks are told apart; 32 KiB.
	guessSlots = 4096
	// guessLog is how often wrong secrets are logged at most.
	guessLog = time.Minute
)

// guesses counts wrong secrets by the network they come from, in memory that
// does not grow: networks share slots, and which ones do is another matter at
// every start.
//
// Each slot is the time at which its network will have used up nothing, as in
// the generic cell rate algorithm (ITU-T I.371): a wrong secret moves it one
// guessEvery on, and it must not be more than guessBurst of them ahead.
type guesses struct {
	seed maphash.Seed

	mu     sync.Mutex
	since  time.Time                 // slots count from here
	slots  [guessSlots]time.Duration // after since
	unsaid int                       // wrong secrets since the last line in the log
	said   time.Time                 // zero: never
}

func newGuesses() *guesses { return &guesses{seed: maphash.MakeSeed()} }

// try asks right whether a secret is one of ours, unless the network of from has
// been wrong too often; wait is then how long it has to wait. say is how many
// wrong secrets there were since this was last more than 0, at most once in
// guessLog.
func (g *guesses) try(now time.Time, from netip.Addr, right func() bool) (ok bool, wait time.Duration, say int) {
	slot := int(maphash.Comparable(g.seed, network(from)) % guessSlots)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.since.IsZero() {
		g.since = now
	}
	at := now.Sub(g.since)
	used := max(g.slots[slot], at)
	if over := used - at - (guessBurst-1)*guessEvery; over > 0 {
		return false, over, 0
	}
	// Compared under the lock, so that no number of requests at once makes more
	// guesses than are allowed.
	if right() {
		return true, 0, 0
	}
	g.slots[slot] = used + guessEvery
	g.unsaid++
	if g.said.IsZero() || now.Sub(g.said) >= guessLog {
		say, g.unsaid, g.said = g.unsaid, 0, now
	}
	return false, 0, say
}

// network is what one client has of the address space: an IPv4 address, or an
// IPv6 /64.
func network(a netip.Addr) netip.Prefix {
	bits := 32
	if a.Is6() {
		bits = 64
	}
	n, _ := a.Prefix(bits) // fails for a zone or too many bits
	return n
}
