package zone

import "math/bits"

// owners are the names of the records of a zone that is being built, each once
// and with a number: a hash table with open addressing and linear probing over
// an array that is at most half full. Names are in lower-case wire form.
type owners struct {
	bytes []byte   // the names, each with its length before it
	at    []uint32 // where they are in bytes
	slots []slot
}

func (o *owners) len() int { return len(o.at) }

// resize makes room for n names.
func (o *owners) resize(n int) {
	o.slots = make([]slot, max(8, 2*n))
	for i := range o.at {
		o.place(i)
	}
}

func (o *owners) place(i int) {
	h := hash(o.text(i))
	for at := o.home(h); ; at = o.next(at) {
		if o.slots[at].node == 0 {
			o.slots[at] = slot{uint32(h), uint32(i + 1)}
			return
		}
	}
}

// home is the slot where the search for a hash begins: the hash as a fraction
// of 2^64, of the number of slots. It spares slots, because their number need
// not be a power of two.
func (o *owners) home(h uint64) uint64 {
	at, _ := bits.Mul64(h, uint64(len(o.slots)))
	return at
}

func (o *owners) next(at uint64) uint64 {
	if at++; at == uint64(len(o.slots)) {
		return 0
	}
	return at
}

// text is the name with a number.
func (o *owners) text(i int) []byte {
	b := o.bytes[o.at[i]:]
	return b[1 : 1+int(b[0])]
}

// find is the number of a name, or -1.
func (o *owners) find(name []byte) int {
	if len(o.slots) == 0 {
		return -1
	}
	h := hash(name)
	for at := o.home(h); ; at = o.next(at) {
		s := o.slots[at]
		if s.node == 0 {
			return -1
		}
		if s.hash == uint32(h) && string(o.text(int(s.node-1))) == string(name) {
			return int(s.node - 1)
		}
	}
}

// add is the number of a name, which it gets when it has none.
func (o *owners) add(name []byte) (i int, made bool) {
	if i := o.find(name); i >= 0 {
		return i, false
	}
	if 2*(len(o.at)+1) > len(o.slots) {
		o.resize(2 * (len(o.at) + 1))
	}
	o.at = append(o.at, uint32(len(o.bytes)))
	o.bytes = append(o.bytes, byte(len(name)))
	o.bytes = append(o.bytes, name...)
	o.place(len(o.at) - 1)
	return len(o.at) - 1, true
}
