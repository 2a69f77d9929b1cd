package geo

// builder6 makes ranges6 of ranges that come in order. What is said of the
// addresses of IPv4 is left out: inside goes there.
type builder6 struct {
	ranges6
	inside uint32 // inside4, or the one value of IPv4
	now    uint32 // the value from the last address on
	passed bool   // the addresses of IPv4 are behind
	open   bool   // the last range is a block that is not ended
}

func newBuilder6(inside uint32, size int) *builder6 {
	b := &builder6{inside: inside}
	b.starts, b.values = make([]uint64, 0, size), make([]uint32, 0, size)
	b.put(0, 0, 0)
	return b
}

// add says that the addresses from hi, lo on have value. An address that was
// there may come again; the value said last counts.
func (b *builder6) add(hi, lo uint64, value uint32) {
	if !b.passed && (hi > 0 || lo >= mapped) {
		if hi == 0 && lo < unmapped {
			b.now = value
			return
		}
		b.pass()
	}
	b.now = value
	b.put(hi, lo, value)
}

// pass lays down the addresses of IPv4.
func (b *builder6) pass() {
	b.passed = true
	b.put(0, mapped, b.inside)
	b.put(0, unmapped, b.now)
}

// put is add without a thought for IPv4.
func (b *builder6) put(hi, lo uint64, value uint32) {
	n := len(b.starts)
	if n == 0 {
		b.starts, b.values = append(b.starts, hi), append(b.values, value)
		return
	}
	if b.open && hi > b.starts[n-1] && (hi-1 > b.starts[n-1] || lo > 0) {
		// What the block ends with goes on behind it.
		b.open = false
		b.starts, b.values = append(b.starts, b.starts[n-1]+1), append(b.values, b.deeps[len(b.deeps)-1])
		n++
	}
	last := b.values[n-1]
	if last >= deepFlag {
		last = b.deeps[len(b.deeps)-1]
	}
	switch {
	case hi == b.starts[n-1] && b.open:
		k := len(b.lows) - 1
		switch {
		case lo > b.lows[k] && value != last:
			b.lows, b.deeps = append(b.lows, lo), append(b.deeps, value)
		case lo == b.lows[k]:
			b.again(k, value)
		}
	case hi == b.starts[n-1] && lo == 0:
		b.values[n-1] = value
		b.merge()
	case lo == 0:
		b.open = false
		b.starts, b.values = append(b.starts, hi), append(b.values, value)
		b.merge()
	case value != last:
		if hi > b.starts[n-1] {
			b.starts, b.values = append(b.starts, hi), append(b.values, 0)
			n++
		}
		b.values[n-1] = deepFlag + uint32(len(b.blocks))
		b.blocks = append(b.blocks, uint32(len(b.lows)))
		b.lows = append(b.lows, 0, lo)
		b.deeps = append(b.deeps, last, value)
		b.open = true
	}
}

// again replaces the value of the last segment, the k-th of all.
func (b *builder6) again(k int, value uint32) {
	first := int(b.blocks[len(b.blocks)-1])
	if k == first || b.deeps[k-1] != value {
		b.deeps[k] = value
		return
	}
	// It continues the one before, and is no segment of its own.
	b.lows, b.deeps = b.lows[:k], b.deeps[:k]
	if k-1 > first {
		return
	}
	b.lows, b.deeps, b.blocks = b.lows[:first], b.deeps[:first], b.blocks[:len(b.blocks)-1]
	b.values[len(b.values)-1] = value
	b.open = false
	b.merge()
}

// merge drops the last range when it continues the one before.
func (b *builder6) merge() {
	if n := len(b.values); n > 1 && b.values[n-1] == b.values[n-2] {
		b.starts, b.values = b.starts[:n-1], b.values[:n-1]
	}
}

// done is what was built.
func (b *builder6) done() ranges6 {
	if !b.passed {
		b.pass()
	}
	if n := len(b.starts); b.open && b.starts[n-1] != ^uint64(0) {
		b.starts, b.values = append(b.starts, b.starts[n-1]+1), append(b.values, b.deeps[len(b.deeps)-1])
	}
	if len(b.blocks) > 0 {
		b.blocks = append(b.blocks, uint32(len(b.lows)))
	}
	b.starts, b.values = trim(b.starts), trim(b.values)
	b.seal()
	return b.ranges6
}

// classes is r with class[v] in place of each value v, and inside for IPv4.
func (r *ranges6) classes(class []uint32, inside uint32) ranges6 {
	size, last := 4+2*len(r.blocks), uint32(0)
	for _, v := range r.values {
		if v < inside4 {
			c := class[v]
			size += int(unequal(c, last))
			last = c
		}
	}
	b := newBuilder6(inside, size)
	for i := 0; i < len(r.starts); i++ {
		if v := r.values[i]; v >= inside4 || b.open || !b.passed {
			r.cellsOf(i, func(hi, lo uint64, v uint32) {
				if v != inside4 {
					v = class[v]
				}
				b.add(hi, lo, v)
			})
			continue
		}
		i = b.run(r, i, class) - 1
	}
	return b.done()
}

// run adds the ranges of r from i on until one that is a block, with classes for
// values, as add would, and gives where it ended. No block is open in b, so the
// last of its ranges has the value of now. What counts is speed: see unequal.
func (b *builder6) run(r *ranges6, i int, class []uint32) int {
	k, last := len(b.starts), b.now
	// Room for all that may come, and one more, which is written and not kept.
	starts, values := b.starts[:cap(b.starts)], b.values[:cap(b.values)]
	from, in := r.starts, r.values[:len(r.starts)]
	for ; i < len(from) && in[i] < inside4 && k < len(starts) && k < len(values); i++ {
		c := class[in[i]]
		starts[k], values[k] = from[i], c
		k += int(unequal(c, last))
		last = c
	}
	if i < len(from) && in[i] < inside4 {
		// There is no more room: the next one makes it.
		b.starts, b.values, b.now = starts[:k], values[:k], last
		b.add(from[i], 0, class[in[i]])
		return i + 1
	}
	b.starts, b.values, b.now = starts[:k], values[:k], last
	return i
}
