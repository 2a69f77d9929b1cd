package geo

import "math/bits"

// The addresses of IPv6 that are those of IPv4 (RFC 4291 section 2.5.5.2) are
// the ones from mapped to before unmapped, with an upper half of 0. Unless all of
// IPv4 has one value, theirs is inside4: look there.
const (
	mapped   = 0xffff << 32
	unmapped = 0x10000 << 32
	inside4  = deepFlag - 1
)

// deepFlag marks a value that is the number of a deep block.
const deepFlag = 1 << 31

// ranges6 is the IPv6 addresses, divided into ranges with a value each. As good
// as all ranges begin and end at a /64, so there is a list of upper halves of
// addresses; where something changes within a /64, that /64 is a range of its own
// whose value is the number of a block, a second list.
type ranges6 struct {
	starts []uint64 // upper halves, sorted; the first is 0
	values []uint32 // below inside4, or inside4, or deepFlag + number of block
	// Block k has the segments from blocks[k] to before blocks[k+1], two at least;
	// the first begins at 0.
	blocks []uint32
	lows   []uint64
	deeps  []uint32

	// index is like that of ranges4, for the addresses of 2000::/3 alone, as there
	// are hardly any others. All that lies before is searched from low, what lies
	// behind from high.
	index     []uint32
	shift     uint8
	low, high uint32 // the ranges of 2000:: and 4000::
	// Some blocks of the index have thousands of ranges. There, every step-th start
	// is looked at first, which are few enough to be in the processor's cache.
	steps []uint64
}

// step is how many starts there are to one of steps: four lines of cache.
const step = 32

// at is the range that has the upper half hi.
func (r *ranges6) at(hi uint64) uint32 {
	var i, n uint32
	switch hi >> 61 {
	case 1:
		block := hi << 3 >> r.shift
		i = r.index[block]
		n = r.index[block+1] - i + 1
	case 0:
		n = r.low + 1
	default:
		i, n = r.high, uint32(len(r.starts))-r.high
	}
	if n > 2*step {
		j, m := i/step, (i+n-1)/step-i/step+1
		for m > 1 {
			half := m / 2
			_, less := bits.Sub64(hi, r.steps[j+half], 0)
			j += half & (uint32(less) - 1)
			m -= half
		}
		end := min(i+n, (j+1)*step)
		i = j * step
		n = end - i
	}
	for n > 1 {
		half := n / 2
		// Without a branch: nobody could guess which way it goes.
		_, less := bits.Sub64(hi, r.starts[i+half], 0)
		i += half & (uint32(less) - 1)
		n -= half
	}
	return i
}

// find is the value of an address and the length of the shortest prefix around it
// that has this value throughout.
func (r *ranges6) find(hi, lo uint64) (value uint32, length uint8) {
	i := r.at(hi)
	value = r.values[i]
	if value >= deepFlag {
		return r.findDeep(i, hi, lo)
	}
	// A block beside the range may go on with its value, but has another one as well,
	// and the address has as much in common with all of the block.
	long := 0
	if i > 0 {
		long = bits.LeadingZeros64(hi^(r.starts[i]-1)) + 1
	}
	if int(i)+1 < len(r.starts) {
		long = max(long, bits.LeadingZeros64(hi^r.starts[i+1])+1)
	}
	return value, uint8(long)
}

// cell is a position in ranges6: range i, and segment k when that is deep.
type cell struct{ i, k uint32 }

