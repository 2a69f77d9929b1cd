package main

import (
	"math/bits"
	"time"
)

// subBits is how finely a histogram divides each power of two: into 32 parts,
// so that a value is known to 3%.
const subBits = 5

// histogram counts durations from a nanosecond to hours in buckets that grow
// with the value, as HDR histograms do. It allocates nothing while it counts.
type histogram struct {
	count [(64 - subBits) << subBits]uint32
	n     int
	most  time.Duration
}

func bucket(d time.Duration) int {
	v := uint64(max(d, 0))
	if v < 1<<(subBits+1) {
		return int(v)
	}
	shift := bits.Len64(v) - subBits - 1
	return shift<<subBits + int(v>>shift)
}

// ceiling is the largest duration of a bucket.
func ceiling(i int) time.Duration {
	if i < 1<<(subBits+1) {
		return time.Duration(i)
	}
	shift := i>>subBits - 1
	return time.Duration((uint64(i&(1<<subBits-1)|1<<subBits)+1)<<shift - 1)
}

func (h *histogram) add(d time.Duration) {
	h.count[bucket(d)]++
	h.n++
	h.most = max(h.most, d)
}

// quantile is the duration that a share q of all did not exceed, 0 when there
// are none.
func (h *histogram) quantile(q float64) time.Duration {
	want := int(q * float64(h.n))
	if want >= h.n {
		want = h.n - 1
	}
	seen := 0
	for i, c := range h.count {
		if seen += int(c); seen > want {
			return min(ceiling(i), h.most)
		}
	}
	return 0
}

// stretch is how long a part of a run is that has a p99 of its own: long enough
// for a hundredth of its answers to be some, and short enough that a pause of
// the whole machine, of which a virtual one has several a second, does not lie
// in most of them.
const stretch = 100 * time.Millisecond

// stretches are the p99 of one stretch of a run after the other.
type stretches struct {
	now  histogram
	ends time.Duration // of the one that is on; 0: none is
	p99  []time.Duration
}

// add counts an answer that came at a time of the run.
func (s *stretches) add(at, took time.Duration) {
	if s.ends == 0 {
		s.ends = at + stretch
	}
	if at >= s.ends {
		s.p99 = append(s.p99, s.now.quantile(0.99))
		s.now = histogram{}
		s.ends += (at-s.ends)/stretch*stretch + stretch
	}
	s.now.add(took)
}

// typical is the p99 of the stretch in the middle, 0 when there was no whole one.
func (s *stretches) typical() time.Duration { return median(s.p99) }

// percentiles are those that the tables show.
type percentiles struct{ P50, P90, P99, P999, Most time.Duration }

func (h *histogram) percentiles() percentiles {
	return percentiles{h.quantile(0.5), h.quantile(0.9), h.quantile(0.99), h.quantile(0.999), h.most}
}
