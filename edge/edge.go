package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rhumb-dns/rhumb/api"
)

const (
	// minGap is how long after one request the next one comes at the earliest, whatever
	// asks for it.
	minGap = time.Second
	// firstBackoff is how long after the first failure it is tried again.
	firstBackoff = time.Second
)

// Edge keeps one zone as its controllers state it. It is safe for concurrent use.
type Edge struct {
	o      Options
	lim    limits
	log    *slog.Logger
	rules  *rules
	client *client
	meters *zoneMeters
	disk   *disk // nil: nothing is kept

	ready atomic.Bool
	tried chan struct{} // closed when the first sync has come to its end
	wake  chan struct{} // asks for a sync now
	moved chan struct{} // another controller answers
	// unsaved says that something is to be written.
	unsaved chan struct{}
	unkept  bool // the last time it could not be; for save alone

	// work is held by who changes the records, to the end of Put. It is taken before mu.
	work sync.Mutex
	st   *standing // nil: there are none yet
	told string    // what was logged last of what a snapshot had refused

	mu      sync.Mutex
	count   int // DNS records
	hash    string
	source  string
	refused int
	// anew is that the records are to be asked for as a whole: they are those of an earlier
	// run, whose controller may have been another, with hashes of its own. To start anew is
	// also what elchi's documents advise whoever misses a change.
	anew    bool
	changed bool // since they were written to disk
	while   meanwhile
	strays  strays
	began   time.Time
	good    time.Time // when a controller last said how things are
	status  string
	failure error  // of the last sync
	current string // the endpoint that answered last
	streams bool
}

// New makes an edge. The error says which option is wrong, in the words of elchi's
// documents.
func New(o Options) (*Edge, error) { return newEdge(o, usual) }

func newEdge(o Options, lim limits) (*Edge, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	e := &Edge{
		o: o, lim: lim, log: o.Logger.With("zone", dotless(o.Zone)),
		tried: make(chan struct{}), wake: make(chan struct{}, 1), moved: make(chan struct{}, 1), unsaved: make(chan struct{}, 1),
		source: api.FromNowhere, status: api.SyncInitial, began: time.Now(),
	}
	e.rules = newRules(&e.o)
	e.client = newClient(&e.o, e.rules, lim)
	e.meters = o.Metrics.zone(e)
	if o.DataDir != "" {
		e.disk = newDisk(&e.o, e.rules, lim)
	}
	return e, nil
}

// Run takes what was kept, and keeps the zone until ctx ends: it asks for a snapshot, then for changes every SyncInterval, give or take a tenth, and sooner while
// that fails: after a second, then twice as long each time. It returns nil. Run is to be
// called once.
func (e *Edge) Run(ctx context.Context) error {
	defer e.meters.forget(e)
	e.restore(ctx)
	var all sync.WaitGroup
	all.Go(func() { e.follow(ctx) })
	if e.disk != nil {
		all.Go(func() { e.save(ctx) })
	}
	e.poll(ctx)
	all.Wait()
	e.client.http.CloseIdleConnections()
	return nil
}

// Ready is whether there are records to answer with.
func (e *Edge) Ready() bool { return e.ready.Load() }

// Tried is closed when the first sync has come to its end, good or bad.
func (e *Edge) Tried() <-chan struct{} { return e.tried }

// Zone is the zone's name.
func (e *Edge) Zone() string { return e.o.Zone.String() }

// poll asks for changes until ctx ends.
func (e *Edge) poll(ctx context.Context) {
	failures := 0
	for {
		begun := time.Now()
		err := e.sync(ctx)
		if ctx.Err() != nil {
			return
		}
		if failures++; err == nil {
			failures = 0
		}
		select {
		case <-e.tried:
		default:
			close(e.tried)
		}
		if !e.pause(ctx, backoff(failures, e.o.SyncInterval), begun) {
			return
		}
	}
}

// pause waits for a time, or less when a sync is asked for. It is false when ctx ends.
func (e *Edge) pause(ctx context.Context, wait time.Duration, begun time.Time) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	case <-e.wake:
	}
	timer.Reset(max(minGap-time.Since(begun), 0))
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// backoff is how long to wait after so many failures in a row: interval after none, else
// a second and twice as long each time, up to interval; all give or take a tenth, so that
// edges that were started together do not ask together.
func backoff(failures int, interval time.Duration) time.Duration {
	d := interval
	if failures > 0 {
		d = min(firstBackoff<<min(failures-1, 20), interval)
	}
	return d - d/10 + rand.N(d/5+1)
}

