package table

import (
	"slices"

	"github.com/rhumb-dns/rhumb/steer"
)

// Link is a chain of filters, and what it goes by.
type Link struct {
	Filters []steer.Filter
	// Wants is, for each filter, how many candidates matter behind it; 0 is all.
	// WantsAll is that for answers that have every endpoint that the chain keeps.
	Wants, WantsAll []int
	Needs           steer.Needs
	// Chances is where chance, or the client's subnet, first has a say.
	Chances int
	// Choice is Chances, or where there are none the limits that the chain ends in: who
	// is to have less than their share are thinned there.
	Choice int
	// ByWeight says that chances are in proportion to weight.
	ByWeight bool
	// Rest is the chain from there on, as text: two that end alike decide alike when
	// they have the same candidates there.
	Rest string
	// Tails are, when the filter at Chances is a First in which places have a say
	// as well, what there is to do in place of it and of all that follows.
	Tails []Tail
	// Settles says that places have a say, and none behind Chances but in Tails.
	Settles bool
}

// Tail is one of the chains of a First.
type Tail struct {
	Within *Link // the chain itself: the first one that keeps anything is followed
	Link   *Link // that chain and what comes behind the First
}

// linkOf is the Link of a chain that ends in so many answers. Idle says that some
// endpoint has no weight.
func linkOf(chain []steer.Filter, answers int, idle bool) *Link {
	l := &Link{Filters: chain, Wants: steer.Wants(chain, answers), WantsAll: steer.Wants(chain, 0), Chances: len(chain)}
	for i, f := range chain {
		needs := f.Needs()
		l.Needs |= needs
		if needs&(steer.Chance|steer.Subnets) != 0 {
			l.Chances = min(l.Chances, i)
		}
	}
	l.Choice = steer.Choice(chain)
	for _, f := range chain[l.Choice:] {
		l.Rest += f.String() + ";"
	}
	l.ByWeight = within(chain, func(f steer.Filter) bool {
		switch f.(type) {
		case steer.Weighted, *steer.Balanced, *steer.Sticky:
			return true
		}
		return false
	})
	if l.Needs&steer.Places == 0 {
		return l
	}
	l.Settles = !l.wavers(idle)
	for i := l.Chances; i < len(chain); i++ {
		l.Settles = l.Settles && chain[i].Needs()&steer.Places == 0
	}
	if l.Settles || l.Chances == len(chain) {
		return l
	}
	first, ok := chain[l.Chances].(*steer.First)
	if !ok {
		return l
	}
	settles := true
	for _, within := range first.Chains() {
		t := Tail{
			Within: linkOf(within, 0, idle),
			Link:   linkOf(slices.Concat(within, chain[l.Chances+1:]), answers, idle),
		}
		settles = settles && !t.Within.wavers(idle) && !t.Link.wavers(idle) && (t.Link.Settles || t.Link.Needs&steer.Places == 0)
		l.Tails = append(l.Tails, t)
	}
	if l.Settles = settles; !settles {
		l.Tails = nil
	}
	return l
}

// wavers is whether chance may leave the chain nothing although it left something
// another time.
func (l *Link) wavers(idle bool) bool {
	return wavers(l.Filters[l.Chances:], l.Needs&steer.Weights == 0, idle)
}

// wavers is that of filters, of which some may be given only a part of what there
// is: what chance has cut.
func wavers(filters []steer.Filter, cut, idle bool) bool {
	for _, f := range filters {
		switch f := f.(type) {
		case steer.Tags:
			if cut {
				return true
			}
		case steer.Weighted, *steer.Balanced, *steer.Sticky:
			if cut && idle {
				return true
			}
		case *steer.Geofence:
			if cut && f.Strict {
				return true
			}
		case *steer.First:
			for _, chain := range f.Chains() {
				if wavers(chain, cut, idle) {
					return true
				}
			}
			cut = cut || f.Needs()&steer.Chance != 0
		case *steer.Shed:
			cut = cut || f.Thins
		case *steer.Spill, steer.Limit:
			cut = true
		}
	}
	return false
}

// idle is whether some member has no weight.
func (p *Plan) idle() (found bool) {
	p.each(func(ms *Members) {
		for i := range ms.Candidates {
			found = found || ms.Candidates[i].Weight == 0
		}
	})
	return found
}

// within is whether a chain has some filter of a kind, be it in a First.
func within(chain []steer.Filter, is func(steer.Filter) bool) bool {
	return slices.ContainsFunc(chain, func(f steer.Filter) bool {
		first, ok := f.(*steer.First)
		return is(f) || ok && slices.ContainsFunc(first.Chains(), func(chain []steer.Filter) bool { return within(chain, is) })
	})
}

func rotates(f steer.Filter) bool { _, ok := f.(steer.Rotate); return ok }

// weigh notes what the plan goes by, its own chain and what is nested.
func (p *Plan) weigh() {
	p.Needs = p.Link.Needs
	settles := p.Link.Settles || p.Needs&steer.Places == 0
	for _, n := range p.Nested {
		if n != nil {
			p.Inner |= n.Plan.Needs
			p.Alternates = p.Alternates || n.Plan.Rotates && within(p.Chain, rotates)
			settles = settles && n.Plan.Needs&(steer.Chance|steer.Subnets) == 0
		}
	}
	p.Needs |= p.Inner
	p.Settles = settles && p.Needs&steer.Places != 0
}

// Placed are the filters that go by the client's place, those of what is nested
// among them.
func (p *Plan) Placed() []steer.Placed {
	var out []steer.Placed
	for _, f := range p.Chain {
		if pl, ok := f.(steer.Placed); ok && f.Needs()&steer.Places != 0 {
			out = append(out, pl)
		}
	}
	for _, n := range p.Nested {
		if n != nil {
			out = append(out, n.Plan.Placed()...)
		}
	}
	return out
}

// Needs is what the plans of the table go by, all together.
func (t *Table) Needs() (all steer.Needs) {
	for _, p := range t.Plans {
		if p != nil {
			all |= p.Needs
		}
	}
	return all
}
