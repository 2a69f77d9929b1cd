package hosts

import (
	"container/heap"
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// forever is a wait that something else ends.
const forever = time.Duration(math.MaxInt64)

// loop is what belongs to one Run alone.
type loop struct {
	r        *Resolver
	results  chan outcome
	inFlight [lanes]int
	running  sync.WaitGroup // tries, and the writing of a batch

	system   system
	nextLook time.Time

	saved    chan []dnswire.Name // what a write left unwritten
	saving   bool
	nextSave time.Time
}

// outcome is what came of one try.
type outcome struct {
	f       *family
	lane    int
	begun   time.Time
	reading reading
	ended   bool // an outage of all servers has
}

func newLoop(r *Resolver) *loop {
	return &loop{
		r:       r,
		results: make(chan outcome, 2*parallel),
		saved:   make(chan []dnswire.Name, 1),
		system:  system{conf: watched{path: r.paths[0]}, hosts: watched{path: r.paths[1]}},
	}
}

// look has the system's servers used, and those they become, while there are
// names to ask them for.
func (l *loop) look(now time.Time) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.servers) > 0 || len(r.hosts) == 0 || r.upstream != nil && now.Before(l.nextLook) {
		return
	}
	l.nextLook = now.Add(lookGap)
	// No query waits for the mutex, so files may be read under it.
	u, errs := l.system.look()
	for _, err := range errs {
		r.log.Warn("system's resolver configuration not read; what it said stays", "error", err)
	}
	switch {
	case u != nil:
		r.use(u, now)
	case r.upstream == nil:
		r.use(l.system.current, now)
	}
}

// step does all that is due and says when the next thing will be.
func (l *loop) step(ctx context.Context, now time.Time) time.Duration {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	wait := forever
	for lane := range r.due {
		due := &r.due[lane]
		for r.upstream != nil && l.inFlight[lane] < parallel && due.Len() > 0 && !(*due)[0].due.After(now) {
			l.start(ctx, heap.Pop(due).(*family), lane, now)
		}
		if r.upstream != nil && l.inFlight[lane] < parallel && due.Len() > 0 {
			// One waking starts all that become due within a tick.
			wait = min(wait, max((*due)[0].due.Sub(now), tick))
		}
	}
	wait = min(wait, r.settle(now))
	wait = min(wait, r.publish(now))
	if len(r.servers) == 0 && len(r.hosts) > 0 {
		wait = min(wait, l.nextLook.Sub(now))
	}
	if !l.saving && len(r.unsaved) > 0 {
		if now.Before(l.nextSave) {
			wait = min(wait, l.nextSave.Sub(now))
		} else {
			batch := r.batch()
			l.saving, l.nextSave = true, now.Add(saveGap)
			l.running.Go(func() { l.saved <- r.save(batch) })
		}
	}
	return max(wait, 0)
}

// tick is how much later than due a name may be asked for.
const tick = 5 * time.Millisecond

// start makes one try, in the background unless nobody has to be asked.
func (l *loop) start(ctx context.Context, f *family, lane int, now time.Time) {
	r, u, name, v6 := l.r, l.r.upstream, f.host.name, f.v6
	if known, ok := u.local(name, v6); ok {
		r.take(f, known, now)
		return
	}
	// What one server denies another one may know.
	skip := 0
	if f.has() {
		skip = int(f.absences)
	}
	l.inFlight[lane]++
	l.running.Go(func() {
		got, ended := r.asker.ask(ctx, u, name, v6, skip)
		l.results <- outcome{f, lane, now, got, ended}
	})
}

// collect takes an outcome and all others that are there, so that they share a
// view.
func (l *loop) collect(o outcome, now time.Time) {
	r := l.r
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		l.inFlight[o.lane]--
		if o.ended && now.Sub(r.ended) > 2*maxRetry {
			// What failed for want of servers need not wait for its turn. Not again soon:
			// a server that comes and goes must not undo the back-off of all names.
			r.ended = now
			r.retryAll(now)
		}
		if !o.f.host.gone {
			r.take(o.f, o.reading, now)
			if o.f.failures > 0 && o.begun.Before(r.ended) {
				r.hasten(o.f, now) // it failed before the outage ended, or nearly so
			}
		}
		select {
		case o = <-l.results:
		default:
			return
		}
	}
}

// retryAll has all names that fail asked for now.
func (r *Resolver) retryAll(now time.Time) {
	for _, f := range r.due[1] {
		f.due = now
	}
	heap.Init(&r.due[1])
}

// take puts what was read of a family in the resolver.
func (r *Resolver) take(f *family, got reading, now time.Time) {
	h := f.host
	if got.verdict == canceled {
		f.due = now
		heap.Push(&r.due[f.lane()], f)
		return
	}
	before := f.fact
	is, changed := f.take(got, now, rand.Float64())
	heap.Push(&r.due[f.lane()], f)
	if f.has() && f.absences == 1 && f.other().has() && f.other().absences == 0 {
		// Whether the name is gone or only one family of it, the other one tells.
		r.hasten(f.other(), now)
	}
	if h.awaited && !h.untried() {
		h.awaited = false
		r.awaited--
	}
	if !h.dirty {
		h.dirty = true
		r.dirty = append(r.dirty, h)
	}
	if changed {
		r.urgent = true
		r.keep(h.name)
	}
	r.report(f, before, is)
}

// wrote ends a write. What it could not write is tried again with the next one.
func (l *loop) wrote(unwritten []dnswire.Name, now time.Time) {
	l.saving = false
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	for _, name := range unwritten {
		l.nextSave = now.Add(maxRetry)
		l.r.keep(name)
	}
}

// finish waits for all that is under way, takes the results that there are all
// the same, and writes what is left.
func (l *loop) finish() {
	ended := make(chan struct{})
	go func() {
		l.running.Wait()
		close(ended)
	}()
	for open := true; open; {
		select {
		case o := <-l.results:
			l.collect(o, time.Now())
		case unwritten := <-l.saved:
			l.wrote(unwritten, time.Now())
		case <-ended:
			open = false
		}
	}
	// Nobody sends any more, but what was sent may still lie there.
	for len(l.results) > 0 {
		l.collect(<-l.results, time.Now())
	}
	if len(l.saved) > 0 {
		l.wrote(<-l.saved, time.Now())
	}
	r := l.r
	r.mu.Lock()
	batch := r.batch()
	r.published = time.Time{} // there is no later time to wait for
	r.publish(time.Now())
	r.mu.Unlock()
	r.save(batch)
}
