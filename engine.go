package rhumb

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// Options are what an Engine needs from outside. All of them may be left out.
type Options struct {
	Logger     *slog.Logger
	Registerer prometheus.Registerer
	Keeper     health.Keeper // where verdicts and overrides survive a restart
	// Prober makes the probe of a check; nil: those of package probe.
	Prober func(c health.Check) (probe.Prober, error)
}

// Engine keeps the snapshot. Readers call Snapshot from any goroutine.
type Engine struct {
	board    *health.Board
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
	e := &Engine{board: board, settled: make(chan struct{})}
	if o.Registerer != nil {
		o.Registerer.MustRegister(endpointStates{e})
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

// Settled is closed when every probe has a verdict for the first time, and
// Snapshot has them all.
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
	e.replace()
	return nil
}

// Run probes and keeps the snapshot's health up to date until ctx ends.
func (e *Engine) Run(ctx context.Context) error {
	var following sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	following.Go(func() {
		settled := e.board.Settled()
		for {
			select {
			case <-ctx.Done():
				return
			case <-settled:
				settled = nil
			case <-e.board.Changed():
			}
			e.follow()
		}
	})
	err := e.board.Run(ctx)
	stop()
	following.Wait()
	return err
}

// follow puts the board's latest view in the snapshot.
func (e *Engine) follow() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.table != nil {
		e.replace()
	}
}

// replace makes a snapshot of what there is now. Views change their targets only
// under e.mu, by Commit, so the view is aligned with the table.
func (e *Engine) replace() {
	settled := closed(e.board.Settled()) // before the view is taken, which then has it all
	if v := e.board.View(); e.snapshot.Load() == nil || e.snapshot.Load().Health != v {
		e.snapshot.Store(&resolve.Snapshot{Table: e.table, Health: v})
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
