package health

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec"
)

// awareness is what a board knows of its own trouble. A verdict that silence would
// make is believed only while others answer: where nearly all fall silent together,
// it is this node that hears nothing.
//
//	a probe is one failure from its verdict    others are asked: a round
//	it fails again                             how much of all is silent?
//	  not more than suspect_share               the verdict falls
//	  more                                      it is held, and so are all that follow
//	each second while they are                 a round, until it says otherwise
type awareness struct {
	spec.Health

	round   round
	next    *runner   // has asked for another round when this one is over; nil: none has
	waiting []*runner // one failure too many, until the round is over

	suspect bool
	since   time.Time // when it began to be, or last ceased
	bound   time.Time // when held verdicts are believed all the same
	cut     string    // what says that it is this node's own network; empty: nothing
	spent   bool      // they were believed, and nobody has answered since
	held    int       // probes
	most    int       // that were at once, since it began to be
	v6      bool      // it is hosts of IPv6 that are silent
	share   float64   // of the last count
	silent  int       // and of how many
	asked   int
	total   int // how often it began

	idle int           // targets that nobody asks for
	over time.Duration // silence of probes that were begun before does not count

	// fine is when a count last said that all is well with this node, and fineRound the
	// round that it was of.
	fine      time.Time
	fineRound uint16

	// groups are the probes of each place, pool and network, as numbers of
	// Board.runners; nil until they are asked for.
	groups    [groupings][][]int32
	placeless bool // some probe is of no place that is stated
	stances   []stance
	slack     bool // there is nobody to ask but those who prove little, or take long
	own       network
	greeted   bool // the gateway has been, if there is reason to
	stalls    stalls
}

// round is some probes that are made at once to know whether others answer.
type round struct {
	number uint16        // they are counted from 1, and again
	begun  time.Duration // as schedule has times
	ends   time.Time     // what has not come back by then is not waited for
	left   int           // probes that are not back
	open   bool
	came   bool      // one has come back since it was last looked
	asked  []*runner // all that it asked
}

const (
	// opinions is how many probes a round has of places, pools and networks each.
	opinions = 8
	// roundGap is the time between two rounds while verdicts are held, doubtGap that
	// between others.
	roundGap = time.Second
	doubtGap = 250 * time.Millisecond
	// maxOpinion is how long a probe of a round may take.
	maxOpinion = 5 * time.Second
	// fineFor is for how long a round counts.
	fineFor = 2 * maxOpinion
)

// What probes are grouped by.
const (
	ofPlace = iota
	ofPool
	ofNetwork
	groupings
)

// silent is whether a failure may be this node's fault as well as the endpoint's:
// nothing has come back. A script's or a lua's is it whatever it says, since nobody
// knows what it asked.
func silent(r *runner, res probe.Result) bool {
	switch {
	case res.OK || res.Connect > 0:
		return false
	case r.check.Type.Scripted():
		return true
	}
	switch res.Class {
	case probe.ClassTimeout, probe.ClassUnreachable, probe.ClassDNS, probe.ClassError:
		return true
	}
	return false
}

// heard takes in what a result says of this node, before it is judged.
func (b *Board) heard(r *runner, res probe.Result) (quiet bool) {
	quiet = silent(r, res)
	r.mark(markQuiet, quiet)
	proves := !quiet && !r.check.Type.Scripted()
	r.mark(markProves, proves)
	if a := &b.aware; proves && a.spent && !a.own.has(r.aim.Addr) {
		a.spent = false
	}
	return quiet
}

// hold is whether a verdict of down, which silence is about to make, is not to be
// made now.
func (b *Board) hold(r *runner, now time.Time) bool {
	a := &b.aware
	switch {
	case a.SuspectShare >= 1 || a.SuspectShare == 0 || a.spent:
		return false
	case a.suspect:
		return true
	case later(a.fineRound, *b.doubt(r)) && now.Sub(a.fine) < fineFor:
		return false
	}
	b.consult(r, now)
	if a.round.open || a.next != nil {
		if !r.is(markWaits) {
			r.mark(markWaits, true)
			a.waiting = append(a.waiting, r)
		}
		return true
	}
	return b.suspects(now) // there is nobody to ask
}

