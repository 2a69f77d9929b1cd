package health

import (
	"time"

	"github.com/rhumb-dns/rhumb/spec"
)

// Probed is one check of a target as its probes left it.
type Probed struct {
	Check string
	Type  string
	// Within is the calculated check of the target that this one is a member of, when
	// it is not among the target's own.
	Within   string
	Host     string // Host header and SNI; empty for none
	Port     uint16
	Interval time.Duration // 0 of those that are not probed
	State    State
	Cause    Cause  // what degrades it; NotDegraded while it is not up and degraded
	Degraded string // why, one line
	Row      int    // last results in a row that were like the last one
	Runs     int    // results since this node started
	// Of the last result; zero before the first. Of a calculated check they are those
	// of its condition.
	At     time.Time
	OK     bool
	Class  string
	Detail string
	RTT    time.Duration
	// Latency is the smoothed time of its connections; 0 while it is not known.
	Latency time.Duration
	Held    bool      // it would be down, if the node were not in doubt of itself
	Idle    bool      // nobody asks for any endpoint that it is made for
	Until   time.Time // the result of an external check counts; zero of others
	Results []Past    // of Evidence: the last ones, the latest first
}

// Probed is the checks of target i of the board's present targets, in the order
// the configuration has them, and those that they are calculated from behind them.
// It is nil for a target that nobody judges, and when the targets have changed since
// generation.
func (b *Board) Probed(generation uint64, i int) []Probed { return b.probes(generation, i, false) }

// Evidence is Probed with Results.
func (b *Board) Evidence(generation uint64, i int) []Probed { return b.probes(generation, i, true) }

// Latency is the lowest Latency of what Probed gives; 0 while none is known.
func (b *Board) Latency(generation uint64, i int) (lowest time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation != b.generation || i < 0 || i >= len(b.onTarget) {
		return 0
	}
	now := time.Now()
	for _, r := range b.onTarget[i] {
		l := time.Duration(r.trip.known(b.pace(r), b.due.at(now))) * time.Microsecond
		if l > 0 && (lowest == 0 || l < lowest) {
			lowest = l
		}
	}
	return lowest
}

func (b *Board) probes(generation uint64, i int, results bool) []Probed {
	b.mu.Lock()
	defer b.mu.Unlock()
	if generation != b.generation || i < 0 || i >= len(b.onTarget) {
		return nil
	}
	var all []Probed
	now := time.Now()
	rs := b.onTarget[i]
	for _, c := range b.targets[i].Checks {
		mine := rs
		v := verdictOn(c.Check, &rs)
		if c.Type != spec.CheckCalculated {
			all = append(all, b.probed(mine[0], c.Name, results, now))
			continue
		}
		p := Probed{Check: c.Name, Type: string(c.Type), State: v.state, At: v.seen, OK: v.state == Up, Detail: v.reason, Held: v.held}
		if v.degraded() {
			p.Cause, p.Degraded = v.level.cause, v.level.reason
		}
		all = append(all, p)
		told := map[*runner]bool{}
		at := 0
		for l := range c.leaves {
			r := mine[at]
			at++
			if !told[r] {
				told[r] = true
				p := b.probed(r, l.Name, results, now)
				p.Within = c.Name
				all = append(all, p)
			}
		}
	}
	return all
}

func (b *Board) probed(r *runner, check string, results bool, now time.Time) Probed {
	v, last := &r.verdict, b.result(&r.last)
	p := Probed{
		Check: check, Type: string(r.check.Type), Host: r.check.Host, Port: r.check.Port,
		Interval: r.check.Interval, State: v.state, Row: int(max(r.last.row, -r.last.row)), Runs: int(r.runs),
		OK: last.OK, Class: string(last.Class), Detail: last.Detail, RTT: last.RTT,
		Latency: time.Duration(r.trip.known(b.pace(r), b.due.at(now))) * time.Microsecond,
	}
	p.Held, p.Idle = v.held, r.is(markIdle)
	if r.runs > 0 {
		p.At = v.seen
	}
	if v.degraded() {
		p.Cause, p.Degraded = v.level.cause, v.level.reason
	}
	if r.report != nil {
		p.Interval = 0
		if v.state == Unknown {
			p.Detail = v.reason
		}
		if r.report.index >= 0 && v.state != Unknown {
			p.Until = r.report.until
		}
	}
	if results {
		p.Results = b.pasts(r)
	}
	return p
}
