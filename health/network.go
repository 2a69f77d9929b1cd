package health

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// network is what this machine knows of its own.
type network struct {
	addrs map[netip.Addr]bool
	seen  time.Time
	// list and road ask the system. They are nil where probes are not made over its
	// network.
	list func() map[netip.Addr]bool
	road func(netip.Addr) error
}

// look lists the addresses of this machine, once in a while, and says whether they are
// others now.
func (n *network) look(now time.Time) (changed bool) {
	if n.list == nil || !n.seen.IsZero() && now.Sub(n.seen) < time.Second {
		return false
	}
	before := n.addrs
	n.addrs, n.seen = n.list(), now
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
			return fmt.Errorf("no route: %w", no)
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
