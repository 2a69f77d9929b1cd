package zone

import (
	"math/bits"
	"slices"
)

// grid is the slots of a hash table with open addressing and linear probing. Slots of
// no value are free.
//
// They lie in pages without pointers, which cost the garbage collector nothing. A
// change copies the pages that it touches, and the list of pages: some kilobytes of a
// million names.
//
// It grows by a page at a time, at the cost of fewer than 2*leastGroup pages and not of
// all, since somebody waits: the pages are in groups of one size, but for those that
// have grown, which have a page more, and when all have, it begins again. A search
// begins at the hash as a fraction of 2^32 of the slots, so that names stay in their
// group (linear hashing with partial expansions, P.-Å. Larson, 1980).
type grid[S comparable] struct {
	pages []*slotPage[S]
	// ours says which pages may be changed, while the grid is being made.
	ours []bool

	groups, each, grown int // of each so many pages, and of the first grown ones one more
	// narrow is how many slots there would be if no group had grown, wide if all had, and
	// later is by how many those of the others come later than if none had.
	narrow, wide, later uint64
}

const (
	pageBits   = 11
	leastGroup = 8 // pages; fewer only where all are one group
)

type slotPage[S comparable] [1 << pageBits]S

// gridOf has free slots: so many pages.
func gridOf[S comparable](pages int) grid[S] {
	g := grid[S]{pages: make([]*slotPage[S], pages), ours: make([]bool, pages)}
	for i := range g.pages {
		g.pages[i], g.ours[i] = new(slotPage[S]), true
	}
	g.groups = max(1, pages/leastGroup)
	g.each = pages / g.groups
	g.grown = pages % g.groups
	g.measure()
	return g
}

func (g *grid[S]) measure() {
	g.narrow = uint64(g.groups*g.each) << pageBits
	g.wide = uint64(g.groups*(g.each+1)) << pageBits
	g.later = uint64(g.grown) << pageBits
}

// branch is a grid with the same, which can be changed while this one stays.
func (g *grid[S]) branch() grid[S] {
	b := *g
	b.pages, b.ours = slices.Clone(g.pages), make([]bool, len(g.pages))
	return b
}

// home is the slot where the search for a hash begins: the first of two, which in a
// group that has grown is the wide one. min would be a branch that nobody can foretell.
func (g *grid[S]) home(h uint32) uint64 {
	wide, narrow := uint64(h)*g.wide>>32, uint64(h)*g.narrow>>32+g.later
	before, is := bits.Sub64(wide, narrow, 0)
	return narrow + before&-is
}

func (g *grid[S]) next(at uint64) uint64 {
	if at++; at == g.size() {
		return 0
	}
	return at
}

// size is how many slots there are.
func (g *grid[S]) size() uint64 { return uint64(len(g.pages)) << pageBits }

func (g *grid[S]) slot(at uint64) S { return g.pages[at>>pageBits][at&(1<<pageBits-1)] }

// set sets a slot.
func (g *grid[S]) set(at uint64, s S) {
	i := at >> pageBits
	if !g.ours[i] {
		c := *g.pages[i]
		g.pages[i], g.ours[i] = &c, true
	}
	g.pages[i][at&(1<<pageBits-1)] = s
}

// place puts in what is not there. There is a free slot.
func (g *grid[S]) place(h uint32, s S) {
	var zero S
	at := g.home(h)
	for g.slot(at) != zero {
		at = g.next(at)
	}
	g.set(at, s)
}

// take takes out what is in a slot. It moves back what is behind it and would not be
// found any more (Knuth, volume 3, section 6.4, algorithm R), asking for its whole
// hash.
func (g *grid[S]) take(hole uint64, hashOf func(S) uint32) {
	var zero S
	for at := g.next(hole); ; at = g.next(at) {
		s := g.slot(at)
		if s == zero {
			break
		}
		home := g.home(hashOf(s))
		// Whether the hole lies on the way from home to where it is.
		if hole <= at && (home <= hole || home > at) || hole > at && home <= hole && home > at {
			g.set(hole, s)
			hole = at
		}
	}
	g.set(hole, zero)
}

// grow gives the next group a page more.
func (g *grid[S]) grow(hashOf func(S) uint32) {
	var zero S
	from, to := uint64(g.grown*(g.each+1))<<pageBits, uint64(g.each)<<pageBits
	// What lies in the group, and what is behind it up to a free slot: it may have found
	// no room in the group.
	moved := make([]S, 0, to)
	at := from
	for i := range g.size() {
		s := g.slot(at)
		if s != zero {
			moved = append(moved, s)
		}
		if i >= to {
			if s == zero {
				break
			}
			g.set(at, zero)
		}
		at = g.next(at)
	}
	first := g.grown * (g.each + 1)
	g.pages, g.ours = slices.Insert(g.pages, first, nil), slices.Insert(g.ours, first, true)
	for i := first; i <= first+g.each; i++ {
		g.pages[i], g.ours[i] = new(slotPage[S]), true
	}
	if g.grown++; g.grown == g.groups {
		g.grown, g.each = 0, g.each+1
		if g.each == 2*leastGroup {
			g.groups, g.each = 2*g.groups, leastGroup
		}
	}
	g.measure()
	// All hashes first: a processor then waits for several names at a time.
	hashes := make([]uint32, len(moved))
	for i, s := range moved {
		hashes[i] = hashOf(s)
	}
	for i, s := range moved {
		g.place(hashes[i], s)
	}
}
