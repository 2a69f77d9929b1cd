package history

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/yield"
)

const (
	// PerEndpoint is how many changes of an endpoint are remembered at least.
	PerEndpoint = 1000
	// Most is how many events are remembered in all, at least: the oldest go first.
	Most = 100_000
	// Those are let go of many at a time: to let go of one costs a pass over all.
	slackPer  = PerEndpoint / 4
	slackMost = Most / 10
	// maxPending is how many events may wait to be taken in. That is two changes of
	// every one of 100,000 endpoints.
	maxPending = 200_000
	// gather is for how long events that follow one closely are taken in with it.
	gather = 50 * time.Millisecond
	// maxID is the highest ID that a file is believed: beyond it are no numbers that
	// every reader of JSON has.
	maxID = 1<<53 - 1
)

// Options are what a Log needs from outside.
type Options struct {
	Dir        string                // where the file is; empty: memory only
	Logger     *slog.Logger          // nil: silent
	Registerer prometheus.Registerer // nil: no metrics
}

// Log is the list of what happened. It is safe for concurrent use. A nil one takes
// events and forgets them.
type Log struct {
	log    *slog.Logger
	meters *meters
	file   *file // nil: memory only
	wake   chan struct{}
	first  uint64 // the lowest ID that an event of this run may have
	kept   uint64 // the highest ID from before; 0: none
	opened time.Time

	telling sync.Mutex // of what Tell needs, which is held for no longer than that
	last    uint64     // the ID that was given last
	pending []Event

	taking sync.Mutex // of whoever takes events in, for as long as that takes
	pools  func(events []*Event)

	mu      sync.RWMutex
	taken   uint64 // the ID of the event that was taken in last
	gone    uint64 // the highest ID that is here no longer
	records []record
	counts  map[text]int32
	more    chan struct{} // closed, and replaced, when there are more records
}

// Open opens the list, with what is on disk of it. The directory is there.
func Open(o Options) (*Log, error) {
	l := &Log{log: o.Logger, wake: make(chan struct{}, 1), counts: map[text]int32{}, more: make(chan struct{}), opened: time.Now()}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if o.Dir != "" {
		var err error
		if l.file, err = openFile(o.Dir, l.log, l.restore); err != nil {
			return nil, fmt.Errorf("history: %w", err)
		}
	}
	l.kept = l.taken
	// Nobody has seen an ID of this run before: a node that kept nothing, or not all,
	// must not give one out twice. Microseconds fit in the numbers of JSON until 2255.
	l.last = max(l.taken, uint64(max(time.Now().UnixMicro(), 0)))
	l.first, l.taken = l.last+1, l.last
	switch {
	case len(l.records) == 0:
		l.gone = l.last
	case l.gone == 0:
		l.gone = l.records[0].id - 1
	}
	l.meters = newMeters(o.Registerer, l)
	return l, nil
}

// restore takes in an event from before the restart, unless it cannot be one.
func (l *Log) restore(e *Event) bool {
	if e.ID <= l.taken || e.Type == "" || e.At.IsZero() || e.ID > maxID {
		return false
	}
	l.add(e.record())
	return true
}

// PoolsOf sets who says which pools events concern: f fills in the Pools of events of
// endpoints. It is called outside of Tell, before events are taken in.
func (l *Log) PoolsOf(f func(events []*Event)) {
	if l == nil {
		return
	}
	l.taking.Lock()
	defer l.taking.Unlock()
	l.pools = f
}

