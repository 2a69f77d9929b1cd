package health

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/probe"
)

// Options are what a Board needs from outside.
type Options struct {
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
	Keeper     Keeper                // nil: memory only
	// Prober makes the probe of a check; nil: the real ones.
	Prober func(c Check) (probe.Prober, error)
}

// Board is the live health of a node. Readers take View; Run probes.
type Board struct {
	log    *slog.Logger
	keeper Keeper
	prober func(c Check) (probe.Prober, error)
	meters *meters

	view    atomic.Pointer[View]
	changed chan struct{} // one token: View is newer than when it was last taken
	wake    chan struct{} // one token: the schedule changed
	settled chan struct{} // closed when every probe has a verdict

	mu         sync.Mutex
	generation uint64
	targets    []Target
	locate     Locate
	onTarget   [][]*runner // of each target, its probes; nil for unchecked ones
	runners    map[string]*runner
	every      time.Duration // between two writes of confirmations
	due        schedule
	unsettled  int
	overrides  map[overrideKey]Overriding
	restored   map[string]record // verdicts from before the restart that no probe has claimed
	unsaved    map[string]record // records to be written, by request; empty state: delete
	dirty      map[int]struct{}  // targets whose detail is to be published
}

// runner is one probe with its verdict. Everything but request and prober is
// guarded by the board's mutex.
type runner struct {
	key     string // request and cadence
	request string
	roles   map[string]struct{}
	check   Check
	aim     probe.Target
	prober  probe.Prober
	targets []int32
	verdict verdict
	last    probe.Result
	runs    int       // results so far
	due     time.Time // of the next run
	index   int       // in the schedule; -1 while running or gone
	gone    bool      // no target wants it any more
}

// Locate finds the target of an endpoint of a service; ok is false when the
// service has no such endpoint.
type Locate func(service dnswire.Name, endpoint string) (target int, ok bool)

