package health

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// network is what this machine knows of its own.
type network struct {
	addrs map[netip.Addr]bool
	nets  []netip.Prefix // those that it is in itself
	seen  time.Time
	// list, road and gate ask the system. They are nil where probes are not made over
	// its network, and gate where it cannot be asked.
	list func() (map[netip.Addr]bool, []netip.Prefix)
	road func(netip.Addr) error
	gate gate
}

// gate is the host that leads out of this machine's own networks.
type gate interface {
	// knock asks it to show that it is there.
	knock(now time.Time, v6 bool)
	// answered is when the last knock was made that it has answered.
	answered() time.Time
	// answers is whether it has ever answered a knock with a refusal, and so would now.
	answers() bool
	// gone says that it was there, and is there no more, if it is on the way to an
	// address, or the address is near: on this side of it. Otherwise it is empty.
	gone(to netip.Addr, near bool) string
	// leave ends waiting for an answer.
	leave()
}

// witnessFor is for how long a knock counts that was answered: more than passes between
// two failures of a probe.
const witnessFor = 5 * time.Second

// look lists the addresses of this machine, once in a while, and says whether they are
// others now.
func (n *network) look(now time.Time) (changed bool) {
	if n.list == nil || !n.seen.IsZero() && now.Sub(n.seen) < time.Second {
		return false
	}
	before := n.addrs
	n.addrs, n.nets = n.list()
	n.seen = now
	return !maps.Equal(n.addrs, before)
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
		switch {
		case err != nil:
			why = err.Error()
		case n.gate == nil:
			return ""
		default:
			if why = n.gate.gone(a, n.near(a)); why == "" {
				return ""
			}
		}
	}
	return why
}

// near is whether an address is in one of this machine's own networks.
func (n *network) near(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(n.nets, func(p netip.Prefix) bool { return p.Contains(a) })
}

// deaf is whether all of some addresses are in this machine's own networks, and nobody
// there has shown that it is not this machine who is cut off from them: a site that it
// is at itself cannot be dead while it is alive.
func (n *network) deaf(to []netip.Addr, now time.Time) bool {
	return len(to) > 0 && !slices.ContainsFunc(to, func(a netip.Addr) bool { return !n.near(a) }) && !n.witnessed(now)
}

// greet knocks at the gateway once in the beginning, where there are endpoints on this
// side of it: of one that has never been there nobody can say that it is gone.
func (b *Board) greet(now time.Time) {
	a := &b.aware
	if a.greeted || a.own.gate == nil || len(b.runners) == 0 {
		return
	}
	a.greeted = true
	a.own.look(now)
	if i := slices.IndexFunc(b.runners, func(r *runner) bool { return a.own.near(r.aim.Addr) }); i >= 0 {
		// That it was there before anybody fell silent is no witness.
		a.own.gate.knock(now.Add(-witnessFor), b.runners[i].aim.Addr.Unmap().Is6())
	}
}

// witnessed is whether the gateway was there a moment ago.
func (n *network) witnessed(now time.Time) bool {
	if n.gate == nil {
		return false
	}
	at := n.gate.answered()
	return !at.IsZero() && now.Sub(at) < witnessFor
}

// ownAddrs are the addresses of this machine, and the networks that it is in.
func ownAddrs() (map[netip.Addr]bool, []netip.Prefix) {
	all, nets := map[netip.Addr]bool{}, []netip.Prefix{}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return all, nets
	}
	for _, a := range addrs {
		p, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(p.IP)
		if !ok {
			continue
		}
		ip = ip.Unmap()
		all[ip] = true
		if bits, _ := p.Mask.Size(); !ip.IsLoopback() && bits > 0 && bits < ip.BitLen() {
			nets = append(nets, netip.PrefixFrom(ip, bits).Masked())
		}
	}
	return all, nets
}

// roads knows which addresses of this machine lead nowhere, for a while: it takes the
// system a call for each interface to say so.
type roads struct {
	seen time.Time
	dead map[netip.Addr]error // nil of those that are well
}

// to says what is wrong, on this machine's side, with the road to an address: there is
// no route, or its interface is down or without a carrier. It sends nothing.
func (r *roads) to(addr netip.Addr) error {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(addr, 9)))
	if err != nil {
		var no syscall.Errno
		if errors.As(err, &no) {
			return fmt.Errorf("no route: %s", unrouted(no))
		}
		return nil
	}
	from := c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone("")
	_ = c.Close()
	if now := time.Now(); r.seen.IsZero() || now.Sub(r.seen) >= time.Second/2 {
		r.seen, r.dead = now, deadEnds()
	}
	return r.dead[from]
}

// deadEnds are the addresses of this machine, with what is wrong with their interfaces.
func deadEnds() map[netip.Addr]error {
	all := map[netip.Addr]error{}
	links, err := net.Interfaces()
	if err != nil {
		return all
	}
	for _, l := range links {
		addrs, err := l.Addrs()
		if err != nil {
			continue
		}
		var dead error
		switch {
		case l.Flags&net.FlagUp == 0:
			dead = fmt.Errorf("interface %s is down", l.Name)
		case l.Flags&net.FlagRunning == 0:
			dead = fmt.Errorf("interface %s has no carrier", l.Name)
		}
		for _, a := range addrs {
			p, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			ip, _ := netip.AddrFromSlice(p.IP)
			if other, twice := all[ip.Unmap()]; !twice || other != nil {
				all[ip.Unmap()] = dead // of two with one address, one that is well suffices
			}
		}
	}
	return all
}

// unrouted is why there is no route, in words: of routes that are there to have none,
// the system says what nobody understands.
func unrouted(no syscall.Errno) string {
	switch no {
	case syscall.EINVAL:
		return "it discards packets (blackhole)"
	case syscall.EACCES:
		return "it forbids them (prohibit)"
	}
	return no.Error()
}
