package spec

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/geo"
)

// Step is one filter of a chain, with its argument where it takes one.
type Step struct {
	Filter string // rotate, shuffle, weighted, sticky, tier, geofence, nearest, latency, shed, schedule, tags, limit, first

	N       int       // limit: how many
	Tags    []string  // tags: those an endpoint must all have
	Fence   *Fence    // geofence
	Nearest *Nearest  // nearest
	Latency *Latency  // latency
	Spill   *Spill    // tier; nil: nothing spills
	Windows []*Window // schedule
	Chains  [][]Step  // first: none of them empty
}

// Fence is what geofence compares, from the first level to the last. Strict is
// that nobody is kept when none matches, and not all.
type Fence struct {
	Levels []geo.Level
	Strict bool
}

// Nearest is how much further than the nearest is near: the greater of both.
type Nearest struct {
	Tolerance float64 // percent of the distance
	Within    float64 // km
}

// Latency is how much slower than the fastest is fast: the greater of both.
type Latency struct {
	Tolerance float64 // percent of the latency
	Within    time.Duration
	Max       time.Duration // above it nobody is kept while there are others; 0: any
}

// Spill is when a tier gives queries to the next one.
type Spill struct {
	Least   uint32 // how many endpoints it is to have
	Percent bool   // Least is a part of its endpoints, in percent
	Most    float64
}

// The defaults of filters that may stand without an argument.
var (
	nearestDefault = Nearest{Tolerance: 10, Within: 100}
	latencyDefault = Latency{Tolerance: 15, Within: 10 * time.Millisecond}
)

// String is the step as a list of the configuration has it.
func (s Step) String() string {
	switch s.Filter {
	case "limit":
		return "limit: " + strconv.Itoa(s.N)
	case "tags":
		tags := make([]string, len(s.Tags))
		for i, t := range s.Tags {
			tags[i] = word(t)
		}
		return "tags: [" + strings.Join(tags, ", ") + "]"
	case "geofence":
		return "geofence: " + s.Fence.String()
	case "nearest":
		return "nearest: " + s.Nearest.String()
	case "latency":
		return "latency: " + s.Latency.String()
	case "tier":
		if s.Spill != nil {
			return "tier: " + s.Spill.String()
		}
	case "schedule":
		return "schedule: " + Windows(s.Windows)
	case "first":
		chains := make([]string, len(s.Chains))
		for i, c := range s.Chains {
			chains[i] = "[" + chainText(c) + "]"
		}
		return "first: [" + strings.Join(chains, ", ") + "]"
	}
	return s.Filter
}

// word is text as a list of the configuration has it: in quotes where it would
// be something else without.
func word(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./", r))
	}) {
		return strconv.Quote(s)
	}
	return s
}

func chainText(steps []Step) string {
	out := make([]string, len(steps))
	for i, s := range steps {
		out[i] = s.String()
	}
	return strings.Join(out, ", ")
}

func (f *Fence) String() string {
	names := make([]string, len(f.Levels))
	for i, l := range f.Levels {
		names[i] = l.String()
	}
	text := strings.Join(names, ", ")
	if len(names) > 1 {
		text = "[" + text + "]"
	}
	if f.Strict {
		return "{levels: " + text + ", strict: true}"
	}
	return text
}

func (n *Nearest) String() string {
	return fmt.Sprintf("{tolerance: %g%%, within: %gkm}", n.Tolerance, n.Within)
}

func (l *Latency) String() string {
	text := fmt.Sprintf("{tolerance: %g%%, within: %s", l.Tolerance, l.Within)
	if l.Max > 0 {
		text += ", max: " + l.Max.String()
	}
	return text + "}"
}

func (s *Spill) String() string {
	least := strconv.FormatUint(uint64(s.Least), 10)
	if s.Percent {
		least += "%"
	}
	return fmt.Sprintf("{min_healthy: %s, spill: %g%%}", least, s.Most)
}
