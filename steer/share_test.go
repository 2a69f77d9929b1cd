package steer

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// shared gives candidates weights and shares.
func shared(weights []uint32, shares []uint16) []Candidate {
	s := set(len(shares))
	for i := range s {
		s[i].Share = shares[i]
		if weights != nil {
			s[i].Weight = weights[i]
		}
	}
	return s
}

// TestChanceOfShares holds the filters that draw to weight times share.
func TestChanceOfShares(t *testing.T) {
	const draws = 60_000
	for _, c := range []struct {
		name    string
		filter  Filter
		weights []uint32
		shares  []uint16
		want    int
		chances []uint32 // what the orders are as if drawn by
	}{
		{"weighted", Weighted{}, []uint32{10, 20, 30}, []uint16{512, 1024, 0}, 0, []uint32{5, 20, 0}},
		{"weighted one", Weighted{}, []uint32{10, 20, 30, 0}, []uint16{1024, 256, 512, 1024}, 1, []uint32{10, 5, 15, 0}},
		{"weighted, nobody to have any", Weighted{}, []uint32{10, 30, 0}, []uint16{0, 0, 1024}, 0, []uint32{10, 30, 0}},
		{"shuffle", Shuffle{}, nil, []uint16{512, 1024, 256}, 0, []uint32{2, 4, 1}},
		{"shuffle one", Shuffle{}, nil, []uint16{512, 1024, 0, 1024}, 1, []uint32{1, 2, 0, 2}},
		{"shuffle of small shares", Shuffle{}, nil, []uint16{1, 2, 0}, 0, []uint32{1, 2, 0}},
		{"shuffle two, one at a time", Shuffle{}, nil, []uint16{1, 1024, 1}, 2, []uint32{1, 1024, 1}},
		{"shuffle, nobody to have any", Shuffle{}, nil, []uint16{0, 0}, 0, []uint32{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.want
			if want == 0 {
				want = len(c.shares)
			}
			q := rnd(5)
			q.Want = c.want
			counts := map[string]int{}
			for range draws {
				counts[key(c.filter.Apply(q, shared(c.weights, c.shares)))]++
			}
			chances := orders(c.chances, want)
			for k, p := range chances { // too rare to be counted
				if p*draws < 5 {
					delete(chances, k)
					delete(counts, k)
				}
			}
			chiSquare(t, c.name, counts, chances, draws)
		})
	}
}

func TestThin(t *testing.T) {
	const draws = 60_000
	q := rnd(3)
	counts := map[string]int{}
	for range draws {
		counts[key(Thin(q, shared(nil, []uint16{1024, 256, 512})))]++
	}
	chiSquare(t, "thin", counts, map[string]float64{"a": 0.375, "ab": 0.125, "ac": 0.375, "abc": 0.125}, draws)
	if got := Thin(q, shared(nil, []uint16{0, 0})); len(got) != 2 {
		t.Errorf("of two that are to have nothing %v is left", got)
	}
	if got := Thin(q, nil); len(got) != 0 {
		t.Error("something of nothing")
	}
}

