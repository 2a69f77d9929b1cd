package health

import (
	"slices"
	"time"
	"unique"

	"github.com/rhumb-dns/rhumb/probe"
)

// pastLen is how many results of a probe are remembered.
const pastLen = 8

// Past is one of the last results of a probe.
type Past struct {
	At       time.Time // when it was there
	OK       bool
	Degraded bool // it passed, and not as it should
	Class    string
	Detail   string
	RTT      time.Duration
}

// ring is the last results of a probe. There are none of probes that have passed
// ever since: of those the last result says all, and there may be a hundred
// thousand of them. Texts are shared among all that say the same.
type ring struct {
	at     [pastLen]int64 // Unix nanoseconds
	detail [pastLen]unique.Handle[string]
	rtt    [pastLen]uint32 // microseconds
	class  [pastLen]uint8  // number in Board.classes, and the bits below
	n      uint8           // how many there are
	next   uint8           // where the next one goes
}

const (
	pastOK       = 0x80
	pastDegraded = 0x40
)

// note remembers a result, once one was not as it should be.
func (b *Board) note(r *runner, res probe.Result, now time.Time) {
	bad := !res.OK || tooSlow(res, r.check, false) || res.Degraded
	if r.past == nil {
		if !bad {
			return
		}
		r.past = &ring{}
		if r.runs > 0 {
			b.put(r.past, b.result(&r.last), r.last.degraded, r.verdict.seen)
		}
	}
	b.put(r.past, res, res.OK && bad, now)
}

func (b *Board) put(p *ring, res probe.Result, degraded bool, at time.Time) {
	i := p.next
	p.at[i], p.rtt[i] = at.UnixNano(), microseconds(res.RTT)
	p.detail[i], p.class[i] = unique.Make(res.Detail), b.classOf(res.Class)
	if res.OK {
		p.class[i] |= pastOK
	}
	if degraded {
		p.class[i] |= pastDegraded
	}
	p.next = (i + 1) % pastLen
	p.n = min(p.n+1, pastLen)
}

// classOf is the number of a class.
func (b *Board) classOf(c probe.Class) uint8 {
	class := slices.Index(b.classes, c)
	if class < 0 && len(b.classes) < pastDegraded {
		b.classes = append(b.classes, c)
		class = len(b.classes) - 1
	}
	return uint8(max(class, 0))
}

// pasts are the last results of a probe, the latest first: the last one alone while
// all have been as they should be.
func (b *Board) pasts(r *runner) []Past {
	p := r.past
	if p == nil {
		if r.runs == 0 {
			return nil
		}
		last := b.result(&r.last)
		return []Past{{At: r.verdict.seen, OK: last.OK, Class: string(last.Class), Detail: last.Detail, RTT: last.RTT}}
	}
	all := make([]Past, 0, p.n)
	for k := range p.n {
		i := (p.next + pastLen - 1 - k) % pastLen
		all = append(all, Past{
			At: time.Unix(0, p.at[i]), OK: p.class[i]&pastOK != 0, Degraded: p.class[i]&pastDegraded != 0,
			Class: string(b.classes[p.class[i]&^(pastOK|pastDegraded)]), Detail: p.detail[i].Value(),
			RTT: time.Duration(p.rtt[i]) * time.Microsecond,
		})
	}
	return all
}

// microseconds are a time in the room that results have for it.
func microseconds(d time.Duration) uint32 { return uint32(min(max(d.Microseconds(), 0), 1<<32-1)) }
