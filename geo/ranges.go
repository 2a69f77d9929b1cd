package geo

import "math/bits"

// ranges4 is the IPv4 addresses, divided into ranges with a value each.
// Neighbours have different values, so where a range ends, something changes.
type ranges4 struct {
	starts []uint32 // sorted; the first is 0
	values []uint32
	// index has, for each block of addresses that are equal but for shift bits, the
	// range with the first of them; and one entry more, the last range.
	index []uint32
	shift uint8
	// least is 1 when all of IPv4 is one range and IPv6 differs: a prefix of no bits
	// is of every address there is, as resolvers understand a scope of 0.
	least uint8
}

// find is the value of addr and the length of the shortest prefix around it that
// has this value throughout.
func (r *ranges4) find(addr uint32) (value uint32, length uint8) {
	block := addr >> r.shift
	i := r.index[block]
	n := r.index[block+1] - i + 1
	for n > 1 {
		half := n / 2
		// Without a branch: nobody could guess which way it goes.
		_, less := bits.Sub32(addr, r.starts[i+half], 0)
		i += half & (less - 1)
		n -= half
	}
	// A prefix that is longer than what addr has in common with the last address
	// before the range, and the first one behind it, reaches neither.
	long := int(r.least)
	if s := r.starts[i]; s != 0 {
		long = bits.LeadingZeros32(addr^(s-1)) + 1
	}
	if int(i)+1 < len(r.starts) {
		long = max(long, bits.LeadingZeros32(addr^r.starts[i+1])+1)
	}
	return r.values[i], uint8(long)
}

// blank is whether all addresses have the value 0.
func (r *ranges4) blank() bool { return len(r.values) == 1 && r.values[0] == 0 }

// sizeIndex is how many bits of an address tell its block: some two ranges for
// each block on average, within limits.
func sizeIndex(n int) int { return min(max(bits.Len(uint(n))-2, 0), 20) }

// seal makes the index.
func (r *ranges4) seal() {
	size := sizeIndex(len(r.starts))
	r.shift = uint8(32 - size)
	r.index = make([]uint32, 1<<size+1)
	rest := uint64(1)<<r.shift - 1
	for i, s := range r.starts {
		// The first block that begins in this range or behind it. Of several ranges with
		// the same one, the last stays.
		r.index[(uint64(s)+rest)>>r.shift] = uint32(i)
	}
	fillIndex(r.index)
}

// fillIndex gives blocks in which no range begins the range that goes on there.
func fillIndex(index []uint32) {
	last := uint32(0)
	for i, at := range index {
		last = max(last, at)
		index[i] = last
	}
}

// classes is r with class[v] in place of each value v. It has no branches that
// depend on the classes, since nobody could guess where they change.
func (r *ranges4) classes(class []uint32) ranges4 {
	first := class[r.values[0]]
	n, last := uint32(1), first
	for _, v := range r.values[1:] {
		c := class[v]
		n += unequal(c, last)
		last = c
	}
	// One more than there are, since the loop writes before it knows.
	starts, values := make([]uint32, n+1), make([]uint32, n+1)
	values[0] = first
	k := uint32(1)
	last = first
	in := r.starts[:len(r.values)]
	for i := 1; i < len(in); i++ {
		c := class[r.values[i]]
		starts[k], values[k] = in[i], c
		k += unequal(c, last)
		last = c
	}
	out := ranges4{starts: starts[:n], values: values[:n]}
	out.seal()
	return out
}

// unequal is 1 if a and b differ, else 0.
func unequal(a, b uint32) uint32 {
	d := a ^ b
	return (d | -d) >> 31
}

// builder4 makes ranges4 of ranges that come in order.
type builder4 struct{ ranges4 }

// grow makes room for so many ranges.
func (b *builder4) grow(n int) {
	b.starts, b.values = make([]uint32, 0, n), make([]uint32, 0, n)
}

// add says that the addresses from start on have value.
func (b *builder4) add(start, value uint32) {
	if n := len(b.values); n > 0 && b.values[n-1] == value {
		return
	}
	b.starts, b.values = append(b.starts, start), append(b.values, value)
}

// number puts ids[v] in the place of each value v.
func (b *builder4) number(ids []uint32) {
	starts, values := b.starts, b.values
	b.starts, b.values = starts[:0], values[:0]
	for i, v := range values {
		b.add(starts[i], ids[v]) // not beyond what has been read
	}
}

// set is add for an address that may be the last one again: the value said last
// counts.
func (b *builder4) set(start, value uint32) {
	if n := len(b.starts); n > 0 && b.starts[n-1] == start {
		b.starts, b.values = b.starts[:n-1], b.values[:n-1]
	}
	b.add(start, value)
}

// done is what was built. Nothing added is value 0 throughout.
func (b *builder4) done() ranges4 {
	if len(b.starts) == 0 {
		b.add(0, 0)
	}
	b.starts, b.values = trim(b.starts), trim(b.values)
	b.seal()
	return b.ranges4
}

// trim gives back what a list that grew has too much.
func trim[T any](s []T) []T {
	if cap(s)-len(s) <= len(s)/8 {
		return s
	}
	return append(make([]T, 0, len(s)), s...)
}
