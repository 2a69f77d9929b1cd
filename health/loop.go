package health

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/yield"
)

// forever is a wait that something else ends.
const forever = time.Duration(math.MaxInt64)

// loop is what belongs to one Run alone.
type loop struct {
	b        *Board
	arrived  arrivals
	taken    []outcome // of the last collect, for its room
	inFlight int
	running  sync.WaitGroup // probes, what makes them, and the writing of a batch

	engine *probe.Loop // of the probes that need no goroutine; nil until there is one
	broken chan error  // it has ended before its time
	stop   func()      // ends it
	failed bool        // there is none

	saved    chan map[string]record // what a write left unwritten
	saving   bool
	nextSave time.Time

	swept    chan struct{} // words that had ended are gone
	sweeping bool
}

// outcome is what came of one probe. Fault is not empty when the prober
// panicked: the message and the stack.
type outcome struct {
	r      *runner
	result probe.Result
	began  time.Time // when it really was begun
	fault  string
}

// arrivals are outcomes that have not been taken in yet: no more than there are
// probes in flight.
type arrivals struct {
	mu   sync.Mutex
	all  []outcome
	came chan struct{} // one token: there are some
}

func (a *arrivals) add(o outcome) {
	a.mu.Lock()
	a.all = append(a.all, o)
	a.mu.Unlock()
	notify(a.came)
}

// ended is add for what the engine tells.
func (a *arrivals) ended(es []probe.Ended) {
	a.mu.Lock()
	for i := range es {
		e := &es[i]
		a.all = append(a.all, outcome{e.Tag.(*runner), e.Result, e.Began, e.Fault})
	}
	a.mu.Unlock()
	notify(a.came)
}

// take takes all there are, into the room of those that were taken before.
func (a *arrivals) take(room []outcome) []outcome {
	clear(room)
	a.mu.Lock()
	defer a.mu.Unlock()
	all := a.all
	a.all = room[:0]
	return all
}

// step does all that is due and says when the next thing will be.
func (l *loop) step(ctx context.Context, now time.Time) time.Duration {
	b := l.b
	b.mu.Lock()
	defer b.mu.Unlock()
	b.woke(now)
	b.lapse(now)
	lapse := b.outdate(now)
	wait := min(b.reflect(now), b.publish(now), lapse, b.leftOut(now), b.relateLater(now))
	if b.urgent {
		b.urgent, l.nextSave = false, now
	}
	if b.ended && !l.sweeping {
		b.ended, l.sweeping = false, true
		l.running.Go(func() {
			b.sweep(time.Now())
			l.swept <- struct{}{}
		})
	}
	for l.inFlight < b.parallel && b.due.Len() > 0 && b.due.next() <= b.due.at(now) {
		l.start(ctx, b.due.pop(), now)
	}
	if l.engine != nil {
		l.engine.Flush()
	}
	if l.inFlight < b.parallel && b.due.Len() > 0 {
		wait = min(wait, b.due.next()-b.due.at(now))
	}
	if n := len(b.doubtful); n > 0 {
		wait = min(wait, b.doubtful[n-1].lapses().Sub(now))
	}
	if !l.saving && len(b.unsaved) > 0 {
		if now.Before(l.nextSave) {
			wait = min(wait, l.nextSave.Sub(now))
		} else {
			batch := b.unsaved
			b.unsaved = map[string]record{}
			l.saving, l.nextSave = true, now.Add(b.saveEvery)
			l.running.Go(func() { l.saved <- b.save(batch) })
		}
	}
	if l.inFlight > 0 {
		wait = min(wait, beat)
	}
	wait = max(min(wait, restBeat), 0)
	b.wakes(time.Now().Add(wait))
	return wait
}

// start begins a probe: in the engine, with the next Flush, or in a goroutine.
func (l *loop) start(ctx context.Context, r *runner, now time.Time) {
	l.inFlight++
	r.begun = l.b.due.at(now)
	if r.is(markFirst) {
		r.mark(markFirst, false)
		if l.b.unbegun--; l.b.unbegun == 0 {
			l.b.disperse(r.begun)
		}
	}
	limit, prober, aim := l.b.limit(r, now), r.prober, r.aim
	if r.starter != nil && l.begin(ctx) && r.starter.Start(l.engine, aim, limit, r) {
		return
	}
	l.running.Go(func() {
		began := time.Now()
		ctx, cancel := context.WithTimeout(ctx, limit)
		defer cancel()
		res, fault := run(ctx, prober, aim)
		l.arrived.add(outcome{r, res, began, fault})
	})
}

