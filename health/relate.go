package health

import (
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/yield"
)

// word is how an endpoint is in one word of the history.
func (d *Detail) word() string {
	switch {
	case d.State == Down:
		return history.Down
	case d.State == Unknown:
		return history.Unknown
	case d.Cause != NotDegraded:
		return history.Degraded
	}
	return history.Up
}

// saidOf is what the history was told last of a target that is not up, and when.
type saidOf struct {
	state string
	share uint16 // of its traffic that it was left, of Whole, when it is degraded
	at    time.Time
}

// Of a target that stays degraded it is told when its share has moved by shareStep from
// what was told: at once when it has sunk, and when it has risen no sooner than shareGap
// after that, if it is so then: one that flaps between shares is told to have risen once
// within shareGap, and to have sunk as often as it has shares at most.
const (
	shareStep = Whole / 10
	shareGap  = time.Minute
	shareLook = time.Second // how often it is looked for those that have risen
)

// restates is whether the share of target i, which stays degraded, is to be told; if not
// now, then perhaps later.
func (b *Board) restates(i int, told *saidOf, share uint16, at time.Time) bool {
	moved := int(share) - int(told.share)
	if due := told.at.Add(shareGap); moved >= shareStep && at.Before(due) {
		b.unsaid[i] = due
		return false
	}
	return moved >= shareStep || moved <= -shareStep
}

// relateLater tells the shares that were to be told later, and says when it is to be
// called again.
func (b *Board) relateLater(now time.Time) time.Duration {
	if len(b.unsaid) == 0 {
		return forever
	}
	if wait := b.unsaidLook.Sub(now); wait > 0 {
		return wait
	}
	b.unsaidLook = now.Add(shareLook)
	v, done := b.view.Load(), 0
	for i, due := range b.unsaid {
		if !due.After(now) {
			d := v.Judged(i)
			delete(b.unsaid, i)
			b.relate(i, &d, &d)
			if done++; done%few == 0 {
				yield.Thread()
			}
		}
	}
	return shareLook
}

// relate tells the history that a target is another than it was. That an endpoint is
// up is told when something else was told before: that all are up after a start is
// no news, and of as many words as there are endpoints.
func (b *Board) relate(i int, was, now *Detail) {
	if b.events == nil {
		return
	}
	before, state := was.word(), now.word()
	if before == state && was.Share == now.Share && len(b.troubled) == 0 {
		return
	}
	key := b.inTrouble(i)
	at := time.Now()
	told, trouble := b.troubled[key]
	if !trouble {
		told = saidOf{state: before, share: was.Share}
	}
	delete(b.unsaid, i)
	switch {
	case told.state == state && (state != history.Degraded || !b.restates(i, &told, now.Share, at)),
		!trouble && before == history.Unknown && state == history.Up:
		return
	case state == history.Up:
		delete(b.troubled, key)
	default:
		b.troubled[key] = saidOf{state, now.Share, at}
	}
	since := was.Since
	if trouble { // since it was told: what made it degraded may be older
		before, since = told.state, told.at
	}
	e := history.Event{
		At: at, Type: state, Endpoint: b.targets[i].String(), Host: b.targets[i].host(), State: state, Was: before, Reason: now.Reason,
		Judged: b.targets[i].judged(),
	}
	if state == history.Degraded {
		e.Share = float64(now.Share) / Whole
	}
	if !since.IsZero() {
		e.Lasted = at.Sub(since)
	}
	e.Check, e.Class = b.blame(i, now)
	b.events.Tell(e)
}

// inTrouble is what a target is known by over reloads: its endpoint and its checks, and
// behind a zero what pools and endpoints have stated in place of some of their keys.
func (b *Board) inTrouble(i int) string {
	t := &b.targets[i]
	var s, variants strings.Builder
	s.WriteString(t.String())
	for _, c := range t.Checks {
		s.WriteString("\n" + c.Name + "\n" + c.Host)
		variants.WriteString("\x00" + c.Variant)
	}
	return s.String() + variants.String()
}

// judged is JudgedBy of a target.
func (t *Target) judged() string {
	checks := make([]*spec.Check, len(t.Checks))
	for i, c := range t.Checks {
		checks[i] = c.Check
	}
	return JudgedBy(checks)
}

