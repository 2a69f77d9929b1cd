package probe

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// network is the way out of this machine. Probers hold one so that tests can
// put another in its place.
type network struct {
	dial   func(ctx context.Context, to netip.AddrPort) (net.Conn, error)
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

var system = network{dial: dialSystem, lookup: lookupSystem}

// datagrams is the way out over UDP. What it calls a connection is a socket that
// hears its peer alone and is told when nothing listens there; making one asks
// nobody, so of a host name's addresses the first with a route is taken.
var datagrams = network{dial: dialDatagram, lookup: lookupSystem}

// A probe is over long before the first keep-alive would be sent, and setting
// them up costs four system calls for each connection.
var dialer = net.Dialer{KeepAlive: -1}

// dialSystem formats the address only to have it parsed again: DialTCP would
// take it as it is, but binds the socket to 0.0.0.0:0 first. A bound socket
// holds its local port against every destination, so that at thousands of
// probes a second the ports run out; without bind the kernel chooses the port
// for each destination.
func dialSystem(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return dialer.DialContext(ctx, "tcp", to.String())
}

func dialDatagram(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return dialer.DialContext(ctx, "udp", to.String())
}

func lookupSystem(ctx context.Context, host string) ([]netip.Addr, error) {
	return resolver.LookupNetIP(ctx, "ip", host)
}

var resolver = resolverOver(dialer.DialContext)

// resolverOver is the system's resolver, whose questions end when nobody waits for the
// answer any more. Its own would go on for five seconds each, with two sockets, of which
// there would soon be too many where a name server does not answer.
func resolverOver(dial func(ctx context.Context, network, address string) (net.Conn, error)) *net.Resolver {
	return &net.Resolver{Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = c.SetDeadline(longAgo) })
		}
		return c, err
	}}
}

// link is a connection that dies with the context of its probe: every read and
// write on it fails from then on.
type link struct {
	net.Conn
	took time.Duration // to be made
	stop func() bool
}

// release closes the connection. It is called once.
func (l *link) release() {
	l.stop()
	_ = l.Close()
}

// reset is release for a connection on which nothing was said: without the wait in
// which the kernel keeps one that was closed in the ordinary way.
func (l *link) reset() {
	if c, ok := l.Conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0)
	}
	l.release()
}

// direct is whether a target is reached over the system's own network by nothing but
// its address and port.
func (n *network) direct(t Target) bool {
	return n == &system && t.Addr.IsValid() && t.Addr.Zone() == "" && t.Port != 0
}

// connect opens a connection to the target, which the caller releases.
func (n *network) connect(ctx context.Context, t Target) (l *link, f failure) {
	switch {
	case t.Port == 0:
		return nil, fail(ClassError, "target has no port")
	case t.Addr.IsValid():
		l, f = n.try(ctx, t.Addr, t.Port)
	case t.Host != "":
		l, f = n.connectHost(ctx, t)
	default:
		return nil, fail(ClassError, "target has neither an address nor a host name")
	}
	if f.failed() {
		return nil, f
	}
	// One mechanism for deadline and cancellation, and no goroutine until it
	// is needed.
	l.stop = context.AfterFunc(ctx, func() { _ = l.SetDeadline(longAgo) })
	return l, failure{}
}

// maxAddresses is how many addresses of a host name are tried. Each has its share of
// the time, which has to be enough for a connection.
const maxAddresses = 16

// longAgo is any time in the past that is not the zero time, which would mean
// no deadline.
var longAgo = time.Unix(1, 0)

func (n *network) try(ctx context.Context, a netip.Addr, port uint16) (*link, failure) {
	// The dialer looks at the context too late for a connection that the
	// kernel makes at once.
	if err := ctx.Err(); err != nil {
		return nil, classify(ctx, err, connecting)
	}
	start := time.Now()
	c, err := n.dial(ctx, netip.AddrPortFrom(a, port))
	if err != nil {
		return nil, classify(ctx, err, connecting)
	}
	return &link{Conn: c, took: time.Since(start)}, failure{}
}

func (n *network) connectHost(ctx context.Context, t Target) (*link, failure) {
	// Nor does the resolver look at it for a name in the hosts file.
	if err := ctx.Err(); err != nil {
		return nil, classify(ctx, err, resolving)
	}
	addrs, err := n.lookup(ctx, t.Host)
	if err != nil {
		return nil, classify(ctx, err, resolving)
	}
	if len(addrs) == 0 {
		return nil, fail(ClassDNS, "host name has no address")
	}
	var first failure
	most := min(len(addrs), maxAddresses)
	for i, a := range addrs[:most] {
		l, f := n.tryShare(ctx, a, t.Port, most-i)
		if !f.failed() {
			return l, f
		}
		if i == 0 {
			// The first is the one the resolver prefers, so its failure is
			// the one to report.
			first = f
		}
		if f.class == ClassCanceled || ctx.Err() != nil {
			break
		}
	}
	if len(addrs) > 1 {
		first.detail += " (" + addrs[0].Unmap().String() + ", first of " + strconv.Itoa(len(addrs)) + " addresses)"
	}
	return nil, first
}

// tryShare gives an address its even share of the time that is left, so that
// one black hole does not use up what belongs to the others.
func (n *network) tryShare(ctx context.Context, a netip.Addr, port uint16, left int) (*link, failure) {
	deadline, ok := ctx.Deadline()
	if !ok || left == 1 {
		return n.try(ctx, a, port)
	}
	sub, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(left))
	defer cancel()
	return n.try(sub, a, port)
}

// resolvable is the target that a name or an address in text stands for.
func resolvable(name string, port uint16) Target {
	if a, err := netip.ParseAddr(name); err == nil {
		return Target{Addr: a, Port: port}
	}
	return Target{Host: name, Port: port}
}

// joinPort is net.JoinHostPort for a numeric port.
func joinPort(host string, port uint16) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

// splitAuthority takes "name", "name:port", "192.0.2.1", "2001:db8::1" or
// "[2001:db8::1]:port" apart. port is 0 when there is none; an address comes back
// in its canonical text, without brackets.
func splitAuthority(s string) (name string, port uint16, ok bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		// A zone means nothing to the peer.
		return a.String(), 0, a.Zone() == ""
	}
	name = s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		p, err := strconv.ParseUint(s[i+1:], 10, 16)
		if err != nil || p == 0 {
			return "", 0, false
		}
		name, port = s[:i], uint16(p)
	}
	if inner, found := strings.CutPrefix(name, "["); found {
		inner, found = strings.CutSuffix(inner, "]")
		a, err := netip.ParseAddr(inner)
		return a.String(), port, found && err == nil && a.Is6() && a.Zone() == ""
	}
	return name, port, validName(name)
}

// validName accepts what can stand in a Host header as a host name: letters,
// digits, hyphen, underscore (which DNS and many an internal service allow)
// and dots between labels. A name in another script has to come as its
// A-label, as it would in DNS.
func validName(s string) bool {
	if s == "" || len(s) > 254 {
		return false
	}
	for label := range strings.SplitSeq(strings.TrimSuffix(s, "."), ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			c := label[i]
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}
