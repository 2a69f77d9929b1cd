package health

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/yield"
)

// Options are what a Board needs from outside.
type Options struct {
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
	Keeper     Keeper                // nil: memory only
	Audit      *audit.Log            // of operators' words; nil: nobody asks
	History    *history.Log          // of what happens to endpoints; nil: nobody asks
	// Prober makes the probe of a check; nil: the real ones.
	Prober func(c Check) (probe.Prober, error)
	// Seen is told of each result of a probe, by the names of the checks that it is made
	// for. The board waits for it.
	Seen func(check string, aim probe.Target, res probe.Result)
}

// Board is the live health of a node. Readers take View; Run probes.
type Board struct {
	log    *slog.Logger
	keeper Keeper
	audit  *audit.Log
	events *history.Log
	prober func(c Check) (probe.Prober, error)
	seen   func(check string, aim probe.Target, res probe.Result) // nil: nobody asks
	meters *meters

	view    atomic.Pointer[View]
	changed chan struct{} // one token: View is newer than when it was last taken
	wake    chan struct{} // one token: the schedule changed
	settled chan struct{} // closed when every probe has a verdict

	// overriding is of whoever changes operators' words, for as long as it is written
	// to disk. It is taken before mu.
	overriding sync.Mutex

	mu         sync.Mutex
	generation uint64
	targets    []Target
	locate     Locate
	// onTarget are, of each target, its probes in the order of its checks, with those
	// of a calculated one in its place; nil for unchecked targets.
	onTarget  [][]*runner
	runners   []*runner
	names     map[string]bool // of the checks, as metrics have them
	due       schedule
	room      int           // the files that may be open, a bound of parallel
	parallel  int           // how many probes may run at once
	saveEvery time.Duration // from one write of confirmations to the next
	unsettled int           // probes without a first verdict, while settled is open
	unbegun   int           // probes that have never been begun: the first round lasts until there are none
	doubtful  []*runner     // verdicts from before the restart, the first to lapse last
	overrides map[overrideKey]Overriding
	restored  map[string]record // kept verdicts, until the first targets have claimed theirs
	unsaved   map[string]record // records to be written, by request; empty state: delete
	dirty     map[int]struct{}  // targets whose detail is to be published
	published time.Time         // when dirty was last emptied
	tally     [Down + 1]int     // checked targets by state, as published
	degraded  [causes]int       // of those that are up, those that are degraded, by cause
	classes   []probe.Class     // of results that are remembered
	reports   map[reportKey][]*runner
	lapsing   lapsing // the reports that count
	urgent    bool    // what is unsaved is to be written at once

	upkeep   map[string]Maintenance // by ID
	pools    map[string]*spec.Pool  // that maintenance selects from
	selected map[string][]string    // what it selects of them, by ID; made when it is asked for

	uses         Uses
	figured      time.Time       // when figures were last published
	latency      []uint32        // of each target, as published or to be; nil: nobody goes by it
	latencyMoved bool            // latency is to be published
	times        []atomic.Int64  // as View has them
	loads        map[string]Load // what was reported, by endpoint; some may be too old
	loadMoved    bool            // loads are to be published
	loadLapses   time.Time       // no load is too old before that; zero: there is none
	byEndpoint   []int32         // the targets in the order of their endpoints; nil until asked for
	wordStep     time.Time       // when an operator's word says something else next; zero: none does
	ended        bool            // there is maintenance or an override that has ended by itself, or begun

	chatter chatter
	// troubled is the state that was told last of endpoints that are not up.
	troubled map[string]saidOf
	// unsaid is when shares of targets may be told that were not, and unsaidLook when it
	// is looked for those of which that is now.
	unsaid     map[int]time.Time
	unsaidLook time.Time

	lacking bool // the last result was of class local

	aware     awareness
	wall      func() time.Time // the clock on the wall
	wallEpoch time.Time        // what it said at the epoch of due

	unkept bool // the last write failed; of save alone, which is never called twice at once
}

// Locate finds the targets of an endpoint of a service; there are none when the
// service has no such endpoint.
type Locate func(service dnswire.Name, endpoint string) (targets []int)

