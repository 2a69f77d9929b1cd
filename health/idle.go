package health

import "time"

// SetIdle says of each target whether nobody asks for it, which its probes are made
// more rarely for; a probe of several targets when nobody asks for any. Those that
// are asked for again are probed at once. nil is that all are asked for. It does
// nothing when the targets have changed since generation.
func (b *Board) SetIdle(generation uint64, idle []bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation != b.generation || idle != nil && len(idle) != len(b.targets) {
		return
	}
	now, woken := b.due.at(time.Now()), 0
	for _, r := range b.runners {
		if r.report != nil {
			continue
		}
		rests := idle != nil
		for _, t := range r.targets {
			rests = rests && idle[t]
		}
		if rests == r.is(markIdle) {
			continue
		}
		if r.mark(markIdle, rests); rests || r.index < 0 {
			continue
		}
		b.due.remove(r)
		r.due = now + spaced(woken, firstBurst)
		b.due.add(r)
		woken++
	}
	n := 0
	for i, is := range idle {
		if is && b.onTarget[i] != nil {
			n++
		}
	}
	b.aware.idle = n
	b.meters.idle.Set(float64(n))
	if woken > 0 {
		notify(b.wake)
	}
}

// pace is from one probe to the next.
func (b *Board) pace(r *runner) time.Duration {
	if r.is(markIdle) && b.aware.IdleMultiplier > 1 {
		return r.check.Interval * time.Duration(b.aware.IdleMultiplier)
	}
	return r.check.Interval
}