// doubts starts a round when a probe is one failure from its verdict.
func (b *Board) doubts(r *runner, now time.Time) {
	*b.doubt(r) = b.aware.round.number
	if a := &b.aware; a.SuspectShare > 0 && a.SuspectShare < 1 && !a.suspect {
		b.consult(r, now)
	}
}

// consult starts a round for a probe, unless the one that is under way will do, or
// has one follow it. Without a probe it is one that finds out whether verdicts are
// still to be held.
func (b *Board) consult(r *runner, now time.Time) {
	a := &b.aware
	switch {
	case a.round.open && r != nil && later(a.round.number, *b.doubt(r)):
		return
	case a.round.open, r != nil && a.round.begun > 0 && b.due.at(now)-a.round.begun < doubtGap:
		a.next = r
		return
	}
	a.next = nil
	if a.own.look(now) {
		b.relearn()
	}
	if a.own.gate != nil && (r == nil || a.own.near(r.aim.Addr)) {
		a.own.gate.knock(now, r != nil && r.aim.Addr.Unmap().Is6() || r == nil && a.v6)
	}
	b.group()
	for _, r := range a.round.asked {
		if r.mark(markSample, false); !r.is(markGone) {
			b.jot(r)
		}
	}
	clear(a.round.asked)
	a.round = round{
		number: a.round.number + 1, begun: b.due.at(now), ends: now.Add(2 * tick), open: true, asked: a.round.asked[:0],
	}
	if a.round.number == 0 {
		a.round.number = 1
	}
	for _, groups := range a.groups {
		n := len(groups)
		if n == 0 {
			continue
		}
		for k, at := 0, rand.IntN(n); k < opinions; k++ {
			b.opinion(groups[(at+k*n/opinions)%n], r, now)
		}
	}
	if a.round.left == 0 && !a.suspect {
		a.round.open = false // there is nobody to ask
	}
}

// opinion asks one of a group, if there is one to ask.
func (b *Board) opinion(group []int32, except *runner, now time.Time) {
	at := rand.IntN(len(group))
	for k := range min(len(group), 4*opinions) {
		if r := b.runners[group[(at+k)%len(group)]]; r != except && b.asks(r, now) {
			return
		}
	}
}

// asks puts a probe in the round, if it is one that could tell something.
func (b *Board) asks(r *runner, now time.Time) bool {
	a := &b.aware
	switch {
	case r.is(markAsked), r.report != nil, r.is(markGone), r.verdict.state != Up && !r.is(markProves), r.is(markQuiet) && !a.suspect,
		!a.slack && !r.prompt(), a.stances[r.number].own:
		return false
	}
	r.mark(markAsked|markSample, true)
	b.jot(r)
	a.round.asked = append(a.round.asked, r)
	a.round.left++
	if ends := now.Add(min(r.check.Timeout, maxOpinion) + minStall); ends.After(a.round.ends) {
		a.round.ends = ends
	}
	if r.index >= 0 {
		b.due.remove(r)
		r.due = b.due.at(now)
		b.due.hurry(r)
	}
	return true
}

// told takes a probe whose result is there out of the round, and says whether it is
// to be made again at once: it had been begun before.
func (b *Board) told(r *runner) (again bool) {
	a := &b.aware
	if !r.is(markAsked) {
		return false
	}
	if r.begun < a.round.begun {
		return true
	}
	r.mark(markAsked, false)
	a.round.left--
	a.round.came = true
	return false
}

