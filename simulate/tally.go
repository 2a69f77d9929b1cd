package simulate

import "math/bits"

// numbering gives keys the numbers 0, 1, 2 in the order in which they come. It is
// an open hash table with linear probing: a map would cost several times as much,
// and there is a look-up for each answer.
type numbering struct {
	slots []slot
	shift uint8
	count int
}

type slot struct {
	key    uint64
	number uint32 // plus one; 0 is free
}

// of is the number of a key, and whether the key is new.
func (n *numbering) of(key uint64) (number int, fresh bool) {
	if 2*n.count >= len(n.slots) {
		n.grow()
	}
	i := n.hash(key)
	for ; n.slots[i].number != 0; i = (i + 1) & (len(n.slots) - 1) {
		if n.slots[i].key == key {
			return int(n.slots[i].number - 1), false
		}
	}
	n.count++
	n.slots[i] = slot{key, uint32(n.count)}
	return n.count - 1, true
}

// hash is Fibonacci hashing: the upper bits of the key times 2^64 / phi.
func (n *numbering) hash(key uint64) int { return int(key * 0x9e3779b97f4a7c15 >> n.shift) }

func (n *numbering) grow() {
	old := n.slots
	n.slots = make([]slot, max(64, 2*len(old)))
	n.shift = uint8(64 - bits.Len(uint(len(n.slots)-1)))
	for _, s := range old {
		if s.number == 0 {
			continue
		}
		i := n.hash(s.key)
		for n.slots[i].number != 0 {
			i = (i + 1) & (len(n.slots) - 1)
		}
		n.slots[i] = s
	}
}

// pair is two small numbers as one key.
func pair(a, b int) uint64 { return uint64(uint32(a))<<32 | uint64(uint32(b)) }
