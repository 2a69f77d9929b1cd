package edge

import (
	"net/netip"
	"sync"
	"time"
)

const (
	// wrongBurst is how many wrong secrets an address may send at once, and wrongRefill
	// how long it then takes until it may send one more.
	wrongBurst  = 10
	wrongRefill = time.Second
	// maxSuspects is how many addresses are remembered.
	maxSuspects = 4096
)

// guard slows down who tries secrets: one that has sent too many wrong ones is not heard,
// whatever it sends, until some time has passed.
type guard struct {
	mu   sync.Mutex
	free map[netip.Prefix]time.Time // when all of its tries are its own again
}

// network is who is counted as one: an IPv4 address, or the /64 that an IPv6 address is
// of. What has no address is one as well.
func network(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	a := at.Addr().Unmap().WithZone("")
	n := 32
	if a.Is6() {
		n = 64
	}
	p, _ := a.Prefix(n)
	return p
}

// wait is how long a network has to wait until it is heard, 0 when it need not.
func (g *guard) wait(from netip.Prefix, now time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, known := g.free[from]
	if !known {
		return 0
	}
	return max(at.Sub(now)-(wrongBurst-1)*wrongRefill, 0)
}

// wrong counts a wrong secret.
func (g *guard) wrong(from netip.Prefix, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.free == nil {
		g.free = map[netip.Prefix]time.Time{}
	}
	at, known := g.free[from]
	if !known && len(g.free) >= maxSuspects {
		g.room(now)
	}
	if at.Before(now) {
		at = now
	}
	g.free[from] = at.Add(wrongRefill)
}

// room forgets those that have all of their tries again, or else the one that is the
// nearest to it.
func (g *guard) room(now time.Time) {
	var first netip.Prefix
	for p, at := range g.free {
		if !at.After(now) {
			delete(g.free, p)
		} else if !first.IsValid() || at.Before(g.free[first]) {
			first = p
		}
	}
	if len(g.free) >= maxSuspects {
		delete(g.free, first)
	}
}
