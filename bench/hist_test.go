package main

import (
	"testing"
	"time"
)

// A bucket's ceiling lies in the bucket, within 3% of what is counted there.
func TestBuckets(t *testing.T) {
	for _, d := range []time.Duration{0, 1, 63, 64, 65, 127, 128, 1000, 12345, time.Millisecond, time.Second + 1, time.Hour} {
		i := bucket(d)
		c := ceiling(i)
		if c < d || float64(c) > float64(d)*1.04+1 {
			t.Errorf("%v is counted as up to %v", d, c)
		}
		if bucket(c) != i || bucket(c+1) != i+1 {
			t.Errorf("%v: bucket %d ends at %v, which is in %d, and the next in %d", d, i, c, bucket(c), bucket(c+1))
		}
	}
}

func TestPercentiles(t *testing.T) {
	var h histogram
	if p := h.percentiles(); p != (percentiles{}) {
		t.Errorf("of nothing: %v", p)
	}
	for i := 1; i <= 1000; i++ {
		h.add(time.Duration(i) * time.Microsecond)
	}
	p := h.percentiles()
	for _, c := range []struct{ got, want time.Duration }{{p.P50, 500}, {p.P90, 900}, {p.P99, 990}, {p.P999, 1000}, {p.Most, 1000}} {
		want := c.want * time.Microsecond
		if c.got < want || float64(c.got) > 1.04*float64(want) {
			t.Errorf("got %v, want %v within 4%%", c.got, want)
		}
	}
}

func TestPacer(t *testing.T) {
	p := pacer{every: 50, next: 100}
	for _, c := range []struct {
		now   time.Duration
		n     int
		first time.Duration
	}{
		{99, 0, 0},
		{100, 1, 100},
		{120, 0, 0},
		{260, 3, 150}, // what was missed is made up for, as of its time
		{299, 0, 0},
		{10_000, 4, 300}, // no more than the limit at once
		{10_000, 4, 500},
	} {
		if n, first := p.due(c.now, 4); n != c.n || first != c.first {
			t.Errorf("at %d: %d due from %d, want %d from %d", c.now, n, first, c.n, c.first)
		}
	}
}
