package geo

// tables is a value for each address. The values are below inside4.
type tables struct {
	v4 ranges4
	v6 ranges6
}

// Find4 is the value of an IPv4 address, the first octet in the uppermost bits,
// and the length of the shortest prefix around it that has this value throughout.
// A length of 0 says that all addresses have it, those of IPv6 included.
func (t *tables) Find4(addr uint32) (value uint32, bits uint8) { return t.v4.find(addr) }

// Find6 is like Find4 for an IPv6 address of two halves. One that stands for an
// IPv4 address (::ffff:0:0/96) has its value, and 96 bits more.
func (t *tables) Find6(hi, lo uint64) (value uint32, bits uint8) {
	value, bits = t.v6.find(hi, lo)
	if value == inside4 {
		value, bits = t.v4.find(uint32(lo))
		return value, bits + 96
	}
	return value, bits
}

// joined is t, of which each family may have been made on its own: what either
// must know of the other is put right.
func joined(t tables) tables {
	if len(t.v4.values) > 1 {
		return t
	}
	inside := t.v4.values[0]
	b := newBuilder6(inside, len(t.v6.starts))
	t.v6.each(b.add)
	t.v6 = b.done()
	if len(t.v6.values) > 1 || t.v6.values[0] != inside {
		t.v4.least = 1
	}
	return t
}

// classes is t with class[v] in place of each value v.
func (t *tables) classes(class []uint32) tables {
	out := tables{v4: t.v4.classes(class)}
	inside := uint32(inside4)
	if len(out.v4.values) == 1 {
		inside = out.v4.values[0]
	}
	out.v6 = t.v6.classes(class, inside)
	if len(out.v4.values) == 1 && (len(out.v6.values) > 1 || out.v6.values[0] != inside) {
		out.v4.least = 1
	}
	return out
}
