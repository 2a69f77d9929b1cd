package server

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rhumb-dns/rhumb/server/limit"
)

// The reasons for which we close a connection early.
const (
	closedClientLimit = iota
	closedLimit
	closedIdleForNew
	closedTimeout
	closedClientRate
	closedAccess
	closeReasons
)

var closeNames = [closeReasons]string{"client_limit", "limit", "idle_for_new", "timeout", "client_rate", "access"}

const (
	// idleLeast is how short the idle timeout becomes when no place is free. It
	// is worth a round trip to the other end of the world and back.
	idleLeast = time.Second
	// lookAt is how many connections are looked at for one that makes room. The
	// oldest of so many is old enough, and a flood of connections must not cost
	// a walk over all of a large limit for each.
	lookAt = 1024
	// keepaliveUnit is what edns-tcp-keepalive counts in (RFC 7828 section 3.1).
	keepaliveUnit = 100 * time.Millisecond
	// newcomers is how many clients that open connections, or ask over them, are
	// told apart.
	newcomers = 8192
)

// conns are the open TCP connections, those of TLS among them, and their limits
// (RFC 7766 section 6.2.2).
type conns struct {
	accepted, acceptErrors atomic.Uint64
	closed                 [closeReasons]atomic.Uint64
	// clock orders what connections do; only the order matters.
	clock atomic.Uint64
	// max and count can be read without mu, and are written under it.
	max, count atomic.Int64

	mu           sync.Mutex
	maxPerClient int
	all          map[*conn]struct{}
	perClient    map[netip.Addr]int
	arrivals     *limit.Arrivals
	rate         limit.Rate // of new ones of one client

	queries *limit.Arrivals
	held    atomic.Uint64 // queries that had to wait
}

func (t *conns) init() {
	t.arrivals = limit.NewArrivals(newcomers, 32, 64)
	t.queries = limit.NewArrivals(newcomers, 32, 64)
	t.all = map[*conn]struct{}{}
	t.perClient = map[netip.Addr]int{}
}

// limit sets the limits. What is beyond a lower one makes room.
func (t *conns) limit(l Limits) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.max.Store(int64(l.MaxConns))
	t.maxPerClient, t.rate = l.MaxPerClient, limit.PerSecond(l.PerSecond)
	for len(t.all) > l.MaxConns && t.makeRoom() {
	}
}

// idle is how long a connection may stay idle from now on: as configured while
// a quarter of the places is free, and less in proportion when fewer are
// (RFC 7828 section 3.4).
func (t *conns) idle(configured time.Duration) time.Duration {
	limit := t.max.Load()
	free := max(limit-t.count.Load(), 0)
	if 4*free >= limit {
		return configured
	}
	part := time.Duration(float64(configured) * float64(4*free) / float64(limit))
	return max(part, min(configured, idleLeast)).Truncate(keepaliveUnit)
}

// conn is one connection.
type conn struct {
	// Conn is what is read and written: tcp itself, or TLS over it. It is for
	// the goroutine that serves the connection; others have tcp.
	net.Conn
	tcp  net.Conn
	from *listener
	// proxied is whether the connection is from a proxy, which says who its
	// client is.
	proxied bool

	// client and counted, whether client's limit counts this connection, are
	// written under conns.mu.
	client  netip.AddrPort
	counted bool

	// waiting is the clock since when there is nothing to do but to wait for the
	// client: for its next query, or for it to take the answers in. It is 0
	// while there is.
	waiting   atomic.Uint64
	finishing atomic.Bool
	evicted   atomic.Bool
}

// clientKey is whom a limit is for: an IPv6 client has a whole /64.
func clientKey(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, _ := a.Prefix(64) // 64 bits are always there
		return p.Addr()
	}
	return a
}

// admit takes c in. It is false when there is no room, and c is to be closed.
// Who the client behind a proxy is will only be known when identify is called.
func (t *conns) admit(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.proxied && !t.charge(c) {
		return false
	}
	if len(t.all) >= int(t.max.Load()) && !t.makeRoom() {
		t.closed[closedLimit].Add(1)
		t.discharge(c)
		return false
	}
	t.accepted.Add(1)
	t.all[c] = struct{}{}
	t.count.Store(int64(len(t.all)))
	t.waits(c)
	return true
}

// identify says whom c, which is from a proxy, is for. It is false when the
// client has too many connections or c is already closed.
func (t *conns) identify(c *conn, client netip.AddrPort) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.all[c]; !ok {
		return false
	}
	c.client = client
	return t.charge(c)
}

// charge counts c among its client's. It is false when they are too many, or
// come too fast.
func (t *conns) charge(c *conn) bool {
	if !t.arrivals.Take(c.client.Addr(), t.rate) {
		t.closed[closedClientRate].Add(1)
		return false
	}
	key := clientKey(c.client.Addr())
	if t.perClient[key] >= t.maxPerClient {
		t.closed[closedClientLimit].Add(1)
		return false
	}
	t.perClient[key]++
	c.counted = true
	return true
}

func (t *conns) discharge(c *conn) {
	if !c.counted {
		return
	}
	c.counted = false
	key := clientKey(c.client.Addr())
	if t.perClient[key]--; t.perClient[key] == 0 {
		delete(t.perClient, key)
	}
}

// waits notes that from now on the next step is c's client's.
func (t *conns) waits(c *conn) { c.waiting.Store(t.clock.Add(1)) }

// makeRoom closes the connection that has been waiting for its client for
// longest, be it silent or slow: what only waits can be opened again. It is
// false when all are at work.
func (t *conns) makeRoom() bool {
	var oldest *conn
	var since uint64
	n := 0
	for c := range t.all { // from a random place on
		if n++; n > lookAt && oldest != nil {
			break
		}
		if at := c.waiting.Load(); at != 0 && (oldest == nil || at < since) {
			oldest, since = c, at
		}
	}
	if oldest == nil {
		return false
	}
	oldest.evicted.Store(true)
	_ = oldest.tcp.Close() // its goroutine sees it and leaves
	t.remove(oldest)       // the place is free now, not when that goroutine runs
	t.closed[closedIdleForNew].Add(1)
	return true
}

// release lets c out.
func (t *conns) release(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.remove(c)
}

func (t *conns) remove(c *conn) {
	if _, ok := t.all[c]; !ok {
		return
	}
	delete(t.all, c)
	t.count.Store(int64(len(t.all)))
	t.discharge(c)
}

// finish lets the connections that came in over l answer what they have
// received and close, within grace.
func (t *conns) finish(l *listener, grace time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.all {
		if c.from == l {
			c.finish(grace)
		}
	}
}

// finishAll is finish for every connection.
func (t *conns) finishAll(grace time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.all {
		c.finish(grace)
	}
}

// finish ends the reading of c behind what has been received: on Linux a
// socket that is shut for reading still gives what is in its buffer.
func (c *conn) finish(grace time.Duration) {
	c.finishing.Store(true)
	_ = c.tcp.SetDeadline(time.Now().Add(grace)) // fails only when closed
	if half, ok := c.tcp.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead() // as above
	} else {
		_ = c.tcp.SetReadDeadline(time.Unix(1, 0)) // as above
	}
}

// closeAll closes every connection at once.
func (t *conns) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.all {
		_ = c.tcp.Close() // its goroutine sees it and leaves
	}
}