// soon asks for a sync.
func (e *Edge) soon() { poke(e.wake) }

func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// sync asks the controllers in their order, until one of them answers.
func (e *Edge) sync(ctx context.Context) error {
	var errs []string
	for _, endpoint := range e.o.Endpoints {
		err := e.syncWith(ctx, endpoint)
		if err == nil {
			e.went(endpoint)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, fmt.Sprintf("controller %s: %v", shown(endpoint), err))
	}
	err := errors.New(strings.Join(errs, "; "))
	e.failed(err)
	return err
}

func (e *Edge) syncWith(ctx context.Context, endpoint string) error {
	since := e.version()
	e.mu.Lock()
	if e.strays.doubted {
		since = ""
	}
	e.mu.Unlock()
	err := e.askFor(ctx, endpoint, since)
	if since != "" && errors.Is(err, ErrRequest) {
		// It may not understand a version that another controller has made.
		err = e.askFor(ctx, endpoint, "")
	}
	return err
}

func (e *Edge) askFor(ctx context.Context, endpoint, since string) (err error) {
	begun := time.Now()
	e.mu.Lock()
	e.while.begin(e.hash)
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		e.while.end()
		e.mu.Unlock()
		if ctx.Err() == nil {
			e.meters.synced(since != "", time.Since(begun), err)
		}
	}()
	if since != "" {
		e.log.Debug("Checking for changes", "hash", since)
	}
	r, err := e.client.ask(ctx, endpoint, since)
	if err != nil {
		spare(e.client.read >= manyOctets)
		return err
	}
	if r.taken == nil {
		e.log.Debug("No changes detected")
		e.mu.Lock()
		defer e.mu.Unlock()
		e.strays.unchanged()
		return nil
	}
	had := e.size()
	if err := e.take(ctx, r.taken, api.FromController); err != nil {
		return err
	}
	spare(max(had, e.size()) >= manyRecords)
	e.client.tags[endpoint] = r.tag
	return nil
}

// version is since when changes are wanted; empty: everything is.
func (e *Edge) version() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.anew {
		return ""
	}
	return e.hash
}

// take puts a snapshot in force, with what was changed while it came in and was made
// ready: until then what is told goes to the records that there are.
func (e *Edge) take(ctx context.Context, t *taken, source string) error {
	st := t.st
	st.data.Owned(e.o.Zone) // to have the index of names made before anybody waits for it
	put := e.o.Put
	if e.o.Ahead != nil {
		var err error
		if put, err = e.o.Ahead(st.data); err != nil {
			return notPut(err)
		}
	}
	e.work.Lock()
	defer e.work.Unlock()
	if err := ctx.Err(); err != nil {
		return err // another edge may keep the zone by now
	}
	e.mu.Lock()
	again, hash, known := e.while.after(t.hash)
	e.mu.Unlock()
	var left strays
	if len(again) > 0 {
		var ops []op
		for _, s := range again {
			ops = append(ops, s.ops...)
		}
		if c, err := st.change(ops, e.o.MaxRecords); err == nil {
			c.done()
			left.redone(c, again)
		} else {
			hash, known = t.hash, false
			e.log.Warn("What was changed while a snapshot came in is not in force after it", "error", err)
		}
	}
	if err := put(st.data); err != nil {
		return notPut(err)
	}
	was := e.st
	e.st = st
	e.mu.Lock()
	e.count, e.hash, e.source, e.refused = st.records(), hash, source, t.refused.n
	e.changed, e.anew, e.strays = source == api.FromController, source == api.FromDisk, left
	count := e.count
	e.mu.Unlock()
	e.ready.Store(true)
	e.meters.refuse(t.refused.n)
	if source == api.FromController {
		poke(e.unsaved)
	}
	e.tellTaken(was, t, source, count, hash)
	if !known {
		e.soon() // what is missing has made another version by now
	}
	return nil
}

func notPut(err error) error { return fmt.Errorf("its records cannot be put in force: %w", err) }