// reflect ends a round that is over, begins one that is due, and says how long to
// wait for the next thing.
func (b *Board) reflect(now time.Time) time.Duration {
	a := &b.aware
	b.greet(now)
	if a.round.open && (a.round.left <= 0 || !now.Before(a.round.ends) || a.round.came && !a.suspect && b.settles()) {
		b.conclude(now)
	}
	a.round.came = false
	if since := b.due.at(now) - a.round.begun; a.suspect && !a.round.open && since >= roundGap {
		b.consult(nil, now)
	} else if r := a.next; r != nil && !a.suspect && !a.round.open && since >= doubtGap {
		if b.consult(r, now); !a.round.open {
			b.conclude(now)
		}
	}
	since := b.due.at(now) - a.round.begun
	switch {
	case a.round.open:
		return a.round.ends.Sub(now)
	case a.suspect:
		return roundGap - since
	case a.next != nil:
		return doubtGap - since
	}
	return forever
}

// settles is whether what has come back suffices to believe verdicts, whatever those
// say that have not.
func (b *Board) settles() bool {
	a := &b.aware
	c := b.census()
	return c.heard > 0 && (c.share(c.works()) <= a.SuspectShare || b.spread(&c) <= a.SuspectShare)
}

// conclude counts what a round has brought.
func (b *Board) conclude(now time.Time) {
	a := &b.aware
	a.round.open = false
	for _, r := range a.round.asked {
		if r.is(markAsked) && !r.is(markGone) {
			r.mark(markAsked, false)
			b.jot(r)
		}
	}
	a.round.left = 0
	if a.suspect {
		b.resolve(now)
		return
	}
	suspect := b.suspects(now)
	waiting := a.waiting
	a.waiting = nil
	for _, r := range waiting {
		r.mark(markWaits, false)
		switch {
		case r.is(markGone) || !r.is(markQuiet) || r.verdict.state != Up || int(r.verdict.streak) < r.check.Fall:
		case suspect:
			b.keepUp(r)
		case later(a.round.number, *b.doubt(r)) || !b.hold(r, now): // else it was too early for this one
			b.fell(r, now)
		}
	}
}

// holds takes in a result that would make a verdict which is not to be made now.
func (b *Board) holds(r *runner, now time.Time) {
	r.verdict.streak++
	r.verdict.seen = now
	if b.aware.suspect {
		b.keepUp(r)
	}
	b.settleFirst(r)
	b.sample(r, b.result(&r.last), now)
	r.runs++
}

// fell takes an endpoint down whose verdict was waited with.
func (b *Board) fell(r *runner, now time.Time) {
	v := &r.verdict
	b.release(r)
	v.state, v.since, v.streak, v.restored, v.reason = Down, now, 0, false, r.last.detail
	b.tell(r, Up, false)
	b.touch(r)
	b.jot(r)
	b.keep(r, b.recordOf(r))
	b.urgent = true
}

// keepUp holds a verdict.
func (b *Board) keepUp(r *runner) {
	if v := &r.verdict; !v.held {
		v.held, v.reason = true, r.last.detail
		b.aware.held++
		b.aware.most = max(b.aware.most, b.aware.held)
		b.touch(r)
	}
}

// release no longer holds a verdict.
func (b *Board) release(r *runner) {
	if v := &r.verdict; v.held {
		v.held, v.reason = false, ""
		b.aware.held--
		b.touch(r)
	}
}

// suspects counts how many are silent, of those that are known since the last round
// began, and begins to hold verdicts when they are too many.
func (b *Board) suspects(now time.Time) bool {
	a := &b.aware
	if a.suspect {
		return true
	}
	c := b.census()
	if a.silent, a.asked, a.share = c.silent, c.silent+c.answered, c.share(c.works()); a.share <= a.SuspectShare {
		a.fine, a.fineRound = now, a.round.number
		return false
	}
	if a.share = min(a.share, b.spread(&c)); a.share <= a.SuspectShare {
		a.fine, a.fineRound = now, a.round.number
		return false
	}
	quiet := b.quiet(false)
	a.cut = a.own.cut(quiet)
	deaf := a.own.deaf(quiet, now)
	few := c.silent < a.SuspectMin && (!deaf || a.own.gate == nil || !a.own.gate.answers())
	if a.cut == "" && (few || !deaf && !b.severally()) {
		a.fine, a.fineRound = now, a.round.number
		return false
	}
	a.v6 = len(quiet) > 0 && quiet[0].Unmap().Is6()
	a.suspect, a.since, a.bound, a.most = true, now, now.Add(a.SuspectFor), 0
	a.total++
	b.meters.doubted(true)
	b.events.Tell(history.Event{
		Type: history.NodeSuspect, Reason: fmt.Sprintf("%d of %d endpoints are silent: verdicts are held", a.silent, a.asked),
	})
	b.log.Warn("this node seems to be cut off itself: verdicts are held", "silent", a.silent, "of", a.asked,
		"share", percent(a.share), "network", a.cut)
	return true
}

