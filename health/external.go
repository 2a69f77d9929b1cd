package health

import (
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// Report is what somebody says came of an external check. Unlike the result of a
// probe it is a verdict: it decides at once, and counts until Until.
type Report struct {
	Check    string
	Endpoint string // address or host name, as the pool states it
	OK       bool
	Degraded bool   // it serves, and not as it should; OK is true
	Detail   string // why, one line
	Source   string // who or what reports
	At       time.Time
	// For is how long it counts: at most the check's ttl, and 0 is all of that.
	For time.Duration
	// Until is for Reports to state, and SetReport.
	Until time.Time
}

// The errors of reports besides ErrNotFound.
var (
	// ErrNotExternal is the error of a report for a check that is probed.
	ErrNotExternal = errors.New("not an external check")
	// ErrTooLong is the error of a report that would count for longer than the check
	// has it.
	ErrTooLong = errors.New("longer than the check's ttl")
)

type reportKey struct{ check, endpoint string }

// reported is what a runner of an external check has in place of a probe.
type reported struct {
	until  time.Time // it counts; or, of the first one, is waited for
	source string
	index  int // among those that lapse; -1: it does not count
}

// lapsing is the reports that count, the one that lapses first before the others.
type lapsing []*runner

func (l lapsing) Len() int           { return len(l) }
func (l lapsing) Less(i, j int) bool { return l[i].report.until.Before(l[j].report.until) }

func (l lapsing) Swap(i, j int) {
	l[i], l[j] = l[j], l[i]
	l[i].report.index, l[j].report.index = i, j
}

// Push implements heap.Interface.
func (l *lapsing) Push(x any) {
	r := x.(*runner)
	r.report.index = len(*l)
	*l = append(*l, r)
}

// Pop implements heap.Interface.
func (l *lapsing) Pop() any {
	last := len(*l) - 1
	r := (*l)[last]
	(*l)[last] = nil
	*l, r.report.index = (*l)[:last], -1
	return r
}

// until has a report count until then.
func (b *Board) until(r *runner, t time.Time) {
	r.report.until = t
	if r.report.index >= 0 {
		heap.Fix(&b.lapsing, r.report.index)
		return
	}
	heap.Push(&b.lapsing, r)
}

// index finds the external checks among the runners.
func (b *Board) index() {
	clear(b.reports)
	for _, r := range b.runners {
		if r.report != nil {
			key := reportKey{r.check.Name, canonical(r.endpoint())}
			b.reports[key] = append(b.reports[key], r)
		}
	}
}

// expect gives a runner of an external check that is new what is known: of the same
// check with another ttl, or of before the restart while that counts. Otherwise the
// first report is waited for.
func (b *Board) expect(r, old *runner, now time.Time) {
	ttl := r.check.Interval
	r.report.until = now.Add(ttl)
	kept := b.restored[r.request()]
	said := kept.Report
	switch {
	case old != nil && old.report != nil:
		r.report.source = old.report.source
		if old.report.index < 0 {
			return // it has lapsed
		}
		r.report.until = earlier(old.report.until, r.report.until)
	case said != nil && said.Until.After(now) && !kept.Seen.After(now):
		r.verdict = kept.verdict(now, said.Until.Sub(kept.Seen))
		r.verdict.restored = false // who reports has not restarted
		r.report.until, r.report.source = earlier(now.Add(said.Until.Sub(now)), r.report.until), said.Source
	default:
		r.verdict = verdict{lastUp: kept.LastUp, reason: "no result was reported yet"}
	}
	heap.Push(&b.lapsing, r)
}

// SetReport takes a report in and returns it with its times. It fails with
// ErrNotFound when no service has an endpoint with such a check, with
// ErrNotExternal, or with ErrTooLong. A view that has it follows at once.
func (b *Board) SetReport(rep Report) (Report, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rs, err := b.reportable(&rep)
	if err != nil {
		return rep, err
	}
	ttl := time.Duration(0)
	for _, r := range rs {
		ttl = max(ttl, r.check.Interval)
	}
	rep.For = cmp.Or(rep.For, ttl)
	if rep.For < 0 || rep.For > ttl {
		return rep, fmt.Errorf("%w: %v is more than %v", ErrTooLong, rep.For, ttl)
	}
	rep.Until = rep.At.Add(rep.For)
	res := probe.Result{OK: rep.OK, Degraded: rep.OK && rep.Degraded, Detail: rep.Detail}
	if !rep.OK {
		res.Class = probe.ClassReported
		res.Detail = cmp.Or(rep.Detail, "reported as failed")
	}
	if res.Degraded {
		res.Detail = cmp.Or(rep.Detail, "reported as degraded")
	}
	b.meters.told(rep.Check, outcomeOf(res))
	for _, r := range rs {
		b.note(r, res, rep.At)
		before := r.verdict.state
		changed := r.verdict.apply(res, r.check, rep.At)
		moved := r.verdict.weigh(res, r.check, rep.At)
		if changed || moved {
			b.touch(r)
			b.urgent = true
			b.tell(r, before, moved)
		}
		r.last = b.after(&r.last, res)
		r.runs++
		r.report.source = rep.Source
		b.until(r, rep.At.Add(min(rep.For, r.check.Interval)))
		b.keep(r, b.recordOf(r))
	}
	b.publish(rep.At)
	notify(b.wake)
	return rep, nil
}

func outcomeOf(r probe.Result) string {
	switch {
	case !r.OK:
		return "failed"
	case r.Degraded:
		return "degraded"
	}
	return "ok"
}

// ClearReport forgets what was reported of an endpoint, which is unknown then. It
// fails like SetReport, and with ErrNotFound when nothing that counts was reported.
func (b *Board) ClearReport(check, endpoint string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	rep := Report{Check: check, Endpoint: endpoint}
	rs, err := b.reportable(&rep)
	if err != nil {
		return err
	}
	found := false
	for _, r := range rs {
		if r.runs == 0 && r.verdict.state == Unknown || r.report.index < 0 {
			continue
		}
		found = true
		heap.Remove(&b.lapsing, r.report.index)
		b.unknow(r, "what was reported is cleared")
		b.keep(r, record{})
	}
	if !found {
		return fmt.Errorf("%w: no result of %s for %s counts", ErrNotFound, rep.Check, rep.Endpoint)
	}
	b.urgent = true
	b.publish(time.Now())
	notify(b.wake)
	return nil
}

// reportable is the runners that a report is for, whose endpoint it makes canonical.
func (b *Board) reportable(rep *Report) ([]*runner, error) {
	rep.Endpoint = canonical(rep.Endpoint)
	if rs := b.reports[reportKey{rep.Check, rep.Endpoint}]; len(rs) > 0 {
		return rs, nil
	}
	if b.names[rep.Check] && !slices.ContainsFunc(b.reportedChecks(), func(name string) bool { return name == rep.Check }) {
		return nil, fmt.Errorf("%w: %s is probed", ErrNotExternal, rep.Check)
	}
	return nil, fmt.Errorf("%w: no service has an endpoint %s with the external check %s", ErrNotFound, rep.Endpoint, rep.Check)
}

// reportedChecks are the external checks in use.
func (b *Board) reportedChecks() []string {
	var names []string
	for key := range b.reports {
		names = append(names, key.check)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Reports lists what was reported and counts, by check and endpoint.
func (b *Board) Reports() []Report {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	var all []Report
	for key, rs := range b.reports {
		// Of several runners, which differ in their ttl, the one that counts longest.
		r := slices.MaxFunc(rs, func(x, y *runner) int { return x.report.until.Compare(y.report.until) })
		if v := &r.verdict; v.state != Unknown && r.report.index >= 0 && r.report.until.After(now) {
			rep := Report{
				Check: key.check, Endpoint: key.endpoint, OK: v.state == Up, Degraded: v.degraded(), Detail: v.reason,
				Source: r.report.source, At: v.seen, For: r.report.until.Sub(v.seen), Until: r.report.until,
			}
			if rep.Degraded {
				rep.Detail = v.level.reason
			}
			if r.runs > 0 {
				rep.Detail = r.last.detail
			}
			all = append(all, rep)
		}
	}
	slices.SortFunc(all, func(x, y Report) int {
		return cmp.Or(strings.Compare(x.Check, y.Check), strings.Compare(x.Endpoint, y.Endpoint))
	})
	return all
}

// outdate ends the reports that no longer count, and says how long to wait for the
// next one.
func (b *Board) outdate(now time.Time) time.Duration {
	for len(b.lapsing) > 0 {
		r := b.lapsing[0]
		if wait := r.report.until.Sub(now); wait > 0 {
			return wait
		}
		heap.Pop(&b.lapsing)
		why := "no result was reported for " + r.check.Interval.String()
		if r.runs > 0 || r.verdict.state != Unknown {
			b.meters.told(r.check.Name, "lapsed")
			why = "the last result, of " + r.verdict.seen.UTC().Format(time.RFC3339) + ", counts no longer"
		}
		if !r.check.Ask.(*spec.ExternalCheck).StaleDown {
			b.unknow(r, why)
			continue
		}
		v, before := &r.verdict, r.verdict.state
		if before == Up {
			v.lastUp = now
		}
		if before == Down {
			v.reason = why
		} else {
			*v = verdict{state: Down, since: now, reason: why, lastUp: v.lastUp, seen: v.seen}
			b.tell(r, before, false)
		}
		b.touch(r)
	}
	return forever
}

// unknow makes the verdict on an external check unknown.
func (b *Board) unknow(r *runner, why string) {
	v, before := &r.verdict, r.verdict.state
	if before == Up {
		v.lastUp = time.Now()
	}
	v.lapse()
	v.reason = why
	if before != Unknown {
		b.tell(r, before, false)
	}
	b.touch(r)
}