func TestSpill(t *testing.T) {
	const draws = 60_000
	// Tiers of 4, 2 and 1 endpoints, by pool and in the second by priority.
	tiers := func(left ...uint32) []Candidate {
		var s []Candidate
		for _, i := range left {
			c := Candidate{Index: i, Member: i, Weight: 1, Share: Whole}
			switch {
			case i >= 6:
				c.Pool, c.Priority = 1, 5
			case i >= 4:
				c.Pool = 1
			}
			s = append(s, c)
		}
		return s
	}
	mates := []uint32{4, 4, 4, 4, 2, 2, 1}
	for _, c := range []struct {
		name   string
		filter Spill
		set    []Candidate
		want   map[string]float64
	}{
		{"enough", Spill{Least: 50, Percent: true, Most: 100}, tiers(0, 1, 4, 5, 6), map[string]float64{"ab": 1}},
		{"half", Spill{Least: 50, Percent: true, Most: 100}, tiers(0, 4, 5, 6), map[string]float64{"a": 0.5, "ef": 0.5}},
		{"a quarter, at most a half goes on", Spill{Least: 4, Most: 50}, tiers(0, 4, 5), map[string]float64{"a": 0.5 / 0.75, "ef": 0.25 / 0.75}},
		{"in three", Spill{Least: 100, Percent: true, Most: 100}, tiers(0, 4, 6), map[string]float64{"a": 0.25, "e": 0.375, "g": 0.375}},
		{"not enough anywhere", Spill{Least: 100, Percent: true, Most: 100}, tiers(0, 4), map[string]float64{"a": 0.4, "e": 0.6}},
		{"alone", Spill{Least: 100, Percent: true, Most: 100}, tiers(0), map[string]float64{"a": 1}},
		{"alone in its tier", Spill{Least: 100, Percent: true, Most: 100}, tiers(0, 1), map[string]float64{"ab": 1}},
		{"the first is down", Spill{Least: 100, Percent: true, Most: 100}, tiers(4, 5, 6), map[string]float64{"ef": 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.filter.Mates = mates
			q := rnd(11)
			counts := map[string]int{}
			for range draws {
				counts[key(c.filter.Apply(q, slices.Clone(c.set)))]++
			}
			if c.filter.Why(q, c.set) == "" {
				t.Error("says nothing")
			}
			if len(c.want) == 1 {
				for k := range c.want {
					if counts[k] != draws {
						t.Errorf("%v", counts)
					}
				}
				return
			}
			chiSquare(t, c.name, counts, c.want, draws)
		})
	}
	none := tiers(0, 4)
	none[0].Share, none[1].Share = 0, 0
	if got := key((&Spill{Least: 2, Most: 100, Mates: mates}).Apply(rnd(1), none)); got != "a" {
		t.Errorf("of tiers that are to have nothing %q serves", got)
	}
	// Half a share is half an endpoint.
	s := tiers(0, 1, 4)
	s[0].Share = 0
	f := Spill{Least: 2, Most: 100, Mates: mates}
	counts := map[string]int{}
	q := rnd(12)
	for range draws {
		counts[key(f.Apply(q, slices.Clone(s)))]++
	}
	chiSquare(t, "shares", counts, map[string]float64{"ab": 0.5 / 0.75, "e": 0.25 / 0.75}, draws)
}

// network is the k-th of many client networks.
func network(k int) uint64 { return rand.NewPCG(uint64(k), 77).Uint64() }

func sticky(n int) *Sticky {
	s := &Sticky{}
	for i := range n {
		s.IDs = append(s.IDs, Identity("192.0.2."+string(rune('0'+i%10))+string(rune('a'+i/10))))
	}
	return s
}

func TestStickyShares(t *testing.T) {
	const networks = 60_000
	for _, c := range []struct {
		name   string
		w      []uint32
		shares []uint16
		want   int
		as     []uint32
	}{
		{"equal", []uint32{1, 1, 1, 1}, nil, 1, []uint32{1, 1, 1, 1}},
		{"weights", []uint32{10, 0, 20, 70}, nil, 1, []uint32{10, 0, 20, 70}},
		{"seconds", []uint32{10, 0, 20, 70}, nil, 2, []uint32{10, 0, 20, 70}},
		{"all", []uint32{1, 2, 3, 4}, nil, 0, []uint32{1, 2, 3, 4}},
		{"shares", []uint32{10, 10, 20}, []uint16{1024, 512, 256}, 1, []uint32{2, 1, 1}},
		{"some without", []uint32{10, 10, 0}, []uint16{1024, 0, 1024}, 1, []uint32{10, 0, 0}},
		{"nobody to have any", []uint32{10, 30, 0}, []uint16{0, 0, 1024}, 1, []uint32{10, 30, 0}},
		{"many", []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, nil, 1, []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := sticky(len(c.w))
			whole := weights(c.w...)
			for i := range whole {
				if c.shares != nil {
					whole[i].Share = c.shares[i]
				}
			}
			want := c.want
			if want == 0 {
				want = len(c.w)
			}
			q := &Query{Want: c.want}
			counts := map[string]int{}
			for k := range networks {
				q.Subnet = network(k)
				counts[key(f.Apply(q, slices.Clone(whole)))]++
			}
			chances := orders(c.as, want)
			if len(chances) == 1 {
				for k := range chances {
					if counts[k] != networks {
						t.Errorf("%v", counts)
					}
				}
				return
			}
			chiSquare(t, c.name, counts, chances, networks)
		})
	}
}

