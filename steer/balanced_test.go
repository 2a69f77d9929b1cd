package steer

import "testing"

// TestBalanced holds that pools have the traffic of their weights, and in them
// endpoints of theirs, whatever is left of either.
func TestBalanced(t *testing.T) {
	const draws = 60_000
	// Three endpoints of the first pool, two of the second, one of a third.
	pools := []uint16{0, 0, 0, 1, 1, 2}
	weights := []uint32{10, 20, 30, 5, 15, 7}
	filter := &Balanced{Weights: []uint32{60, 40, 0}, Names: []string{"a", "b", "c"}}
	given := func(left []uint32, shares map[uint32]uint16) []Candidate {
		var s []Candidate
		for _, i := range left {
			share, stated := shares[i]
			if !stated {
				share = Whole
			}
			s = append(s, Candidate{Index: i, Member: i, Pool: pools[i], Weight: weights[i], Share: share})
		}
		return s
	}
	for _, c := range []struct {
		name   string
		left   []uint32
		shares map[uint32]uint16
		want   map[string]float64 // of the first
	}{
		{"all", []uint32{0, 1, 2, 3, 4, 5}, nil, map[string]float64{"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.1, "e": 0.3}},
		{"in another order", []uint32{4, 2, 5, 0, 3, 1}, nil, map[string]float64{"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.1, "e": 0.3}},
		{"one of each", []uint32{0, 3}, nil, map[string]float64{"a": 0.6, "d": 0.4}},
		{"one pool", []uint32{1, 2}, nil, map[string]float64{"b": 0.4, "c": 0.6}},
		{"half a share in one", []uint32{0, 1, 2, 3}, map[uint32]uint16{2: Whole / 2}, map[string]float64{"a": 10.0 / 85, "b": 20.0 / 85, "c": 15.0 / 85, "d": 40.0 / 85}}, // 45 of 60 parts to 40,
		{"nobody to have any", []uint32{0, 3}, map[uint32]uint16{0: 0, 3: 0}, map[string]float64{"a": 0.6, "d": 0.4}},
		{"one without a share", []uint32{0, 1, 3}, map[uint32]uint16{3: 0}, map[string]float64{"a": 1.0 / 3, "b": 2.0 / 3}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := rnd(11)
			q.Want = 1
			counts := map[string]int{}
			for range draws {
				counts[key(filter.Apply(q, given(c.left, c.shares)))]++
			}
			chiSquare(t, c.name, counts, c.want, draws)
		})
	}
	if got := filter.Apply(rnd(1), given([]uint32{5}, nil)); len(got) != 0 {
		t.Errorf("of a pool without weight %v is left", got)
	}
	// All in turn, each once.
	if got := filter.Apply(rnd(2), given([]uint32{0, 1, 2, 3, 4, 5}, nil)); len(got) != 5 {
		t.Errorf("%d of 5 are left", len(got))
	}
	// The reserve is no pool of the list.
	if got := filter.Apply(rnd(3), []Candidate{{Index: 9, Pool: 3, Weight: 1, Share: Whole}}); len(got) != 1 {
		t.Error("nothing is left of the reserve")
	}
}
