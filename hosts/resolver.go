package hosts

import (
	"cmp"
	"container/heap"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Options are what a Resolver needs from outside. All of them may be left out.
type Options struct {
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
	Keeper     Keeper                // where good addresses survive a restart; nil: memory only
	ResolvConf string                // the system's resolver configuration; "": /etc/resolv.conf
	HostsFile  string                // names that the system knows itself; "": /etc/hosts
	Exchange   Exchange              // nil: over the network
}

// Resolver is the live addresses of host names. Readers take View; Run asks.
type Resolver struct {
	log    *slog.Logger
	keeper Keeper
	meters *meters
	asker  asker
	paths  [2]string // of resolv.conf and hosts

	view    atomic.Pointer[View]
	changed chan struct{} // one token: View is newer than when it was last taken
	wake    chan struct{} // one token: there is something to do
	settled chan struct{} // closed when every name has been asked for, or it took too long

	mu         sync.Mutex
	generation uint64
	names      []dnswire.Name
	hosts      map[dnswire.Name]*host
	restored   map[dnswire.Name]record // kept addresses, until the first names have claimed theirs
	servers    []netip.AddrPort        // configured; empty: the system's
	upstream   *upstream               // nil: the system's, not read yet
	due        [lanes]schedule
	dirty      []*host   // to be published
	urgent     bool      // some of dirty have other addresses
	published  time.Time // when dirty was last emptied
	awaited    int       // hosts that Settled waits for
	patience   time.Time // until when it does
	stale      int       // as the gauges have it
	unresolved int
	ended      time.Time                 // when the last outage of all servers did
	unsaved    map[dnswire.Name]struct{} // names whose record is to be written

	unkept bool // the last write failed; of save alone, which is never called twice at once
}

// lanes are the schedules: of what was well when it was last asked for, and of
// what failed. Each has its own bound of how many are asked for at once, so that
// names whose servers are silent do not keep the others waiting.
const lanes = 2

// parallel is how many tries of each lane are made at once: a socket each.
const parallel = 256

// settleWithin is how long Settled waits for names that do not resolve.
const settleWithin = 5 * time.Second

// New makes a resolver without names. It reads what Options.Keeper holds, and
// fails when that cannot be read.
func New(o Options) (*Resolver, error) {
	r := &Resolver{
		log:      o.Logger,
		keeper:   o.Keeper,
		meters:   newMeters(o.Registerer),
		paths:    [2]string{cmp.Or(o.ResolvConf, resolvConf), cmp.Or(o.HostsFile, hostsFile)},
		changed:  make(chan struct{}, 1),
		wake:     make(chan struct{}, 1),
		settled:  make(chan struct{}),
		hosts:    map[dnswire.Name]*host{},
		restored: map[dnswire.Name]record{},
		unsaved:  map[dnswire.Name]struct{}{},
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.asker = asker{o.Exchange, r.meters}
	if r.asker.exchange == nil {
		r.asker.exchange = overNetwork
	}
	r.view.Store(&View{})
	if err := r.restore(); err != nil {
		return nil, err
	}
	return r, nil
}

// View is the latest view.
func (r *Resolver) View() *View { return r.view.Load() }

// Changed has a value whenever View has become newer.
func (r *Resolver) Changed() <-chan struct{} { return r.changed }

// Settled is closed when every name of which nothing was kept over a restart has
// been asked for once, A and AAAA; or 5 seconds after the first names were
// applied. View then has what was learned. It takes Run, unless there are no
// names.
func (r *Resolver) Settled() <-chan struct{} { return r.settled }

// Apply makes names those that are asked for, and servers those that are asked,
// in this order; with no servers it is the system's resolver. It returns the view
// that is aligned with the names. What is known of a name that was there before
// is kept; new names are asked for at once. It cannot fail.
func (r *Resolver) Apply(names []dnswire.Name, servers []netip.AddrPort) *View {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.generation++
	r.adopt(names, now)
	if r.generation == 1 {
		r.patience = now.Add(settleWithin)
	}
	if r.generation == 1 || !slices.Equal(servers, r.servers) {
		r.servers, r.upstream = slices.Clone(servers), nil
		if len(servers) > 0 {
			r.use(newUpstream(r.servers), now)
		}
	}

	v := &View{generation: r.generation, names: r.names, pages: blank(len(names))}
	clear(r.dirty)
	r.dirty, r.urgent = r.dirty[:0], false
	for _, h := range r.hosts {
		h.dirty = false
		h.place(v)
		r.count(h)
	}
	r.view.Store(v)
	r.gauge()
	r.settle(now)
	notify(r.changed)
	notify(r.wake)
	return v
}

// adopt makes names those of the resolver, with what is known of them.
func (r *Resolver) adopt(names []dnswire.Name, now time.Time) {
	wanted := make(map[dnswire.Name]*host, len(names))
	r.awaited = 0
	for i, name := range names {
		h := wanted[name]
		if h == nil {
			if h = r.hosts[name]; h == nil {
				h = r.fresh(name, now)
			}
			h.positions = h.positions[:0]
			wanted[name] = h
			if h.awaited = h.untried(); h.awaited {
				r.awaited++
			}
		}
		h.positions = append(h.positions, int32(i))
	}
	for name, h := range r.hosts {
		if wanted[name] == nil {
			r.forget(h)
		}
	}
	for name := range r.restored {
		if wanted[name] == nil {
			r.keep(name)
		}
	}
	r.restored = nil
	r.names, r.hosts = slices.Clone(names), wanted
}

// fresh is a host that is due at once.
func (r *Resolver) fresh(name dnswire.Name, now time.Time) *host {
	h := &host{name: name}
	for i := range h.families {
		h.families[i] = family{host: h, fact: &unknown, v6: i == 1, due: now, index: -1}
	}
	if rec, ok := r.restored[name]; ok {
		h.recall(rec, now)
	}
	for i := range h.families {
		heap.Push(&r.due[0], &h.families[i])
	}
	return h
}

// untried is whether one of the host's families has not been asked for, and
// nothing of it was kept.
func (h *host) untried() bool {
	a, b := h.families[0].fact, h.families[1].fact
	return (a == &unknown || b == &unknown) && !a.restored && !b.restored
}

func (r *Resolver) forget(h *host) {
	h.gone = true
	for i := range h.families {
		if f := &h.families[i]; f.index >= 0 {
			heap.Remove(&r.due[f.lane()], f.index)
		}
	}
	h.tally(r, false, false)
	r.keep(h.name)
}

// lane is the schedule of the family while it is at rest.
func (f *family) lane() int {
	if f.failures > 0 {
		return 1
	}
	return 0
}

// hasten has a family that is at rest asked for now, if it is not due before.
func (r *Resolver) hasten(f *family, now time.Time) {
	if f.index >= 0 && f.due.After(now) {
		f.due = now
		heap.Fix(&r.due[f.lane()], f.index)
	}
}

// use makes servers those that are asked, and asks them at once for what the
// ones before did not know, or knew otherwise.
func (r *Resolver) use(u *upstream, now time.Time) {
	old := r.upstream
	r.upstream = u
	for _, h := range r.hosts {
		for i := range h.families {
			f := &h.families[i]
			if f.failures > 0 || f.absences > 0 || old.knows(h.name) || u.knows(h.name) {
				r.hasten(f, now)
			}
		}
	}
}

// count brings what the gauges count up to date with a host.
func (r *Resolver) count(h *host) {
	a, b := &h.families[0], &h.families[1]
	h.tally(r, a.fact.stale || b.fact.stale, !a.has() && !b.has())
}

func (h *host) tally(r *Resolver, stale, unresolved bool) {
	step := func(was *bool, is bool, n *int) {
		switch {
		case is && !*was:
			*n++
		case *was && !is:
			*n--
		}
		*was = is
	}
	step(&h.stale, stale, &r.stale)
	step(&h.unresolved, unresolved, &r.unresolved)
}

func (r *Resolver) gauge() {
	r.meters.stale.Set(float64(r.stale))
	r.meters.unresolved.Set(float64(r.unresolved))
}

// place puts what is known of a host in a view nobody has seen yet, whose pages
// are its own.
func (h *host) place(v *View) {
	for _, at := range h.positions {
		v.pages[at/pageLen][at%pageLen] = [2]*fact{h.families[0].fact, h.families[1].fact}
	}
}

// The time between two views. Other addresses are published nearly at once, and
// those that come closely after one another share a view. What else there is,
// times and errors, can wait: it is for people.
const (
	urgentGap = 5 * time.Millisecond
	quietGap  = time.Second
)

// publish makes a new view of what changed since the last one, and says how long
// to wait when it is too early for that.
func (r *Resolver) publish(now time.Time) (wait time.Duration) {
	if len(r.dirty) == 0 {
		return forever
	}
	gap := quietGap
	if r.urgent || r.settling() {
		gap = urgentGap
	}
	if wait = r.published.Add(gap).Sub(now); wait > 0 {
		return wait
	}
	old := r.view.Load()
	v := &View{generation: old.generation, names: old.names, pages: slices.Clone(old.pages)}
	for _, h := range r.dirty {
		h.dirty = false
		if h.gone {
			continue
		}
		for _, at := range h.positions {
			if n := at / pageLen; v.pages[n] == old.pages[n] {
				own := *old.pages[n]
				v.pages[n] = &own
			}
		}
		h.place(v)
		r.count(h)
	}
	clear(r.dirty)
	r.dirty, r.urgent, r.published = r.dirty[:0], false, now
	r.view.Store(v)
	r.gauge()
	notify(r.changed)
	return forever
}

// settling is whether Settled is not closed yet.
func (r *Resolver) settling() bool {
	select {
	case <-r.settled:
		return false
	default:
		return true
	}
}

// settle closes Settled when it is time, and says how long to wait when it is
// too early.
func (r *Resolver) settle(now time.Time) (wait time.Duration) {
	if r.generation == 0 || !r.settling() {
		return forever
	}
	wait = r.patience.Sub(now)
	if wait > 0 && r.awaited > 0 {
		return wait
	}
	r.published = time.Time{} // whoever waits sees all there is
	r.publish(now)
	close(r.settled)
	return forever
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run asks until ctx ends, then waits for the queries under way and writes what
// is left to write. It returns nil when ctx ended it. A resolver is run once at a
// time.
func (r *Resolver) Run(ctx context.Context) error {
	l := newLoop(r)
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for {
		l.look(time.Now())
		timer.Reset(l.step(ctx, time.Now()))
		select {
		case <-ctx.Done():
			l.finish()
			return nil
		case <-timer.C:
		case <-r.wake:
		case unwritten := <-l.saved:
			l.wrote(unwritten, time.Now())
		case o := <-l.results:
			l.collect(o, time.Now())
		}
	}
}
