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

// A pause is in the stretch that it falls into, and in no other.
func TestStretches(t *testing.T) {
	var s stretches
	if d := s.typical(); d != 0 {
		t.Errorf("of nothing: %v", d)
	}
	const every = 50 * time.Microsecond
	pause := func(at time.Duration) bool { return at%(2*stretch) < 5*time.Millisecond }
	for at := every; at <= 7*stretch; at += every {
		took := 40 * time.Microsecond
		switch {
		case pause(at):
			took = 2 * time.Millisecond
		case at%time.Millisecond == 0: // 5% of all
			took = 80 * time.Microsecond
		}
		s.add(at, took)
	}
	// Stretches begin with the first answer. The last is not over.
	if len(s.p99) != 6 {
		t.Fatalf("%d stretches: %v", len(s.p99), s.p99)
	}
	for i, d := range s.p99 {
		if paused := i%2 == 0; paused != (d >= 2*time.Millisecond) {
			t.Errorf("stretch %d: p99 %v", i, d)
		}
	}
	// A silence of many stretches is none of them.
	s.add(40*stretch, time.Microsecond)
	s.add(40*stretch+every/2, time.Microsecond)
	if len(s.p99) != 7 {
		t.Errorf("after a silence: %v", s.p99)
	}
	s.p99 = append(s.p99[:0], 90, 2000, 70)
	if d := s.typical(); d != 90 {
		t.Errorf("got %d", d)
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
