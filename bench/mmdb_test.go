package main

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/oschwald/maxminddb-golang/v2"
)

// TestNetworkTree reads what is written by a library that is not ours.
func TestNetworkTree(t *testing.T) {
	tree := newNetworkTree()
	of := map[netip.Prefix]uint32{}
	r := rand.New(rand.NewPCG(1, 1))
	values := make([]uint32, 50)
	for i := range values {
		values[i] = tree.value(map[string]any{"n": uint32(i), "deep": map[string]any{"f": float64(i) / 2}})
	}
	for bits := 8; bits <= 32; bits++ { // short ones first, as put wants them
		for range 20 {
			p, _ := netip.AddrFrom4([4]byte{10, byte(r.Uint32() & 3), byte(r.Uint32()), byte(r.Uint32())}).Prefix(bits)
			v := r.Uint32N(50)
			of[p] = v
			tree.put(p, values[v])
		}
	}
	six := netip.MustParsePrefix("2001:db8::/40")
	of[six] = 7
	tree.put(six, values[7])
	db, err := maxminddb.OpenBytes(tree.file("Test"))
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Verify(); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		a := netip.AddrFrom4([4]byte{byte(9 + r.Uint32N(2)), byte(r.Uint32() & 3), byte(r.Uint32()), byte(r.Uint32())})
		if r.Uint32N(10) == 0 {
			a = netip.MustParseAddr("2001:db8:1::1")
		}
		want, best := uint32(0), -1
		for p, v := range of {
			if p.Contains(a) && p.Bits() > best {
				want, best = v, p.Bits()
			}
		}
		var got struct {
			N    uint32 `maxminddb:"n"`
			Deep struct {
				F float64 `maxminddb:"f"`
			} `maxminddb:"deep"`
		}
		res := db.Lookup(a)
		if err := res.Decode(&got); err != nil {
			t.Fatal(err)
		}
		if res.Found() != (best >= 0) || got.N != want || got.Deep.F != float64(want)/2 {
			t.Fatalf("%v: %t %+v, want %d of a /%d", a, res.Found(), got, want, best)
		}
	}
}
