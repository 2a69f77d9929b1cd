package health

import (
	"math"
	"strconv"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// runner is one probe with its verdict. Everything but aim is guarded by the board's
// mutex. There may be a hundred thousand of them: what several have in common is in
// asking, and what few have is behind a pointer.
type runner struct {
	*asking
	aim     probe.Target
	also    *alias // what else it is to its endpoints
	targets []int32
	verdict verdict
	trip    trip
	last    lately
	past    *ring         // the last results; nil while all have been as they should be
	report  *reported     // of an external check, which is not probed
	begun   time.Duration // when the probe under way was begun, or the last one; as schedule has times
	due     time.Duration // when the next one is
	runs    int32         // results so far
	index   int32         // in the schedule; -1 while running or gone
	number  int32         // in Board.runners; -1 before it is there
	marks   uint16
	excused uint8 // results in a row that were this node's fault
}

// asking is what probes of one check and host have in common.
type asking struct {
	check            Check
	prober           probe.Prober // nil: it is not probed
	starter          probe.Starter
	request, cadence string
	meters           *checkMeters // nil until the first result
}

// alias is another check that a probe is made for as well.
type alias struct {
	check Check
	next  *alias
}

// identity is what a runner is known by when targets change.
type identity struct {
	aim              probe.Target
	request, cadence string
}

func (r *runner) identity() identity { return identity{r.aim, r.asking.request, r.cadence} }

// endpoint is what the runner's probes are aimed at, as its pool states it.
func (r *runner) endpoint() string {
	if r.aim.Addr.IsValid() {
		return r.aim.Addr.String()
	}
	return r.aim.Host
}

// request is the name of the runner's verdict on disk: its endpoint, and what it asks.
func (r *runner) request() string {
	name := r.endpoint() + " " + r.asking.request
	if r.aim.Priority != 0 {
		name += " priority=" + strconv.Itoa(r.aim.Priority)
	}
	return name
}

// name has the runner be for a check as well.
func (r *runner) name(c Check) {
	same := func(d Check) bool { return d.Name == c.Name && d.Host == c.Host }
	if same(r.check) {
		return
	}
	for a := r.also; a != nil; a = a.next {
		if same(a.check) {
			return
		}
	}
	r.also = &alias{c, r.also}
}

// roles yields what the runner is to its endpoint, whatever its parameters: a check
// whose path or interval is changed takes over the verdict it had.
func (r *runner) roles(yield func(string) bool) {
	at := r.endpoint()
	if !yield(r.check.role(at)) {
		return
	}
	for a := r.also; a != nil; a = a.next {
		if !yield(a.check.role(at)) {
			return
		}
	}
}

// lapses is when a verdict from before the restart stops being believed.
func (r *runner) lapses() time.Time {
	return r.verdict.seen.Add(restoredIntervals * r.check.Interval)
}

// lately is the last result of a probe.
type lately struct {
	row      int16 // how many in a row passed, or below 0 failed; 0: there was none
	degraded bool
	class    uint8  // number in Board.classes
	rtt      uint32 // microseconds
	detail   string
}

func (l *lately) ok() bool { return l.row > 0 }

// after is the last result that follows another.
func (b *Board) after(l *lately, res probe.Result) lately {
	next := lately{degraded: res.Degraded, class: b.classOf(res.Class), rtt: microseconds(res.RTT), detail: res.Detail}
	if res.OK {
		next.row = min(max(l.row, 0), math.MaxInt16-1) + 1
	} else {
		next.row = max(min(l.row, 0), -math.MaxInt16+1) - 1
	}
	return next
}

// remember keeps a result as the last one of a probe.
func (b *Board) remember(r *runner, res probe.Result) {
	r.last = b.after(&r.last, res)
	if a := &b.aware; res.Class != probe.ClassLocal && r.begun >= a.round.begun {
		a.stances[r.number].round = a.round.number
	}
	b.checked(r)
	b.jot(r)
	if b.seen == nil {
		return
	}
	b.seen(r.check.Name, r.aim, res)
	for a := r.also; a != nil; a = a.next {
		b.seen(a.check.Name, r.aim, res)
	}
}

// result is what a last result was, but for the time of its connection.
func (b *Board) result(l *lately) probe.Result {
	r := probe.Result{OK: l.ok(), Degraded: l.degraded, Detail: l.detail, RTT: time.Duration(l.rtt) * time.Microsecond}
	if int(l.class) < len(b.classes) {
		r.Class = b.classes[l.class]
	}
	return r
}

// ask makes what the probes of a check have in common.
func (b *Board) ask(c Check) (*asking, error) {
	a := &asking{check: c, request: c.request(), cadence: c.cadence()}
	if c.Type == spec.CheckExternal {
		return a, nil
	}
	var err error
	if a.prober, err = b.prober(c); err != nil {
		return nil, err
	}
	a.starter, _ = a.prober.(probe.Starter)
	return a, nil
}
