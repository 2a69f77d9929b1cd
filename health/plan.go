package health

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// Plan is a set of targets that has been made ready and not yet applied. It can
// be applied once.
type Plan struct {
	// Uses is what views are to have besides states. It is for the caller to set
	// before Apply.
	Uses Uses
	// Pools are those that maintenance selects from, by name. They are for the caller
	// to set before Apply.
	Pools map[string]*spec.Pool
	// Health is when the board doubts itself, when targets are idle, and how many
	// probes begin at once. It is for the caller to set before Apply.
	Health spec.Health

	targets  []Target
	locate   Locate
	onTarget [][]*runner
	runners  []*runner
}

// Uses is what the statement of a plan goes by besides states. Views do without
// the rest, and are not made anew for what nobody looks at.
type Uses struct {
	Latency bool // View.Latency
	Load    bool // View.Load
	Times   bool // View.LastCheck
}

// asked is a check and the host it is made for, which is what a prober depends
// on.
type asked struct {
	check *spec.Check
	host  string
}

// Prepare makes the probes of new targets. It changes nothing; it fails when a
// probe cannot be made, for example when its CA file cannot be read.
func (b *Board) Prepare(targets []Target, locate Locate) (*Plan, error) {
	p := &Plan{targets: targets, locate: locate}
	p.onTarget = make([][]*runner, len(targets))
	known, made := map[asked]*asking{}, map[identity]*runner{}
	for i := range targets {
		t := &targets[i]
		if len(t.Checks) == 0 {
			continue
		}
		p.onTarget[i] = make([]*runner, 0, len(t.Checks))
		for _, listed := range t.Checks {
			for c := range listed.leaves {
				id := asked{c.Check, c.Host}
				a := known[id]
				if a == nil {
					var err error
					if a, err = b.ask(c); err != nil {
						return nil, fmt.Errorf("check %s: %w", c.Name, err)
					}
					known[id] = a
				}
				aim := probe.Target{Addr: t.Addr, Host: t.Host, Port: c.Port}
				if c.TargetAddr.IsValid() || c.TargetHost != "" {
					aim.Addr, aim.Host = c.TargetAddr, c.TargetHost
				}
				if aim.Addr.IsValid() {
					aim.Host = ""
				}
				if c.Type.Scripted() {
					aim.Priority = t.Priority
				}
				r := made[identity{aim, a.request, a.cadence}]
				if r == nil {
					r = &runner{asking: a, aim: aim, index: -1, number: -1}
					if c.Type == spec.CheckExternal {
						r.report = &reported{index: -1}
					}
					made[r.identity()] = r
					p.runners = append(p.runners, r)
				}
				r.name(c)
				if n := len(r.targets); n == 0 || r.targets[n-1] != int32(i) {
					r.targets = append(r.targets, int32(i))
				}
				if c.Check == listed.Check && !c.OnlyDegrades {
					r.mark(markDecides, true)
				}
				p.onTarget[i] = append(p.onTarget[i], r)
			}
		}
	}
	p.runners = slices.Clip(p.runners)
	return p, nil
}

// Apply makes a plan the board's targets and returns the view that is aligned
// with them. Verdicts of probes that are still wanted, by what they ask or by
// what they are to their endpoint, are kept. It cannot fail.
func (b *Board) Apply(p *Plan) *View {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	b.generation++
	b.relateDirty()
	b.adopt(p, now)
	b.forget(p)
	b.runners, b.targets, b.locate, b.onTarget = p.runners, p.targets, p.locate, p.onTarget
	b.uses, b.byEndpoint, b.pools = p.Uses, nil, p.Pools
	b.aware.Health = p.Health
	b.recount()
	clear(b.selected)
	b.index()
	b.measure()
	clear(b.dirty)

	v := uncheckedView(len(b.targets))
	v.generation = b.generation
	b.fill(v)
	b.relateAnew(v)
	b.times = b.lastChecks()
	v.times = b.times
	b.latency, b.latencyMoved = b.latencies(now), false
	v.latency = slices.Clone(b.latency)
	v.load = b.loadView(now)
	b.placeWords(v, now)
	b.figured = now
	b.view.Store(v)
	b.meters.targets(b.tally, b.degraded)
	b.publish(now) // nothing but that the board has settled, if it has
	notify(b.changed)
	notify(b.wake)
	return v
}