// findDeep is find where range i is a block. What is beside it may go on with
// the values of its first and last segments.
func (r *ranges6) findDeep(i uint32, hi, lo uint64) (value uint32, length uint8) {
	b := r.values[i] - deepFlag
	at := cell{i, r.blocks[b]}
	for at.k+1 < r.blocks[b+1] && r.lows[at.k+1] <= lo {
		at.k++
	}
	value = r.value(at)
	long := 0
	// No three neighbours are of one value unless the one between is no block, so
	// these loops end soon.
	for c := at; ; {
		sHi, sLo := r.start(c)
		before, ok := r.previous(c)
		if !ok {
			break
		}
		if r.value(before) != value {
			if sLo == 0 {
				sHi--
			}
			long = common(hi, lo, sHi, sLo-1) + 1
			break
		}
		c = before
	}
	for c, ok := r.next(at); ok; c, ok = r.next(c) {
		if r.value(c) != value {
			sHi, sLo := r.start(c)
			long = max(long, common(hi, lo, sHi, sLo)+1)
			break
		}
	}
	return value, uint8(long)
}

// common is how many leading bits two addresses have in common.
func common(aHi, aLo, bHi, bLo uint64) int {
	if aHi != bHi {
		return bits.LeadingZeros64(aHi ^ bHi)
	}
	return 64 + bits.LeadingZeros64(aLo^bLo)
}

func (r *ranges6) value(c cell) uint32 {
	if v := r.values[c.i]; v < deepFlag {
		return v
	}
	return r.deeps[c.k]
}

func (r *ranges6) start(c cell) (hi, lo uint64) {
	if r.values[c.i] < deepFlag {
		return r.starts[c.i], 0
	}
	return r.starts[c.i], r.lows[c.k]
}

func (r *ranges6) previous(c cell) (cell, bool) {
	if b := r.values[c.i]; b >= deepFlag && c.k > r.blocks[b-deepFlag] {
		return cell{c.i, c.k - 1}, true
	}
	if c.i == 0 {
		return cell{}, false
	}
	c = cell{i: c.i - 1}
	if b := r.values[c.i]; b >= deepFlag {
		c.k = r.blocks[b-deepFlag+1] - 1
	}
	return c, true
}

func (r *ranges6) next(c cell) (cell, bool) {
	if b := r.values[c.i]; b >= deepFlag && c.k+1 < r.blocks[b-deepFlag+1] {
		return cell{c.i, c.k + 1}, true
	}
	if int(c.i)+1 == len(r.starts) {
		return cell{}, false
	}
	c = cell{i: c.i + 1}
	if b := r.values[c.i]; b >= deepFlag {
		c.k = r.blocks[b-deepFlag]
	}
	return c, true
}

// each calls f with each cell's first address and value, in order. Those of a
// block and their neighbours may have the same value.
func (r *ranges6) each(f func(hi, lo uint64, value uint32)) {
	for i := range r.starts {
		r.cellsOf(i, f)
	}
}

// cellsOf is each for range i alone.
func (r *ranges6) cellsOf(i int, f func(hi, lo uint64, value uint32)) {
	v := r.values[i]
	if v < deepFlag {
		f(r.starts[i], 0, v)
		return
	}
	for k := r.blocks[v-deepFlag]; k < r.blocks[v-deepFlag+1]; k++ {
		f(r.starts[i], r.lows[k], r.deeps[k])
	}
}

// blank is whether all addresses have the value 0, those of IPv4 apart.
func (r *ranges6) blank() bool {
	for _, list := range [][]uint32{r.values, r.deeps} {
		for _, v := range list {
			if v != 0 && v < inside4 {
				return false
			}
		}
	}
	return true
}

// seal makes the index.
func (r *ranges6) seal() {
	const first, end = 1 << 61, 2 << 61
	size := sizeIndex(len(r.starts))
	r.shift = uint8(64 - size)
	r.index = make([]uint32, 1<<size+1)
	wide := r.shift - 3 // at looks at the address without its first three bits
	rest := uint64(1)<<wide - 1
	r.steps = make([]uint64, 0, len(r.starts)/step+1)
	for i, s := range r.starts {
		if i%step == 0 {
			r.steps = append(r.steps, s)
		}
		if s <= end {
			r.index[(max(s, first)-first+rest)>>wide] = uint32(i)
		}
	}
	fillIndex(r.index)
	r.low, r.high = r.index[0], r.index[1<<size]
}
