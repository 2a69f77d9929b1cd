package main

import (
	"strings"
	"testing"
	"time"
)

// a good run of a mode; the cases spoil it.
func goodRun(mode string) *seen {
	s := &seen{Mode: mode, Cores: 1}
	s.Took = time.Second
	s.Answers, s.Sent = 100_000, 100_000
	s.Server.Total = 990 * time.Millisecond
	s.Busy = 0.5
	if mode == modeRate {
		s.Server.Total, s.Busy = 100*time.Millisecond, 1
	}
	return s
}

func TestRefusal(t *testing.T) {
	ms := time.Millisecond
	for _, c := range []struct {
		mode  string
		spoil func(*seen)
		want  string // the begin of the refusal; "" counts
	}{
		{modeFull, func(*seen) {}, ""},
		{modeRate, func(*seen) {}, ""},
		{modeHandshake, func(s *seen) { s.Server.Total = 200 * ms }, ""},
		{modeFull, func(s *seen) { s.Wrong = 1; s.Foreign = time.Second }, "1 wrong answers"},
		{modeFull, func(s *seen) { s.Answers = 0 }, "no answers"},
		{modeFull, func(s *seen) { s.Lost = 90 }, ""},
		{modeFull, func(s *seen) { s.Lost = 1000 }, "1.0% not answered"},
		// Losses on a disturbed machine are the machine's, and are tried again.
		{modeFull, func(s *seen) { s.Lost = 1000; s.Steal = 20 * ms }, "disturbed: 2.0% of the cores stolen"},
		{modeFull, func(s *seen) { s.Foreign = 50 * ms; s.Who = "cc" }, "disturbed: others used 5.0% of a core, most of it cc"},
		{modeFull, func(s *seen) { s.Rest = 80 * ms }, "disturbed: programs that have ended"},
		{modeRate, func(s *seen) { s.Rest = 80 * ms }, ""},
		{modeFull, func(s *seen) { s.Waited = 20 * ms }, "disturbed: the client waited 2.0%"},
		{modeRate, func(s *seen) { s.Late = 1000 }, "disturbed: 1.0% of the queries left late"},
		{modeRate, func(s *seen) { s.Switched = 5000 }, "disturbed: the server lost its core 5000 times"},
		{modeFull, func(s *seen) { s.Switched = 5000 }, ""},
		// Whose limit it was.
		{modeFull, func(s *seen) { s.Busy = 0.99 }, ""},
		{modeFull, func(s *seen) { s.Busy, s.Server.Total = 0.99, 900*ms }, "the client was the bottleneck"},
		{modeTCP, func(s *seen) { s.Busy, s.Server.Total = 0.99, 900*ms }, "the client was the bottleneck"},
		{modeFull, func(s *seen) { s.Busy, s.Server.Total = 0.6, 600*ms }, "nobody was busy"},
		{modeFull, func(s *seen) { s.Cores, s.Busy = 2, 0.99 }, "the client was the bottleneck"},
		{modeHandshake, func(s *seen) { s.Busy = 0.99 }, "the client was the bottleneck"},
	} {
		s := goodRun(c.mode)
		c.spoil(s)
		if got := refusal(s); c.want == "" && got != "" || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %+v: got %q, want %q", c.mode, s.result, got, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want string
	}{{nil, "-"}, {[]float64{2}, "2.0"}, {[]float64{3, 1, 2}, "2.0 (1.0–3.0)"}, {[]float64{1, 2}, "1.5 (1.0–2.0)"}} {
		if got := spreadOf(c.in).text("%.1f"); got != c.want {
			t.Errorf("%v: got %q, want %q", c.in, got, c.want)
		}
	}
}

// Ratios are of runs that were made beside each other.
func TestRatios(t *testing.T) {
	if got := median(ratios([]float64{2, 30, 5}, []float64{1, 10, 1})); got != 3 {
		t.Errorf("got %v, want 3", got)
	}
	if got := ratios([]float64{1, 2}, []float64{0}); len(got) != 0 {
		t.Errorf("got %v of what did not count", got)
	}
}

func TestReasons(t *testing.T) {
	got := strings.Join(reasons([]string{"a", "b", "a", "c", "d"}), "; ")
	if want := "a (2 times); b; c; 1 more"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
