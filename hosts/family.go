package hosts

import (
	"bytes"
	"math"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// How long until a name is asked for again when there was no answer to go by.
const (
	firstRetry = time.Second
	// maxRetry is after failures: short, since an outage that ends should end here
	// as well.
	maxRetry = 30 * time.Second
	// maxAbsent is for what has no addresses and had none, whatever the negative
	// TTL: a host that comes into being is found within a minute.
	maxAbsent = time.Minute
)

// When it is believed that addresses are gone: said that many times, over that
// time. It outlasts a zone that is reloaded and a server that is restarted.
const (
	confirmations = 3
	confirmSpan   = 30 * time.Second
	confirmGap    = confirmSpan / (confirmations - 1)
)

// staleTTL is the highest TTL that addresses get which nothing confirms, so that
// clients soon see those that come next (RFC 8767 section 4).
const staleTTL = 30 // seconds

// host is the live state of one name. It is guarded by the resolver's mutex, but
// for the name.
type host struct {
	name       dnswire.Name
	positions  []int32 // where it is among the names
	families   [2]family
	awaited    bool // counted in Resolver.awaited
	dirty      bool // listed in Resolver.dirty
	empty      bool // it has been logged that there are no addresses
	stale      bool // as the gauges have it
	unresolved bool
	gone       bool // no longer among the names
}

// family is A or AAAA of a host.
type family struct {
	host    *host
	fact    *fact
	expires time.Time // when the TTL of the addresses ends
	due     time.Time // when it is asked for again
	doubted time.Time // since when servers say that there are no addresses, while there are
	index   int       // in its schedule; -1 while it is asked for or gone
	ttl     uint32    // as received

	failures uint8 // in a row
	absences uint8 // answers in a row that there are none, failures between them not counted
	v6       bool
	said     level // the worst that has been logged since all was well
}

// level is how bad the state of a family is.
type level uint8

const (
	fine    level = iota
	failing       // the last answer could not be had
	doubted       // there should be no addresses; not believed yet
	kept          // there should be no addresses; not believed, since there would be none at all
)

func (f *family) letter() string {
	if f.v6 {
		return "AAAA"
	}
	return "A"
}

// other is the other family of the host.
func (f *family) other() *family {
	if f.v6 {
		return &f.host.families[0]
	}
	return &f.host.families[1]
}

// has is whether there are addresses.
func (f *family) has() bool { return len(f.fact.packed) > 0 }

// vouches is whether addresses have been confirmed since a time, and are not in
// doubt.
func (f *family) vouches(since time.Time) bool {
	return f.has() && !f.fact.restored && f.failures == 0 && f.absences == 0 && !f.fact.resolved.Before(since)
}

// take puts what was read into the family: a new fact, and when it is due again.
// Spread is between 0 and 1 and lengthens the wait by up to a twentieth, so that
// names that were asked for together part. It says how the family is now, and
// whether its addresses are others than before.
func (f *family) take(r reading, now time.Time, spread float64) (is level, changed bool) {
	next := *f.fact
	next.reason = r.reason
	var wait time.Duration
	switch {
	case r.verdict == found:
		f.failures, f.absences, f.doubted = 0, 0, time.Time{}
		changed = !bytes.Equal(next.packed, r.packed)
		if changed {
			next.packed = r.packed
		}
		next.resolved, next.restored = now, false
		f.ttl = r.ttl
		wait = time.Duration(r.ttl) * time.Second
		f.expires = now.Add(wait)
	case r.verdict < nodata:
		f.failures = more(f.failures)
		wait = backOff(f.failures, maxRetry)
		is = failing
	case !f.has():
		f.failures, f.absences = 0, more(f.absences)
		wait = backOff(f.absences, maxAbsent)
	default:
		f.failures, f.absences = 0, more(f.absences)
		if f.absences == 1 {
			f.doubted = now
		}
		wait, is = confirmGap, doubted
		if f.absences < confirmations || now.Sub(f.doubted) < confirmSpan {
			break
		}
		wait, is = maxRetry, kept
		if f.other().vouches(f.doubted) {
			next.packed, next.resolved, next.restored = nil, now, false
			f.doubted = time.Time{}
			changed, is = true, fine
		}
	}
	f.due = now.Add(wait + time.Duration(spread*float64(wait)/20))
	next.next = f.due
	next.stale = len(next.packed) > 0 && !now.Before(f.expires)
	next.ttl = 0
	if len(next.packed) > 0 {
		next.ttl = f.ttl
		if next.stale {
			next.ttl = min(f.ttl, staleTTL)
		}
	}
	f.fact = &next
	return is, changed
}

// more is n+1, or n where there is no more.
func more(n uint8) uint8 { return min(n, math.MaxUint8-1) + 1 }

// backOff doubles from firstRetry with each time, up to most.
func backOff(times uint8, most time.Duration) time.Duration {
	wait := firstRetry
	for ; times > 1 && wait < most; times-- {
		wait *= 2
	}
	return min(wait, most)
}

// schedule is the families at rest, the next due first, for container/heap.
type schedule []*family

func (s schedule) Len() int           { return len(s) }
func (s schedule) Less(i, j int) bool { return s[i].due.Before(s[j].due) }
func (s schedule) Swap(i, j int) {
	s[i], s[j] = s[j], s[i]
	s[i].index, s[j].index = i, j
}

func (s *schedule) Push(x any) {
	f := x.(*family)
	f.index = len(*s)
	*s = append(*s, f)
}

func (s *schedule) Pop() any {
	last := len(*s) - 1
	f := (*s)[last]
	(*s)[last] = nil
	*s = (*s)[:last]
	f.index = -1
	return f
}
