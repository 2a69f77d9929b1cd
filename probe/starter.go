package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime/debug"
	"sync"
	"time"

	"github.com/rhumb-dns/rhumb/probe/loop"
)

// Starter is a Prober of which some probes, or all, need no goroutine while they are
// under way. What comes of them is what Probe would say.
type Starter interface {
	Prober
	// Start begins a probe on l, which takes no longer than timeout from when its
	// connection is begun. It is false, and does nothing, where this probe is one for
	// Probe; else the Loop tells what came of it, with the tag. What has been started
	// is begun with the next Flush. Start is for one goroutine at a time.
	Start(l *Loop, t Target, timeout time.Duration, tag any) bool
}

// Ended is what came of a probe that was started.
type Ended struct {
	Tag    any
	Result Result
	// Began is when it was really begun.
	Began time.Time
	// Fault is not empty when judging it panicked: the message and the stack. The
	// result is then of class error.
	Fault string
}

// Loop has the probes of Starters under way, all in one goroutine: that of Run.
type Loop struct {
	loop  *loop.Loop
	ended func([]Ended)
	batch []*loop.Job // started since the last Flush
	free  sync.Pool

	telling sync.Mutex // what is started when the Loop has ended is told of from there
	out     []Ended
}

// NewLoop makes a Loop that tells ended what came of probes: many at once, from the
// goroutine of Run or, when that is over, of Flush, and never twice at once. The slice is the Loop's own again when ended returns. It fails
// where the system has no such thing (errors.ErrUnsupported), or has no descriptors
// left. Whoever has made one runs it, which closes it.
func NewLoop(ended func([]Ended)) (*Loop, error) {
	l := &Loop{ended: ended, free: sync.Pool{New: func() any { return new(flight) }}}
	var err error
	if l.loop, err = loop.New(l.tell); err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return l, nil
}

// Run makes probes until ctx ends; those under way then are of class canceled, and so
// is what is started later. It returns nil unless the system fails it.
func (l *Loop) Run(ctx context.Context) error { return l.loop.Run(ctx) }

// Flush begins what has been started. It is for the goroutine of Start.
func (l *Loop) Flush() {
	l.loop.Start(l.batch)
	clear(l.batch)
	l.batch = l.batch[:0]
}

// flight is a probe under way.
type flight struct {
	job   loop.Job
	tag   any
	reply hearing // of a probe that says something
	fault string
}

// add starts a probe that only connects.
func (l *Loop) add(t Target, timeout time.Duration, tag any) *flight {
	f := l.free.Get().(*flight)
	f.tag = tag
	f.job.To, f.job.Timeout, f.job.Owner = netip.AddrPortFrom(t.Addr, t.Port), timeout, f
	l.batch = append(l.batch, &f.job)
	return f
}

// tell passes on what came of jobs.
func (l *Loop) tell(jobs []*loop.Job) {
	l.telling.Lock()
	defer l.telling.Unlock()
	for _, j := range jobs {
		f := j.Owner.(*flight)
		l.out = append(l.out, f.ended())
		f.tag, f.reply, f.fault, f.job.Talk = nil, hearing{}, "", nil
		l.free.Put(f)
	}
	l.ended(l.out)
	clear(l.out)
	l.out = l.out[:0]
}

func (f *flight) ended() Ended {
	j := &f.job
	return Ended{Tag: f.tag, Result: f.judge().timed(j.Took, j.Connect), Began: j.Began, Fault: f.fault}
}

// judge is the verdict on a probe that has ended.
func (f *flight) judge() failure {
	at := connecting
	switch {
	case f.job.Stage == loop.Hearing:
		return f.reply.verdict
	case f.job.Err == nil:
		return failure{}
	case f.job.Stage == loop.Sending:
		at = sending
	}
	return classify(contextOf(f.job.Err), f.job.Err, at)
}

// Send implements loop.Talk.
func (f *flight) Send() []byte { return f.reply.request }

// Heard implements loop.Talk. What panics fails its probe, not the node.
func (f *flight) Heard(b []byte, err error) (enough bool) {
	defer func() {
		if why := recover(); why != nil {
			f.fault = fmt.Sprintf("%v\n%s", why, debug.Stack())
			f.reply.verdict, enough = fail(ClassError, "probe panicked"), true
		}
	}()
	return f.reply.heard(b, err)
}

// contextOf is a context that has ended in the way that a job has.
func contextOf(err error) context.Context {
	if errors.Is(err, context.Canceled) {
		return canceled
	}
	return context.Background()
}

var canceled = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()
