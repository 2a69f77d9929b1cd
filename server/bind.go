package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

// portTries is how often a port of the system's choice for UDP may turn out to
// be taken for TCP.
const portTries = 16

// Change is the difference between the addresses that a Server has and those
// that it shall have, with the new ones open. Exactly one of Commit and Abort
// must be called, and before the next Bind.
type Change struct {
	s     *Server
	setup Setup
	order []door
	added map[door]*listener
	// fresh are the sockets that take the place of those of an address that
	// stays, when they are laid out anew.
	fresh map[door]*sockets
}

// Bind makes ready to serve a Setup. It opens every address that is not open
// yet, UDP and TCP on the same port, or TCP alone for TLS; port 0 is a port of
// the system's choice. It fails with every address that cannot be opened and the
// reason, one a line, and then nothing has changed. Queries to the new addresses
// wait in their sockets for Commit.
func (s *Server) Bind(setup Setup) (*Change, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &Change{s: s, setup: setup, added: map[door]*listener{}, fresh: map[door]*sockets{}}
	if len(setup.TLS) > 0 && setup.Certificate == nil {
		return nil, errors.New("listen: TLS without a certificate")
	}
	var err error
	if c.setup.UDP, err = s.layout(setup.UDP); err != nil {
		return nil, err
	}
	for _, a := range setup.Listen {
		c.want(door{addr: a})
	}
	for _, a := range setup.TLS {
		c.want(door{addr: a, tls: true})
	}
	var errs []error
	for _, d := range c.order {
		if old := s.listeners[d]; old != nil {
			if !d.tls && c.setup.UDP != s.udp {
				fresh, err := openSockets(old.addr, c.setup.UDP, true)
				if err != nil {
					errs = append(errs, bindError(old.addr, "udp", err))
					continue
				}
				c.fresh[d] = fresh
			}
			continue
		}
		l, err := listen(d, c.setup.UDP, overlaps(d.addr, s.listeners) || overlaps(d.addr, c.added))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		c.added[d] = l
	}
	if len(errs) > 0 {
		c.discard()
		return nil, errors.Join(errs...)
	}
	return c, nil
}

// want puts d into the order, once.
func (c *Change) want(d door) {
	d.addr = netip.AddrPortFrom(d.addr.Addr().Unmap(), d.addr.Port())
	if !slices.Contains(c.order, d) {
		c.order = append(c.order, d)
	}
}

// overlaps is whether a and one of the open addresses take the same queries: a
// wildcard and an address on one port, or two transports. They must be able to be open side by
// side, or a change from one to the other would need a restart.
func overlaps(a netip.AddrPort, open map[door]*listener) bool {
	for _, l := range open {
		if l.addr.Port() == a.Port() && l.addr.Addr().Is4() == a.Addr().Is4() &&
			(l.addr == a || l.addr.Addr().IsUnspecified() || a.Addr().IsUnspecified()) {
			return true
		}
	}
	return false
}

// Commit makes the change: the new addresses are served, and those that are not
// listed any more answer what they have received and close. It returns when
// they have; their connections finish on their own. Everything else of the Setup
// holds from the next datagram, connection and handshake on. It cannot fail.
//
// Before Run, too, queries lie in the sockets: those of the sockets that go are
// answered here, the others wait for Run.
func (c *Change) Commit() {
	s := c.s
	s.mu.Lock()
	if s.state == stopped {
		s.mu.Unlock()
		c.discard()
		return
	}
	s.configure(&c.setup)
	s.udp = c.setup.UDP
	active := s.state == running
	var removed []*listener
	for d, l := range s.listeners {
		if !slices.Contains(c.order, d) {
			removed = append(removed, l)
			delete(s.listeners, d)
		}
	}
	var replaced []*sockets
	for d, fresh := range c.fresh {
		l := s.listeners[d]
		replaced = append(replaced, l.udp)
		l.udp = fresh
		if active {
			s.serveSockets(fresh)
		}
		s.tellBuffer(s.udp, fresh)
	}
	for d, l := range c.added {
		s.listeners[d] = l
		if active {
			s.serve(l)
		}
		s.tellBuffer(s.udp, l.udp)
	}
	s.order = c.order
	s.mu.Unlock()

	for _, o := range replaced {
		if !active {
			s.drain(o)
			continue
		}
		o.stop()
		o.ended.Wait()
	}

	for _, l := range removed {
		if !active {
			s.drain(l.udp)
			l.close()
			continue
		}
		l.stop()
		s.tcp.finish(l, s.settings.Load().idle)
		l.wait()
	}
}

