package rhumb

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// Options are what an Engine needs from outside. All of them may be left out.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Keeper     health.Keeper // where verdicts, overrides, conduct and hosts' addresses survive a restart
	Audit      *audit.Log    // of operators' words; nil: nobody asks
	History    *history.Log  // of what happens to endpoints and pools; nil: nobody asks
	// Prober makes the probe of a check; nil: those of package probe.
	Prober func(c health.Check) (probe.Prober, error)
	// Seen is told of each result of a probe, as health.Options have it.
	Seen func(check string, aim probe.Target, res probe.Result)
	// Exchange asks a server for the addresses of a host name; nil: over the network.
	Exchange hosts.Exchange
}

// Engine keeps the snapshot. Readers call Snapshot from any goroutine.
type Engine struct {
	board    *health.Board
	conduct  *conduct.Director
	hosts    *hosts.Resolver
	atlas    *geo.Atlas
	audit    *audit.Log
	history  *history.Log
	clock    *clock
	snapshot atomic.Pointer[resolve.Snapshot]
	followed followed
	settled  chan struct{} // closed when the snapshot has every first verdict
	hours    *resolve.Hours
	idleness idleness
	locating sync.Mutex    // of whoever loads places because an address is looked up
	charted  chan struct{} // closed when there are files of places to watch

	whereabouts atomic.Pointer[whereabouts] // of poolsOf; nil before a statement's first event

	feeding sync.Mutex // of whoever replaces the table; held before mu, and for as long as that takes

	mu    sync.Mutex // of whoever replaces the snapshot
	table *table.Table
	spec  *spec.Spec
	// commits counts the statements that have been put in force.
	commits uint64
	// fed is what sources keep of fed zones, as they handed it over.
	fed map[dnswire.Name]*zone.Data
	// placed is that somebody has needed places, and that the atlas has those of spec.
	placed bool
}

// New makes an engine without intent: Snapshot is nil until the first Commit.
func New(o Options) (*Engine, error) {
	board, err := health.New(health.Options{Logger: o.Logger, Registerer: o.Registerer, Keeper: o.Keeper, Audit: o.Audit, History: o.History, Prober: o.Prober, Seen: o.Seen})
	if err != nil {
		return nil, err
	}
	director, err := conduct.New(conduct.Options{Logger: o.Logger, Registerer: o.Registerer, Keeper: o.Keeper, History: o.History})
	if err != nil {
		return nil, err
	}
	resolver, err := hosts.New(hosts.Options{Logger: o.Logger, Registerer: o.Registerer, Keeper: o.Keeper, Exchange: o.Exchange})
	if err != nil {
		return nil, err
	}
	atlas := geo.New(geo.Options{Logger: o.Logger, Registerer: o.Registerer})
	e := &Engine{
		board: board, conduct: director, hosts: resolver, atlas: atlas, audit: o.Audit, history: o.History, clock: newClock(),
		idleness: idleness{wake: make(chan struct{}, 1)},
		settled:  make(chan struct{}), charted: make(chan struct{}),
	}
	o.History.PoolsOf(e.poolsOf)
	if o.Registerer != nil {
		o.Registerer.MustRegister(zoneStates{e}, figures{e})
	}
	return e, nil
}

// Snapshot is what queries are answered from at this instant; nil before the
// first Commit.
func (e *Engine) Snapshot() *resolve.Snapshot { return e.snapshot.Load() }

// Spec is the statement in force, without its services, which the table holds.
func (e *Engine) Spec() *spec.Spec {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spec
}

// Settled is closed when every probe has a verdict for the first time and every
// host name has been asked for, and Snapshot has it all.
func (e *Engine) Settled() <-chan struct{} { return e.settled }

// Change is a statement that has been compiled and not yet put in force.
type Change struct {
	spec    *spec.Spec
	commits uint64 // that there were before
	table   *table.Table
	fed     map[dnswire.Name]*zone.Data // which the table has
	plan    *health.Plan
	// places is nil when nobody needed any.
	places *geo.Change
}

