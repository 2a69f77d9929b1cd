package limit

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// tick is the unit of time, a power of two of nanoseconds so that a reading of
// the clock is made one by a shift.
const (
	tickShift = 6
	tick      = 1 << tickShift * time.Nanosecond
	// credit is what an account may use at once: what it earns in a second.
	credit = int64(time.Second / tick)
	// lag is how far behind another worker's reading of the clock one may be
	// without mistaking what the other has written for something very old.
	lag = 4 * credit
)

// Time is a time in ticks of 64 ns since any moment, the same one for all that
// use the same accounts.
type Time uint64

// At is the Time so long after that moment.
func At(d time.Duration) Time { return Time(d >> tickShift) }

// Rate is what one answer costs of a second, in ticks; 0 is nothing, which is
// no limit.
type Rate uint32

// MaxPerSecond is the highest rate that the unit of time can tell from the next.
const MaxPerSecond = 1_000_000

// PerSecond is the rate of n a second, 0 for no limit. In whole ticks it is n at
// least, and 1% more at most for n up to 100,000.
func PerSecond(n int) Rate {
	if n <= 0 {
		return 0
	}
	return Rate(max(credit/int64(n), 1))
}

// An account is one word: the upper bits of its hash, which tell it from the
// others in its set, and the time when all of its credit will be back, of which
// the lower 40 bits come round every 19 hours. One whose time has passed says
// nothing, so that its place is free without anybody having cleared it; one that
// has not been looked at for half of the 19 hours may seem to have been used in
// the last seconds, once in 10,000 times, and recovers as if it had been.
const (
	timeBits = 40
	timeMask = 1<<timeBits - 1
	tagMask  = ^uint64(timeMask)
)

// ways is how many accounts are in one set: a cache line of 64 bytes, so that a
// query waits for memory once.
const ways = 8

type set [ways]atomic.Uint64

// Accounts is a table of accounts. It is safe for concurrent use.
type Accounts struct {
	sets  []set
	mask  uint64
	keys  [3]uint64
	start time.Time
}

// NewAccounts makes a table for so many accounts at least, of 8 bytes each,
// rounded up to a power of two. The keys of its hash are random: nobody outside
// can tell which names and networks share a place.
func NewAccounts(n int) *Accounts {
	sets := 1
	for sets*ways < n {
		sets *= 2
	}
	return &Accounts{
		sets:  make([]set, sets), // large ones are laid out by pages, so each set is one line
		mask:  uint64(sets - 1),
		keys:  [3]uint64{rand.Uint64(), rand.Uint64(), rand.Uint64()},
		start: time.Now(),
	}
}

// Len is the number of accounts that there is room for.
func (a *Accounts) Len() int { return len(a.sets) * ways }

// Now reads the clock, which counts from when the accounts were made.
func (a *Accounts) Now() Time { return At(time.Since(a.start)) }

// id is the hash of an account: of a network, a kind and a name, which may be
// empty.
func (a *Accounts) id(network uint64, kind Kind, name []byte) uint64 {
	// Words are mixed as wyhash (Wang Yi) does, in a third of the time that
	// hash/maphash takes for a short name.
	h := mix(network^a.keys[0], a.keys[1]+uint64(kind)<<8+uint64(len(name)))
	for ; len(name) >= 16; name = name[16:] {
		h = mix(binary.LittleEndian.Uint64(name)^a.keys[2], binary.LittleEndian.Uint64(name[8:])^h)
	}
	if n := len(name); n >= 8 { // the last eight bytes may be some of the first again
		h = mix(binary.LittleEndian.Uint64(name)^a.keys[2], binary.LittleEndian.Uint64(name[n-8:])^h)
	} else if n > 0 {
		var last uint64
		for _, b := range name {
			last = last<<8 | uint64(b)
		}
		h = mix(last^a.keys[2], h)
	}
	// Of a product by a word that by chance ends in zeros, such as that of a key and what
	// all names end in, the low bits, which choose the set, say little. So once more,
	// by one that does not.
	return mix(h^a.keys[1], odd)
}

// odd is a word with ones and zeros all over it.
const odd = 0xa0761d6478bd642f

// mix is the whole product of two words, folded.
func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}

// tries is how often a word that others change at the same time is looked at
// again. Each time, one of them has got on.
const tries = 4

// take uses the credit of an account for one answer. It is false when there is
// none, and then nothing is written: a flood beyond its limit costs the workers
// no line of memory that they would have to pass to each other, however many
// they are. That is what makes one table for all of them as fast as one each.
//
// It is the generic cell rate algorithm (ITU-T I.371), with a second's credit.
func (a *Accounts) take(id uint64, now Time, r Rate) bool {
	s := &a.sets[id&a.mask]
	tag, cost := id&tagMask, int64(r)
	for range tries {
		place, word, used := s.find(tag, now)
		if used+cost > credit {
			return false
		}
		// The word holds when the account is whole again.
		if s[place].CompareAndSwap(word, tag|(uint64(now)+uint64(used+cost))&timeMask) {
			return true
		}
	}
	return true
}

// after is how long it takes until an account has credit for one answer again; 0:
// it has.
func (a *Accounts) after(id uint64, now Time, r Rate) Time {
	_, _, used := a.sets[id&a.mask].find(id&tagMask, now)
	return Time(max(used+int64(r)-credit, 0))
}

// find is the place of the account with a tag, the word there, and how much of
// its credit is used; without one, the place of the account that is missed
// least, of which nothing is used then. Two workers may make the same account in
// two places: the second is not found again, and its time passes.
func (s *set) find(tag uint64, now Time) (place int, word uint64, used int64) {
	for i := range s {
		if w := s[i].Load(); w&tagMask == tag {
			return i, w, usedOf(w, now)
		}
	}
	least := int64(1) << timeBits
	for i := range s {
		w := s[i].Load()
		if u := usedOf(w, now); u < least {
			place, word, least = i, w, u
		}
	}
	return place, word, 0
}

// usedOf is how far the time of a word is ahead of now.
func usedOf(w uint64, now Time) int64 {
	const unused = 64 - timeBits
	ahead := int64((w-uint64(now))<<unused) >> unused
	if ahead < 0 || ahead > credit+lag {
		return 0
	}
	return ahead
}