// Abort closes what Bind has opened.
func (c *Change) Abort() {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.discard()
}

// discard closes the added listeners. Those beside a committed wildcard of ours,
// or the other way round, and sockets beside others of their address may have
// taken queries of ours, so they answer them.
func (c *Change) discard() {
	var answering sync.WaitGroup
	for _, l := range c.added {
		if overlaps(l.addr, c.s.listeners) {
			answering.Go(func() { c.s.drain(l.udp) })
		}
	}
	for _, o := range c.fresh {
		answering.Go(func() { c.s.drain(o) })
	}
	answering.Wait()
	for _, l := range c.added {
		l.close()
	}
}

// listen opens d: TCP, and for DNS without TLS the sockets of UDP too.
func listen(d door, u UDP, shared bool) (*listener, error) {
	if !d.addr.IsValid() {
		return nil, fmt.Errorf("listen: invalid address")
	}
	if d.tls {
		u.Workers = 0
	}
	for try := 1; ; try++ {
		l := &listener{door: d, shared: shared, udp: &sockets{}, stopping: make(chan struct{})}
		err := l.open(u)
		if err == nil {
			return l, nil
		}
		l.close()
		if d.addr.Port() != 0 || try == portTries || !errors.Is(err, inUse) {
			return nil, err
		}
	}
}

// open opens the sockets of l one after the other: a failure leaves those that
// it has opened.
func (l *listener) open(u UDP) error {
	asked := l.addr
	udp, err := openSockets(l.addr, u, l.shared)
	if err != nil {
		return bindError(asked, "udp", err)
	}
	l.udp = udp
	if len(udp.all) > 0 {
		l.addr = udp.all[0].Addr()
	}
	network := "tcp4"
	if l.addr.Addr().Is6() {
		network = "tcp6" // implies IPV6_V6ONLY
	}
	// The idle timeout is shorter than any keep-alive.
	lc := net.ListenConfig{KeepAlive: -time.Second}
	lc.SetMultipathTCP(false)
	if l.shared {
		lc.Control = func(_, _ string, c syscall.RawConn) error { return datagram.ShareAddress(c) }
	}
	ln, err := lc.Listen(context.Background(), network, l.addr.String())
	if err != nil {
		return bindError(asked, "tcp", err)
	}
	l.tcp = ln
	l.addr = ln.Addr().(*net.TCPAddr).AddrPort()
	raw, err := ln.(*net.TCPListener).SyscallConn()
	if err == nil && !l.shared {
		err = datagram.ShareAddress(raw)
	}
	if err != nil {
		return bindError(asked, "tcp", err)
	}
	return nil
}

// bindError says what could not be opened, why, and what to do about it.
func bindError(addr netip.AddrPort, network string, err error) error {
	// The innermost error is the system's; those around it repeat the address.
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return fmt.Errorf("listen on %s/%s: %w", addr, network, err)
	}
	remedy := ""
	switch {
	case errors.Is(errno, denied) && addr.Port() < 1024:
		remedy = " (ports below 1024 need root or CAP_NET_BIND_SERVICE: setcap cap_net_bind_service=+ep rhumb, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit)"
	case errors.Is(errno, inUse) && addr.Port() == 53:
		remedy = " (another program has it, perhaps systemd-resolved: ss -lntup 'sport = :53' shows which)"
	case errors.Is(errno, inUse):
		remedy = fmt.Sprintf(" (another program has it: ss -lntup 'sport = :%d' shows which)", addr.Port())
	case errors.Is(errno, notOurs):
		remedy = " (no interface of this machine has this address: ip address shows them)"
	}
	return fmt.Errorf("listen on %s/%s: %w%s", addr, network, errno, remedy)
}
