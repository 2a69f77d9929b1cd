package geo

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

var (
	all4    = netip.MustParsePrefix("0.0.0.0/0")
	all6    = netip.MustParsePrefix("::/0")
	mapped4 = netip.MustParsePrefix("::ffff:0:0/96")
)

// oracle is the slow and obvious way to a place: all networks, one by one. The
// place of a network is told by its ASN.
type oracle []Network

// of is what the longest network with a has for it.
func (o oracle) of(a netip.Addr) uint32 {
	best, id := -1, uint32(0)
	for _, n := range o {
		if n.Prefix.Contains(a) && n.Prefix.Bits() > best {
			best, id = n.Prefix.Bits(), n.Place.ASN
		}
	}
	return id
}

// probes are addresses among which is one of each stretch of p with one value:
// the first and last address of every network, those beside them, cut to p.
func (o oracle) probes(p netip.Prefix) []netip.Addr {
	all := []netip.Addr{p.Addr(), last(p)}
	for _, n := range append(oracle{{Prefix: mapped4}}, o...) {
		for _, a := range []netip.Addr{n.Prefix.Addr(), last(n.Prefix)} {
			for _, b := range []netip.Addr{a, a.Prev(), a.Next()} {
				if b.IsValid() && p.Contains(b) {
					all = append(all, b)
				}
			}
		}
	}
	return all
}

// truth is what a test believes: the answer for each address, and networks in
// which nothing changes but at the ends of others.
type truth struct {
	oracle
	answer func(a netip.Addr) any
}

func (o oracle) truth() truth {
	return truth{o, func(a netip.Addr) any { return o.of(a) }}
}

// uniform is whether all of p has one answer. The addresses of IPv4 are within a
// prefix of IPv6 that has them, and those of IPv6 within 0.0.0.0/0.
func (t truth) uniform(p netip.Prefix) bool {
	all := t.probes(p)
	if p.Addr().Is6() && p.Overlaps(mapped4) || p == all4 {
		all = append(all, t.probes(all4)...)
	}
	if p == all4 {
		all = append(all, t.probes(all6)...)
	}
	want := t.answer(p.Addr().Unmap())
	for _, a := range all {
		if !a.Is4In6() && t.answer(a) != want {
			return false
		}
	}
	return true
}

// hold compares what a look-up says of a with the truth.
func hold(t *testing.T, o truth, a netip.Addr, got any, bits uint8) {
	t.Helper()
	if want := o.answer(a.Unmap()); got != want {
		t.Fatalf("%v: %s is %v, want %v", o.oracle, a, got, want)
	}
	if a.Is4In6() && bits > 96 {
		a, bits = a.Unmap(), bits-96
	}
	p, err := a.Prefix(int(bits))
	if err != nil {
		t.Fatalf("%v: %s has a prefix of %d bits", o.oracle, a, bits)
	}
	if !o.uniform(p) {
		t.Fatalf("%v: %s says %s, which is not uniform", o.oracle, a, p)
	}
	if bits == 0 {
		return
	}
	if wider, _ := a.Prefix(int(bits) - 1); o.uniform(wider) {
		t.Fatalf("%v: %s says %s, but %s is uniform as well", o.oracle, a, p, wider)
	}
}

