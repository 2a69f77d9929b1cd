package steer

import (
	"slices"
	"testing"
	"time"
)

// measured is a query with a latency or load for each candidate of a set.
func measured(latency, load []uint32) *Query {
	q := rnd(1)
	for i := range max(len(latency), len(load)) {
		q.Targets = append(q.Targets, int32(i))
	}
	q.Latency, q.Load = latency, load
	return q
}

func TestLatency(t *testing.T) {
	const ms = 1000
	for _, c := range []struct {
		name    string
		filter  Latency
		latency []uint32
		want    []uint32
	}{
		{"lowest first", Latency{Tolerance: 1000}, []uint32{30 * ms, 10 * ms, 20 * ms}, []uint32{1, 2, 0}},
		{"lowest alone", Latency{}, []uint32{30 * ms, 10 * ms, 20 * ms}, []uint32{1}},
		{"in proportion", Latency{Tolerance: 100}, []uint32{30 * ms, 10 * ms, 20 * ms}, []uint32{1, 2}},
		{"within", Latency{Within: 10 * time.Millisecond}, []uint32{30 * ms, 10 * ms, 20 * ms}, []uint32{1, 2}},
		{"nothing known", Latency{}, []uint32{0, 0, 0}, []uint32{0, 1, 2}},
		{"fewer than half known", Latency{}, []uint32{0, 5 * ms, 0}, []uint32{0, 1, 2}},
		{"half known", Latency{}, []uint32{0, 5 * ms, 0, 9 * ms}, []uint32{1}},
		{"a new one waits", Latency{Within: time.Second}, []uint32{5 * ms, 0, 7 * ms}, []uint32{0, 2}},
		{"too slow", Latency{Within: time.Second, Max: 100 * time.Millisecond}, []uint32{5 * ms, 200 * ms}, []uint32{0}},
		{"all too slow", Latency{Within: time.Second, Max: time.Millisecond}, []uint32{9 * ms, 5 * ms}, []uint32{1, 0}},
		{"too slow, and the others unknown", Latency{Max: 100 * time.Millisecond}, []uint32{200 * ms, 0, 300 * ms, 50 * ms, 0, 0}, []uint32{1, 3, 4, 5}},
		{"too slow, and one other unknown", Latency{Max: 100 * time.Millisecond}, []uint32{200 * ms, 0, 300 * ms}, []uint32{0}},
		{"beyond what is measured", Latency{}, nil, []uint32{0, 1, 2}},
		{"nothing", Latency{}, []uint32{}, []uint32{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := len(c.latency)
			if c.latency == nil {
				n = 3
			}
			q := measured(c.latency, nil)
			if c.filter.Why(q, set(n)) == "" {
				t.Error("says nothing")
			}
			if got := indexes(c.filter.Apply(q, set(n))); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestShed(t *testing.T) {
	soft := []uint32{50, 50, 50, 0, 80}
	hard := []uint32{100, 100, 100, 0, 80}
	for _, c := range []struct {
		name   string
		load   []uint32
		want   []uint32
		shares []uint16
	}{
		{"nothing known", []uint32{NoLoad, NoLoad, NoLoad, NoLoad, NoLoad}, []uint32{0, 1, 2, 3, 4}, []uint16{1024, 1024, 1024, 1024, 1024}},
		{"below", []uint32{0, 49, 50, 9999, 79}, []uint32{0, 1, 2, 3, 4}, []uint16{1024, 1024, 1024, 1024, 1024}},
		{"in between", []uint32{51, 75, 99, 0, 0}, []uint32{0, 1, 2, 3, 4}, []uint16{1003, 512, 20, 1024, 1024}},
		{"at the hard limit", []uint32{100, 101, 1e9, 0, 80}, []uint32{3}, []uint16{1024}},
		{"reports end early", []uint32{100}, []uint32{1, 2, 3, 4}, []uint16{1024, 1024, 1024, 1024}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := measured(nil, c.load)
			f := &Shed{Soft: soft, Hard: hard}
			if f.Why(q, set(5)) == "" {
				t.Error("says nothing")
			}
			got := f.Apply(q, set(5))
			if !slices.Equal(indexes(got), c.want) {
				t.Errorf("got %v, want %v", indexes(got), c.want)
			}
			for i := range got {
				if got[i].Share != c.shares[i] {
					t.Errorf("share of %d is %d, want %d", got[i].Index, got[i].Share, c.shares[i])
				}
			}
		})
	}
	q := measured(nil, []uint32{300, 150, 250, 7, 80})
	f := &Shed{Soft: soft, Hard: hard}
	if got := indexes(f.Apply(q, set(3))); !slices.Equal(got, []uint32{1}) {
		t.Errorf("of three at their hard limits %v is kept, want the least loaded", got)
	}
	s := set(1)
	s[0].Share = 1
	if got := f.Apply(measured(nil, []uint32{99}), s); len(got) != 1 || got[0].Share != 1 {
		t.Error("below the hard limit nothing is left of a share")
	}
}

// TestShedThins has chance do what no filter behind it does.
func TestShedThins(t *testing.T) {
	const draws = 60_000
	f := &Shed{Soft: []uint32{50, 50, 50}, Hard: []uint32{100, 100, 100}, Thins: true}
	q := measured(nil, []uint32{75, 0, 100})
	counts := map[string]int{}
	for range draws {
		counts[key(f.Apply(q, set(3)))]++
	}
	chiSquare(t, "shed", counts, map[string]float64{"ab": 0.5, "b": 0.5}, draws)
	// When chance would drop all, one is drawn.
	q = measured(nil, []uint32{75, 75})
	clear(counts)
	for range draws {
		counts[key(f.Apply(q, set(2)))]++
	}
	chiSquare(t, "shed all", counts, map[string]float64{"ab": 0.25, "a": 0.375, "b": 0.375}, draws)
}

func TestSchedule(t *testing.T) {
	s := set(4)
	for i := range s {
		s[i].Pool = uint16(i)
	}
	f := &Schedule{Pools: [][]uint32{{0}, {1, 2}, {}}}
	for _, c := range []struct {
		open []bool
		want []uint32
	}{
		{[]bool{true, true, true}, []uint32{0, 1, 2, 3}},
		{[]bool{false, false, true}, []uint32{1, 2, 3}},
		{[]bool{false, false, false}, []uint32{2, 3}},
		{nil, []uint32{0, 1, 2, 3}},
	} {
		q := rnd(1)
		q.Open = c.open
		if f.Why(q, s) == "" {
			t.Error("says nothing")
		}
		if got := indexes(f.Apply(q, slices.Clone(s))); !slices.Equal(got, c.want) {
			t.Errorf("%v: got %v, want %v", c.open, got, c.want)
		}
	}
	q := rnd(1)
	q.Open = []bool{false, false, false}
	if got := indexes(f.Apply(q, slices.Clone(s[:2]))); !slices.Equal(got, []uint32{0, 1}) {
		t.Errorf("with every window closed %v is kept", got)
	}
}
