package health

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// census is how many probes are silent, and how many were answered.
type census struct {
	silent, answered int
	quiet            []netip.Addr // some of those that are silent
}

func (c *census) share() float64 {
	if c.silent == 0 {
		return 0
	}
	return float64(c.silent) / float64(c.silent+c.answered)
}

// said is what the last result of a probe says, when it was begun since the last round
// was: of one that is silent this does not matter, unless strictly. It is neither of
// those that were down before and are silent, or prove nothing.
func (b *Board) said(r *runner, strictly bool) (silent, answered bool) {
	fresh := r.last.round == b.aware.round.number
	switch {
	case r.report != nil || r.runs == 0:
	case r.is(markAsked) && !strictly:
		return true, false // nobody knows yet
	case r.is(markQuiet):
		return r.verdict.state == Up && (!strictly || fresh), false
	case r.is(markProves):
		return false, fresh
	}
	return false, false
}

// census counts all probes but those of this machine itself, which say nothing of its
// network; those too where there are no others.
func (b *Board) census(strictly bool) census {
	var far, near census
	for _, r := range b.runners {
		silent, answered := b.said(r, strictly)
		if !silent && !answered {
			continue
		}
		c := &far
		if b.aware.own.has(r.aim.Addr) {
			c = &near
		}
		if answered {
			c.answered++
			continue
		}
		c.silent++
		if len(c.quiet) < 2*opinions && r.aim.Addr.IsValid() {
			c.quiet = append(c.quiet, r.aim.Addr)
		}
	}
	if far.silent+far.answered == 0 {
		return near
	}
	return far
}

// spread is the lowest share of silence there is when not every probe counts the
// same but every place, every pool, or every network of endpoints: a site is one
// site, however many endpoints it has.
func (b *Board) spread(strictly bool) float64 {
	b.group()
	lowest := 1.0
	for _, groups := range b.aware.groups {
		sum, n := 0.0, 0
		for _, group := range groups {
			var c census
			for _, i := range group {
				r := b.runners[i]
				if b.aware.own.has(r.aim.Addr) {
					continue
				}
				if silent, answered := b.said(r, strictly); silent {
					c.silent++
				} else if answered {
					c.answered++
				}
			}
			if c.silent+c.answered > 0 {
				sum += c.share()
				n++
			}
		}
		if n > 0 {
			lowest = min(lowest, sum/float64(n))
		}
	}
	return lowest
}

// severally is whether those that are silent are at more than one site, as far as that
// is known: in several networks, and at several places if all of them state theirs. One
// site that is dead is what checks are for, also where there is no other that could
// answer.
func (b *Board) severally() bool {
	b.group()
	silent := func(groups [][]int32) (n int) {
		for _, group := range groups {
			if slices.ContainsFunc(group, func(i int32) bool {
				is, _ := b.said(b.runners[i], false)
				return is && !b.aware.own.has(b.runners[i].aim.Addr)
			}) {
				n++
			}
		}
		return n
	}
	return silent(b.aware.groups[ofNetwork]) > 1 && (b.aware.placeless || silent(b.aware.groups[ofPlace]) > 1)
}

