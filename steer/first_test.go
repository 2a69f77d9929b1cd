package steer

import (
	"slices"
	"testing"
)

func TestWants(t *testing.T) {
	r, tier, tags := Rotate{}, Tier{}, Tags{}
	limit := func(n int) Filter { return Limit{N: n} }
	for _, c := range []struct {
		chain   []Filter
		answers int
		want    []int
	}{
		{[]Filter{r}, 1, []int{1}},
		{[]Filter{r}, 0, []int{0}},
		{[]Filter{tier, r}, 2, []int{0, 2}},
		{[]Filter{r, tags}, 1, []int{0, 1}},
		{[]Filter{r, limit(3)}, 0, []int{3, 0}},
		{[]Filter{r, limit(3)}, 2, []int{2, 2}},
		{[]Filter{r, limit(3)}, 5, []int{3, 5}},
		{[]Filter{r, limit(3), limit(2)}, 0, []int{2, 2, 0}},
		{[]Filter{r, limit(3), tags, r}, 1, []int{3, 0, 0, 1}},
	} {
		if got := Wants(c.chain, c.answers); !slices.Equal(got, c.want) {
			t.Errorf("%v with %d answers: %v, want %v", c.chain, c.answers, got, c.want)
		}
	}
}

func TestFirst(t *testing.T) {
	marked := func() []Candidate {
		s := set(6)
		for i := range s {
			s[i].Marks = uint32(i % 2)
			s[i].Pool = uint16(i / 3)
		}
		return s
	}
	tagged, none := Tags{Mark: 0}, Tags{Mark: 7}
	for _, c := range []struct {
		name   string
		chains [][]Filter
		want   int
		out    []uint32
	}{
		{"the first", [][]Filter{{tagged}, {Tier{}}}, 0, []uint32{1, 3, 5}},
		{"the second", [][]Filter{{Rotate{}, Limit{3}, none}, {Tier{}}}, 0, []uint32{0, 1, 2}},
		{"the last", [][]Filter{{none}, {tagged, none}, {tagged, Limit{2}}}, 0, []uint32{1, 3}},
		{"none", [][]Filter{{none}, {Tier{}, none}}, 0, []uint32{}},
		{"within", [][]Filter{{NewFirst([]Filter{tagged, none}, []Filter{none})}, {NewFirst([]Filter{none}, []Filter{Tier{}, tagged})}}, 0, []uint32{1}},
		{"as many as are wanted", [][]Filter{{none}, {Rotate{}}}, 1, []uint32{2}},
		{"more than are wanted, for who chooses", [][]Filter{{Rotate{}, tagged}}, 1, []uint32{3, 5, 1}},
		{"as many as are wanted behind a limit", [][]Filter{{Rotate{}, Limit{3}}}, 1, []uint32{2}},
		{"as many as a limit lets through", [][]Filter{{Rotate{}, Limit{1}}}, 4, []uint32{2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := rnd(1)
			q.Seq, q.Want = 2, c.want
			f := NewFirst(c.chains...)
			if got := indexes(f.Apply(q, marked())); !slices.Equal(got, c.out) {
				t.Errorf("got %v, want %v", got, c.out)
			}
			if q.Want != c.want || len(q.saved) != 0 {
				t.Errorf("want is %d, %d are saved", q.Want, len(q.saved))
			}
			var told []string
			q = rnd(1)
			q.Seq, q.Want = 2, c.want
			f.Walk(q, marked(), func(f Filter, given, kept []Candidate) { told = append(told, f.String()) })
			if len(told) == 0 {
				t.Error("nobody is told")
			}
		})
	}
	f := NewFirst([]Filter{none, Rotate{}}, []Filter{Limit{1}, NewFirst([]Filter{tagged}, []Filter{Weighted{}})})
	if got := f.String(); got != "first: [[tags: [], rotate], [limit: 1, first: [[tags: []], [weighted]]]]" {
		t.Error(got)
	}
	if f.Needs() != Chance|Weights {
		t.Errorf("needs %b", f.Needs())
	}
}

// TestFirstThins has a share count in every chain when it counts in one.
func TestFirstThins(t *testing.T) {
	const draws = 60_000
	f := NewFirst([]Filter{Tags{Mark: 7}, Weighted{}}, []Filter{Limit{1}})
	q := rnd(1)
	counts := map[string]int{}
	for range draws {
		counts[key(f.Apply(q, shared(nil, []uint16{256, 1024})))]++
	}
	chiSquare(t, "first", counts, map[string]float64{"a": 0.25, "b": 0.75}, draws)
}
