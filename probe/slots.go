package probe

import (
	"context"
	"errors"
	"time"
)

// slots are how many runs there may be at once: of one check, and of all checks of
// its kind on this node, since what runs takes a process or memory of its own.
type slots struct {
	own  chan struct{}
	node chan struct{}
}

// The bounds of the node. A script is a process; a run of Lua takes 64 MiB at most.
var (
	scriptSlots = make(chan struct{}, 64)
	luaSlots    = make(chan struct{}, 256)
)

func newSlots(parallel, standard int, node chan struct{}) slots {
	if parallel <= 0 {
		parallel = standard
	}
	return slots{make(chan struct{}, parallel), node}
}

// take waits for a slot for at most half of the time there is, and says how long
// it has. Without one, the node knows nothing of the endpoint.
func (s slots) take(ctx context.Context) (release func(), waited time.Duration, f failure) {
	start := time.Now()
	first, f := enter(ctx, start, s.own, "of this check")
	if f.failed() {
		return nil, 0, f
	}
	second, f := enter(ctx, start, s.node, "on this node")
	if f.failed() {
		<-s.own
		return nil, 0, f
	}
	if first || second {
		waited = time.Since(start)
	}
	return func() { <-s.node; <-s.own }, waited, failure{}
}

// enter takes a place in in, of which it may have had to wait for.
func enter(ctx context.Context, start time.Time, in chan struct{}, where string) (waited bool, f failure) {
	select {
	case in <- struct{}{}:
		return false, failure{}
	default:
	}
	wait := ctx
	if deadline, limited := ctx.Deadline(); limited {
		sub, cancel := context.WithDeadline(ctx, start.Add(deadline.Sub(start)/2))
		defer cancel()
		wait = sub
	}
	select {
	case in <- struct{}{}:
		return true, failure{}
	case <-wait.Done():
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return true, fail(ClassCanceled, "canceled while waiting for other runs")
	}
	return true, fail(ClassLocal, "not run: %d runs %s are under way already", cap(in), where)
}

// lateness makes a timeout of a run that had to wait for its slot for more than a tenth
// of its time nobody's fault but this node's.
func lateness(ctx context.Context, f failure, start time.Time, waited time.Duration) failure {
	deadline, limited := ctx.Deadline()
	if f.class == ClassTimeout && limited && !deadline.After(start) {
		return fail(ClassLocal, "the time was over before the run could begin")
	}
	if f.class == ClassTimeout && limited && waited > deadline.Sub(start)/10 {
		return fail(ClassLocal, "timeout after waiting %v for other runs", waited.Round(time.Millisecond))
	}
	return f
}
