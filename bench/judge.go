package main

import (
	"fmt"
	"slices"
	"time"
)

// The rules by which a run counts. A run that breaks one is done again, a few
// times, and then reported as refused in the place of its figures.
const (
	// fullServer is the share of its core that a server has to use to be at its
	// limit, and fullClient what a client uses that is at its own.
	fullServer, fullClient = 0.95, 0.95
	// maxSteal is the share of the time that the hypervisor may take from the
	// cores; maxForeign is that of all other programs on them.
	maxSteal, maxForeign = 0.01, 0.03
	// maxRest is the same for time that no program there is left to show for:
	// it is sampled, and so less exact.
	maxRest = 0.06
	// maxWaited is the share of the time in which the client may have work and
	// no core.
	maxWaited = 0.01
	// maxSwitched is how often, for an answer, a server that is far from its
	// limit may lose its core. At its limit its threads may be in each other's
	// way.
	maxSwitched = 0.02
	// maxLate is the share of queries that may leave late at a fixed rate.
	maxLate = 0.005
	// maxLost is the share of queries that a server may leave unanswered.
	maxLost = 0.001
)

// seen is one run with all that it is judged by.
type seen struct {
	result
	Mode    string
	Cores   int // the server's
	Foreign time.Duration
	Who     string // who used most of Foreign
}

// share is d as a part of the run's time.
func (s *seen) share(d time.Duration) float64 { return float64(d) / float64(max(s.Took, 1)) }

// perQuery is what the server used for an answer.
func (s *seen) perQuery() time.Duration { return s.Server.Total / time.Duration(max(s.Answers, 1)) }

// rate is answers a second.
func (s *seen) rate() float64 { return float64(s.Answers) / s.Took.Seconds() }

// refusal is why a run does not count, "" when it does.
func refusal(s *seen) string {
	server := s.share(s.Server.Total) / float64(max(s.Cores, 1))
	// The tick that samples the cores, and what comes at an even rate, may keep
	// in step.
	paced := s.Mode == modeRate || s.Mode == modeHandshake
	switch {
	case s.Wrong > 0: // no quiet machine mends it
		return fmt.Sprintf("%d wrong answers", s.Wrong)
	case s.share(s.Steal) > maxSteal:
		return fmt.Sprintf("disturbed: %.1f%% of the cores stolen by the hypervisor", 100*s.share(s.Steal))
	case s.share(s.Foreign) > maxForeign:
		return fmt.Sprintf("disturbed: others used %.1f%% of a core, most of it %s", 100*s.share(s.Foreign), s.Who)
	case s.share(s.Waited) > maxWaited:
		return fmt.Sprintf("disturbed: the client waited %.1f%% of the time for its core", 100*s.share(s.Waited))
	case !paced && s.share(s.Rest) > maxRest:
		return fmt.Sprintf("disturbed: programs that have ended used %.1f%% of a core", 100*s.share(s.Rest))
	case s.Mode == modeRate && server < 0.5 && float64(s.Switched) > maxSwitched*float64(s.Answers):
		return fmt.Sprintf("disturbed: the server lost its core %d times", s.Switched)
	case s.Mode == modeRate && float64(s.Late) > maxLate*float64(s.Sent):
		return fmt.Sprintf("disturbed: %.1f%% of the queries left late", 100*float64(s.Late)/float64(max(s.Sent, 1)))
	}
	if asked := max(s.Answers+s.Lost, 1); float64(s.Lost) > maxLost*float64(asked) {
		return fmt.Sprintf("%.1f%% not answered", 100*float64(s.Lost)/float64(asked))
	}
	if s.Answers == 0 {
		return "no answers"
	}
	if paced {
		if s.Busy > fullClient && s.Mode == modeHandshake {
			return fmt.Sprintf("the client was the bottleneck: busy %.0f%%", 100*s.Busy)
		}
		return ""
	}
	switch {
	case server >= fullServer:
		return ""
	case s.Busy > fullClient:
		return fmt.Sprintf("the client was the bottleneck: busy %.0f%%, the server %.0f%%", 100*s.Busy, 100*server)
	}
	return fmt.Sprintf("nobody was busy: the server %.0f%%, the client %.0f%%", 100*server, 100*s.Busy)
}

// spread is a median with the least and the most.
type spread struct {
	N                   int
	Median, Least, Most float64
}

func spreadOf(v []float64) spread {
	if len(v) == 0 {
		return spread{}
	}
	return spread{N: len(v), Median: median(v), Least: slices.Min(v), Most: slices.Max(v)}
}

// text has one form for a value, its spread behind it.
func (s spread) text(format string) string {
	switch s.N {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf(format, s.Median)
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Least, s.Most)
}

// median is the middle one, or the mean of the two in the middle.
func median[T int | float64 | time.Duration](v []T) T {
	if len(v) == 0 {
		return 0
	}
	v = slices.Clone(v)
	slices.Sort(v)
	if m := len(v) / 2; len(v)%2 == 1 {
		return v[m]
	} else {
		return (v[m-1] + v[m]) / 2
	}
}

// ratios are a[i]/b[i] of the runs that both count: each was made beside the
// other, so that what slowed one slowed the other.
func ratios(a, b []float64) []float64 {
	var r []float64
	for i := range min(len(a), len(b)) {
		if a[i] > 0 && b[i] > 0 {
			r = append(r, a[i]/b[i])
		}
	}
	return r
}
