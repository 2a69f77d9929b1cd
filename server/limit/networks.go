package limit

import (
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
)

// Networks gives every address the word of the longest network that it is in. It
// is a sorted array of where the word changes, and is not changed after it has
// been made.
type Networks struct {
	v4, v6 ranges
}

// Rule gives networks a word.
type Rule struct {
	Networks []netip.Prefix
	Word     uint8
}

// NewNetworks makes Networks of rules. Where a network is in several rules, the
// last one counts; where an address is in no network, its word is otherwise.
func NewNetworks(otherwise uint8, rules ...Rule) *Networks {
	var v4, v6 []stretch
	for _, r := range rules {
		for _, p := range r.Networks {
			s := stretch{from: keyOf(p.Addr()), bits: p.Bits(), word: r.Word}
			s.to = s.from.last(p.Bits())
			if p.Addr().Unmap().Is4() {
				v4 = append(v4, s)
			} else {
				v6 = append(v6, s)
			}
		}
	}
	return &Networks{newRanges(v4, otherwise), newRanges(v6, otherwise)}
}

// Find is the word of an address.
func (n *Networks) Find(a netip.Addr) uint8 {
	if a.Is4() || a.Is4In6() {
		return n.v4.find(keyOf(a))
	}
	return n.v6.find(keyOf(a))
}

// key is an address as a number; an IPv4 address has its bits at the upper end.
type key struct{ hi, lo uint64 }

func keyOf(a netip.Addr) key {
	if a.Is4() || a.Is4In6() {
		b := a.As4()
		return key{hi: uint64(binary.BigEndian.Uint32(b[:])) << 32}
	}
	b := a.As16()
	return key{binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])}
}

func (k key) compare(o key) int {
	if c := cmp.Compare(k.hi, o.hi); c != 0 {
		return c
	}
	return cmp.Compare(k.lo, o.lo)
}

// last is the last key with the same first bits as k.
func (k key) last(bits int) key {
	if bits <= 64 {
		return key{k.hi | ^uint64(0)>>bits, ^uint64(0)}
	}
	return key{k.hi, k.lo | ^uint64(0)>>(bits-64)}
}

// next is the key behind k; not ok when k is the very last.
func (k key) next() (n key, ok bool) {
	n = key{k.hi, k.lo + 1}
	if n.lo == 0 {
		n.hi++
	}
	return n, n != key{}
}

// stretch is a network.
type stretch struct {
	from, to key
	bits     int
	word     uint8
}

// ranges are where the word changes: words[i] holds from starts[i] to before
// starts[i+1]. The first start is zero.
type ranges struct {
	starts []key
	words  []uint8
}

func newRanges(all []stretch, otherwise uint8) ranges {
	r := ranges{[]key{{}}, []uint8{otherwise}}
	// A network comes before those in it; equal ones stay in their order.
	slices.SortStableFunc(all, func(a, b stretch) int {
		if c := a.from.compare(b.from); c != 0 {
			return c
		}
		return cmp.Compare(a.bits, b.bits)
	})
	var within []stretch // around the place that we are at, the narrowest last
	leave := func() {
		ended := within[len(within)-1]
		within = within[:len(within)-1]
		if at, ok := ended.to.next(); ok {
			word := otherwise
			if len(within) > 0 {
				word = within[len(within)-1].word
			}
			r.change(at, word)
		}
	}
	for _, s := range all {
		for len(within) > 0 && within[len(within)-1].to.compare(s.from) < 0 {
			leave()
		}
		within = append(within, s)
		r.change(s.from, s.word)
	}
	for len(within) > 0 {
		leave()
	}
	return r
}

// change begins a range; of two with the same start, the second counts.
func (r *ranges) change(at key, word uint8) {
	if n := len(r.starts) - 1; r.starts[n] == at {
		r.words[n] = word
		return
	}
	r.starts, r.words = append(r.starts, at), append(r.words, word)
}

// find looks for the last start that is not behind k. It is written out, since
// a function to compare with would be called at each step.
func (r *ranges) find(k key) uint8 {
	lo, hi := 0, len(r.starts) // starts[lo] is not behind k, starts[hi] is
	for hi-lo > 1 {
		mid := int(uint(lo+hi) / 2)
		if s := &r.starts[mid]; s.hi < k.hi || s.hi == k.hi && s.lo <= k.lo {
			lo = mid
		} else {
			hi = mid
		}
	}
	return r.words[lo]
}
