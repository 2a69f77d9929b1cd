package zone

import (
	"math/rand/v2"
	"testing"
)

// gridAgrees plays with a grid and a map: values come and go as choose says, which
// gives numbers below its argument, and the grid grows. Hashes are spread, or lie where
// groups and pages meet, so that what has no room in a group is behind it.
func gridAgrees(t *testing.T, pages, steps int, choose func(n int) int) {
	t.Helper()
	edges, salt := choose(3) == 0, uint32(choose(1<<16))
	hashOf := func(v uint32) uint32 {
		h := (v + salt) * 0x9e3779b1
		h ^= h >> 15
		h *= 0x85ebca77
		if edges && h%4 > 0 { // just below a sixteenth of all, or the end
			h = h&0xf000_0000 | 0x0fff_ffff - h>>4&0x1ffff
		}
		return h
	}
	find := func(g *grid[uint32], v uint32) (at uint64, ok bool) {
		for at = g.home(hashOf(v)); g.slot(at) != 0; at = g.next(at) {
			if g.slot(at) == v {
				return at, true
			}
		}
		return 0, false
	}
	check := func(g *grid[uint32], want map[uint32]bool) {
		t.Helper()
		for v := range want {
			if _, ok := find(g, v); !ok {
				t.Fatalf("%d is not found in %d pages, %d groups of %d, of which %d have grown", v, len(g.pages), g.groups, g.each, g.grown)
			}
		}
		n := 0
		for _, p := range g.pages {
			for _, v := range p {
				if v != 0 {
					n++
				}
			}
		}
		if n != len(want) || len(g.pages) != g.groups*g.each+g.grown || len(g.ours) != len(g.pages) {
			t.Fatalf("%d values of %d, in %d pages, %d groups of %d, of which %d have grown", n, len(want), len(g.pages), g.groups, g.each, g.grown)
		}
		last := uint64(0)
		for h := uint64(0); h < 1<<32; h += 1<<20 - 1 {
			at := g.home(uint32(h))
			if at < last || at >= g.size() {
				t.Fatalf("a search for %#x begins at %d of %d, and one for less at %d", h, at, g.size(), last)
			}
			last = at
		}
	}
	g := gridOf[uint32](pages)
	now, next := map[uint32]bool{}, uint32(1)
	var old grid[uint32]
	var had map[uint32]bool
	for step := range steps {
		for range choose(600) {
			for 4*uint64(len(now)+1) > 3*g.size() {
				g.grow(hashOf)
			}
			g.place(hashOf(next), next)
			now[next] = true
			next++
		}
		for range choose(200) {
			v := uint32(choose(int(next)))
			if at, ok := find(&g, v); ok != now[v] {
				t.Fatalf("%d is there: %v", v, ok)
			} else if ok {
				g.take(at, hashOf)
				delete(now, v)
			}
		}
		if choose(8) == 0 {
			g.grow(hashOf)
		}
		if step%16 == 15 {
			check(&g, now)
			if had != nil {
				check(&old, had)
			}
			old, had = g, map[uint32]bool{}
			for v := range now {
				had[v] = true
			}
			g = old.branch()
		}
	}
}

func TestGrid(t *testing.T) {
	for seed := range rounds(uint64(20)) {
		r := rand.New(rand.NewPCG(seed, 4))
		gridAgrees(t, 1+r.IntN(40), 100, r.IntN)
	}
}

func FuzzGrid(f *testing.F) {
	f.Add([]byte("values come and go, and groups grow"))
	f.Fuzz(func(t *testing.T, b []byte) {
		gridAgrees(t, 1+len(b)%40, min(len(b), 100), func(n int) int {
			if len(b) == 0 {
				return 0
			}
			c := int(b[0])
			b = b[1:]
			return c * 7919 % n
		})
	})
}

// A grid costs no more to grow when it is large.
func TestGridGrowsByAFewPages(t *testing.T) {
	hashOf := func(v uint32) uint32 { return v * 0x9e3779b1 }
	g := gridOf[uint32](1)
	for v := uint32(1); v < 200_000; v++ {
		if 4*uint64(v) > 3*g.size() {
			g = g.branch()
			before := len(g.pages)
			g.grow(hashOf)
			ours := 0
			for _, own := range g.ours {
				if own {
					ours++
				}
			}
			if len(g.pages) != before+1 || ours > 2*leastGroup+1 { // and the page behind them
				t.Fatalf("%d pages became %d, and %d of them are others", before, len(g.pages), ours)
			}
		}
		g.place(hashOf(v), v)
	}
	if len(g.pages) < 100 {
		t.Errorf("%d pages", len(g.pages))
	}
}
