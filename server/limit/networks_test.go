package limit

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
)

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, s := range texts {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func TestNetworks(t *testing.T) {
	n := NewNetworks(0,
		Rule{prefixes("10.0.0.0/8", "10.1.2.0/24", "192.0.2.0/24", "255.255.255.255/32", "2001:db8::/32", "ffff::/16"), 1},
		Rule{prefixes("10.1.0.0/16", "10.1.2.3/32", "192.0.2.0/24", "2001:db8:0:0:1::/80", "2001:db8::ffff:ffff:ffff:ffff/128"), 2})
	for a, want := range map[string]uint8{
		"0.0.0.0": 0, "9.255.255.255": 0, "10.0.0.0": 1, "10.0.255.255": 1, "10.1.0.0": 2, "10.1.1.255": 2, "10.1.2.0": 1,
		"10.1.2.3": 2, "10.1.2.4": 1, "10.1.2.255": 1, "10.1.3.0": 2, "10.1.255.255": 2, "10.2.0.0": 1, "10.255.255.255": 1,
		"11.0.0.0": 0, "192.0.2.9": 2, "192.0.3.0": 0, "255.255.255.254": 0, "255.255.255.255": 1, "::ffff:10.1.2.3": 2,
		"::": 0, "2001:db8::": 1, "2001:db8::1:0:0:0": 2, "2001:db8::1:ffff:ffff:ffff": 2, "2001:db8::2:0:0:0": 1,
		"2001:db8::ffff:ffff:ffff:ffff": 2, "2001:db8:0:1::": 1, "2001:db9::": 0, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff": 1,
		"2001:db8::%eth0": 1, "a01::": 0, "::a01:0": 0,
	} {
		if got := n.Find(addr(a)); got != want {
			t.Errorf("%s: %d, want %d", a, got, want)
		}
	}
	if NewNetworks(7).Find(addr("10.0.0.1")) != 7 || NewNetworks(7).Find(addr("::")) != 7 {
		t.Error("without networks there is another word")
	}
	all := NewNetworks(0, Rule{prefixes("0.0.0.0/0", "::/0"), 3})
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"} {
		if got := all.Find(addr(a)); got != 3 {
			t.Errorf("%s of all: %d", a, got)
		}
	}
}

// FuzzNetworks compares Find with a look at every network.
func FuzzNetworks(f *testing.F) {
	f.Add(uint64(1), []byte{10, 1, 2, 3})
	f.Fuzz(func(t *testing.T, seed uint64, where []byte) {
		rng := rand.New(rand.NewPCG(seed, 0))
		// Few different bits, so that there are networks in networks.
		random := func() netip.Addr {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], rng.Uint64()&0xc000000300000001)
			binary.BigEndian.PutUint64(b[8:], rng.Uint64()&0x8000000000000001)
			if len(where) > 0 {
				b[rng.IntN(16)] = where[rng.IntN(len(where))]
			}
			if rng.IntN(2) == 0 {
				return netip.AddrFrom4([4]byte(b[:]))
			}
			return netip.AddrFrom16(b)
		}
		var rules []Rule
		for range rng.IntN(20) {
			a := random()
			p, _ := a.Prefix(rng.IntN(a.BitLen() + 1))
			rules = append(rules, Rule{[]netip.Prefix{p}, uint8(rng.IntN(5))})
		}
		n := NewNetworks(9, rules...)
		for range 50 {
			a := random()
			want, bits := uint8(9), -1
			for _, r := range rules {
				if p := r.Networks[0]; p.Contains(a) && p.Bits() >= bits {
					want, bits = r.Word, p.Bits()
				}
			}
			if got := n.Find(a); got != want {
				t.Fatalf("%s in %v: %d, want %d", a, rules, got, want)
			}
		}
	})
}

func TestNetworksAllocations(t *testing.T) {
	n := NewNetworks(0, Rule{prefixes("10.0.0.0/8", "2001:db8::/32"), 1})
	a4, a6 := addr("10.0.0.1"), addr("2001:db8::1")
	if got := testing.AllocsPerRun(1000, func() { n.Find(a4); n.Find(a6) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func BenchmarkNetworks(b *testing.B) {
	for name, count := range map[string]int{"3": 3, "10000": 10_000} {
		var all []netip.Prefix
		for i := range count {
			p, _ := netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}).Prefix(25)
			all = append(all, p)
		}
		n, a := NewNetworks(0, Rule{all, 1}), addr("10.0.1.7")
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				n.Find(a)
			}
		})
	}
}