// TestStickyMoves holds that what becomes of one candidate moves its own clients
// alone, whatever the order in which candidates stand.
func TestStickyMoves(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for round := range 200 {
		n := 2 + r.IntN(20)
		f := sticky(n)
		whole := set(n)
		for i := range whole {
			whole[i].Weight = uint32(1 + r.IntN(300))
		}
		lost := uint32(r.IntN(n))
		for k := range 100 {
			q := &Query{Subnet: network(round*100 + k)}
			order := indexes(f.Apply(q, slices.Clone(whole)))
			if len(order) != n {
				t.Fatalf("%d of %d", len(order), n)
			}
			// Whatever is wanted begins the same.
			shuffled := slices.Clone(whole)
			r.Shuffle(n, func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			q.Want = 1 + r.IntN(n)
			if got := indexes(f.Apply(q, slices.Clone(shuffled))); !slices.Equal(got, order[:q.Want]) {
				t.Fatalf("want %d: %v, the whole order is %v", q.Want, got, order)
			}
			// Without one the order of the others stays.
			left := slices.DeleteFunc(slices.Clone(shuffled), func(c Candidate) bool { return c.Index == lost })
			without := slices.DeleteFunc(slices.Clone(order), func(i uint32) bool { return i == lost })
			q.Want = 0
			if got := indexes(f.Apply(q, left)); !slices.Equal(got, without) {
				t.Fatalf("without %d: %v, want %v", lost, got, without)
			}
			// With more weight it only gains.
			more := slices.Clone(whole)
			more[lost].Weight *= 3
			if got := f.Apply(q, more)[0].Index; got != order[0] && got != lost {
				t.Fatalf("more weight for %d moves a client from %d to %d", lost, order[0], got)
			}
		}
	}
}

// TestExponential compares with the logarithm, at the ends of cells as well.
func TestExponential(t *testing.T) {
	worst, part := 0.0, 0.0
	look := func(x uint64) {
		want := -math.Log(float64(x>>11|1) / (1 << 53))
		diff := math.Abs(exponential(x) - want)
		worst, part = max(worst, diff), max(part, diff/want)
	}
	r := rand.New(rand.NewPCG(8, 8))
	for k := range 200_000 {
		x := r.Uint64() >> (k % 64)
		look(x)
		look(^x)
	}
	for k := range uint64(64) {
		for cell := range uint64(64) {
			x := (64 + cell) << 57 >> k
			look(x)
			look(x - 1)
		}
	}
	look(0)
	look(math.MaxUint64)
	if worst > 0x1p-23 || part > 0x1p-16 {
		t.Errorf("wrong by 2^%.2f, and by 2^%.2f of the logarithm", math.Log2(worst), math.Log2(part))
	}
	if exponential(math.MaxUint64) <= 0 || exponential(0) > 37 {
		t.Error(exponential(math.MaxUint64), exponential(0))
	}
}

// TestDices holds that what three candidates throw for a client has nothing to do
// with each other, whatever the numbers of clients are like.
func TestDices(t *testing.T) {
	const networks = 60_000
	chances := map[string]float64{}
	for _, order := range []string{"abc", "acb", "bac", "bca", "cab", "cba"} {
		chances[order] = 1.0 / 6
	}
	for name, number := range map[string]func(k int) uint64{
		"mixed":   network,
		"counted": func(k int) uint64 { return uint64(k) },
		"upper":   func(k int) uint64 { return uint64(k) << 44 },
	} {
		for round := range 6 {
			f := &Sticky{}
			for i := range 3 {
				f.IDs = append(f.IDs, Identity(fmt.Sprintf("10.%d.0.%d", round, i)))
			}
			counts := map[string]int{}
			for k := range networks {
				counts[key(f.Apply(&Query{Subnet: number(k)}, weights(1, 1, 1)))]++
			}
			chiSquare(t, name, counts, chances, networks)
		}
	}
}

func TestStickyDepends(t *testing.T) {
	f := sticky(3)
	for _, c := range []struct {
		w    []uint32
		want bool
	}{{nil, false}, {[]uint32{5}, false}, {[]uint32{0, 5}, false}, {[]uint32{1, 5}, true}} {
		if f.Depends(weights(c.w...)) != c.want {
			t.Errorf("%v: %t", c.w, !c.want)
		}
	}
}

func TestMix(t *testing.T) {
	// Of any one bit of what goes in, about half of what comes out changes.
	for bit := range 64 {
		flips := 0
		for k := range 200 {
			x := network(k)
			for d := mix(x) ^ mix(x^1<<bit); d != 0; d &= d - 1 {
				flips++
			}
		}
		if mean := float64(flips) / 200; math.Abs(mean-32) > 2 {
			t.Errorf("bit %d changes %.1f bits", bit, mean)
		}
	}
}