// Tell adds an event, with its ID and, when it has none, its time. It may be called
// with any lock held: it waits for nobody.
func (l *Log) Tell(e Event) {
	if l == nil {
		return
	}
	l.telling.Lock()
	l.last++
	e.ID = l.last
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e.At = e.At.UTC().Round(0)
	e.Ran = max(time.Since(l.opened), 1)
	if len(l.pending) == maxPending { // readers find out by the IDs
		l.pending = slices.Delete(l.pending, 0, maxPending/10)
		l.meters.dropped.Add(maxPending / 10)
	}
	l.pending = append(l.pending, e)
	l.telling.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Run takes events in and writes them down until ctx ends, and then what is left.
func (l *Log) Run(ctx context.Context) error {
	var writing sync.WaitGroup
	if l.file != nil {
		writing.Go(func() { l.write(ctx) })
	}
	defer writing.Wait()
	for {
		select {
		case <-ctx.Done():
			l.take()
			return nil
		case <-l.wake:
			l.take()
		}
		// Those that follow closely share the next pass.
		pause := time.NewTimer(gather)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// take takes in what is pending.
func (l *Log) take() {
	l.taking.Lock()
	defer l.taking.Unlock()
	l.telling.Lock()
	batch := l.pending
	l.pending = nil
	l.telling.Unlock()
	if len(batch) == 0 {
		return
	}
	l.place(batch)
	records := make([]record, len(batch))
	for i := range batch {
		records[i] = batch[i].record()
		l.meters.told.WithLabelValues(batch[i].Type).Inc()
		yield.Thread()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.add(r)
	}
	close(l.more)
	l.more = make(chan struct{})
}

// place says of events which pools their endpoints are in.
func (l *Log) place(batch []Event) {
	if l.pools == nil {
		return
	}
	var wanted []*Event
	for i := range batch {
		if e := &batch[i]; e.Endpoint != "" && e.Pools == nil {
			wanted = append(wanted, e)
		}
	}
	if len(wanted) > 0 {
		l.pools(wanted)
	}
}

// add puts a record in memory. mu is held.
func (l *Log) add(r record) {
	key := r.key()
	l.taken = r.id
	l.records = append(l.records, r)
	l.counts[key]++
	if l.counts[key] > PerEndpoint+slackPer {
		surplus := l.counts[key] - PerEndpoint
		l.drop(func(r *record) bool {
			if surplus == 0 || r.key() != key {
				return false
			}
			surplus--
			return true
		})
	}
	if len(l.records) > Most+slackMost {
		surplus := len(l.records) - Most
		l.drop(func(*record) bool { surplus--; return surplus >= 0 })
	}
}

// drop lets go of records.
func (l *Log) drop(which func(*record) bool) {
	kept := l.records[:0]
	for i := range l.records {
		r := &l.records[i]
		if !which(r) {
			kept = append(kept, *r)
			continue
		}
		l.gone = max(l.gone, r.id)
		key := r.key()
		if l.counts[key]--; l.counts[key] == 0 {
			delete(l.counts, key)
		}
	}
	clear(l.records[len(kept):])
	l.records = kept
}

// from is the index of the first record behind an ID. mu is held.
func (l *Log) from(id uint64) int {
	i, _ := slices.BinarySearchFunc(l.records, id+1, byID)
	return i
}

// Read gives events, the oldest first: at most limit of them, 0 for all. They are the
// first ones after After or Since, and the last ones when neither is stated. more is
// whether limit left some out.
func (l *Log) Read(q Query, limit int) (events []Event, more bool) {
	if l == nil {
		return nil, false
	}
	l.take()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if q.After == 0 && q.Since.IsZero() && limit > 0 {
		for i := len(l.records) - 1; i >= 0; i-- {
			r := &l.records[i]
			if !q.matches(r) {
				continue
			}
			if len(events) == limit {
				more = true
				break
			}
			events = append(events, r.event())
		}
		slices.Reverse(events)
		return events, more
	}
	for i := l.from(q.After); i < len(l.records); i++ {
		r := &l.records[i]
		if !q.matches(r) {
			continue
		}
		if limit > 0 && len(events) == limit {
			return events, true
		}
		events = append(events, r.event())
	}
	return events, false
}

// Age is how long ago an event was told. For those of this run it does not matter
// whether somebody has set the clock meanwhile; those from before are at least as old
// as the run.
func (l *Log) Age(e *Event) time.Duration {
	ran := time.Since(l.opened)
	if e.Ran > 0 {
		return ran - e.Ran
	}
	return max(time.Since(e.At), ran)
}

// Last is the ID of the event that was told last.
func (l *Log) Last() uint64 {
	if l == nil {
		return 0
	}
	l.telling.Lock()
	defer l.telling.Unlock()
	return l.last
}

// First is the lowest ID that an event of this run may have.
func (l *Log) First() uint64 {
	if l == nil {
		return 0
	}
	return l.first
}
