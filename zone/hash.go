package zone

import (
	"encoding/binary"
	"math/bits"
)

// Multipliers of the hash: odd numbers with about half their bits set.
const (
	mix0 = 0xa0761d6478bd642f
	mix1 = 0xe7037ed1a0b428db
)

// hash is a fast 64-bit hash of a name, after wyhash (Wang Yi, public domain):
// eight bytes at a time are folded by the two halves of a 128-bit product.
// Names come into a table from the configuration only, so it need not withstand
// somebody who chooses them to collide.
func hash(b []byte) uint64 {
	h := uint64(len(b)) * mix1
	for len(b) >= 8 {
		h = fold(h^binary.LittleEndian.Uint64(b), mix0)
		b = b[8:]
	}
	var tail uint64
	switch {
	case len(b) >= 4:
		tail = uint64(binary.LittleEndian.Uint32(b)) | uint64(binary.LittleEndian.Uint32(b[len(b)-4:]))<<32
	case len(b) > 0:
		tail = uint64(b[0]) | uint64(b[len(b)/2])<<8 | uint64(b[len(b)-1])<<16
	}
	return fold(h^tail, mix1)
}

// upper is the half of a name's hash by which a grid has it.
func upper(name []byte) uint32 { return uint32(hash(name) >> 32) }

func fold(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi ^ lo
}
