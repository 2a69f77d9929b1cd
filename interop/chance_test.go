package interop

import (
	"fmt"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// rare is a chance that is taken for none. Where chance is not ours to seed, it is
// how often a test fails although all is well. It leaves room for the tail of what
// is counted, which at this distance is not quite that of chi-square: with the
// fewest that are looked at, a thousand times as heavy.
const rare = 1e-12

// fewest is how often each outcome must be expected for chi-square to mean much.
const fewest = 100

// upperTail is the chance that a chi-square of so many degrees of freedom is x or
// more (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.4 and
// 26.4.5).
func upperTail(x float64, freedom int) float64 {
	if freedom == 0 || x <= 0 {
		return 1
	}
	sum, term, from := 0.0, math.Exp(-x/2), 2
	if freedom%2 == 1 {
		sum, term, from = math.Erfc(math.Sqrt(x/2)), math.Sqrt(2*x/math.Pi)*math.Exp(-x/2), 3
	}
	for k := from; k <= freedom; k += 2 {
		sum += term
		term *= x / float64(k)
	}
	return sum
}

// TestUpperTail holds the formula against tables: 26.8 of the same book.
func TestUpperTail(t *testing.T) {
	for _, c := range []struct {
		x       float64
		freedom int
		want    float64
	}{
		{3.84146, 1, 0.05},
		{6.63490, 1, 0.01},
		{10.828, 1, 0.001},
		{9.21034, 2, 0.01},
		{7.81473, 3, 0.05},
		{18.467, 4, 0.001},
		{20.515, 5, 0.001},
		{18.3070, 10, 0.05},
		{59.703, 30, 0.001},
		{124.342, 100, 0.05},
	} {
		if got := upperTail(c.x, c.freedom); math.Abs(got-c.want) > 1e-3*c.want {
			t.Errorf("%v with %d: %v, want %v", c.x, c.freedom, got, c.want)
		}
	}
}

// shares are chances by outcome, in proportion to what is stated: "a 70, b 20".
func shares(text string) map[string]float64 {
	all, sum := map[string]float64{}, 0.0
	for _, part := range strings.Split(text, ", ") {
		what, parts, stated := strings.Cut(part, " ")
		n := 1.0
		if stated {
			n, _ = strconv.ParseFloat(parts, 64)
		}
		all[what] += n
		sum += n
	}
	for what := range all {
		all[what] /= sum
	}
	return all
}

// agrees fails when outcomes did not come as often as their chances say.
func agrees(t testing.TB, what string, counts map[string]int, chances map[string]float64) {
	t.Helper()
	total := 0
	for _, n := range counts {
		total += n
	}
	for _, outcome := range slices.Sorted(maps.Keys(counts)) {
		if chances[outcome] == 0 {
			t.Errorf("%s: %q came %d times, and was not to come at all", what, outcome, counts[outcome])
		}
	}
	x, freedom := 0.0, -1
	var table []string
	for _, outcome := range slices.Sorted(maps.Keys(chances)) {
		want := chances[outcome] * float64(total)
		if want == 0 {
			continue
		}
		if want < fewest && len(chances) > 1 {
			t.Fatalf("%s: of %d, %q is expected %v times, which is too few to say", what, total, outcome, want)
		}
		x += (float64(counts[outcome]) - want) * (float64(counts[outcome]) - want) / want
		freedom++
		table = append(table, fmt.Sprintf("%s: %d, expected %.1f", outcome, counts[outcome], want))
	}
	if p := upperTail(x, freedom); p < rare {
		t.Errorf("%s: chi-square is %.1f with %d degrees of freedom, the chance of which is %.1g:\n\t%s", what, x, freedom, p, lines(table))
	}
}

// TestAgrees shows that what is a little off is seen, and what is not is not.
func TestAgrees(t *testing.T) {
	for _, c := range []struct {
		counts map[string]int
		faulty bool
	}{
		{map[string]int{"a": 3500, "b": 1000, "c": 500}, false},
		{map[string]int{"a": 3580, "b": 940, "c": 480}, false},
		{map[string]int{"a": 3100, "b": 1300, "c": 600}, true},
		{map[string]int{"a": 3500, "b": 1000, "c": 500, "d": 1}, true},
		{map[string]int{"a": 4300, "b": 700}, true},
	} {
		rec := &recorder{TB: t}
		agrees(rec, "", c.counts, shares("a 70, b 20, c 10"))
		if rec.faulty != c.faulty {
			t.Errorf("%v: taken for chance: %t", c.counts, !rec.faulty)
		}
	}
}

// spread is the standard deviation of the share that clients get of an endpoint,
// which has a part of the weights, when so many parts of them are behind one cache
// each and the answer lives n times.
func spread(weight float64, parts []float64, n float64) float64 {
	squares := 0.0
	for _, q := range parts {
		squares += q * q
	}
	return math.Sqrt(weight * (1 - weight) * squares / n)
}

// TestSpreads holds the table of the document: 70% of the weights, and the 120
// lifetimes that 30 seconds have in an hour.
func TestSpreads(t *testing.T) {
	b, err := os.ReadFile("../docs/steering.md")
	if err != nil {
		t.Fatal(err)
	}
	alike := func(n int) []float64 { return slices.Repeat([]float64{1 / float64(n)}, n) }
	for who, parts := range map[string][]float64{
		"1 resolver":                                  {1},
		"3 resolvers with 50%, 30% and 20%":           {0.5, 0.3, 0.2},
		"1 resolver with 40%, and 600 with 0.1% each": append(slices.Repeat([]float64{0.001}, 600), 0.4),
		"10 alike":   alike(10),
		"1000 alike": alike(1000),
	} {
		row := fmt.Sprintf("| %s | %.1f%% | %.1f%% |\n", who, 100*spread(0.7, parts, 1), 100*spread(0.7, parts, 120))
		if !strings.Contains(string(b), row) {
			t.Errorf("docs/steering.md has no row %s", row)
		}
	}
}

// recorder notes whether a test would have failed.
type recorder struct {
	testing.TB
	faulty bool
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.faulty = true }