// tellTaken logs that a snapshot is in force.
func (e *Edge) tellTaken(was *standing, t *taken, source string, count int, hash string) {
	what := "Snapshot loaded"
	switch {
	case source == api.FromDisk:
		what = "Snapshot of an earlier run loaded"
	case was == nil:
		what = "Initial snapshot loaded"
	}
	e.log.Info(what, "records", count, "hash", hash)
	// A controller states the same again in every snapshot: it is said when it is new.
	if reasons := t.refused.String(); reasons != e.told {
		if e.told = reasons; t.refused.n > 0 {
			e.log.Warn("Items of the snapshot were refused", "items", t.refused.n, "reasons", reasons)
		}
	}
	if was != nil && was.records() > 0 && count == 0 {
		e.log.Warn("The controller says that the zone has no records any more", "had", was.records())
	}
}

// errNothing is the error of a change before there is anything to change.
var errNothing = errors.New("there is no snapshot of the zone yet: nothing can be changed")

// apply does what a notification says and puts the result in force.
func (e *Edge) apply(ops []op) (*change, error) {
	e.work.Lock()
	defer e.work.Unlock()
	c, err := e.applyHeld(ops)
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		// Also what changes nothing now: a snapshot may bring what it takes away.
		e.while.note(ops, "")
		e.strays.add(c)
	}
	return c, err
}

// applyHeld does ops and puts the result in force, for who holds work.
func (e *Edge) applyHeld(ops []op) (*change, error) {
	if e.st == nil {
		return nil, errNothing
	}
	c, err := e.st.change(ops, e.o.MaxRecords)
	if err != nil {
		return nil, err
	}
	if c.updated+c.deleted == 0 {
		return c, nil
	}
	if err := e.o.Put(c.data); err != nil {
		return nil, fmt.Errorf("the records cannot be put in force: %w", err)
	}
	c.done()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.count, e.changed = e.st.records(), true
	poke(e.unsaved)
	return c, nil
}

// went notes that a sync went well.
func (e *Edge) went(endpoint string) {
	e.mu.Lock()
	was, before := e.failure, e.current
	e.good, e.status, e.failure, e.source, e.current = time.Now(), api.SyncSuccess, nil, api.FromController, endpoint
	hash, good := e.hash, e.good
	e.mu.Unlock()
	if e.disk != nil {
		e.disk.confirm(hash, good)
	}
	if was != nil {
		e.log.Info("The controller answers again", "endpoint", shown(endpoint))
	}
	if before != endpoint {
		if before != "" {
			e.log.Warn("Another controller answers", "endpoint", shown(endpoint), "before", shown(before))
		}
		poke(e.moved)
	}
}

// failed notes that a sync failed; it is logged when that is new.
func (e *Edge) failed(err error) {
	e.mu.Lock()
	was, hash := e.failure, e.hash
	e.status, e.failure = api.SyncFailed, err
	e.mu.Unlock()
	if was != nil && was.Error() == err.Error() {
		return
	}
	if hash == "" {
		e.log.Error("Initial snapshot fetch failed", "error", err)
	} else {
		e.log.Error("Change check failed", "error", err)
	}
}

// Health is how the edge stands.
func (e *Edge) Health() api.Health {
	e.mu.Lock()
	defer e.mu.Unlock()
	h := api.Health{
		Status: api.EdgeHealthy, Zone: dotless(e.o.Zone), RecordsCount: e.count, VersionHash: e.hash,
		LastSyncStatus: e.status, Source: e.source, Stream: e.streams, Refused: e.refused,
	}
	since := e.began
	if !e.good.IsZero() {
		since = e.good
		h.LastSync = e.good.UTC().Truncate(time.Second)
		age := max(time.Since(e.good).Seconds(), 0)
		h.AgeSeconds = &age
	}
	if e.failure != nil {
		h.Error = e.failure.Error()
		if time.Since(since) > 2*e.o.SyncInterval {
			h.Status = api.EdgeDegraded
		}
	}
	return h
}

// size is how many DNS records there are.
func (e *Edge) size() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.count
}

// listing is the records as they are, which no longer change, and their version.
func (e *Edge) listing() (st *standing, hash string) {
	e.work.Lock()
	defer e.work.Unlock()
	if e.st == nil {
		return nil, ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.st.copied(), e.hash
}