// JudgedBy is what events of an endpoint with these checks have as Judged. It is
// not empty, also where there are none.
func JudgedBy(checks []*spec.Check) string {
	var s strings.Builder
	for _, c := range checks {
		s.WriteString(c.Name + " " + c.Variant + "\n")
	}
	return s.String() + "."
}

// host is what the checks of a target ask for, where that is the name of a service.
func (t *Target) host() string {
	for _, c := range t.Checks {
		if c.Check.Host == "" && c.Host != "" {
			return c.Host
		}
	}
	return ""
}

// blame is the check that made a target what it is, and the class of its last failure.
func (b *Board) blame(i int, d *Detail) (check, class string) {
	rs := b.onTarget[i]
	all := rs
	for _, c := range b.targets[i].Checks {
		v := verdictOn(c.Check, &rs)
		decides := d.Cause == NotDegraded && !c.OnlyDegrades && v.state == d.State && v.since.Equal(d.Since)
		if d.Cause == ByCheck {
			decides = c.OnlyDegrades && v.state == Down && v.since.Equal(d.Since)
		} else if d.Cause != NotDegraded {
			decides = v.degraded() && v.level.since.Equal(d.Since)
		}
		if !decides {
			continue
		}
		for _, r := range all[:len(all)-len(rs)] { // of a calculated check, that which failed last
			if r.verdict.state == Down && r.runs > 0 && !r.last.ok() {
				class = string(b.result(&r.last).Class)
			}
		}
		return c.Name, class
	}
	return "", ""
}

// relateDirty tells what has not been published yet, while it is known of what.
func (b *Board) relateDirty() {
	v := b.view.Load()
	for i := range b.dirty {
		d, was := b.detail(i), v.Judged(i)
		b.relate(i, &was, &d)
	}
}

// relateAnew tells what other checks make of endpoints that were not up, and forgets
// those that are configured no longer.
func (b *Board) relateAnew(v *View) {
	clear(b.unsaid)
	if len(b.troubled) == 0 {
		return
	}
	before := b.troubled
	b.troubled = map[string]saidOf{}
	moved := map[string]saidOf{} // endpoints that were not up by checks that they have no longer
	for key, told := range before {
		endpoint, _, _ := strings.Cut(key, "\n")
		moved[endpoint] = told
	}
	keys := map[int]string{}
	for i, rs := range b.onTarget {
		endpoint := b.targets[i].String()
		if _, ok := moved[endpoint]; !ok || rs == nil {
			continue
		}
		keys[i] = b.inTrouble(i)
		if told, ok := before[keys[i]]; ok {
			b.troubled[keys[i]] = told
			delete(before, keys[i])
		}
	}
	varied := map[string]saidOf{} // those that were not up by variants of their checks that are others now
	for key, told := range before {
		checks, _, _ := strings.Cut(key, "\x00")
		varied[checks] = told
	}
	for _, key := range keys {
		checks, _, _ := strings.Cut(key, "\x00")
		if told, ok := varied[checks]; ok {
			if _, known := b.troubled[key]; !known {
				b.troubled[key] = told
			}
		}
	}
	for key := range b.troubled {
		endpoint, _, _ := strings.Cut(key, "\n")
		delete(moved, endpoint)
	}
	for i, key := range keys {
		if told, ok := moved[b.targets[i].String()]; ok {
			b.troubled[key] = told
		}
		d := v.Judged(i)
		// What is not known yet is told when it is.
		if d.State != Unknown {
			b.relate(i, &d, &d)
		}
	}
}

// event is an operator's word as the history has it.
func (o *Overriding) event() history.Event {
	e := history.Event{
		Type: history.OverrideSet, Service: o.Service, Endpoint: o.Endpoint, State: o.state().String(), Reason: o.Reason, Who: o.Source,
	}
	if o.Drain {
		e.Type = history.DrainSet
	}
	return e
}

// tellOf tells the history of each endpoint that a maintenance selects.
func (b *Board) tellOf(kind string, m *Maintenance, endpoints []string, who string) {
	for _, endpoint := range endpoints {
		b.events.Tell(history.Event{Type: kind, Endpoint: endpoint, On: m.ID, Reason: m.Reason, Who: who})
	}
}
