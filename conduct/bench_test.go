package conduct

import (
	"fmt"
	"testing"

	"github.com/rhumb-dns/rhumb/health"
)

// many is a director with so many courses of three endpoints each.
func many(b testing.TB, n int) (*Director, *health.View) {
	b.Helper()
	d, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	courses := make([]Course, n)
	for i := range courses {
		courses[i] = courseOf(poolOf(fmt.Sprintf("p%d", i), 3, 1), careful(), 3*i)
	}
	h := health.Fixed(3*n, nil)
	d.Apply(courses, h)
	return d, h
}

// TestOneOfMany: a change of one target copies one page of courses, and leaves
// the others alone.
func TestOneOfMany(t *testing.T) {
	const n = 1000
	d, _ := many(t, n)
	before := d.View()
	d.Follow(health.Fixed(3*n, map[int]health.Detail{3 * 500: {State: health.Down}}))
	after := d.View()
	for i, p := range after.pages {
		if same := p == before.pages[i]; same == (i == 500/pageLen) {
			t.Errorf("page %d is the same: %t", i, same)
		}
	}
	for i := range n {
		if same := after.Course(i) == before.Course(i); same == (i == 500) {
			t.Errorf("course %d is the same: %t", i, same)
		}
	}
	expect(t, d, 500, "+duu")
}

// BenchmarkOneOfMany changes one of 300,000 targets of 100,000 courses, between
// views that share nothing, so that every target is looked at.
func BenchmarkOneOfMany(b *testing.B) {
	const n = 100_000
	d, _ := many(b, n)
	views := []*health.View{health.Fixed(3*n, map[int]health.Detail{3 * 500: {State: health.Down}}), d.health}
	i := 0
	for b.Loop() {
		d.Follow(views[i%2])
		i++
	}
}

// BenchmarkApply is a reload of 100,000 courses.
func BenchmarkApply(b *testing.B) {
	const n = 100_000
	d, h := many(b, n)
	var courses []Course
	for _, c := range d.courses {
		courses = append(courses, *c.Course)
	}
	for b.Loop() {
		d.Apply(courses, h)
	}
}