// group finds out which probes are of one place, of one pool and of one network.
func (b *Board) group() {
	if b.aware.groups[ofNetwork] != nil {
		return
	}
	b.aware.placeless = false
	nowhere := placeOf(&spec.Place{})
	type seat struct{ place, pool int }
	type key struct {
		addr netip.Addr
		host string
	}
	places, pools := map[string]int{}, 0
	of := map[key][]seat{}
	for _, p := range b.pools {
		if p.Nested != nil {
			continue // its endpoints are those of others
		}
		for i := range p.Endpoints {
			e := &p.Endpoints[i]
			name := placeOf(cmp.Or(e.Place, &p.Place))
			b.aware.placeless = b.aware.placeless || name == nowhere && len(e.Checks) > 0
			place, known := places[name]
			if !known {
				place = len(places)
				places[name] = place
			}
			at := key{addr: e.Address}
			if e.Host != "" {
				at.host = e.String()
			}
			of[at] = append(of[at], seat{place, pools})
		}
		pools++
	}
	byPlace, byPool, byNetwork := make([][]int32, len(places)), make([][]int32, pools), [][]int32{}
	networks := map[key]int{}
	for i, r := range b.runners {
		if r.report != nil {
			continue
		}
		at := key{r.aim.Addr, r.aim.Host}
		if at.addr.IsValid() {
			at.host = ""
		}
		for _, s := range of[at] {
			byPlace[s.place] = append(byPlace[s.place], int32(i))
			byPool[s.pool] = append(byPool[s.pool], int32(i))
		}
		at.addr = networkOf(at.addr)
		n, known := networks[at]
		if !known {
			n = len(byNetwork)
			networks[at] = n
			byNetwork = append(byNetwork, nil)
		}
		byNetwork[n] = append(byNetwork[n], int32(i))
	}
	empty := func(group []int32) bool { return len(group) == 0 }
	b.aware.groups = [groupings][][]int32{slices.DeleteFunc(byPlace, empty), slices.DeleteFunc(byPool, empty), byNetwork}
}

// placeOf is a place in a word; endpoints that state none are in one.
func placeOf(p *spec.Place) string {
	words := *p
	words.At = nil
	s := fmt.Sprint(words)
	if p.At != nil {
		s += fmt.Sprint(*p.At)
	}
	return s
}

// networkOf is the first address of the network that an address is of: those of 24
// bits of IPv4 and of 48 of IPv6 are at one site more often than not.
func networkOf(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	a = a.Unmap().WithZone("")
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits) // fewer bits than an address has
	return p.Addr()
}

// network is what this machine knows of its own.
type network struct {
	addrs map[netip.Addr]bool
	seen  time.Time
	// list and road ask the system. They are nil where probes are not made over its
	// network.
	list func() map[netip.Addr]bool
	road func(netip.Addr) error
}

// look lists the addresses of this machine, once in a while.
func (n *network) look(now time.Time) {
	if n.list != nil && (n.seen.IsZero() || now.Sub(n.seen) >= time.Second) {
		n.addrs, n.seen = n.list(), now
	}
}

// has is whether an address is one of this machine.
func (n *network) has(a netip.Addr) bool {
	return a.IsLoopback() || len(n.addrs) > 0 && n.addrs[a.Unmap().WithZone("")]
}

// cut is what is wrong with the roads to all of some addresses on this side; empty
// when there is one of which nothing is known to be.
func (n *network) cut(to []netip.Addr) (why string) {
	if n.road == nil || len(to) == 0 {
		return ""
	}
	for _, a := range to {
		err := n.road(a)
		if err == nil {
			return ""
		}
		why = err.Error()
	}
	return why
}

// ownAddrs are the addresses of this machine.
func ownAddrs() map[netip.Addr]bool {
	all := map[netip.Addr]bool{}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return all
	}
	for _, a := range addrs {
		if p, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(p.IP); ok {
				all[ip.Unmap()] = true
			}
		}
	}
	return all
}

// ownRoad says what is wrong, on this machine's side, with the road to an address:
// there is no route, or its interface is down or without a carrier. It sends nothing.
func ownRoad(to netip.Addr) error {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9)))
	if err != nil {
		var no syscall.Errno
		if errors.As(err, &no) {
			return fmt.Errorf("no route: %w", no)
		}
		return nil
	}
	from := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
	_ = c.Close()
	links, err := net.Interfaces()
	if err != nil {
		return nil
	}
	var dead error
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			continue
		}
		for _, a := range addrs {
			p, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if ip, _ := netip.AddrFromSlice(p.IP); ip.Unmap() != from {
				continue
			}
			switch {
			case l.Flags&net.FlagUp == 0:
				dead = fmt.Errorf("interface %s is down", l.Name)
			case l.Flags&net.FlagRunning == 0:
				dead = fmt.Errorf("interface %s has no carrier", l.Name)
			default:
				return nil
			}
		}
	}
	return dead
}