// resolve says, after a round of its time, whether verdicts are still held.
func (b *Board) resolve(now time.Time) {
	a := &b.aware
	c := b.news()
	share := c.share(0)
	if share > a.SuspectShare {
		share = min(share, b.spreadNews())
	}
	over := c.silent+c.answered > 0 && share <= a.SuspectShare || a.held == 0 && c.silent == 0
	if quiet := b.quiet(true); !over && len(quiet) > 0 { // without, nothing new is known
		if a.cut = a.own.cut(quiet); a.cut != "" {
			a.bound = now.Add(a.SuspectFor)
		} else {
			over = a.own.witnessed(now) && !b.severally() && !a.own.deaf(quiet, now)
		}
	}
	late := !over && !now.Before(a.bound)
	b.meters.held(a.held)
	if !over && !late {
		return
	}
	held := a.most
	var all []*runner
	for _, r := range b.runners {
		if r.verdict.held {
			all = append(all, r)
		}
	}
	began := a.since
	a.suspect, a.since, a.cut, a.spent, a.over = false, now, "", late, b.due.at(now)
	b.meters.doubted(false)
	if late {
		b.events.Tell(history.Event{Type: history.NodeTrusted, Lasted: now.Sub(began), Reason: fmt.Sprintf("for too long: %d verdicts that were held are believed", held)})
		b.log.Warn("this node seems to be cut off itself, for too long: verdicts are believed", "held", held, "for", now.Sub(began).String())
		for _, r := range all {
			b.fell(r, now)
		}
		b.meters.held(0)
		return
	}
	b.events.Tell(history.Event{Type: history.NodeTrusted, Lasted: now.Sub(began), Reason: fmt.Sprintf("%d verdicts that were held are judged anew", held)})
	b.log.Warn("this node is no longer cut off: what was held is judged anew", "held", held, "for", now.Sub(began).String())
	for i, r := range all {
		b.release(r)
		r.verdict.streak = 0
		if r.index >= 0 {
			b.due.remove(r)
			r.due = b.due.at(now) + spaced(i, firstBurst)
			b.due.add(r)
		}
	}
	b.meters.held(0)
}

// recount counts anew what a plan has left of what was held.
func (b *Board) recount() {
	a := &b.aware
	a.held, a.round.left = 0, 0
	a.groups = [groupings][][]int32{}
	before := a.stances
	a.stances = make([]stance, len(b.runners))
	for i, r := range b.runners {
		if r.number >= 0 {
			a.stances[i] = before[r.number]
		}
		r.number = int32(i)
	}
	b.relearn()
	for _, r := range b.runners {
		if r.verdict.held {
			a.held++
		}
		if r.is(markAsked) {
			a.round.left++
		}
	}
	gone := func(r *runner) bool { return r.is(markGone) }
	a.waiting = slices.DeleteFunc(a.waiting, gone)
	a.round.asked = slices.DeleteFunc(a.round.asked, gone)
	if a.next != nil && a.next.is(markGone) {
		// The others that wait for that round still do.
		if a.next = nil; len(a.waiting) > 0 {
			a.next = a.waiting[0]
		}
	}
}

func percent(share float64) string { return fmt.Sprintf("%.0f%%", share*100) }