func last(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= 1 << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// randomAddr is an address near others: few different octets in few places.
func randomAddr(r *rand.Rand, v6 bool) netip.Addr {
	if !v6 {
		var b [4]byte
		for i := range b {
			b[i] = []byte{0, 1, 127, 128, 255, byte(r.Uint32())}[r.IntN(6)]
		}
		return netip.AddrFrom4(b)
	}
	var b [16]byte
	b[0] = []byte{0, 0x20, 0x20, 0x2a, 0x3f, 0x40, 0xff, byte(r.Uint32())}[r.IntN(8)]
	for _, i := range []int{1, 2, 7, 8, 9, 15} {
		b[i] = []byte{0, 0, 1, 0x80, 0xff, 0xff, byte(r.Uint32())}[r.IntN(7)]
	}
	switch r.IntN(8) {
	case 0: // beside the addresses of IPv4
		b = [16]byte{9: byte(r.IntN(2)), 10: 255, 11: byte(254 + r.IntN(2)), 12: byte(r.IntN(2) * 255), 15: byte(r.IntN(2) * 255)}
	case 1: // all ones for long
		for i := 1; i < 16; i++ {
			b[i] = 0xff
		}
		b[7+r.IntN(9)] = byte(r.Uint32())
	}
	return netip.AddrFrom16(b)
}

func randomNetworks(r *rand.Rand) oracle {
	var o oracle
	seen := map[netip.Prefix]bool{}
	places := 1 + r.IntN(4)
	for range r.IntN(10) {
		v6 := r.IntN(2) == 0
		a := randomAddr(r, v6)
		bits := r.IntN(a.BitLen() + 1)
		if v6 {
			bits = []int{bits, 0, 1, 3, 32, 48, 63, 64, 65, 66, 96, 127, 128}[r.IntN(13)]
		}
		p := netip.PrefixFrom(a, bits).Masked()
		if p.Addr().Is4In6() || seen[p] {
			continue
		}
		seen[p] = true
		o = append(o, Network{p, Place{ASN: uint32(r.IntN(places + 1))}})
		// Neighbours of one place within something else come together somewhere.
		beside := netip.PrefixFrom(last(p).Next(), bits)
		if r.IntN(3) == 0 && beside.IsValid() && beside == beside.Masked() && !beside.Addr().Is4In6() && !seen[beside] {
			seen[beside] = true
			o = append(o, Network{beside, o[len(o)-1].Place})
		}
	}
	return o
}

// samples are the addresses at which something could go wrong.
func samples(r *rand.Rand, o oracle) []netip.Addr {
	all := append(o.probes(all6), o.probes(all4)...)
	for range 10 {
		all = append(all, randomAddr(r, true), randomAddr(r, false))
	}
	return append(all, netip.AddrFrom16(randomAddr(r, false).As16()), mapped4.Addr(), last(mapped4))
}

// dropLater keeps of equal prefixes the first.
func dropLater(o oracle) oracle {
	var out oracle
	seen := map[netip.Prefix]bool{}
	for _, n := range o {
		if !seen[n.Prefix] {
			seen[n.Prefix] = true
			out = append(out, n)
		}
	}
	return out
}

// TestOracle compares views and maps of random networks with the slow way, value
// by value and prefix by prefix.
func TestOracle(t *testing.T) {
	for seed := range uint64(100) {
		r := rand.New(rand.NewPCG(seed, 1))
		o := randomNetworks(r)
		nets, err := arranged(o)
		if err != nil {
			t.Fatal(err)
		}
		v := finished(layerOf(nets), &Config{})
		asked := samples(r, o)
		for _, a := range asked {
			id, bits := v.find(a)
			hold(t, o.truth(), a, v.Place(id).ASN, bits)
		}

		// Some places are alike for whoever makes a map.
		kind := make([]uint32, 8)
		for i := range kind {
			kind[i] = r.Uint32N(3)
		}
		class := make([]uint32, v.Places())
		for i := range class {
			class[i] = kind[v.Place(uint32(i)).ASN]
		}
		// What no network has is class kind[0], which the oracle would call 0.
		alike := dropLater(append(slices.Clone(o), Network{Prefix: all6}, Network{Prefix: all4}))
		for i := range alike {
			alike[i].Place.ASN = kind[alike[i].Place.ASN]
		}
		m := v.Classes(class)
		for _, a := range asked {
			c, bits := m.find(a)
			hold(t, alike.truth(), a, c, bits)
		}

		again := []uint32{1, r.Uint32N(2), 2}
		further := m.Classes(again)
		for i := range alike {
			alike[i].Place.ASN = again[alike[i].Place.ASN]
		}
		for _, a := range asked {
			c, bits := further.find(a)
			hold(t, alike.truth(), a, c, bits)
		}
	}
}

// TestScopes asks every address of scopes: all that a prefix covers is alike.
func TestScopes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	var b builder4
	for at := uint64(0); at < 1<<32; at += 1 + r.Uint64N(1<<uint(4+r.IntN(20))) {
		b.add(uint32(at), r.Uint32N(4))
	}
	v4 := b.done()
	for range 100 {
		a := r.Uint32()
		value, bits := v4.find(a)
		if bits < 14 {
			continue
		}
		mask := uint32(1)<<(32-bits) - 1
		for x := a &^ mask; ; x++ {
			if got, gotBits := v4.find(x); got != value || gotBits != bits {
				t.Fatalf("%08x/%d is %d, %08x/%d within is %d", a, bits, value, x, gotBits, got)
			}
			if x == a|mask {
				break
			}
		}
	}
}

