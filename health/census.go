package health

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/rhumb-dns/rhumb/spec"
)

// stance is what is known of a probe when all are counted. They lie side by side, by
// Board.runners: a count goes through all of them while everybody waits, and a look at
// each runner would be a cache miss.
type stance struct {
	round uint16 // in which the last result was begun, if that was the last one when it came
	doubt uint16 // the last round when it came to be one failure from its verdict
	is    bearing
	own   bool // it is aimed at this machine itself
	asked bool // it is in the round, and its result is not there: nobody knows
	among bool // it was in the last round
}

// bearing is what the last result of a probe says of this node.
type bearing uint8

const (
	saysNothing bearing = iota // there is none, or it was down before and is silent
	isSilent
	passes // which proves nothing
	proves // that the network between works
)

// doubt is the round when a probe last came to be one failure from its verdict.
func (b *Board) doubt(r *runner) *uint16 { return &b.aware.stances[r.number].doubt }

// jot notes where a probe stands.
func (b *Board) jot(r *runner) {
	s, scripted := &b.aware.stances[r.number], r.check.Type.Scripted()
	s.asked, s.among, s.is = r.is(markAsked), r.is(markSample), saysNothing
	switch {
	case r.report != nil || r.runs == 0:
	case r.is(markQuiet):
		if r.verdict.state == Up {
			s.is = isSilent
		}
	case r.is(markProves), scripted && b.aware.slack && r.verdict.state == Up:
		s.is = proves
	case r.verdict.state == Up:
		s.is = passes
	}
}

// relearn finds out which probes are aimed at this machine itself, and where all stand.
func (b *Board) relearn() {
	a := &b.aware
	a.slack = true
	for i, r := range b.runners {
		s := &a.stances[i]
		s.own = a.own.has(r.aim.Addr)
		a.slack = a.slack && (s.own || r.report != nil || !r.prompt())
	}
	for _, r := range b.runners {
		b.jot(r)
	}
}

// prompt is whether a probe is one to be asked in a round: it proves something, soon.
// Others are asked only where there is none.
func (r *runner) prompt() bool {
	return r.report == nil && !r.check.Type.Scripted() && r.check.Timeout <= maxOpinion
}

// census is how many probes are silent, and how many have answered since the round
// began. Of the others, which were well when they were last heard of, a round tells by
// some of them how many still are: it asks none that is known to be silent.
type census struct {
	silent, answered, others int
	among, heard             int // those that the round asked, and those of them that have answered
}

func (c *census) add(s *stance, round uint16) {
	if s.among {
		c.among++
	}
	switch {
	case s.asked, s.is == isSilent:
		c.silent++
	case s.is == proves && s.round == round:
		c.answered++
		if s.among {
			c.heard++
		}
	case s.is == proves || s.is == passes:
		c.others++
	}
}

// addNew is add for what has been said since the round began alone.
func (c *census) addNew(s *stance, round uint16) {
	switch {
	case s.round != round:
	case s.is == isSilent:
		c.silent++
	case s.is == proves:
		c.answered++
	}
}

// works is the share that have answered of those that the round has asked.
func (c *census) works() float64 {
	if c.among == 0 {
		return 0
	}
	return float64(c.heard) / float64(c.among)
}

// share is the share that is silent, when that part of the others is well.
func (c *census) share(well float64) float64 {
	all := c.silent + c.answered + c.others
	if all == 0 {
		return 0
	}
	return (float64(c.silent) + (1-well)*float64(c.others)) / float64(all)
}

// census counts all probes but those of this machine itself, which say nothing of its
// network; those too where there are no others.
func (b *Board) census() census { return b.sum((*census).add) }

// news is a census of what has been said since the round began.
func (b *Board) news() census { return b.sum((*census).addNew) }

func (b *Board) sum(add func(*census, *stance, uint16)) census {
	a := &b.aware
	var far, near census
	for i := range a.stances {
		if s := &a.stances[i]; s.own {
			add(&near, s, a.round.number)
		} else {
			add(&far, s, a.round.number)
		}
	}
	if far.silent+far.answered+far.others == 0 {
		return near
	}
	return far
}

// spread is the lowest share of silence there is when not every probe counts the
// same but every place, every pool, or every network of endpoints: a site is one
// site, however many endpoints it has. Where the round has asked nobody, what it has
// found out of all is taken.
func (b *Board) spread(all *census) float64 {
	return b.lowest((*census).add, func(c *census) float64 {
		if c.among > 0 {
			return c.share(c.works())
		}
		return c.share(all.works())
	})
}

// spreadNews is spread of what has been said since the round began.
func (b *Board) spreadNews() float64 {
	return b.lowest((*census).addNew, func(c *census) float64 { return c.share(0) })
}

