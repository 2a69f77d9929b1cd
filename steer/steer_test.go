package steer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rhumb-dns/rhumb/geo"
)

// rnd is a query with fixed seeds.
func rnd(seed uint64) *Query { return &Query{Rand: rand.NewPCG(seed, 2)} }

// set is n candidates of weight 1 with indexes from 0.
func set(n int) []Candidate {
	s := make([]Candidate, n)
	for i := range s {
		s[i] = Candidate{Index: uint32(i), Member: uint32(i), Weight: 1, Share: Whole}
	}
	return s
}

// weights is a candidate for each weight.
func weights(w ...uint32) []Candidate {
	s := set(len(w))
	for i := range s {
		s[i].Weight = w[i]
	}
	return s
}

func indexes(s []Candidate) []uint32 {
	out := []uint32{}
	for _, c := range s {
		out = append(out, c.Index)
	}
	return out
}

func TestChoosing(t *testing.T) {
	ranked := func(pairs ...[2]uint16) []Candidate {
		s := set(len(pairs))
		for i, p := range pairs {
			s[i].Pool, s[i].Priority = p[0], p[1]
		}
		return s
	}
	marked := func(marks ...uint32) []Candidate {
		s := set(len(marks))
		for i, m := range marks {
			s[i].Marks = m
		}
		return s
	}
	for _, c := range []struct {
		name   string
		filter Filter
		set    []Candidate
		want   []uint32
	}{
		{"tier of nothing", Tier{}, nil, []uint32{}},
		{"tier of one", Tier{}, ranked([2]uint16{3, 4}), []uint32{0}},
		{"tier of equals", Tier{}, ranked([2]uint16{1, 0}, [2]uint16{1, 0}), []uint32{0, 1}},
		{"tier takes the first pool", Tier{}, ranked([2]uint16{1, 0}, [2]uint16{0, 9}, [2]uint16{2, 0}, [2]uint16{0, 9}), []uint32{1, 3}},
		{"tier takes the lowest priority", Tier{}, ranked([2]uint16{0, 2}, [2]uint16{0, 1}, [2]uint16{1, 0}, [2]uint16{0, 1}), []uint32{1, 3}},
		{"tier at the ends of the range", Tier{}, ranked([2]uint16{65535, 65535}, [2]uint16{65535, 65534}), []uint32{1}},
		{"tier of the last rank alone", Tier{}, ranked([2]uint16{65535, 65535}), []uint32{0}},
		{"limit of nothing", Limit{2}, nil, []uint32{}},
		{"limit below", Limit{2}, set(3), []uint32{0, 1}},
		{"limit equal", Limit{3}, set(3), []uint32{0, 1, 2}},
		{"limit above", Limit{9}, set(3), []uint32{0, 1, 2}},
		{"tags of nothing", Tags{Mark: 0}, nil, []uint32{}},
		{"tags keep by their own bit", Tags{Mark: 1}, marked(1, 2, 3, 4, 0), []uint32{1, 2}},
		{"tags may keep nothing", Tags{Mark: 5}, marked(1, 2), []uint32{}},
		{"tags have a last bit", Tags{Mark: 31}, marked(1<<31, 1<<30), []uint32{0}},
		{"weighted drops weight 0", Weighted{}, weights(0, 7, 0), []uint32{1}},
		{"weighted may keep nothing", Weighted{}, weights(0, 0), []uint32{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := indexes(c.filter.Apply(rnd(1), c.set)); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestRotate(t *testing.T) {
	for _, c := range []struct {
		n, want int
		seq     uint32
		out     []uint32
	}{
		{0, 0, 5, []uint32{}},
		{1, 0, 5, []uint32{0}},
		{1, 1, 5, []uint32{0}},
		{4, 0, 0, []uint32{0, 1, 2, 3}},
		{4, 0, 1, []uint32{1, 2, 3, 0}},
		{4, 0, 3, []uint32{3, 0, 1, 2}},
		{4, 0, 7, []uint32{3, 0, 1, 2}},
		{4, 2, 2, []uint32{2, 3, 0, 1}},
		{4, 1, 2, []uint32{2}},
		{3, 0, math.MaxUint32, []uint32{0, 1, 2}},
	} {
		q := &Query{Seq: c.seq, Want: c.want}
		if got := indexes(Rotate{}.Apply(q, set(c.n))); !slices.Equal(got, c.out) {
			t.Errorf("%d candidates, want %d, turn %d: got %v, expected %v", c.n, c.want, c.seq, got, c.out)
		}
	}
}

// chiSquare fails when counts are too far from what the chances say: further
// than once in about a million runs, if the seeds were not fixed.
func chiSquare(t *testing.T, what string, counts map[string]int, chances map[string]float64, draws int) {
	t.Helper()
	sum := 0.0
	for k, p := range chances {
		d := float64(counts[k]) - p*float64(draws)
		sum += d * d / (p * float64(draws))
	}
	for k := range counts {
		if chances[k] == 0 {
			t.Errorf("%s: %q cannot happen", what, k)
		}
	}
	free := float64(len(chances) - 1)
	// Wilson and Hilferty: the cube root of chi-square / freedom is nearly normal.
	z := (math.Cbrt(sum/free) - (1 - 2/(9*free))) / math.Sqrt(2/(9*free))
	if z > 4.75 {
		t.Errorf("%s: chi-square %.1f with %v degrees of freedom: %v", what, sum, free, counts)
	}
}

func key(s []Candidate) string {
	b := make([]byte, len(s))
	for i, c := range s {
		b[i] = byte('a' + c.Index)
	}
	return string(b)
}

// orders are the chances of all orders of the first want candidates, each next
// one being drawn with a chance of weight / sum of the weights that are left.
func orders(weights []uint32, want int) map[string]float64 {
	out := map[string]float64{}
	var walk func(prefix string, p float64)
	walk = func(prefix string, p float64) {
		sum := uint32(0)
		for i, w := range weights {
			if !slices.Contains([]byte(prefix), byte('a'+i)) {
				sum += w
			}
		}
		if sum == 0 || len(prefix) == want {
			out[prefix] = p
			return
		}
		for i, w := range weights {
			if w > 0 && !slices.Contains([]byte(prefix), byte('a'+i)) {
				walk(prefix+string(rune('a'+i)), p*float64(w)/float64(sum))
			}
		}
	}
	walk("", 1)
	return out
}

func TestChanceOfOrders(t *testing.T) {
	const draws = 60_000
	for _, c := range []struct {
		name    string
		filter  Filter
		weights []uint32
		want    int
	}{
		{"shuffle all", Shuffle{}, []uint32{1, 1, 1, 1}, 0},
		{"shuffle two", Shuffle{}, []uint32{1, 1, 1, 1, 1}, 2},
		{"shuffle one", Shuffle{}, []uint32{1, 1, 1}, 1},
		{"shuffle more than there are", Shuffle{}, []uint32{1, 1, 1}, 9},
		{"weighted all", Weighted{}, []uint32{1, 2, 3, 4}, 0},
		{"weighted two", Weighted{}, []uint32{10, 0, 20, 70}, 2},
		{"weighted one", Weighted{}, []uint32{1, 0, 2, 97, 0}, 1},
		{"weighted extremes", Weighted{}, []uint32{65535, 65535, 4000}, 0},
		{"weighted many", Weighted{}, []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 30}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := c.want
			if want == 0 || want > len(c.weights) {
				want = len(c.weights)
			}
			q := rnd(7)
			q.Want = c.want
			counts := map[string]int{}
			for range draws {
				counts[key(c.filter.Apply(q, weights(c.weights...)))]++
			}
			chiSquare(t, c.name, counts, orders(c.weights, want), draws)
		})
	}
}

// TestWeightedShares holds the shares to 1% of the weights, of the whole
// traffic, in sets on either side of where the draw goes in strides.
func TestWeightedShares(t *testing.T) {
	const draws = 100_000
	for _, n := range []int{1, 2, 3, 8, 9, 10, 17, 40} {
		w := make([]uint32, n)
		sum := 0.0
		for i := range w {
			w[i] = uint32(i * i % 23 * 10) // some are 0
			if n == 1 {
				w[i] = 1
			}
			sum += float64(w[i])
		}
		q := rnd(uint64(n))
		q.Want = 1
		counts := make([]int, n)
		buf := make([]Candidate, n)
		whole := weights(w...)
		for range draws {
			copy(buf, whole)
			counts[Weighted{}.Apply(q, buf)[0].Index]++
		}
		for i, got := range counts {
			share, want := float64(got)/draws, float64(w[i])/sum
			if math.Abs(share-want) > 0.01 || w[i] == 0 && got > 0 {
				t.Errorf("%d candidates: %d has share %.4f, its weight is %.4f", n, i, share, want)
			}
		}
	}
}

// everyFilter is one of each, for sets of the indexes below n at so many sites.
func everyFilter(n, sites int) []Filter {
	ids, soft, hard, mates := make([]uint64, n), make([]uint32, n), make([]uint32, n), make([]uint32, n)
	for i := range n {
		ids[i] = Identity(string(rune(i)))
		soft[i], hard[i], mates[i] = uint32(i), uint32(2*i), uint32(n/3+1)
	}
	places := make([]geo.Place, sites)
	for i := range places {
		places[i] = geo.Place{Country: string(rune('a' + i%3)), Located: i%4 > 0, Lat: float64(i % 90), Lon: float64(i % 180)}
	}
	fence := &Geofence{Levels: []geo.Level{geo.ByCity, geo.ByCountry}, Sites: places}
	strict := &Geofence{Levels: fence.Levels, Strict: true, Sites: places}
	return []Filter{
		Rotate{},
		Shuffle{},
		Weighted{},
		&Balanced{Weights: []uint32{3, 5}, Names: []string{"a", "b"}},
		Tier{},
		Limit{3},
		Tags{Mark: 1},
		fence, strict,
		NewNearest(10, 500, places), &Latency{Tolerance: 20, Max: 90 * time.Microsecond}, &Spill{Least: 80, Percent: true, Most: 100, Mates: mates},
		&Sticky{IDs: ids}, &Shed{Soft: soft, Hard: hard}, &Shed{Soft: soft, Hard: hard, Thins: true},
		&Schedule{Pools: [][]uint32{{0}, {1}, nil}},
		NewFirst([]Filter{strict, Weighted{}}, []Filter{NewFirst([]Filter{Tags{Mark: 2}}, []Filter{Tags{Mark: 1}, Limit{2}}), Rotate{}}, []Filter{Tier{}, Shuffle{}}),
	}
}

// everything is a query of which everything is known, for everyFilter.
func everything(n int, seed uint64) *Query {
	q := rnd(seed)
	q.Subnet, q.Place, q.Open = seed*0x9e3779b97f4a7c15, &geo.Place{Country: "b", Located: true, Lat: 20, Lon: 30}, []bool{true, false}
	for i := range n {
		q.Targets = append(q.Targets, int32(i))
		q.Latency = append(q.Latency, uint32(i%100))
		q.Load = append(q.Load, uint32(n))
	}
	return q
}

func TestAllocatesNothing(t *testing.T) {
	whole := set(64)
	for i := range whole {
		whole[i].Weight, whole[i].Pool, whole[i].Marks, whole[i].Site = uint32(i), uint16(i%3), uint32(i%2), uint16(i%8)
		whole[i].Share -= uint16(i % 2 * 100)
	}
	buf := make([]Candidate, len(whole))
	q := everything(len(whole), 1)
	for _, f := range everyFilter(len(whole), 8) {
		for _, want := range []int{0, 1, 5} {
			if n := testing.AllocsPerRun(100, func() {
				q.Seq++
				q.Want = want
				f.Apply(q, buf[:copy(buf, whole)])
			}); n != 0 {
				t.Errorf("%s allocates %v times", f, n)
			}
		}
	}
}

// TestEveryFilterExplains holds that filters can say what they are.
func TestEveryFilterExplains(t *testing.T) {
	q := everything(8, 1)
	for _, f := range everyFilter(8, 4) {
		if f.Rule() == "" || f.String() == "" || strings.Contains(f.Rule()+f.String(), "\n") {
			t.Errorf("%T: %q, %q", f, f, f.Rule())
		}
		_, placed := f.(Placed)
		if f.Needs()&Places != 0 && !placed {
			t.Errorf("%s goes by place and has no classes", f)
		}
		if told, ok := f.(Told); ok {
			given := set(8)
			if why := told.Why(q, given); why == "" || strings.Contains(why, "\n") || !slices.Equal(given, set(8)) {
				t.Errorf("%s says %q of %v", f, why, given)
			}
		}
	}
}

// TestNeeds holds that what a filter does not need makes no difference.
func TestNeeds(t *testing.T) {
	change := map[Needs]func(q *Query){
		Places:    func(q *Query) { q.Place = &geo.Place{Country: "c", Located: true, Lat: -60} },
		Subnets:   func(q *Query) { q.Subnet++ },
		Chance:    func(q *Query) { q.Rand, q.Seq = rand.NewPCG(8, 8), q.Seq+1 },
		Latencies: func(q *Query) { slices.Reverse(q.Latency) },
		Loads:     func(q *Query) { q.Load[0], q.Load[7], q.Load[8] = 0, 1e9, 12 },
		Schedules: func(q *Query) { q.Open = []bool{false, true} },
	}
	result := func(f Filter, also func(*Query)) string {
		out := ""
		for seed := range 30 {
			q := everything(16, uint64(seed))
			also(q)
			s := set(16)
			for i := range s {
				s[i].Pool, s[i].Site, s[i].Marks, s[i].Weight = uint16(i%3), uint16(i%8), uint32(i%2*2), uint32(1+i%2)
				if seed%3 == 0 && i%3 == 0 {
					s[i].Share = Whole / 2
				}
			}
			out += key(f.Apply(q, s)) + " "
		}
		return out
	}
	for _, f := range everyFilter(16, 8) {
		before := result(f, func(*Query) {})
		for need, also := range change {
			same := result(f, also) == before
			switch {
			case f.Needs()&need == 0 && !same:
				t.Errorf("%s does not need %b and goes by it", f, need)
			case f.Needs()&need != 0 && same:
				t.Errorf("%s needs %b and does not go by it", f, need)
			}
		}
	}
}

// FuzzFilters says of every chain that it invents no candidate, gives none
// twice, works in place, keeps something where it is to, and gives an ordered
// set's length as it should be.
func FuzzFilters(f *testing.F) {
	f.Add([]byte{}, []byte{0, 1, 2, 3, 4, 5}, uint32(0), 0)
	f.Add([]byte{1, 2, 3, 0, 0, 7, 9, 9, 9, 9}, []byte{2}, uint32(3), 1)
	f.Add([]byte{0, 0, 0}, []byte{5, 3, 1}, uint32(math.MaxUint32), 2)
	for i := range byte(16) {
		f.Add([]byte{1, 20, 130, 0, 0, 7, 9, 99, 244, 6}, []byte{i, i ^ 1, 15 - i}, uint32(i)*977, int(i)%3)
	}
	const most = 300
	filters := everyFilter(most, 8)
	f.Fuzz(func(t *testing.T, cands, chain []byte, seq uint32, want int) {
		if want < 0 || len(cands) > most || len(chain) > 20 {
			t.Skip()
		}
		s := make([]Candidate, len(cands))
		for i, b := range cands {
			s[i] = Candidate{
				Index: uint32(i), Member: uint32(i), Weight: uint32(b) * 257, Pool: uint16(b >> 6), Priority: uint16(b >> 4 & 3),
				Marks: uint32(b & 3), Site: uint16(b & 7), Share: Whole,
			}
			if b&8 != 0 {
				s[i].Share = uint16(b) * 4
			}
		}
		q := everything(int(seq%most), uint64(seq))
		q.Rand, q.Seq, q.Want = rand.NewPCG(uint64(seq), 1), seq, want
		if seq%5 == 0 {
			q.Place = &geo.Place{}
		}
		for _, b := range chain {
			before := len(s)
			in := map[uint32]Candidate{}
			for _, c := range s {
				in[c.Index] = c
			}
			filter := filters[int(b)%len(filters)]
			q.Want = want
			out := filter.Apply(q, s)
			if len(out) > before {
				t.Fatalf("%s makes %d of %d", filter, len(out), before)
			}
			if len(out) > 0 && &out[0] != &s[0] {
				t.Fatalf("%s does not work in place", filter)
			}
			if len(q.saved) != 0 || q.Want != want {
				t.Fatalf("%s leaves something behind", filter)
			}
			for _, c := range out {
				old, ok := in[c.Index]
				old.Share = c.Share // which Shed may change
				if !ok || c != old {
					t.Fatalf("%s gives %v of %v", filter, out, in)
				}
				delete(in, c.Index)
			}
			switch filter := filter.(type) {
			case Rotate:
				if least := min(before, max(want, 1)); before > 0 && want > 0 && len(out) < least || want == 0 && len(out) != before {
					t.Fatalf("%s gives %d of %d, want %d", filter, len(out), before, want)
				}
			case *Geofence:
				if before > 0 && len(out) == 0 && !filter.Strict {
					t.Fatalf("%s keeps nothing", filter)
				}
			case Shuffle, Tier, *Spill, *Nearest, *Latency, *Shed, *Schedule:
				if before > 0 && len(out) == 0 {
					t.Fatalf("%s keeps nothing", filter)
				}
			}
			s = out
		}
	})
}