// adopt gives the probes of a plan what the board knows of them. Those of the board
// that are gone then are not in the plan.
func (b *Board) adopt(p *Plan, now time.Time) {
	known := make(map[identity]*runner, len(b.runners))
	for _, r := range b.runners {
		r.mark(markGone, true)
		known[r.identity()] = r
	}
	var fresh []*runner
	heirs := map[*runner]*runner{}
	for i, r := range p.runners {
		old := known[r.identity()]
		if old == nil {
			fresh = append(fresh, r)
			continue
		}
		// The running probe goes on, with the new check's fields.
		old.asking, old.also, old.targets = r.asking, r.also, r.targets
		old.mark(markDecides, r.is(markDecides))
		old.mark(markGone, false)
		p.runners[i], heirs[r] = old, old
	}
	for _, rs := range p.onTarget {
		for k, r := range rs {
			if old := heirs[r]; old != nil {
				rs[k] = old
			}
		}
	}
	if len(fresh) == 0 {
		return
	}
	byRequest, byRole := map[string]*runner{}, map[string]*runner{}
	for _, r := range b.runners {
		byRequest[r.request()] = r
		for role := range r.roles {
			if _, twice := byRole[role]; twice {
				byRole[role] = nil // overridden in several ways: whose verdict it would be cannot be told
				continue
			}
			byRole[role] = r
		}
	}
	// The first round goes through all places at once.
	rand.Shuffle(len(fresh), func(i, k int) { fresh[i], fresh[k] = fresh[k], fresh[i] })
	begun, first := b.due.at(now), fresh[:0]
	for _, r := range fresh {
		old := byRequest[r.request()]
		again := old != nil && old.runs > 0
		for role := range r.roles {
			if old == nil {
				old = byRole[role]
			}
		}
		if old != nil {
			r.heed(old)
		}
		if r.report != nil {
			b.expect(r, old, now)
			continue
		}
		if old != nil {
			// It goes on from there.
		} else if kept, ok := b.restored[r.request()]; ok {
			r.verdict, r.trip = kept.verdict(now, r.check.Interval), kept.trip(b.due.at(kept.Seen))
		}
		if again {
			// Only how often it is asked has changed, perhaps of all probes there are:
			// that is no reason to ask all at once.
			r.mark(markSpread, true)
			r.due = begun + time.Duration(rand.Float64()*float64(r.check.Interval))
			if old.index >= 0 && old.due < r.due {
				r.due = old.due
			}
			b.due.add(r)
			continue
		}
		r.mark(markFirst, true)
		first = append(first, r)
	}
	for i, r := range first {
		r.due = begun + opening(&p.Health, i, len(first))
		b.due.add(r)
	}
}

// heed gives a probe what another one has found out.
func (r *runner) heed(old *runner) {
	r.verdict, r.trip, r.last, r.runs = old.verdict, old.trip, old.last, old.runs
	if old.verdict.level != nil {
		own := *old.verdict.level
		r.verdict.level = &own
	}
	if old.past != nil {
		own := *old.past
		r.past = &own
	}
}

// forget lets go of the probes that a plan does not want, of every record that
// belongs to none of its probes, and of the metrics of checks that it has not.
func (b *Board) forget(p *Plan) {
	wanted := map[string]bool{}
	names := map[string]bool{}
	for _, r := range p.runners {
		if b.keeper != nil {
			wanted[r.request()] = true
		}
		names[r.check.Name] = true
	}
	for _, r := range b.runners {
		if !r.is(markGone) {
			continue
		}
		b.due.remove(r)
		if r.report != nil && r.report.index >= 0 {
			heap.Remove(&b.lapsing, r.report.index)
		}
		if b.keeper != nil && !wanted[r.request()] {
			b.keep(r, record{})
		}
	}
	for name := range b.names {
		if !names[name] {
			b.meters.forget(name)
		}
	}
	b.names = names
	for request := range b.restored {
		if !wanted[request] {
			b.unsaved[request] = record{}
		}
	}
	b.restored = nil
}

// The bounds of how many probes run at once. The lower one makes the first round
// of a small configuration parallel; the upper one is for memory.
const (
	minParallel = 1024
	maxParallel = 32768
)

// measure works out what depends on all probes together.
func (b *Board) measure() {
	b.saveEvery = maxSave
	b.unsettled, b.unbegun = 0, 0
	b.doubtful = b.doubtful[:0]
	load := 0.0
	for _, r := range b.runners {
		if r.report != nil {
			b.saveEvery = min(b.saveEvery, r.check.Interval/restoredIntervals)
			continue
		}
		// When nobody answers, every probe takes its timeout, and the round must
		// still fit in the interval: a site that is cut off must not make the
		// verdicts of the others late. What is being confirmed is probed fall times
		// in a row.
		row := 1.0
		if r.check.Confirm > 0 && r.check.Confirm < r.check.Interval {
			row = float64(r.check.Fall)
		}
		load += min(row*float64(r.check.Timeout)/float64(r.check.Interval), 1)
		b.saveEvery = min(b.saveEvery, r.check.Interval)
		awaited := r.verdict.state == Unknown
		if r.mark(markAwaited, awaited); awaited {
			b.unsettled++
		}
		if r.is(markFirst) {
			b.unbegun++
		}
		if r.verdict.restored {
			b.doubtful = append(b.doubtful, r)
		}
	}
	b.parallel = max(min(max(int(load)+1, minParallel), maxParallel, b.room), 1)
	b.saveEvery = max(b.saveEvery, minSave)
	slices.SortFunc(b.doubtful, func(x, y *runner) int { return y.lapses().Compare(x.lapses()) })
}
