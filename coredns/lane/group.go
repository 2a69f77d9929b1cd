package lane

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// probeLen is how long the datagrams are that a lane knows its place by. CoreDNS
	// drops what is shorter than a header, which is 12 bytes.
	probeLen = 9
	// probeWait is how long one may take to come by: it goes from this machine to itself.
	probeWait = 100 * time.Millisecond
	// maxPlaces bounds the places that are tried, and so the sockets of an address.
	maxPlaces = 64
	// tendEvery is how often it is looked at whether the places are still the same:
	// other programs may have sockets of the same address, and close them.
	tendEvery = 10 * time.Second
)

// group are the lanes of an address, and where the kernel has their sockets.
type group struct {
	addr  netip.AddrPort
	probe [8]byte
	seen  chan seen

	mu      sync.Mutex
	lanes   []*lane
	sockets int           // of lanes, those among them that are ending
	stop    chan struct{} // ends tend
	tends   sync.WaitGroup
}

// seen is that a lane has got the probe of a place.
type seen struct {
	lane  *lane
	place uint8
}

// groups are those of all addresses.
var groups = struct {
	sync.Mutex
	of map[netip.AddrPort]*group
}{of: map[netip.AddrPort]*group{}}

var errNoProbe = errors.New("what is sent to this address does not come to it")

// enter has the kernel give a lane its part of what comes to its address. When it
// fails the lane is in no group.
func enter(l *lane) error {
	groups.Lock()
	defer groups.Unlock()
	g := groups.of[l.sock.Addr()]
	if g == nil {
		g = &group{addr: l.sock.Addr(), seen: make(chan seen, maxPlaces), stop: make(chan struct{})}
		_, _ = rand.Read(g.probe[:]) // never fails
		groups.of[g.addr] = g
		g.tends.Go(g.tend)
	}
	g.mu.Lock()
	g.lanes = append(g.lanes, l)
	g.sockets++
	l.entered.Store(g)
	err := g.steer()
	g.mu.Unlock()
	if err != nil {
		g.remove(l)
	}
	return err
}

// leave has the kernel give nothing more to a lane, which is to be ended then. What it
// returns is to be called after that.
func leave(l *lane) (settle func()) {
	groups.Lock()
	defer groups.Unlock()
	g := l.entered.Load()
	g.remove(l)
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.sockets--
		if len(g.lanes) > 0 {
			g.again() // the places may be others now
		}
	}
}

// remove is called with groups locked.
func (g *group) remove(l *lane) {
	g.mu.Lock()
	g.lanes = slices.DeleteFunc(g.lanes, func(o *lane) bool { return o == l })
	last := len(g.lanes) == 0
	if last {
		_ = l.sock.Unsteer() // where it fails the kernel finds no socket at that place
	} else {
		g.again()
	}
	g.mu.Unlock()
	if last {
		delete(groups.of, g.addr)
		close(g.stop)
		g.tends.Wait()
	}
}

// again steers anew. Where it fails the kernel chooses as it did, or any socket, and
// CoreDNS answers what gets to its own.
func (g *group) again() {
	if err := g.steer(); err != nil {
		log.Debug("the lanes do not know their places", "address", g.addr, "error", err)
	}
}

// tend looks after the places.
func (g *group) tend() {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		select {
		case <-g.stop:
			return
		case <-t.C:
			g.mu.Lock()
			if len(g.lanes) > 0 {
				g.again()
			}
			g.mu.Unlock()
		}
	}
}

// newest are the lanes of the newest instance of CoreDNS.
func (g *group) newest() []*lane {
	var out []*lane
	for _, l := range g.lanes {
		switch {
		case len(out) == 0 || l.generation > out[0].generation:
			out = append(out[:0], l)
		case l.generation == out[0].generation:
			out = append(out, l)
		}
	}
	return out
}

// steer finds out where the kernel has the lanes of the newest instance, and has it
// give them what comes.
func (g *group) steer() error {
	want := g.newest()
	was := g.places(want)
	if err := want[0].sock.Steer(was, g.probe); err != nil {
		return err
	}
	places, err := g.find(want)
	if err != nil {
		return err
	}
	for i, l := range want {
		l.place = int(places[i])
	}
	if slices.Equal(places, was) {
		return nil
	}
	return want[0].sock.Steer(places, g.probe)
}

// places are those that are known.
func (g *group) places(of []*lane) (out []uint8) {
	for _, l := range of {
		if l.place >= 0 {
			out = append(out, uint8(l.place))
		}
	}
	return out
}

// find finds out where the lanes are, by sending a probe to each place in turn. None
// is sent to a place where no socket is before all lanes have been found, since those
// that are found are behind it.
func (g *group) find(want []*lane) ([]uint8, error) {
	for len(g.seen) > 0 {
		<-g.seen // of the time before
	}
	to := net.UDPAddrFromAddrPort(g.addr)
	if to.IP.IsUnspecified() {
		to.IP = net.IPv6loopback
		if g.addr.Addr().Is4() {
			to.IP = net.IPv4(127, 0, 0, 1)
		}
	}
	c, err := net.DialUDP("udp", nil, to)
	if err != nil {
		return nil, err
	}
	defer c.Close() //nolint:errcheck // it has sent what it was to send
	places, found := make([]uint8, len(want)), make([]bool, len(want))
	missing := len(want)
	ask := append(g.probe[:], 0)
	late := time.NewTimer(probeWait)
	defer late.Stop()
	for i := range maxPlaces {
		ask[probeLen-1] = byte(i)
		if _, err := c.Write(ask); err != nil {
			return nil, err
		}
		if i+1 < g.sockets+want[0].sockets {
			continue // there are as many at least
		}
		late.Reset(probeWait)
		for waits := true; waits && missing > 0; {
			select {
			case s := <-g.seen:
				if at := slices.Index(want, s.lane); at >= 0 && !found[at] {
					places[at], found[at] = s.place, true
					missing--
				}
			case <-late.C:
				waits = false
			}
		}
		if missing == 0 {
			return places, nil
		}
	}
	return nil, errNoProbe
}

// probed reports whether a datagram of a probe's length is one.
func (l *lane) probed(msg []byte) bool {
	g := l.entered.Load()
	if g == nil || [8]byte(msg) != g.probe {
		return false
	}
	select {
	case g.seen <- seen{l, msg[probeLen-1]}:
	default: // nobody waits for so many
	}
	return true
}
