package hosts

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// How configured servers are asked; those of the system have it in its
// configuration.
const (
	askTimeout  = 2 * time.Second
	askAttempts = 2
)

// tryTimeout bounds one try to resolve a name: every server, every attempt. A
// name whose servers are all silent must not hold its place for longer.
const tryTimeout = 15 * time.Second

// When a server is asked only after the others: silent that many times in a row,
// for that long. One silence may be the fault of the name.
const (
	maxSilent = 3
	penalty   = 30 * time.Second
)

// upstream is the servers that are asked, in order, and what is known of them.
type upstream struct {
	servers  []netip.AddrPort
	timeout  time.Duration // of one exchange
	attempts int           // rounds over all servers that have not answered
	files    map[dnswire.Name]addresses
	broken   string // why there are no servers

	mu    sync.Mutex
	state []standing // of each server
}

// standing is how a server has done.
type standing struct {
	silent int       // times in a row
	last   time.Time // while it counts as silent, when it is asked again before others
}

func newUpstream(servers []netip.AddrPort) *upstream {
	return &upstream{servers: servers, timeout: askTimeout, attempts: askAttempts, state: make([]standing, len(servers))}
}

// order is the servers in the order in which one try asks them: those that
// answer, beginning after the first skip of them, and then the silent ones. One
// whose penalty has ended is tried again, by one try at a time.
func (u *upstream) order(now time.Time, skip int) []int {
	u.mu.Lock()
	defer u.mu.Unlock()
	var first, good, last []int
	for i := range u.state {
		s := &u.state[i]
		switch {
		case s.silent < maxSilent:
			good = append(good, i)
		case now.Before(s.last):
			last = append(last, i)
		default:
			s.last = now.Add(penalty)
			first = append(first, i)
		}
	}
	if len(good) > 0 {
		skip %= len(good)
		good = append(good[skip:], good[:skip]...)
	}
	return append(append(first, good...), last...)
}

// note keeps the standing of a server. It says whether an outage has ended: this
// server answers, after none did.
func (u *upstream) note(server int, silent bool, now time.Time) (ended bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := &u.state[server]
	if silent {
		if s.silent++; s.silent == maxSilent {
			s.last = now.Add(penalty)
		}
		return false
	}
	ended = true
	for i := range u.state {
		ended = ended && u.state[i].silent >= maxSilent
	}
	s.silent = 0
	return ended
}

// asker asks servers for names.
type asker struct {
	exchange Exchange
	meters   *meters
}

// ask tries to resolve one family of a name: each server, until one says
// something, then those again that were silent. It begins after the first skip
// servers. Ended is whether an outage of all servers has.
func (a *asker) ask(ctx context.Context, u *upstream, name dnswire.Name, v6 bool, skip int) (r reading, ended bool) {
	if u.broken != "" {
		return reading{result: resultNetwork, reason: u.broken}, false
	}
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	reasons := make([]string, len(u.servers))
	answered := make([]bool, len(u.servers))
	for range u.attempts {
		for _, i := range u.order(time.Now(), skip) {
			if answered[i] || ctx.Err() != nil {
				continue
			}
			r = a.askServer(ctx, u, i, name, v6)
			if r.verdict == canceled {
				return r, false
			}
			ended = u.note(i, r.silent, time.Now()) || ended
			if r.verdict == found {
				return r, ended
			}
			r.reason = u.servers[i].String() + ": " + r.reason
			if r.verdict == nodata || r.verdict == nxdomain {
				return r, ended
			}
			answered[i], reasons[i] = !r.silent, r.reason
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return reading{verdict: canceled}, ended
	}
	reasons = slices.DeleteFunc(reasons, func(s string) bool { return s == "" })
	return reading{reason: strings.Join(reasons, "; ")}, ended
}

// askServer asks one server: without EDNS when it does not know that, and over
// TCP when the answer is too long.
func (a *asker) askServer(ctx context.Context, u *upstream, server int, name dnswire.Name, v6 bool) reading {
	edns, tcp := true, false
	for {
		r := a.once(ctx, u, server, query(name, v6, edns), tcp)
		switch {
		case r.verdict == plain && edns:
			edns = false
		case r.verdict == truncated && !tcp:
			tcp = true
		default:
			return r
		}
	}
}

// once makes one exchange and reads what comes of it. An exchange that panics
// fails: what it reads comes from the network.
func (a *asker) once(ctx context.Context, u *upstream, server int, q *dns.Msg, tcp bool) (r reading) {
	limited, cancel := context.WithTimeout(ctx, u.timeout)
	defer cancel()
	defer func() {
		if why := recover(); why != nil {
			r = malformed("the answer made the reader panic: %v", why)
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			r = reading{verdict: canceled}
			return
		}
		// A server that was not given its time has not been silent.
		r.silent = r.silent && ctx.Err() == nil
		a.meters.queries.WithLabelValues(r.result).Inc()
	}()
	m, err := a.exchange(limited, u.servers[server], q, tcp)
	if err != nil {
		return trouble(err)
	}
	return read(q, m)
}