// New makes a board without targets. It reads what Options.Keeper holds.
func New(o Options) (*Board, error) {
	b := &Board{
		log:       o.Logger,
		keeper:    o.Keeper,
		prober:    o.Prober,
		changed:   make(chan struct{}, 1),
		wake:      make(chan struct{}, 1),
		settled:   make(chan struct{}),
		runners:   map[string]*runner{},
		overrides: map[overrideKey]Overriding{},
		restored:  map[string]record{},
		unsaved:   map[string]record{},
		dirty:     map[int]struct{}{},
	}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	if b.prober == nil {
		b.prober = NewProber
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

// Settled is closed when every probe of the first targets has a verdict.
func (b *Board) Settled() <-chan struct{} { return b.settled }

// Plan is a set of targets that has been made ready and not yet applied.
type Plan struct {
	targets  []Target
	locate   Locate
	onTarget [][]*runner
	runners  map[string]*runner
}

// Prepare makes the probes of new targets. It changes nothing; it fails when a
// probe cannot be made, for example when its CA file cannot be read.
func (b *Board) Prepare(targets []Target, locate Locate) (*Plan, error) {
	p := &Plan{targets: targets, locate: locate, runners: map[string]*runner{}}
	p.onTarget = make([][]*runner, len(targets))
	made := map[string]probe.Prober{}
	for i := range targets {
		t := &targets[i]
		for _, c := range t.Checks {
			request := t.request(c)
			key := request + " " + cadence(c)
			r := p.runners[key]
			if r == nil {
				// The prober depends on the check and its host alone.
				id := fmt.Sprintf("%p %s", c.Check, c.Host)
				if made[id] == nil {
					pr, err := b.prober(c)
					if err != nil {
						return nil, fmt.Errorf("check %s: %w", c.Name, err)
					}
					made[id] = pr
				}
				r = &runner{
					key: key, request: request, check: c, prober: made[id], index: -1,
					aim:   probe.Target{Addr: t.Addr, Host: t.Host, Port: c.Port},
					roles: map[string]struct{}{},
				}
				p.runners[key] = r
			}
			r.roles[t.role(c)] = struct{}{}
			r.targets = append(r.targets, int32(i))
			p.onTarget[i] = append(p.onTarget[i], r)
		}
	}
	return p, nil
}

// Apply makes a plan the board's targets and returns the view that is aligned
// with them. Verdicts of probes that are still wanted, by what they ask or by
// what they are to their endpoint, are kept. It cannot fail.
func (b *Board) Apply(p *Plan) *View {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	first := b.generation == 0
	b.generation++

	byRequest, byRole := map[string]*runner{}, map[string]*runner{}
	for _, r := range b.runners {
		byRequest[r.request] = r
		for role := range r.roles {
			byRole[role] = r
		}
		r.gone = true
		if p.runners[r.key] == nil {
			b.due.remove(r)
		}
	}
	for key, r := range p.runners {
		if old := b.runners[key]; old != nil {
			// The running probe goes on, with the new check's fields.
			old.roles, old.targets, old.check, old.prober, old.gone = r.roles, r.targets, r.check, r.prober, false
			p.runners[key] = old
			continue
		}
		old := byRequest[r.request]
		for role := range r.roles {
			if old == nil {
				old = byRole[role]
			}
		}
		if old != nil {
			r.verdict = old.verdict
		} else if kept, ok := b.restored[r.request]; ok {
			if v, ok := kept.verdict(now, r.check.Interval); ok {
				r.verdict = v
			}
		}
		delete(b.restored, r.request)
		r.due = now
		b.due.add(r)
	}
	for i, rs := range p.onTarget {
		for k, r := range rs {
			p.onTarget[i][k] = p.runners[r.key]
		}
	}
	asked := make(map[string]bool, len(p.runners))
	for _, r := range p.runners {
		asked[r.request] = true
	}
	for _, old := range b.runners {
		if !asked[old.request] {
			b.unsaved[old.request] = record{}
		}
	}
	b.runners, b.targets, b.locate, b.onTarget = p.runners, p.targets, p.locate, p.onTarget
	b.every = saveEvery(b.runners)
	clear(b.dirty)

	v := uncheckedView(len(b.targets))
	v.generation = b.generation
	for i, rs := range b.onTarget {
		if rs != nil {
			v.states[i] = Unknown
		}
	}
	b.fill(v)
	b.placeOverrides(v)
	b.view.Store(v)
	b.meters.targets(b.counts(v))

	if first {
		for _, r := range b.runners {
			if r.verdict.state == Unknown {
				b.unsettled++
			}
		}
		if b.unsettled == 0 {
			close(b.settled)
		}
	}
	notify(b.wake)
	return v
}

// fill sets the detail of every checked target of a view nobody has seen yet.
func (b *Board) fill(v *View) {
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
		d := detailOf(rs)
		own[i%pageLen] = d
		v.states[i] = d.State
	}
}

func detailOf(rs []*runner) Detail {
	if len(rs) == 1 {
		return combine([]*verdict{&rs[0].verdict})
	}
	vs := make([]*verdict, len(rs))
	for i, r := range rs {
		vs[i] = &r.verdict
	}
	return combine(vs)
}

// publish makes a new view of what changed since the last one.
func (b *Board) publish() {
	if len(b.dirty) == 0 {
		return
	}
	v := b.view.Load().clone()
	touched := map[int]bool{}
	for i := range b.dirty {
		n := i / pageLen
		if !touched[n] {
			p := *v.pages[n]
			v.pages[n] = &p
			touched[n] = true
		}
		d := detailOf(b.onTarget[i])
		v.pages[n][i%pageLen] = d
		v.states[i] = v.states[i]&overridden | d.State
	}
	clear(b.dirty)
	b.view.Store(v)
	b.meters.targets(b.counts(v))
	notify(b.changed)
}

func (b *Board) counts(v *View) (up, down, unknown int) {
	for i, rs := range b.onTarget {
		if rs == nil {
			continue
		}
		switch v.State(i) {
		case Up:
			up++
		case Down:
			down++
		default:
			unknown++
		}
	}
	return up, down, unknown
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// maxInFlight is how many probes run at once; those that are due wait for one
// to end. It bounds file descriptors and the burst of the first round.
const maxInFlight = 1024

// Run probes until ctx ends, then waits for the probes under way and writes
// what is left to write. It returns nil when ctx ended it.
func (b *Board) Run(ctx context.Context) error {
	type outcome struct {
		r      *runner
		result probe.Result
	}
	results := make(chan outcome, maxInFlight)
	var running sync.WaitGroup
	inFlight := 0
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	saved := make(chan struct{}, 1)
	var saving sync.WaitGroup
	nextSave := time.Now().Add(minSave)
	busy := false

	for {
		now := time.Now()
		b.mu.Lock()
		for inFlight < maxInFlight && b.due.Len() > 0 && !b.due.first().due.After(now) {
			r := b.due.pop()
			inFlight++
			check, prober, aim := r.check, r.prober, r.aim
			running.Go(func() {
				pctx, cancel := context.WithTimeout(ctx, check.Timeout)
				defer cancel()
				results <- outcome{r, prober.Probe(pctx, aim)}
			})
		}
		wait := time.Hour
		if inFlight < maxInFlight && b.due.Len() > 0 {
			wait = b.due.first().due.Sub(now)
		}
		if b.keeper != nil && !busy && len(b.unsaved) > 0 {
			if !now.Before(nextSave) {
				batch := b.unsaved
				b.unsaved = map[string]record{}
				busy = true
				nextSave = now.Add(b.every)
				saving.Go(func() { b.save(batch); saved <- struct{}{} })
			} else {
				wait = min(wait, nextSave.Sub(now))
			}
		}
		b.mu.Unlock()
		timer.Reset(max(wait, 0))

		select {
		case <-ctx.Done():
			running.Wait()
			saving.Wait()
			b.mu.Lock()
			batch := b.unsaved
			b.unsaved = map[string]record{}
			b.mu.Unlock()
			if b.keeper != nil {
				b.save(batch)
			}
			return nil
		case <-timer.C:
		case <-b.wake:
		case <-saved:
			busy = false
		case o := <-results:
			b.mu.Lock()
			inFlight--
			changed := b.take(o.r, o.result)
			// What has ended meanwhile goes into the same view.
			for more := true; more; {
				select {
				case o := <-results:
					inFlight--
					changed = b.take(o.r, o.result) || changed
				default:
					more = false
				}
			}
			b.publish()
			b.settle()
			b.mu.Unlock()
			if changed {
				nextSave = time.Now() // a verdict is written at once
			}
		}
	}
}

// take puts one result in the board and says whether a verdict changed.
func (b *Board) take(r *runner, res probe.Result) bool {
	if res.Class == probe.ClassCanceled {
		return false
	}
	b.meters.probed(r.check, res)
	if r.gone {
		return false
	}
	now := time.Now()
	wasRestored, before := r.verdict.restored, r.verdict.state
	changed := r.verdict.apply(res, r.check, now)
	if changed || wasRestored != r.verdict.restored {
		for _, t := range r.targets {
			b.dirty[int(t)] = struct{}{}
		}
	}
	if changed {
		b.log.Info("endpoint "+r.verdict.state.String(), "endpoint", b.targets[r.targets[0]].String(),
			"check", r.check.Name, "host", r.check.Host, "was", before.String(), "reason", r.verdict.reason)
	}
	if before == Unknown && r.verdict.state != Unknown && b.unsettled > 0 {
		b.unsettled--
	}
	b.unsaved[r.request] = recordOf(&r.verdict)
	r.last = res
	r.runs++
	r.due = now.Add(gap(r.check.Interval, r.runs))
	b.due.add(r)
	return changed
}

// gap is the time to the next run. The runs of one check all start together, so
// the first gap is anywhere within the interval, which spreads them; after that
// each is the interval, give or take a twentieth.
func gap(interval time.Duration, runs int) time.Duration {
	f := 0.95 + rand.Float64()/10
	if runs == 1 {
		f = 0.1 + rand.Float64()*0.9
	}
	return time.Duration(f * float64(interval))
}

// settle closes Settled when the last first verdict is in.
func (b *Board) settle() {
	if b.generation == 0 || b.unsettled > 0 {
		return
	}
	select {
	case <-b.settled:
	default:
		close(b.settled)
	}
}
