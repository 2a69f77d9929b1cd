package geo

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"weak"
)

// writer makes a file in MaxMind's format.
type writer struct {
	kind   string
	size   int  // bits of a record
	four   bool // for IPv4 alone
	mapped bool // IPv4 is at ::ffff:0:0/96 and not at ::/96
	alias  bool // 2002::/16 and ::ffff:0:0/96 lead to IPv4, as in MaxMind's files

	nodes  [][2]record32
	data   []byte
	offset map[string]uint32
}

// record32 is one side of a node: a node if it is one, else data, or nothing.
type record32 struct {
	node int // 0: none
	data uint32
	has  bool
}

// float is a 32-bit number of a record; float64 is the 64-bit one.
type float float32

func (w *writer) add(p netip.Prefix, value any) {
	if w.nodes == nil {
		w.nodes, w.offset = [][2]record32{{}}, map[string]uint32{}
	}
	text := string(encode(nil, value))
	at, ok := w.offset[text]
	if !ok {
		at = uint32(len(w.data))
		w.data = append(w.data, text...)
		w.offset[text] = at
	}
	*w.record(p) = record32{data: at, has: true}
}

// record is that of a prefix, in the tree as far as it must reach.
func (w *writer) record(p netip.Prefix) *record32 {
	addr, bits := p.Addr().AsSlice(), p.Bits()
	if p.Addr().Is4() && !w.four {
		up := make([]byte, 12)
		if w.mapped {
			up[10], up[11] = 0xff, 0xff
		}
		addr, bits = append(up, addr...), bits+96
	}
	n := 0
	for i := range bits {
		r := &w.nodes[n][addr[i/8]>>(7-i%8)&1]
		if i == bits-1 {
			return r
		}
		if r.node == 0 {
			w.nodes = append(w.nodes, [2]record32{*r, *r})
			r = &w.nodes[n][addr[i/8]>>(7-i%8)&1]
			*r = record32{node: len(w.nodes) - 1}
		}
		n = r.node
	}
	panic("a prefix of no bits has no record")
}

func (w *writer) file() []byte {
	if w.alias && !w.four {
		root := *w.record(netip.MustParsePrefix("::/96"))
		*w.record(netip.MustParsePrefix("2002::/16")) = root
		*w.record(mapped4) = root
	}
	var b []byte
	count := uint32(len(w.nodes))
	for _, n := range w.nodes {
		var v [2]uint32
		for i, r := range n {
			switch {
			case r.node > 0:
				v[i] = uint32(r.node)
			case r.has:
				v[i] = count + separator + r.data
			default:
				v[i] = count
			}
		}
		switch w.size {
		case 24:
			b = append(b, byte(v[0]>>16), byte(v[0]>>8), byte(v[0]), byte(v[1]>>16), byte(v[1]>>8), byte(v[1]))
		case 28:
			b = append(b, byte(v[0]>>16), byte(v[0]>>8), byte(v[0]), byte(v[0]>>24<<4|v[1]>>24), byte(v[1]>>16), byte(v[1]>>8), byte(v[1]))
		default:
			b = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(b, v[0]), v[1])
		}
	}
	b = append(b, make([]byte, separator)...)
	b = append(b, w.data...)
	b = append(b, "\xab\xcd\xefMaxMind.com"...)
	version := uint16(6)
	if w.four {
		version = 4
	}
	return encode(b, map[string]any{
		"binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0), "build_epoch": uint64(1_780_000_000),
		"database_type": w.kind, "description": map[string]any{"en": "made by a test"}, "ip_version": version,
		"languages": []any{"en"}, "node_count": count, "record_size": uint16(w.size),
	})
}