// begin has the engine run, and says whether there is one. It ends when it is
// stopped, after the last probe has been started.
func (l *loop) begin(ctx context.Context) bool {
	if l.engine != nil || l.failed {
		return !l.failed
	}
	engine, err := probe.NewLoop(l.arrived.ended)
	if err != nil {
		l.doWithout(err)
		return false
	}
	ctx, l.stop = context.WithCancel(context.WithoutCancel(ctx))
	l.engine = engine
	l.running.Go(func() {
		if err := engine.Run(ctx); err != nil {
			l.broken <- err
		}
	})
	return true
}

// doWithout has every probe be made in a goroutine of its own.
func (l *loop) doWithout(why error) {
	l.failed = true
	if !errors.Is(why, errors.ErrUnsupported) {
		l.b.log.Warn("probes are made at a higher cost", "error", why)
	}
}

// panicked is the detail of a probe that did.
const panicked = "probe panicked"

// run makes one probe. A prober that panics fails its probe, not the node.
func run(ctx context.Context, p probe.Prober, aim probe.Target) (res probe.Result, fault string) {
	begun := time.Now()
	defer func() {
		if why := recover(); why != nil {
			res = probe.Result{Class: probe.ClassError, Detail: panicked, RTT: time.Since(begun)}
			fault = fmt.Sprintf("%v\n%s", why, debug.Stack())
		}
	}()
	return p.Probe(ctx, aim), ""
}

// collect takes all outcomes that are there, so that they share a view.
func (l *loop) collect() {
	all := l.arrived.take(l.taken)
	l.taken = all
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	now := time.Now()
	l.b.woke(now)
	for i := range all {
		if i%few == few-1 {
			yield.Thread()
		}
		l.inFlight--
		if l.b.take(&all[i], now) {
			l.nextSave = now // a verdict is written at once
		}
	}
}

// wrote ends a write. What it could not write is tried again with the next one,
// unless something newer is known by now.
func (l *loop) wrote(unwritten map[string]record) {
	l.saving = false
	if len(unwritten) == 0 {
		return
	}
	l.b.mu.Lock()
	defer l.b.mu.Unlock()
	l.nextSave = time.Now().Add(l.b.saveEvery)
	for request, rec := range unwritten {
		if _, newer := l.b.unsaved[request]; !newer {
			l.b.unsaved[request] = rec
		}
	}
}

// finish waits for all that is under way, takes the results that are verdicts
// all the same, and writes what is left.
func (l *loop) finish() {
	if l.stop != nil {
		l.stop()
	}
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	for open := true; open; {
		select {
		case <-l.arrived.came:
			l.collect()
		case unwritten := <-l.saved:
			l.wrote(unwritten)
		case <-l.swept:
		case <-ended:
			open = false
		}
	}
	// Nobody sends any more, but what was sent may still lie there.
	l.collect()
	if len(l.saved) > 0 {
		l.wrote(<-l.saved)
	}
	l.b.mu.Lock()
	batch := l.b.unsaved
	l.b.unsaved = map[string]record{}
	l.b.leftOut(l.b.chatter.until)
	if gate := l.b.aware.own.gate; gate != nil {
		gate.leave()
	}
	l.b.publish(l.b.published.Add(publishGap)) // there is no later time to wait for
	l.b.mu.Unlock()
	l.b.save(batch)
}

// few results are taken in, or details made anew, before whoever answers queries on
// this processor is let through: some ten microseconds.
const few = 4

// take puts one result in the board and says whether a verdict changed.
func (b *Board) take(o *outcome, now time.Time) bool {
	r := o.r
	if r.is(markGone) {
		return false
	}
	changed := false
	if o.result.Class != probe.ClassCanceled {
		changed = b.judge(o, now)
	}
	r.due = b.next(r, b.due.at(now))
	if c := o.result.Class; (c == probe.ClassLocal || c == probe.ClassCanceled) && r.verdict.state == Unknown {
		// It may have failed at once, and would again.
		r.due = max(r.due, r.begun+min(b.pace(r), time.Second))
	}
	again := b.told(r)
	b.jot(r)
	if again {
		r.due = b.due.at(now)
		b.due.hurry(r)
		return changed
	}
	b.due.add(r)
	return changed
}

