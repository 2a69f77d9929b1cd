package server

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// The reasons for which we close a connection early.
const (
	closedClientLimit = iota
	closedLimit
	closedIdleForNew
	closedTimeout
	closeReasons
)

var closeNames = [closeReasons]string{"client_limit", "limit", "idle_for_new", "timeout"}

// conns are the open TCP connections and their limits (RFC 7766 section 6.2.2).
type conns struct {
	accepted, acceptErrors atomic.Uint64
	closed                 [closeReasons]atomic.Uint64
	// clock orders what connections do; only the order matters.
	clock atomic.Uint64

	max, maxPerClient int

	mu        sync.Mutex
	all       map[*conn]struct{}
	perClient map[netip.Addr]int
}

func (t *conns) init(limit, perClient int) {
	t.max, t.maxPerClient = limit, perClient
	t.all = map[*conn]struct{}{}
	t.perClient = map[netip.Addr]int{}
}

// conn is one TCP connection.
type conn struct {
	net.Conn
	from   *listener
	client netip.AddrPort
	// idleSince is the clock when it last had nothing to answer, 0 while it has.
	idleSince atomic.Uint64
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
func (t *conns) admit(c *conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	key := clientKey(c.client.Addr())
	if t.perClient[key] >= t.maxPerClient {
		t.closed[closedClientLimit].Add(1)
		return false
	}
	if len(t.all) >= t.max && !t.makeRoom() {
		t.closed[closedLimit].Add(1)
		return false
	}
	t.accepted.Add(1)
	t.all[c] = struct{}{}
	t.perClient[key]++
	c.idleSince.Store(t.clock.Add(1))
	return true
}

// makeRoom closes the connection that has been idle for longest. It is false
// when all are at work.
func (t *conns) makeRoom() bool {
	var oldest *conn
	var since uint64
	for c := range t.all {
		if at := c.idleSince.Load(); at != 0 && !c.evicted.Load() && (oldest == nil || at < since) {
			oldest, since = c, at
		}
	}
	if oldest == nil {
		return false
	}
	oldest.evicted.Store(true)
	_ = oldest.Close() // its goroutine sees it and leaves
	t.remove(oldest)   // the place is free now, not when that goroutine runs
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
	key := clientKey(c.client.Addr())
	if t.perClient[key]--; t.perClient[key] == 0 {
		delete(t.perClient, key)
	}
}

func (t *conns) open() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.all)
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
	_ = c.SetDeadline(time.Now().Add(grace)) // fails only when closed
	if half, ok := c.Conn.(interface{ CloseRead() error }); ok {
		_ = half.CloseRead() // as above
	} else {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // as above
	}
}

// closeAll closes every connection at once.
func (t *conns) closeAll() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for c := range t.all {
		_ = c.Close() // its goroutine sees it and leaves
	}
}