func (b *Board) lowest(add func(*census, *stance, uint16), share func(*census) float64) float64 {
	b.group()
	a, lowest := &b.aware, 1.0
	for _, groups := range a.groups {
		sum, n := 0.0, 0
		for _, group := range groups {
			var c census
			for _, i := range group {
				if s := &a.stances[i]; !s.own {
					add(&c, s, a.round.number)
				}
			}
			if c.silent+c.answered+c.others > 0 {
				sum += share(&c)
				n++
			}
		}
		if n > 0 {
			lowest = min(lowest, sum/float64(n))
		}
	}
	return lowest
}

// severally is whether those that are silent are at more than one site, as far as that
// is known: in several networks, and at several places if all of them state theirs. One
// site that is dead is what checks are for, also where there is no other that could
// answer.
func (b *Board) severally() bool {
	b.group()
	silent := func(groups [][]int32) (n int) {
		for _, group := range groups {
			if slices.ContainsFunc(group, func(i int32) bool {
				s := &b.aware.stances[i]
				return !s.own && (s.asked || s.is == isSilent)
			}) {
				n++
			}
		}
		return n
	}
	return silent(b.aware.groups[ofNetwork]) > 1 && (b.aware.placeless || silent(b.aware.groups[ofPlace]) > 1)
}

// quiet are some addresses of probes that are silent, or have been since the round
// began; of this machine's own where there are no others.
func (b *Board) quiet(lately bool) []netip.Addr {
	var some [2][]netip.Addr // far and near
	var seen [2]int
	for i := range b.aware.stances {
		s := &b.aware.stances[i]
		if s.is != isSilent || lately && s.round != b.aware.round.number {
			continue
		}
		at := 0
		if s.own {
			at = 1
		}
		// Any of them alike (reservoir sampling): the first ones may be of one site.
		seen[at]++
		k := rand.IntN(seen[at])
		if len(some[at]) == 2*opinions && k >= 2*opinions {
			continue
		}
		switch addr := b.runners[i].aim.Addr; {
		case !addr.IsValid():
		case len(some[at]) < 2*opinions:
			some[at] = append(some[at], addr)
		default:
			some[at][k] = addr
		}
	}
	if len(some[0]) == 0 {
		return some[1]
	}
	return some[0]
}

// group finds out which probes are of one place, of one pool and of one network.
func (b *Board) group() {
	if b.aware.groups[ofNetwork] != nil {
		return
	}
	b.aware.placeless = false
	const nowhere = 0
	type seat struct{ place, pool int }
	type key struct {
		addr netip.Addr
		host string
	}
	places, pools := map[string]int{placeOf(&spec.Place{}): nowhere}, 0
	stated := map[*spec.Place]int{} // many endpoints state none of their own
	of := make(map[key][]seat, len(b.runners))
	for _, p := range b.pools {
		if p.Nested != nil {
			continue // its endpoints are those of others
		}
		for i := range p.Endpoints {
			e := &p.Endpoints[i]
			at := cmp.Or(e.Place, &p.Place)
			place, known := stated[at]
			if !known {
				name := placeOf(at)
				if place, known = places[name]; !known {
					place = len(places)
					places[name] = place
				}
				stated[at] = place
			}
			b.aware.placeless = b.aware.placeless || place == nowhere && len(e.Checks) > 0
			who := key{addr: e.Address}
			if e.Host != "" {
				who.host = e.String()
			}
			of[who] = append(of[who], seat{place, pools})
		}
		pools++
	}
	byPlace, byPool, byNetwork := make([][]int32, len(places)), make([][]int32, pools), [][]int32{}
	networks := map[key]int{}
	for i, r := range b.runners {
		if r.report != nil {
			continue
		}
		at := key{r.aim.Addr, r.aim.Host}
		if at.addr.IsValid() {
			at.host = ""
		}
		for _, s := range of[at] {
			byPlace[s.place] = append(byPlace[s.place], int32(i))
			byPool[s.pool] = append(byPool[s.pool], int32(i))
		}
		at.addr = networkOf(at.addr)
		n, known := networks[at]
		if !known {
			n = len(byNetwork)
			networks[at] = n
			byNetwork = append(byNetwork, nil)
		}
		byNetwork[n] = append(byNetwork[n], int32(i))
	}
	empty := func(group []int32) bool { return len(group) == 0 }
	b.aware.groups = [groupings][][]int32{slices.DeleteFunc(byPlace, empty), slices.DeleteFunc(byPool, empty), byNetwork}
}

// placeOf is a place in a word; endpoints that state none are in one.
func placeOf(p *spec.Place) string {
	words := *p
	words.At = nil
	s := fmt.Sprint(words)
	if p.At != nil {
		s += fmt.Sprint(*p.At)
	}
	return s
}

// networkOf is the first address of the network that an address is of: those of 24
// bits of IPv4 and of 48 of IPv6 are at one site more often than not.
func networkOf(a netip.Addr) netip.Addr {
	if !a.IsValid() {
		return a
	}
	a = a.Unmap().WithZone("")
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, _ := a.Prefix(bits) // fewer bits than an address has
	return p.Addr()
}