// encode appends a value as the data section has it.
func encode(b []byte, v any) []byte {
	head := func(kind, size int) {
		at := byte(min(size, 29))
		if size >= 285 {
			at = 30
		}
		if kind < 8 {
			b = append(b, byte(kind<<5)|at)
		} else {
			b = append(b, at, byte(kind-7))
		}
		switch {
		case size >= 285: // and less than 65,821: enough for tests
			b = binary.BigEndian.AppendUint16(b, uint16(size-285))
		case size >= 29:
			b = append(b, byte(size-29))
		}
	}
	number := func(kind int, n uint64, most int) {
		full := binary.BigEndian.AppendUint64(nil, n)[8-most:]
		for len(full) > 0 && full[0] == 0 {
			full = full[1:]
		}
		head(kind, len(full))
		b = append(b, full...)
	}
	switch v := v.(type) {
	case pointer:
		b = binary.BigEndian.AppendUint32(append(b, 1<<5|3<<3), uint32(v))
	case string:
		head(2, len(v))
		b = append(b, v...)
	case float64:
		head(3, 8)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(v))
	case float:
		head(15, 4)
		b = binary.BigEndian.AppendUint32(b, math.Float32bits(float32(v)))
	case uint16:
		number(5, uint64(v), 2)
	case uint32:
		number(6, uint64(v), 4)
	case int:
		number(6, uint64(v), 4)
	case uint64:
		number(9, v, 8)
	case bool:
		size := 0
		if v {
			size = 1
		}
		head(14, size)
	case []any:
		head(11, len(v))
		for _, e := range v {
			b = encode(b, e)
		}
	case map[string]any:
		head(7, len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b = encode(encode(b, k), v[k])
		}
	default:
		panic(fmt.Sprintf("%T", v))
	}
	return b
}

type object = map[string]any

// pointer is the offset of a value that stands elsewhere.
type pointer uint32

func names(en string) object { return object{"de": en + " (de)", "en": en, "fr": en + " (fr)"} }

// The records are those that the vendors publish, with the fields they have.
var (
	maxmindCountry = object{
		"continent":          object{"code": "EU", "geoname_id": 6255148, "names": names("Europe")},
		"country":            object{"geoname_id": 2963597, "is_in_european_union": true, "iso_code": "IE", "names": names("Ireland")},
		"registered_country": object{"geoname_id": 6252001, "iso_code": "US", "names": names("United States")},
	}
	maxmindCity = object{
		"city":      object{"geoname_id": 2964574, "names": names("Dublin")},
		"continent": maxmindCountry["continent"], "country": maxmindCountry["country"], "registered_country": maxmindCountry["registered_country"],
		"location":     object{"accuracy_radius": uint16(20), "latitude": 53.3379, "longitude": -6.2591, "time_zone": "Europe/Dublin"},
		"postal":       object{"code": "D02"},
		"subdivisions": []any{object{"geoname_id": 7521314, "iso_code": "L", "names": names("Leinster")}, object{"iso_code": "D", "names": names("Dublin City")}},
	}
)

func with(base object, more object) object {
	out := maps.Clone(base)
	maps.Copy(out, more)
	return out
}

