package rhumb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// Options are what an Engine needs from outside. All of them may be left out.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Keeper     health.Keeper // where verdicts, overrides and hosts' addresses survive a restart
	// Prober makes the probe of a check; nil: those of package probe.
	Prober func(c health.Check) (probe.Prober, error)
	// Exchange asks a server for the addresses of a host name; nil: over the network.
	Exchange hosts.Exchange
}

// Engine keeps the snapshot. Readers call Snapshot from any goroutine.
type Engine struct {
	board    *health.Board
	hosts    *hosts.Resolver
	snapshot atomic.Pointer[resolve.Snapshot]
	settled  chan struct{} // closed when the snapshot has every first verdict

	mu    sync.Mutex // of whoever replaces the snapshot
	table *table.Table
	spec  *spec.Spec
}

// New makes an engine without intent: Snapshot is nil until the first Commit.
func New(o Options) (*Engine, error) {
	board, err := health.New(health.Options{Logger: o.Logger, Registerer: o.Registerer, Keeper: o.Keeper, Prober: o.Prober})
	if err != nil {
		return nil, err
	}
	resolver, err := hosts.New(hosts.Options{Logger: o.Logger, Registerer: o.Registerer, Keeper: o.Keeper, Exchange: o.Exchange})
	if err != nil {
		return nil, err
	}
	e := &Engine{board: board, hosts: resolver, settled: make(chan struct{})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(endpointStates{e}, zoneStates{e})
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
	spec  *spec.Spec
	prev  *table.Table
	table *table.Table
	plan  *health.Plan
}

// Prepare compiles a statement and makes its probes. It changes nothing.
func (e *Engine) Prepare(s *spec.Spec) (*Change, error) {
	e.mu.Lock()
	prev := e.table
	e.mu.Unlock()
	t, err := table.Compile(prev, s)
	if err != nil {
		return nil, err
	}
	plan, err := e.board.Prepare(t.Targets, t.Locate)
	if err != nil {
		return nil, err
	}
	return &Change{spec: s, prev: prev, table: t, plan: plan}, nil
}

// ErrSuperseded is the error of a change that was prepared before another one
// was put in force.
var ErrSuperseded = errors.New("rhumb: another change came first; prepare it again")

// Commit puts a change in force. It fails only when another change was put in
// force since it was prepared.
func (e *Engine) Commit(c *Change) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.table != c.prev {
		return ErrSuperseded
	}
	kept := *c.spec
	kept.Zones = nil
	e.table, e.spec = c.table, &kept
	e.board.Apply(c.plan)
	e.hosts.Apply(c.table.Hosts, c.spec.DNS.Resolvers)
	e.replace()
	return nil
}

// Run probes, resolves host names, and keeps the snapshot up to date until ctx
// ends.
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
			case <-e.hosts.Changed():
			}
			e.follow()
		}
	})
	var resolving error
	running.Go(func() {
		resolving = e.hosts.Run(ctx)
		stop() // one does not run without the other
	})
	err := e.board.Run(ctx)
	stop()
	running.Wait()
	return errors.Join(err, resolving)
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
	next := resolve.Snapshot{Table: e.table, Health: e.board.View(), Hosts: e.hosts.View()}
	if now := e.snapshot.Load(); now == nil || *now != next {
		e.snapshot.Store(&next)
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
