package meter

import (
	"math/bits"
	"sync/atomic"
	"time"
)

const (
	// tick is what durations are counted in. Eight of them are a microsecond, so
	// that the powers of two of a microsecond are bounds of buckets.
	tick = 125 * time.Nanosecond
	// parts is in how many buckets each power of two is divided: a duration is
	// known to an eighth.
	parts = 8
	// octaves are the powers of two from a microsecond on: up to 16.8 seconds.
	octaves = 24
	buckets = parts + octaves*parts
)

// Histogram counts durations, of which it keeps some 200 buckets: up to one
// microsecond they are 125 ns wide, beyond it an eighth of the power of two
// that they lie in (log-linear, as in HdrHistogram). Durations of 16.8 seconds
// and more are in the last one. It is safe for concurrent use.
type Histogram struct {
	counts [buckets]atomic.Uint64
	sum    atomic.Uint64 // nanoseconds
}

// Observe counts n durations d.
func (h *Histogram) Observe(d time.Duration, n uint64) {
	d = max(d, 0)
	h.counts[bucket(d)].Add(n)
	h.sum.Add(uint64(d) * n)
}

// bucket is where a duration is counted: bounds belong to the bucket below
// them, as those of Prometheus do.
func bucket(d time.Duration) int {
	v := uint64(max(d-1, 0) / tick)
	if v < parts {
		return int(v)
	}
	octave := bits.Len64(v) - 4 // v lies from parts<<octave up to twice that
	return min(parts+octave*parts+int(v>>octave-parts), buckets-1)
}

// lower is where a bucket begins; bucket i ends where i+1 begins.
func lower(i int) time.Duration {
	if i < parts {
		return time.Duration(i) * tick
	}
	octave := i/parts - 1
	return time.Duration(parts+i%parts) << octave * tick
}

// Durations are what Histograms have counted, at one instant.
type Durations struct {
	counts [buckets]uint64
	Sum    time.Duration
}

// Add adds what another histogram has counted.
func (h *Histogram) Add(o *Histogram) {
	for i := range h.counts {
		h.counts[i].Add(o.counts[i].Load())
	}
	h.sum.Add(o.sum.Load())
}

// Load is what h has counted.
func (h *Histogram) Load() Durations {
	d := Durations{Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		d.counts[i] = h.counts[i].Load()
	}
	return d
}

// Add adds other durations.
func (d *Durations) Add(o *Durations) {
	for i := range d.counts {
		d.counts[i] += o.counts[i]
	}
	d.Sum += o.Sum
}

// Since is what has been counted since an earlier reading of the same histograms.
func (d *Durations) Since(before *Durations) Durations {
	out := Durations{Sum: max(d.Sum-before.Sum, 0)}
	for i := range d.counts {
		out.counts[i] = minus(d.counts[i], before.counts[i])
	}
	return out
}

// Count is how many there are.
func (d *Durations) Count() uint64 {
	n := uint64(0)
	for _, c := range d.counts {
		n += c
	}
	return n
}

// UpTo is how many are not longer than limit, which is best a power of two of a
// microsecond, since others lie within a bucket.
func (d *Durations) UpTo(limit time.Duration) uint64 {
	n := uint64(0)
	for _, c := range d.counts[:bucket(limit)+1] {
		n += c
	}
	return n
}

// Quantile is the duration that a share of them, from 0 to 1, are not longer
// than, as if they lay evenly in their buckets; 0 when there are none.
func (d *Durations) Quantile(share float64) time.Duration {
	want := share * float64(d.Count())
	below := 0.0
	last := 0
	for i, c := range d.counts {
		if c == 0 {
			continue
		}
		if last = i + 1; below+float64(c) >= want {
			part := (want - below) / float64(c)
			return lower(i) + time.Duration(part*float64(lower(i+1)-lower(i)))
		}
		below += float64(c)
	}
	return lower(last) // rounding, or none
}

// SizeBounds are the largest sizes of each bucket of Sizes but the last, in
// octets. 512 is what UDP without EDNS takes, 1232 what most resolvers ask for.
var SizeBounds = [...]int{64, 128, 256, 512, 1232, 4096, 16384}

// Octets count messages by their size. They are for one goroutine.
type Octets struct {
	Counts [len(SizeBounds) + 1]uint64 // by the bounds of SizeBounds, then what is larger
	Sum    uint64
}

// Observe counts a message of n octets.
func (o *Octets) Observe(n int) {
	i := 0
	for i < len(SizeBounds) && n > SizeBounds[i] {
		i++
	}
	o.Counts[i]++
	o.Sum += uint64(n)
}

// Sizes add Octets up. They are safe for concurrent use.
type Sizes struct {
	counts [len(SizeBounds) + 1]atomic.Uint64
	sum    atomic.Uint64
}

// Add adds what others have counted.
func (s *Sizes) Add(o *Octets) {
	for i, n := range o.Counts {
		if n > 0 {
			s.counts[i].Add(n)
		}
	}
	s.sum.Add(o.Sum)
}

// Load is what they have come to.
func (s *Sizes) Load() Octets {
	o := Octets{Sum: s.sum.Load()}
	for i := range s.counts {
		o.Counts[i] = s.counts[i].Load()
	}
	return o
}

// minus is how far a counter has come since it was before. One that is lower
// has started anew.
func minus(now, before uint64) uint64 {
	if now < before {
		return now
	}
	return now - before
}