func TestVendors(t *testing.T) {
	ireland := Place{Continent: "EU", Country: "IE"}
	dublin := Place{Continent: "EU", Country: "IE", Subdivision: "L", City: "Dublin", Lat: 53.3379, Lon: -6.2591, Located: true}
	named := dublin
	named.Subdivision = "Leinster"
	asn := func(p Place) Place { p.ASN = 1213; return p }
	for _, c := range []struct {
		name   string
		record any
		want   Place
	}{
		{"MaxMind Country", maxmindCountry, ireland},
		{"MaxMind City", maxmindCity, dublin},
		{"MaxMind Enterprise", with(maxmindCity, object{
			"country": object{"confidence": uint16(99), "iso_code": "IE", "names": names("Ireland")},
			"traits":  object{"autonomous_system_number": 1213, "autonomous_system_organization": "HEANET", "isp": "HEANET", "user_type": "college"},
		}), asn(dublin)},
		{"MaxMind ASN", object{"autonomous_system_number": 1213, "autonomous_system_organization": "HEANET"}, Place{ASN: 1213}},
		{"MaxMind ISP", object{"autonomous_system_number": 1213, "isp": "HEANET", "organization": "HEAnet"}, Place{ASN: 1213}},
		{"MaxMind, registered only", object{"registered_country": object{"iso_code": "IE", "names": names("Ireland")}}, ireland},
		{"MaxMind, continent only", object{"continent": object{"code": "AS", "names": names("Asia")}}, Place{Continent: "AS"}},
		{"DB-IP Lite Country", object{"continent": object{"code": "EU", "geoname_id": 6255148, "names": object{"en": "Europe"}}, "country": object{"geoname_id": 2963597, "is_in_european_union": true, "iso_code": "IE", "names": object{"en": "Ireland"}}}, ireland},
		{"DB-IP Lite City", object{
			"city": object{"names": object{"en": "Dublin"}}, "continent": maxmindCountry["continent"], "country": maxmindCountry["country"],
			"location": object{"latitude": float(53.3379), "longitude": float(-6.2591)}, "subdivisions": []any{object{"names": object{"en": "Leinster"}}},
		}, named},
		{"DB-IP Lite ASN", object{"autonomous_system_number": 1213, "autonomous_system_organization": "HEAnet CLG"}, Place{ASN: 1213}},
		{"DB-IP flat", object{"continent": "EU", "country": "IE", "stateprov": "Leinster", "city": "Dublin", "latitude": "53.3379", "longitude": "-6.2591"}, named},
		{"ip-location-db country", object{"country_code": "IE"}, ireland},
		{"ip-location-db city", object{"city": "Dublin", "country_code": "IE", "latitude": float(53.3379), "longitude": float(-6.2591), "postcode": "D02", "state1": "Leinster", "state2": "", "timezone": "Europe/Dublin"}, named},
		{"ip-location-db asn", object{"autonomous_system_number": 1213, "autonomous_system_organization": "HEANET"}, Place{ASN: 1213}},
		{"IPinfo Lite", object{"as_domain": "heanet.ie", "as_name": "HEAnet", "asn": "AS1213", "continent": "Europe", "continent_code": "EU", "country": "Ireland", "country_code": "IE"}, asn(ireland)},
		{"IPinfo Country ASN", object{"as_name": "HEAnet", "asn": "AS1213", "continent": "EU", "continent_name": "Europe", "country": "IE", "country_name": "Ireland"}, asn(ireland)},
		{"IPinfo Location", object{"city": "Dublin", "country": "IE", "lat": "53.3379", "lng": "-6.2591", "postal_code": "D02", "region": "Leinster", "region_code": "L", "timezone": "Europe/Dublin"}, dublin},
		{"IPinfo loc", object{"city": "Dublin", "country": "IE", "loc": "53.3379,-6.2591", "region": "Leinster"}, named},
		{"IP2Location, nested", with(maxmindCity, object{"continent": object{"code": "-"}, "postal": object{"code": "-"}}), dublin},
		{"IP2Location, flat", object{"country_code": "IE", "country_name": "Ireland", "region_name": "Leinster", "city_name": "Dublin", "latitude": 53.3379, "longitude": -6.2591, "asn": "1213", "as": "HEAnet"}, asn(named)},
		{"IP2Location, not known", object{"country_code": "-", "country_name": "-", "city_name": "-", "latitude": 0.0, "longitude": 0.0}, Place{}},

		{"country by its name", object{"country": "ireland"}, ireland},
		{"lower case", object{"country_code": "ie"}, ireland},
		{"United Kingdom", object{"country_code": "UK"}, Place{Continent: "EU", Country: "GB"}},
		{"the European Union", object{"country_code": "EU"}, Place{Continent: "EU"}},
		{"Asia and the Pacific", object{"country": object{"iso_code": "AP"}}, Place{Continent: "AS"}},
		{"Kosovo", object{"country_code": "XK"}, Place{Continent: "EU", Country: "XK"}},
		{"proxies", object{"country": object{"iso_code": "A1", "names": names("Anonymous Proxy")}}, Place{}},
		{"not known", object{"country_code": "ZZ", "continent_code": "??"}, Place{}},
		{"a whole code of a subdivision", object{"country_code": "IE", "region_code": "IE-L"}, Place{Continent: "EU", Country: "IE", Subdivision: "L"}},
		{"coordinates of no place", object{"country_code": "IE", "latitude": 91.0, "longitude": 0.0}, ireland},
		{"one coordinate", object{"country_code": "IE", "latitude": 51.0}, ireland},
		{"coordinates that are no number", object{"country_code": "IE", "latitude": math.NaN(), "longitude": 1.0}, ireland},
		{"coordinates that are text", object{"country_code": "IE", "latitude": "here", "longitude": "1"}, ireland},
		{"whole coordinates", object{"latitude": 53, "longitude": 6}, Place{Lat: 53, Lon: 6, Located: true}},
		{"other types", object{"country": []any{"IE"}, "city": true, "subdivisions": "L", "location": 7, "asn": []any{}}, Place{}},
		{"a list in the place of names", object{"country": object{"iso_code": "IE"}, "city": object{"names": []any{"Dublin"}}}, ireland},
		{"a large number", object{"country_code": "IE", "asn": uint64(1) << 33}, ireland},
		{"a city in other languages", object{"country_code": "IE", "city": object{"names": object{"ga": "Baile"}}}, Place{Continent: "EU", Country: "IE", City: "Baile"}},
		{"a very long name", object{"country_code": "IE", "city": strings.Repeat("x", maxWord+1)}, ireland},
		{"not UTF-8", object{"country_code": "IE", "city": "\xff\xfe"}, ireland},
		{"no map", "IE", Place{}},
	} {
		w := writer{kind: c.name, size: 24}
		net := netip.MustParsePrefix("192.0.2.0/24")
		w.add(net, c.record)
		w.add(netip.MustParsePrefix("198.51.100.0/24"), object{"country_code": "AQ"}) // so that there is something
		l, about, err := read("x", w.file())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		id, bits := l.find(netip.MustParseAddr("192.0.2.7"))
		if got := l.places.place(id); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if id != 0 && bits != 24 {
			t.Errorf("%s: %d bits", c.name, bits)
		}
		if about.kind != c.name || !about.built.Equal(time.Unix(1_780_000_000, 0)) {
			t.Errorf("%s: it is %+v", c.name, about)
		}
	}
}