// New makes a board without targets. It reads what Options.Keeper holds.
func New(o Options) (*Board, error) {
	b := &Board{
		log:       o.Logger,
		keeper:    o.Keeper,
		audit:     o.Audit,
		events:    o.History,
		prober:    o.Prober,
		seen:      o.Seen,
		changed:   make(chan struct{}, 1),
		wake:      make(chan struct{}, 1),
		settled:   make(chan struct{}),
		locate:    func(dnswire.Name, string) []int { return nil },
		saveEvery: maxSave,
		overrides: map[overrideKey]Overriding{},
		upkeep:    map[string]Maintenance{},
		selected:  map[string][]string{},
		restored:  map[string]record{},
		unsaved:   map[string]record{},
		dirty:     map[int]struct{}{},
		loads:     map[string]Load{},
		reports:   map[reportKey][]*runner{},
		troubled:  map[string]saidOf{},
		unsaid:    map[int]time.Time{},
		due:       schedule{epoch: time.Now()},
		room:      files() / 2, // the rest is for those who ask
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	b.wall, b.wallEpoch = time.Now, b.due.epoch.Round(0)
	if b.prober == nil {
		b.prober = NewProber
		b.aware.own = network{list: ownAddrs, road: (&roads{}).to, gate: newOwnGate()}
	}
	b.meters = newMeters(o.Registerer)
	b.view.Store(uncheckedView(0))
	if err := b.restore(); err != nil {
		return nil, err
	}
	return b, nil
}

// View is the latest view.
func (b *Board) View() *View { return b.view.Load() }

// Changed has a value whenever View has become newer.
func (b *Board) Changed() <-chan struct{} { return b.changed }

// Settled is closed when every probe of the targets has a verdict, for the first
// time. View then has them all.
func (b *Board) Settled() <-chan struct{} { return b.settled }

// publishGap is the time between two views. The first change is published at
// once; those that follow it closely, as when a whole site fails, share a view,
// which costs a copy of every target's state.
const publishGap = 2 * time.Millisecond

// figureGap is the time between two views that are made for figures: latencies,
// loads and the shares of drains, which change little by little all the time.
const figureGap = time.Second

// publish makes a new view of what changed since the last one, and says how long
// to wait when it is too early for that.
func (b *Board) publish(now time.Time) (wait time.Duration) {
	var v *View
	if wait = b.wait(now); wait == 0 {
		v = b.view.Load().clone()
		b.renew(v)
		b.published, wait = now, forever
	}
	if after := b.figureWait(now); after == 0 {
		if v == nil {
			v = b.view.Load().clone()
		}
		b.figure(v, now)
		wait = min(wait, b.figureWait(now))
	} else {
		wait = min(wait, after)
	}
	if v != nil {
		b.view.Store(v)
		notify(b.changed)
	}
	if b.unsettled == 0 && b.generation > 0 && len(b.dirty) == 0 {
		select {
		case <-b.settled:
		default:
			close(b.settled)
		}
	}
	return wait
}

// wait is how long to wait until states are published.
func (b *Board) wait(now time.Time) time.Duration {
	if len(b.dirty) == 0 {
		return forever
	}
	return max(b.published.Add(publishGap).Sub(now), 0)
}

// renew puts the states that changed in a view nobody has seen yet.
func (b *Board) renew(v *View) {
	touched := map[int]bool{}
	done := 0
	for i := range b.dirty {
		if done++; done%few == 0 {
			yield.Thread()
		}
		n := i / pageLen
		if !touched[n] {
			p := *v.pages[n]
			v.pages[n] = &p
			touched[n] = true
		}
		d, was := b.detail(i), &v.pages[n][i%pageLen]
		b.relate(i, was, &d)
		b.count(was, -1)
		b.count(&d, 1)
		*was = d
		v.states[i] = v.states[i]&overridden | d.mark()
	}
	clear(b.dirty)
	b.meters.targets(b.tally, b.degraded)
}

// figureWait is how long to wait until figures are published.
func (b *Board) figureWait(now time.Time) time.Duration {
	b.dropLoads(now)
	wait := forever
	if b.latencyMoved || b.loadMoved {
		wait = 0
	} else if !b.wordStep.IsZero() {
		// A clock that is set brings it nearer, which no timer knows.
		wait = min(b.wordStep.Sub(now), maxWordWait)
	}
	if wait != forever {
		wait = max(wait, b.figured.Add(figureGap).Sub(now), 0)
	}
	// A report that becomes too old is what has to be published then.
	if !b.loadLapses.IsZero() {
		wait = min(wait, b.loadLapses.Sub(now))
	}
	return wait
}

// maxWordWait is how late an operator's word may begin or end when the clock is set.
const maxWordWait = 30 * time.Second

// figure puts the figures that changed in a view nobody has seen yet.
func (b *Board) figure(v *View, now time.Time) {
	b.figured = now
	if b.latencyMoved {
		v.latency, b.latencyMoved = slices.Clone(b.latency), false
	}
	if b.loadMoved {
		v.load = b.loadView(now)
	}
	if !b.wordStep.IsZero() && !b.wordStep.After(now) {
		b.placeWords(v, now)
	}
}

// detail is the detail of a checked target.
func (b *Board) detail(i int) Detail {
	var some [4]judged
	all, rs := some[:0], b.onTarget[i]
	for _, c := range b.targets[i].Checks {
		all = append(all, judged{c.Check, verdictOn(c.Check, &rs)})
	}
	return combine(all)
}

// count counts a checked target among those of its kind, or no longer.
func (b *Board) count(d *Detail, by int) {
	b.tally[d.State] += by
	b.degraded[d.Cause] += by
}

// fill sets the detail of every checked target of a view nobody has seen yet.
func (b *Board) fill(v *View) {
	b.tally, b.degraded = [Down + 1]int{}, [causes]int{}
	var own *page
	at := -1
	for i, rs := range b.onTarget {
		if rs == nil {
			continue
		}
		if at != i/pageLen {
			at = i / pageLen
			own = new(page)
			*own = *v.pages[at]
			v.pages[at] = own
		}
		d := b.detail(i)
		own[i%pageLen] = d
		v.states[i] = d.mark()
		b.count(&d, 1)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Run probes until ctx ends, then waits for the probes under way and writes
// what is left to write. It returns nil when ctx ended it. A board is run once
// at a time.
func (b *Board) Run(ctx context.Context) error {
	l := &loop{
		b:        b,
		arrived:  arrivals{came: make(chan struct{}, 1)},
		broken:   make(chan error, 1),
		saved:    make(chan map[string]record, 1),
		swept:    make(chan struct{}, 1),
		nextSave: time.Now().Add(minSave),
	}
	timer := time.NewTimer(forever)
	defer timer.Stop()
	for {
		timer.Reset(l.step(ctx, time.Now()))
		select {
		case <-ctx.Done():
			l.finish()
			return nil
		case <-timer.C:
		case <-b.wake:
		case unwritten := <-l.saved:
			l.wrote(unwritten)
		case <-l.swept:
			l.sweeping = false
		case err := <-l.broken:
			l.engine = nil
			l.doWithout(err)
		case <-l.arrived.came:
			l.collect()
		}
	}
}
