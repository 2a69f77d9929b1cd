package main

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
)

// networkTree makes a file in MaxMind's format, the one that all servers read
// (MaxMind DB File Format Specification 2.0), with records of 32 bits.
type networkTree struct {
	nodes   [][2]uint32 // a node, or leaf and a value; 0 is nothing, since nothing leads to the root
	four    uint32      // where the addresses of IPv4 begin: ::/96
	count   int         // networks
	data    []byte
	offsets []uint32 // of the values
}

// leaf marks what is no node.
const leaf = 1 << 31

func newNetworkTree() *networkTree {
	t := &networkTree{nodes: make([][2]uint32, 1)}
	t.four = t.down(0, [16]byte{}, 96)
	return t
}

// value adds a value that networks may have.
func (t *networkTree) value(v map[string]any) uint32 {
	t.offsets = append(t.offsets, uint32(len(t.data)))
	t.data = appendValue(t.data, v)
	return uint32(len(t.offsets) - 1)
}

// put gives a network a value. What is put later goes into what was put before.
func (t *networkTree) put(p netip.Prefix, value uint32) {
	from, bits := uint32(0), p.Bits()
	addr := p.Addr().As16()
	if p.Addr().Is4() {
		from = t.four
		copy(addr[:], addr[12:])
	}
	last := bits - 1
	at := t.down(from, addr, last)
	t.nodes[at][bit(addr, last)] = leaf | value
	t.count++
}

func bit(addr [16]byte, i int) byte { return addr[i/8] >> (7 - i%8) & 1 }

// down is the node that so many bits lead to, made where it is not there yet.
func (t *networkTree) down(at uint32, addr [16]byte, bits int) uint32 {
	for i := range bits {
		next := &t.nodes[at][bit(addr, i)]
		if *next == 0 || *next >= leaf {
			was := *next
			*next = uint32(len(t.nodes))
			at = *next
			t.nodes = append(t.nodes, [2]uint32{was, was})
			continue
		}
		at = *next
	}
	return at
}

// file is the whole as a file that says it is of a kind.
func (t *networkTree) file(kind string) []byte {
	const separator = 16
	nodes := uint32(len(t.nodes))
	out := make([]byte, 0, len(t.nodes)*8+len(t.data)+1024)
	for _, n := range t.nodes {
		for _, to := range n {
			switch {
			case to == 0:
				to = nodes
			case to >= leaf:
				to = nodes + separator + t.offsets[to-leaf]
			}
			out = binary.BigEndian.AppendUint32(out, to)
		}
	}
	out = append(append(out, make([]byte, separator)...), t.data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	return appendValue(out, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1_780_000_000),
		"database_type": kind, "description": map[string]any{"en": "made by rhumb's benchmark"}, "ip_version": uint16(6),
		"languages": []any{"en"}, "node_count": nodes, "record_size": uint16(32),
	})
}

// appendValue appends a value as the data section has it.
func appendValue(b []byte, v any) []byte {
	head := func(kind, size int) {
		at := byte(min(size, 29))
		if kind < 8 {
			b = append(b, byte(kind<<5)|at)
		} else {
			b = append(b, at, byte(kind-7))
		}
		if size >= 29 { // and less than 285, which is all that is wanted here
			b = append(b, byte(size-29))
		}
	}
	number := func(kind int, n uint64) {
		full := binary.BigEndian.AppendUint64(nil, n)
		for len(full) > 0 && full[0] == 0 {
			full = full[1:]
		}
		head(kind, len(full))
		b = append(b, full...)
	}
	switch v := v.(type) {
	case string:
		head(2, len(v))
		b = append(b, v...)
	case float64:
		head(3, 8)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	case uint16:
		number(5, uint64(v))
	case uint32:
		number(6, uint64(v))
	case uint64:
		number(9, v)
	case []any:
		head(11, len(v))
		for _, e := range v {
			b = appendValue(b, e)
		}
	case map[string]any:
		head(7, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = appendValue(appendValue(b, k), v[k])
		}
	default:
		panic(fmt.Sprintf("no %T in this format", v))
	}
	return b
}
