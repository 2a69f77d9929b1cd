package meter

import (
	"math/bits"
	"math/rand/v2"
	"time"
)

const (
	// period is how often a Sampler asks itself whether it looks too often.
	period = 250 * time.Millisecond
	// looks is how many queries of a period are looked at closely, about, when
	// there are more: 1,000 a second, for a ten thousandth of a processor.
	looks = 250
)

// Sampler says which queries to look at closely: all of them while there are
// few, and when there are many some, each standing for the others. It is for
// one goroutine.
type Sampler struct {
	random rand.PCG
	every  uint64 // one of so many is taken, on the average; a power of two
	left   uint64 // how many are passed over before the next
	seen   uint64 // in this period
	since  time.Duration
}

// NewSampler makes one that chooses by random numbers of these seeds.
func NewSampler(seed1, seed2 uint64) *Sampler {
	return &Sampler{random: *rand.NewPCG(seed1, seed2), every: 1}
}

// Begin tells the time, from any fixed one on, before some queries.
func (s *Sampler) Begin(now time.Duration) {
	took := now - s.since
	if took < period {
		return
	}
	s.every = 1
	if rate := s.seen * uint64(period) / uint64(took); rate > looks {
		s.every = 1 << bits.Len64((rate-1)/looks)
	}
	s.seen, s.since = 0, now
}

// Take is for how many queries this one stands; 0: it is passed over. The
// distance between two is random, since clients ask in patterns.
func (s *Sampler) Take() uint64 {
	s.seen++
	if s.left > 0 {
		s.left--
		return 0
	}
	if s.every > 1 {
		s.left = s.random.Uint64() % (2*s.every - 1) // every-1 on the average
	}
	return s.every
}
