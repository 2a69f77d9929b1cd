package geo

import (
	"hash/maphash"
	"math/bits"
)

// numbers finds the number of a thing that is in a list by its hash. It has four
// octets for a slot, where a map would have the thing once more. The things stay
// in the list, which whoever asks compares with.
type numbers struct {
	slots []uint32 // number + 1; 0 is free
	used  int
	shift uint8 // of a hash, for its slot
}

// numbersFor has room for n things.
func numbersFor(n int) numbers {
	size := bits.Len(uint(max(n, 8) * 4 / 3))
	return numbers{slots: make([]uint32, 1<<size), shift: uint8(64 - size)}
}

// find is the number of a thing by its hash and by what says whether it is one.
func (t *numbers) find(hash uint64, is func(n uint32) bool) (n uint32, ok bool) {
	for i := hash >> t.shift; ; i++ {
		s := t.slots[i&uint64(len(t.slots)-1)]
		if s == 0 {
			return 0, false
		}
		if is(s - 1) {
			return s - 1, true
		}
	}
}

// add puts a number in that is not there; hashOf is for those that are.
func (t *numbers) add(hash uint64, n uint32, hashOf func(n uint32) uint64) {
	if t.used++; 4*t.used > 3*len(t.slots) {
		old := t.slots
		*t = numbers{slots: make([]uint32, 2*len(old)), used: t.used, shift: t.shift - 1}
		for _, s := range old {
			if s != 0 {
				t.put(hashOf(s-1), s)
			}
		}
	}
	t.put(hash, n+1)
}

func (t *numbers) put(hash uint64, s uint32) {
	i := hash >> t.shift
	for t.slots[i&uint64(len(t.slots)-1)] != 0 {
		i++
	}
	t.slots[i&uint64(len(t.slots)-1)] = s
}

// seed is one of this process's own: a file cannot be made so that its things
// fall together.
var seed = maphash.MakeSeed()