func (b *Board) judge(o *outcome, now time.Time) bool {
	r := o.r
	excused := b.excuse(o, now)
	res := o.result
	b.meters.probed(r.asking, res, b.due.at(o.began)-r.due, r.runs == 0)
	b.note(r, res, now)
	if res.Class == probe.ClassLocal {
		// It says something of this node and nothing of the endpoint, which stays
		// what it was.
		// Once of each check's probes, and not each time that others can be made between.
		if before := b.result(&r.last); !b.lacking && !excused &&
			(r.runs == 0 || before.Class != res.Class || before.Detail != res.Detail) {
			b.say(slog.LevelError, "probes cannot be made; verdicts stay as they are", "check", r.check.Name, "reason", res.Detail)
		}
		if !excused {
			b.lacking = true
			b.settleFirst(r)
		}
		b.sample(r, res, now)
		b.remember(r, res)
		r.runs++
		return false
	}
	b.lacking = false
	if o.fault != "" && r.last.detail != res.Detail {
		b.say(slog.LevelError, "probe panicked", "endpoint", b.targets[r.targets[0]].String(), "check", r.check.Name, "panic", o.fault)
	}
	if r.verdict.restored && !r.lapses().After(now) {
		b.lapsed(r)
	}
	quiet := b.heard(r, res)
	if r.hurried(res) {
		r.excused++ // to be made again soon
		b.remember(r, res)
		r.runs++
		return false
	}
	if r.verdict.held && !quiet {
		r.verdict.streak = 0
		b.release(r)
	}
	if quiet && r.verdict.state == Up && r.begun < b.aware.over {
		r.excused++ // to be made again soon
		r.mark(markQuiet, false)
		b.remember(r, res)
		r.runs++
		return false
	}
	late := res.Class == probe.ClassTimeout || res.Class == probe.ClassSlow
	if (quiet || late) && r.verdict.state == Unknown && r.verdict.streak == 0 && r.check.Fall > 1 {
		// The first result decides, but a lost packet is none: it is asked once more.
		r.verdict.streak, r.verdict.seen = 1, now
		b.remember(r, res)
		r.runs++
		return false
	}
	if quiet && r.verdict.state == Up {
		switch left := r.check.Fall - int(r.verdict.streak) - 1; {
		case left == 1:
			b.doubts(r, now)
		case left <= 0:
			if r.check.Fall == 1 && r.verdict.streak == 0 {
				*b.doubt(r) = b.aware.round.number
			}
			b.remember(r, res)
			if b.hold(r, now) {
				b.holds(r, now)
				return false
			}
			b.release(r)
		}
	}
	wasRestored, before := r.verdict.restored, r.verdict.state
	changed := r.verdict.apply(res, r.check, now)
	moved := r.verdict.weigh(res, r.check, now)
	if changed || moved || wasRestored != r.verdict.restored {
		b.touch(r)
	}
	if changed || moved {
		b.tell(r, before, moved)
	}
	b.settleFirst(r)
	b.sample(r, res, now)
	b.keep(r, b.recordOf(r))
	b.remember(r, res)
	r.runs++
	return changed
}

// settleFirst takes a probe that has had its first result out of those that
// Settled waits for.
func (b *Board) settleFirst(r *runner) {
	if r.is(markAwaited) {
		r.mark(markAwaited, false)
		b.unsettled--
	}
}

// touch has the targets of a probe published.
func (b *Board) touch(r *runner) {
	for _, t := range r.targets {
		b.dirty[int(t)] = struct{}{}
	}
}

// lapse ends the belief in verdicts from before the restart that no probe has
// confirmed in time.
func (b *Board) lapse(now time.Time) {
	for n := len(b.doubtful) - 1; n >= 0; n-- {
		r := b.doubtful[n]
		if r.verdict.restored && r.lapses().After(now) {
			return
		}
		b.doubtful = b.doubtful[:n]
		if r.verdict.restored {
			b.say(slog.LevelInfo, "endpoint unknown", "endpoint", b.targets[r.targets[0]].String(), "check", r.check.Name,
				"host", r.check.Host, "was", r.verdict.state.String(), "reason", "not confirmed since the restart")
			b.lapsed(r)
		}
	}
}

// lapsed ends the belief in a verdict from before the restart.
func (b *Board) lapsed(r *runner) {
	b.release(r)
	r.verdict.lapse()
	b.touch(r)
	b.jot(r)
}