// TestIndex compares the indexes of large tables, which have blocks of thousands
// of ranges, with a search that has none.
func TestIndex(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	l, _, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	tables := []tables{l.tables}
	for _, spread := range []int{4, 20, 40, 60} {
		b := newBuilder6(inside4, 0)
		for hi, n := uint64(0), 0; n < 5000; n++ {
			hi += 1 + r.Uint64N(1<<r.IntN(spread))
			if r.IntN(50) == 0 {
				hi += r.Uint64N(1 << 59)
			}
			if n > 0 && hi < b.starts[len(b.starts)-1] {
				break
			}
			b.add(hi, 0, uint32(n&7))
		}
		tables = append(tables, tables[0])
		tables[len(tables)-1].v6 = b.done()
	}
	for _, tab := range tables {
		for range 20000 {
			hi := tab.v6.starts[r.IntN(len(tab.v6.starts))] + r.Uint64N(5) - 2
			want, ok := slices.BinarySearch(tab.v6.starts, hi)
			if !ok {
				want--
			}
			if got := tab.v6.at(hi); int(got) != want {
				t.Fatalf("%x is in range %d, want %d of %d", hi, got, want, len(tab.v6.starts))
			}
			addr := tab.v4.starts[r.IntN(len(tab.v4.starts))] + r.Uint32N(5) - 2
			want, ok = slices.BinarySearch(tab.v4.starts, addr)
			if !ok {
				want--
			}
			if got, _ := tab.v4.find(addr); got != tab.v4.values[want] {
				t.Fatalf("%x is %d, want %d", addr, got, tab.v4.values[want])
			}
		}
	}
}

func TestFindAllocatesNothing(t *testing.T) {
	v := finished(stack(nil), &Config{})
	var sum uint32
	if n := testing.AllocsPerRun(100, func() {
		a, _ := v.Find4(1)
		b, _ := v.Find6(2, 3)
		p := v.Place(a)
		sum += a + b + p.ASN
	}); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

func ExampleDistance() {
	dublin := Place{Lat: 53.35, Lon: -6.26, Located: true}
	boston := Place{Lat: 42.36, Lon: -71.06, Located: true}
	fmt.Printf("%.0f km\n", Distance(&dublin, &boston))
	// Output: 4809 km
}

func TestDistance(t *testing.T) {
	at := func(lat, lon float64) *Place { return &Place{Lat: lat, Lon: lon, Located: true} }
	half := earthRadius * 3.14159265358979
	for _, c := range []struct {
		a, b *Place
		want float64
	}{
		{at(0, 0), at(0, 0), 0},
		{at(90, 0), at(90, 77), 0},
		{at(0, 0), at(0, 180), half},
		{at(0, -180), at(0, 180), 0},
		{at(90, 0), at(-90, 0), half},
		{at(45, 10), at(-45, -170), half},
		{at(0, 179), at(0, -179), half / 90},
		{at(10, 20), at(10.001, 20), half / 180000},
	} {
		if got := Distance(c.a, c.b); got < c.want-1e-7*half || got > c.want+1e-7*half {
			t.Errorf("%v to %v: %f km, want %f", *c.a, *c.b, got, c.want)
		}
	}
	if d := Distance(at(0, 0), &Place{}); d < 1e300 {
		t.Errorf("what is nowhere is %f km away", d)
	}
}

func TestCountries(t *testing.T) {
	if n := len(Countries); n != 250 {
		t.Errorf("there are %d countries, want the 249 of ISO 3166-1 and XK", n)
	}
	names := map[string]string{}
	for code, c := range Countries {
		if len(code) != 2 || code[0] < 'A' || code[0] > 'Z' || code[1] < 'A' || code[1] > 'Z' {
			t.Errorf("%q is no code", code)
		}
		if Continents[c.Continent] == "" {
			t.Errorf("%s is on %q", code, c.Continent)
		}
		if c.Name == "" || names[c.Name] != "" {
			t.Errorf("%s has the name %q, as %q has", code, c.Name, names[c.Name])
		}
		names[c.Name] = code
		if !(c.Lat >= -90 && c.Lat <= 90 && c.Lon >= -180 && c.Lon <= 180) || c.Lat == 0 {
			t.Errorf("%s is at %v, %v", code, c.Lat, c.Lon)
		}
		p := Place{Country: code}
		p.Fill()
		if !p.Located || p.Continent != c.Continent || p.Lat != c.Lat {
			t.Errorf("%s is filled as %+v", code, p)
		}
	}
	p := Place{Country: "IE", Continent: "AS", Lat: 1, Located: true}
	p.Fill()
	if p.Continent != "AS" || p.Lat != 1 {
		t.Errorf("what was stated is replaced: %+v", p)
	}
}
