package meter

import (
	"cmp"
	"hash/maphash"
	"runtime"
	"slices"
	"sync/atomic"
)

const (
	// ways is how many keys compete for a place. With one set of all places the
	// smallest would have to be searched among all of them.
	ways = 8
	// fade is after how many counts for each place all weights are halved, so
	// that what was heavy long ago makes room for what is heavy now.
	fade = 8
)

// Heavy finds the keys that are counted most among any number of keys, in
// constant memory: Space-Saving (Metwally, Agrawal, El Abbadi, 2005) in sets of
// eight. A key that has no place takes that of the lightest in its set and its
// weight, so that a key which is more than an eighth of what comes to its set
// always has one. The sets are chosen by a hash that clients do not know.
//
// Add never waits: while another is at it, what comes is not counted.
type Heavy struct {
	busy   atomic.Bool // what follows is in somebody's hands
	places []place
	keys   []byte // a room of size bytes for each place
	size   int
	serial uint64
	counts int // since the last fading
}

type place struct {
	hash   uint64
	serial uint64 // of its key's entry, never used again; 0: empty
	hits   uint64 // of its key since that
	weight uint64
	length uint8 // of its key
}

var seed = maphash.MakeSeed()

// NewHeavy makes one with a number of sets, a power of two, of eight keys each.
// Keys are cut to size bytes, at most 255.
func NewHeavy(sets, size int) *Heavy {
	return &Heavy{places: make([]place, sets*ways), keys: make([]byte, sets*ways*size), size: size}
}

// Add counts a key n times.
func (h *Heavy) Add(key []byte, n uint64) {
	if !h.busy.CompareAndSwap(false, true) {
		return
	}
	h.add(key, n)
	h.busy.Store(false)
}

func (h *Heavy) add(key []byte, n uint64) {
	key = key[:min(len(key), h.size)]
	hash := maphash.Bytes(seed, key)
	first := int(hash&uint64(len(h.places)/ways-1)) * ways
	set := h.places[first:][:ways]
	least := 0
	for i := range set {
		p := &set[i]
		if p.hash == hash && p.serial != 0 && string(h.key(first+i)) == string(key) {
			p.hits += n
			p.weight += n
			h.fade()
			return
		}
		if p.weight < set[least].weight {
			least = i
		}
	}
	h.serial++
	p := &set[least]
	*p = place{hash: hash, serial: h.serial, hits: n, weight: p.weight + n, length: uint8(len(key))}
	copy(h.key(first+least), key)
	h.fade()
}

func (h *Heavy) key(i int) []byte { return h.keys[i*h.size:][:h.places[i].length] }

// fade halves all weights from time to time.
func (h *Heavy) fade() {
	if h.counts++; h.counts < fade*len(h.places) {
		return
	}
	h.counts = 0
	for i := range h.places {
		h.places[i].weight /= 2
	}
}

// Hit is a key of a Heavy.
type Hit struct {
	Key string
	N   uint64 // how often it was counted since it has its place
	at  sighting
}

// sighting tells the stays of a key at its place from each other.
type sighting struct {
	heavy  *Heavy
	serial uint64
}

// Append appends the keys that have a place, in no order.
func (h *Heavy) Append(hits []Hit) []Hit {
	for !h.busy.CompareAndSwap(false, true) {
		runtime.Gosched() // for the time of an Add
	}
	defer h.busy.Store(false)
	for i := range h.places {
		if p := &h.places[i]; p.serial != 0 {
			hits = append(hits, Hit{string(h.key(i)), p.hits, sighting{h, p.serial}})
		}
	}
	return hits
}

// Ranked adds up the hits by their key, less what was counted at an earlier
// reading, and gives those that were counted, by their key.
func Ranked(now, before []Hit) []Hit {
	had := make(map[sighting]uint64, len(before))
	for _, h := range before {
		had[h.at] = h.N
	}
	sums := make(map[string]uint64, len(now))
	for _, h := range now {
		if n := h.N - had[h.at]; n > 0 {
			sums[h.Key] += n
		}
	}
	out := make([]Hit, 0, len(sums))
	for key, n := range sums {
		out = append(out, Hit{Key: key, N: n})
	}
	slices.SortFunc(out, func(x, y Hit) int { return cmp.Compare(x.Key, y.Key) })
	return out
}
