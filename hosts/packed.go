package hosts

import (
	"bytes"
	"net/netip"
	"slices"
)

// arrange sorts packed addresses of n octets each and leaves one of each.
func arrange(packed []byte, n int) []byte {
	if len(packed) == 0 {
		return nil
	}
	all := slices.Collect(slices.Chunk(packed, n))
	slices.SortFunc(all, bytes.Compare)
	return bytes.Join(slices.CompactFunc(all, bytes.Equal), nil)
}

// pack packs the addresses of one family.
func pack(addrs []netip.Addr, v6 bool) []byte {
	var packed []byte
	for _, a := range addrs {
		if a.Is4() != v6 && a.IsValid() {
			packed = append(packed, a.AsSlice()...)
		}
	}
	return arrange(packed, size(v6))
}

// unpack is the addresses that are packed, nil for none.
func unpack(packed []byte, v6 bool) []netip.Addr {
	if len(packed) == 0 {
		return nil
	}
	addrs := make([]netip.Addr, 0, len(packed)/size(v6))
	for octets := range slices.Chunk(packed, size(v6)) {
		a, _ := netip.AddrFromSlice(octets)
		addrs = append(addrs, a)
	}
	return addrs
}