// TestShared reads maps that several records point to, as vendors write them: what
// was read before is not read again, and means what its key says.
func TestShared(t *testing.T) {
	w := writer{kind: "City", size: 24}
	net := func(i int) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, byte(i), 0}), 24) }
	shared := func(i int, v object) pointer {
		w.add(net(i), v)
		return pointer(w.offset[string(encode(nil, v))])
	}
	ireland := shared(0, object{"iso_code": "IE", "code": "AS", "names": names("Ireland")})
	germany := shared(1, object{"iso_code": "DE", "names": names("Germany")})
	silent := shared(2, object{"geoname_id": 7})
	for i, c := range []struct {
		record object
		want   Place
	}{
		{object{"country": ireland}, Place{Continent: "EU", Country: "IE"}},
		{object{"country": ireland, "city": ireland}, Place{Continent: "EU", Country: "IE", City: "Ireland"}},
		{object{"continent": ireland}, Place{Continent: "AS"}},
		{object{"country": germany, "registered_country": ireland}, Place{Continent: "EU", Country: "DE"}},
		{object{"country": silent, "registered_country": ireland}, Place{Continent: "EU", Country: "IE"}},
		{object{"country": germany, "subdivisions": []any{ireland, germany}}, Place{Continent: "EU", Country: "DE", Subdivision: "IE"}},
		{object{"country": silent, "country_code": "FR"}, Place{Continent: "EU", Country: "FR"}},
	} {
		for at := range 2 { // the second time from what is known
			p := net(16 + 2*i + at)
			c.record["time"] = i*2 + at // no record is the other one
			w.add(p, c.record)
			l, _, err := read("x", w.file())
			if err != nil {
				t.Fatal(err)
			}
			id, _ := l.find(p.Addr())
			if have := l.places.place(id); have != c.want {
				t.Errorf("%v: %+v, want %+v", c.record, have, c.want)
			}
		}
	}
}