// Prepare compiles a statement and makes its probes. It changes nothing.
func (e *Engine) Prepare(s *spec.Spec) (*Change, error) {
	e.mu.Lock()
	prev, placed := e.table, e.placed
	change := &Change{spec: s, commits: e.commits, fed: maps.Clone(e.fed)}
	e.mu.Unlock()
	t, err := change.compile(prev)
	if err != nil {
		return nil, err
	}
	plan, err := e.board.Prepare(t.Targets, t.Locate)
	if err != nil {
		return nil, err
	}
	needs := t.Needs()
	plan.Uses = health.Uses{
		Latency: needs&steer.Latencies != 0, Load: needs&steer.Loads != 0,
		Times: slices.ContainsFunc(t.Plans, func(p *table.Plan) bool { return p != nil && p.Policy.DebugTXT }),
	}
	plan.Pools, plan.Health = s.Pools, s.Health
	places, err := e.preparePlaces(s, t, placed)
	if err != nil {
		return nil, err
	}
	change.table, change.plan, change.places = t, plan, places
	return change, nil
}

// ErrSuperseded is the error of a change that was prepared before another one
// was put in force.
var ErrSuperseded = errors.New("rhumb: another change came first; prepare it again")

// Commit puts a change in force. It fails only when another change was put in
// force since it was prepared, or when a zone has been fed since what the change
// cannot stand beside. Zones keep what they were fed.
func (e *Engine) Commit(c *Change) error {
	// Twice: what takes long is done before anybody has to wait.
	if err := e.catchUp(c); err != nil {
		return err
	}
	e.feeding.Lock()
	defer e.feeding.Unlock()
	if err := e.catchUp(c); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	kept := *c.spec
	kept.Zones = nil
	e.table, e.spec = c.table, &kept
	e.whereabouts.Store(nil) // they hold on to the statement before
	e.commits++
	e.fed = c.fed // without those of zones that are gone
	e.board.Apply(c.plan)
	e.conduct.Apply(c.table.Courses, e.board.View())
	e.clock.Apply(schedulesOf(c.table))
	e.hosts.Apply(c.table.Hosts, c.spec.DNS.Resolvers)
	if c.places != nil {
		e.chart(c.places)
	}
	// An address that was looked up since Prepare had places of the statement
	// before; the next one that is has them loaded anew.
	e.placed = c.places != nil
	e.replace()
	notify(e.idleness.wake)
	return nil
}

// Run probes, keeps time for pools and schedules, resolves host names, watches
// databases of places, and keeps the snapshot up to date until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	running.Go(func() {
		judged, resolved := e.board.Settled(), e.hosts.Settled()
		for {
			select {
			case <-ctx.Done():
				return
			case <-judged:
				judged = nil
			case <-resolved:
				resolved = nil
			case <-e.board.Changed():
			case <-e.conduct.Changed():
			case <-e.hosts.Changed():
			case <-e.atlas.Changed():
			case <-e.clock.Changed():
			}
			e.follow()
		}
	})
	running.Go(func() { e.keepIdle(ctx) })
	var conducting, ticking, resolving, watching error
	running.Go(func() {
		conducting = e.conduct.Run(ctx)
		stop() // none runs without the others
	})
	running.Go(func() {
		ticking = e.clock.Run(ctx)
		stop()
	})
	running.Go(func() {
		resolving = e.hosts.Run(ctx)
		stop()
	})
	running.Go(func() {
		select {
		case <-ctx.Done():
		case <-e.charted: // a node without such files watches none
			watching = e.atlas.Run(ctx)
			stop()
		}
	})
	err := e.board.Run(ctx)
	stop()
	running.Wait()
	return errors.Join(err, conducting, ticking, resolving, watching)
}

// follow puts the board's latest view in the snapshot.
func (e *Engine) follow() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.table != nil {
		e.replace()
	}
}

// replace makes a snapshot of what there is now. Views change their targets and
// hosts only under e.mu, by Commit, so they are aligned with the table.
func (e *Engine) replace() {
	// Before the views are taken, which then have it all.
	settled := closed(e.board.Settled()) && closed(e.hosts.Settled())
	judged := e.board.View()
	e.conduct.Follow(judged)
	next := resolve.Snapshot{
		Table: e.table, Health: judged, Conduct: e.conduct.View(), Hosts: e.hosts.View(), Hours: e.opening(),
	}
	if e.placed {
		next.Geo = e.atlas.View()
	}
	if now := e.snapshot.Load(); now == nil || !now.Same(&next) {
		next.Settle(now)
		e.snapshot.Store(&next)
		e.followed.tell()
	}
	if settled && !closed(e.settled) {
		close(e.settled)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
