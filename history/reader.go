package history

// stretch is how many records a reader goes through at a time: as long as it does,
// no event is taken in.
const stretch = 4096

// Reader is a place in the list. It is of one goroutine.
type Reader struct {
	log   *Log
	at    uint64 // the last ID that it is past
	begun bool
}

// Reader reads what comes after an ID.
func (l *Log) Reader(after uint64) *Reader { return &Reader{log: l, at: after} }

// At is the ID that the reader is past.
func (r *Reader) At() uint64 { return r.at }

// Part is what a reader finds.
type Part struct {
	Events []Event
	// Lost is how many events of this run there were in between that are here no
	// longer, whether they would have been selected or not.
	Lost uint64
	// Gap is whether there may have been others before this run, of which nobody
	// knows the number. It is said once.
	Gap bool
	// More is closed as soon as there is more; nil: there may be already.
	More <-chan struct{}
}

// Next goes on to the next events that q selects, at most limit of them. What q says
// of After counts for nothing.
func (r *Reader) Next(q Query, limit int) (p Part) {
	l := r.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	if !r.begun {
		r.begin(&p)
	}
	i := l.from(r.at)
	for end := min(i+stretch, len(l.records)); i < end && len(p.Events) < limit; i++ {
		rec := &l.records[i]
		p.Lost += l.missing(r.at, rec.id)
		r.at = rec.id
		if q.matches(rec) {
			p.Events = append(p.Events, rec.event())
		}
	}
	if i == len(l.records) {
		p.Lost += l.missing(r.at, l.taken+1)
		r.at, p.More = max(r.at, l.taken), l.more
	}
	return p
}

// begin finds the place of an ID from before this run.
func (r *Reader) begin(p *Part) {
	l := r.log
	r.begun = true
	switch before := l.first - 1; {
	case r.at > l.Last():
		// The ID of another node, or of a run whose clock was ahead.
		r.at, p.Gap = before, true
	case r.at >= before:
	case r.at < l.gone, r.at > l.kept:
		p.Gap = true
	}
}

// missing is how many events of this run were between two IDs.
func (l *Log) missing(at, next uint64) uint64 {
	if lowest := max(at+1, l.first); next > lowest {
		return next - lowest
	}
	return 0
}

// Waiting is how many events that q selects a place has not seen, and the oldest of
// them. q.After is the place.
func (l *Log) Waiting(q Query) (n int, oldest Event) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for i := l.from(q.After); i < len(l.records); i++ {
		if r := &l.records[i]; q.matches(r) {
			if n++; n == 1 {
				oldest = r.event()
			}
		}
	}
	return n, oldest
}