// TestTrees compares files of random networks with the slow way.
func TestTrees(t *testing.T) {
	low := netip.MustParsePrefix("::/96")
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		w := writer{kind: "random", size: []int{24, 28, 32}[seed%3], four: seed%7 == 0, mapped: seed%5 == 1, alias: seed%5 == 0}
		o := oracle{{netip.MustParsePrefix("203.0.113.0/24"), Place{ASN: 9}}}
		for _, n := range randomNetworks(r) {
			p := n.Prefix
			if p.Bits() > 0 && (p.Addr().Is4() || !w.four && !p.Overlaps(low) && !p.Overlaps(mapped4) && p.Addr().As16()[0] != 0x20) {
				o = append(o, n)
			}
		}
		nets, err := arranged(o)
		if err != nil {
			t.Fatal(err)
		}
		slices.Reverse(nets) // the wider first
		for _, n := range nets {
			w.add(n.Prefix, object{"asn": n.Place.ASN})
		}
		path := filepath.Join(t.TempDir(), "x.mmdb")
		if err := os.WriteFile(path, w.file(), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := load(path)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		v := finished(l.layer, &Config{})
		for _, a := range samples(r, o) {
			id, bits := v.find(a)
			hold(t, o.truth(), a, v.Place(id).ASN, bits)
		}
	}
}

// wholeFile is a small database with everything that a large one has.
func wholeFile(size int) []byte {
	w := writer{kind: "DBIP-City-Lite", size: size, alias: true}
	w.add(netip.MustParsePrefix("192.0.2.0/24"), maxmindCity)
	w.add(netip.MustParsePrefix("192.0.2.128/25"), object{"country_code": "US", "asn": "AS7"})
	w.add(netip.MustParsePrefix("2001:db8::/32"), maxmindCountry)
	w.add(netip.MustParsePrefix("2001:db8::1/128"), object{"loc": "1.5,2.5"})
	return w.file()
}

// readAny reads a file and asks for addresses: whatever it is, that ends.
func readAny(t *testing.T, b []byte) error {
	l, _, err := read("x", b)
	if err != nil {
		return err
	}
	v := finished(l, &Config{})
	for _, a := range []string{"192.0.2.1", "192.0.2.200", "255.255.255.255", "2001:db8::1", "2001:db8::2", "::", "ffff::"} {
		v.Lookup(netip.MustParseAddr(a))
	}
	v.Classes(make([]uint32, v.Places()))
	return nil
}

func TestDamage(t *testing.T) {
	whole := wholeFile(28)
	if err := readAny(t, whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := readAny(t, whole[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken for the whole", n, len(whole))
		}
	}
	refused := 0
	for i := 0; i < len(whole)*8; i += 11 {
		b := bytes.Clone(whole)
		b[i/8] ^= 1 << (i % 8)
		if readAny(t, b) != nil {
			refused++
		}
	}
	if refused == 0 {
		t.Error("no flipped bit is found out")
	}

	empty := writer{kind: "GeoIP2-Anonymous-IP", size: 24}
	empty.add(netip.MustParsePrefix("192.0.2.0/24"), object{"is_anonymous": true})
	tree := func(change func(nodes [][2]record32)) []byte {
		w := writer{kind: "x", size: 24}
		w.add(netip.MustParsePrefix("ffff::/128"), object{"asn": 1})
		change(w.nodes)
		return w.file()
	}
	meet := func(from int) func(n [][2]record32) {
		return func(n [][2]record32) {
			for i := from; i < 127; i++ {
				n[i][0] = record32{node: i + 1}
				n[i][1] = n[i][0]
			}
		}
	}
	deep := func() any { // a list of lists of lists
		v := any("x")
		for range 600 {
			v = []any{v}
		}
		return v
	}
	nested := writer{kind: "x", size: 24}
	nested.add(netip.MustParsePrefix("192.0.2.0/24"), object{"other": deep()})
	many := object{}
	for i := range maxEntries {
		many[fmt.Sprint(i)] = "x"
	}
	crowd := writer{kind: "x", size: 24}
	crowd.add(netip.MustParsePrefix("192.0.2.0/24"), object{"city": object{"names": many}})
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":               {nil, "not a whole database"},
		"text":                  {[]byte("this is not a database"), "not a whole database"},
		"a page":                {[]byte("<html><body>403 Forbidden</body></html>"), "not a whole database"},
		"no places":             {empty.file(), "take a country, city or ASN database"},
		"a loop":                {tree(func(n [][2]record32) { n[5][0] = record32{node: 5} }), "deeper than an address"},
		"branches meet":         {tree(meet(0)), "has loops"},
		"branches of IPv6 meet": {tree(meet(1)), "has loops"},
		"data far away":         {tree(func(n [][2]record32) { n[9][0] = record32{data: 1 << 20, has: true} }), "damaged: network of ff80::: "},
		"deep data":             {nested.file(), "take a country, city or ASN database"},
		"too many fields":       {crowd.file(), "too many entries"},
	} {
		if err := readAny(t, c.file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, size := range []int{24, 28, 32} {
		f.Add(wholeFile(size))
	}
	f.Fuzz(func(t *testing.T, b []byte) { _ = readAny(t, b) })
}

// TestBuiltInIsShared holds that the database that is built in is unpacked once for
// all who have it, and let go when nobody has.
func TestBuiltInIsShared(t *testing.T) {
	a, _, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	b, about, err := builtIn()
	if err != nil || a != b || about.built.IsZero() {
		t.Errorf("%t, %+v, %v", a == b, about, err)
	}
	was := weak.Make(a)
	runtime.KeepAlive(b)
	runtime.GC()
	if was.Value() != nil {
		t.Error("it is kept when nobody has it")
	}
	if _, _, err := builtIn(); err != nil {
		t.Error(err)
	}
}

// TestBuiltIn holds the database that is built in.
func TestBuiltIn(t *testing.T) {
	l, about, err := builtIn()
	if err != nil {
		t.Fatal(err)
	}
	if about.built.Before(time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)) {
		t.Errorf("it says it was built at %s", about.built)
	}
	v := finished(l, &Config{})
	// What has not changed in decades, and is not about to.
	for addr, want := range map[string]string{
		"134.226.1.1": "IE", "18.1.1.1": "US", "193.0.6.139": "NL", "130.59.1.1": "CH", "133.11.1.1": "JP", "::ffff:134.226.1.1": "IE",
		"2001:67c:2e8:22::c100:68b": "NL", "10.1.1.1": "", "fe80::1": "",
	} {
		p, _ := v.Lookup(netip.MustParseAddr(addr))
		if p.Country != want || p.Located != (want != "") || p.Continent != Countries[want].Continent {
			t.Errorf("%s is in %+v, want %q", addr, p, want)
		}
	}
	if len(v.v4.starts) < 100_000 || len(v.v6.starts) < 100_000 || v.Places() < 200 {
		t.Errorf("%d ranges of IPv4, %d of IPv6, %d places", len(v.v4.starts), len(v.v6.starts), v.Places())
	}
	if len(countries) > 3<<20 {
		t.Errorf("%d bytes are built in", len(countries))
	}
}

// write puts a database into a directory.
func write(t testing.TB, dir, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
