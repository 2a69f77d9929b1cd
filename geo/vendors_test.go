package geo

import (
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// vendorsVar names a directory with the databases of vendors, for tests with real
// ones: they are too large to be kept here, may not be passed on, and change.
// `make geo-vendors` fetches some.
const vendorsVar = "RHUMB_GEO_VENDORS"

// sixToFour are addresses that hold one of IPv4, of a way to IPv6 that has ended (RFC
// 7526). MaxMind's files let them lead to IPv4; here nobody is there.
var sixToFour = netip.MustParsePrefix("2002::/16")

// lookups is how many addresses each file is asked for.
const lookups = 100_000

// TestRealDatabases compares every file in the directory that RHUMB_GEO_VENDORS
// names, and below it, with what MaxMind's own reader says. Those in a directory
// called bad are damaged, and have to be refused.
func TestRealDatabases(t *testing.T) {
	dir := os.Getenv(vendorsVar)
	if dir == "" {
		t.Skipf("NOT RUN: %s names no directory with databases of vendors; `make geo-vendors` fetches some and runs this", vendorsVar)
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".mmdb" {
			return err
		}
		files++
		t.Run(filepath.Base(path), func(t *testing.T) {
			if filepath.Base(filepath.Dir(path)) == "bad" {
				refuseFile(t, path)
			} else {
				compareFile(t, path)
			}
		})
		return nil
	})
	if err != nil || files == 0 {
		t.Fatalf("%d databases in %s, %v", files, dir, err)
	}
}

// refuseFile reads a damaged file, which is to be an error that costs little.
func refuseFile(t *testing.T, path string) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := load(path)
	runtime.ReadMemStats(&after)
	t.Log(err)
	if err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("the error is %v", err)
	}
	if took := after.TotalAlloc - before.TotalAlloc; took > 8<<20 {
		t.Errorf("to refuse it took %d bytes", took)
	}
}

// TestCompare is TestRealDatabases with files that are made here.
func TestCompare(t *testing.T) {
	files := map[string][]byte{}
	for _, size := range []int{24, 28, 32} {
		files[fmt.Sprintf("%d bits", size)] = wholeFile(size)
	}
	for _, name := range []string{"city.mmdb", "asn.mmdb"} {
		b, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = b
	}
	for name, b := range files {
		t.Run(name, func(t *testing.T) {
			l, _, err := read(name, b)
			if err != nil {
				t.Fatal(err)
			}
			compareWith(t, b, l, 2000)
		})
	}
}

func compareFile(t *testing.T, path string) {
	begun := time.Now()
	l, err := load(path)
	if err != nil {
		t.Fatal(err)
	}
	v := finished(l.layer, &Config{})
	t.Logf("%s: %d ranges, %d places, %.1f MB in %s", l.about.kind, l.entries(), v.Places(), float64(l.size)/1e6, time.Since(begun).Round(time.Millisecond))
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	compareWith(t, file, l.layer, lookups)
}

// compareWith asks a layer for addresses, half of them of networks in the file it
// was made of, and compares with MaxMind's reader.
func compareWith(t *testing.T, file []byte, l *layer, n int) {
	t.Helper()
	db, err := maxminddb.OpenBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(uint64(n), uint64(len(file))))
	six := db.Metadata.IPVersion == 6
	sample := sampleNetworks(t, db, r, n/4)
	known, faults := 0, 0
	said := map[uintptr]Place{} // by where the record is
	for i := range n {
		a := someAddr(r, six && i%2 == 0)
		if i%4 < 2 {
			a = within(sample[r.IntN(len(sample))], r)
		}
		if a = a.Unmap(); sixToFour.Contains(a) {
			continue
		}
		id, bits := l.find(a)
		have := l.places.place(id)
		want, network := stated(t, db, a, said)
		if want != (Place{}) {
			known++
		}
		// A record of the file may be divided no further than ours, unless it is the
		// file's way of saying IPv4.
		if p, _ := a.Prefix(int(bits)); have != want || network.Addr().BitLen() == p.Addr().BitLen() && p.Bits() > network.Bits() {
			if t.Errorf("%s: %+v in %s, want %+v in %s", a, have, p, want, network); faults == 20 {
				t.FailNow()
			}
			faults++
		}
	}
	if known < n/20 {
		t.Errorf("of %d addresses only %d are anywhere", n, known)
	}
	for range min(n/100, len(sample)) {
		holdScope(t, db, l, within(sample[r.IntN(len(sample))], r), r, said)
	}
}

// sampleNetworks are some of the networks that a file has records for.
func sampleNetworks(t *testing.T, db *maxminddb.Reader, r *rand.Rand, n int) []netip.Prefix {
	t.Helper()
	var sample []netip.Prefix
	seen := 0
	for result := range db.Networks() {
		if err := result.Err(); err != nil {
			t.Fatal(err)
		}
		// Each is as likely to be among them.
		if seen++; len(sample) < n {
			sample = append(sample, result.Prefix())
		} else if i := r.IntN(seen); i < n {
			sample[i] = result.Prefix()
		}
	}
	return sample
}

// stated is what the file says of an address, and of what network.
func stated(t *testing.T, db *maxminddb.Reader, a netip.Addr, said map[uintptr]Place) (Place, netip.Prefix) {
	t.Helper()
	result := db.Lookup(a)
	if err := result.Err(); err != nil {
		t.Fatalf("%s: %v", a, err)
	}
	if !result.Found() {
		return Place{}, result.Prefix()
	}
	p, known := said[result.Offset()]
	if !known {
		var record any
		if err := result.Decode(&record); err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		p = meaning(record)
		said[result.Offset()] = p
	}
	return p, result.Prefix()
}

// holdScope asks for addresses all over the prefix that is said to be of one
// place, and looks for another place in the prefix of one bit less.
func holdScope(t *testing.T, db *maxminddb.Reader, l *layer, a netip.Addr, r *rand.Rand, said map[uintptr]Place) {
	t.Helper()
	if a = a.Unmap(); sixToFour.Contains(a) {
		return
	}
	id, n := l.find(a)
	bits := int(n)
	want := l.places.place(id)
	if bits > a.BitLen() {
		t.Errorf("%s: a prefix of %d bits", a, bits)
		return
	}
	scope, _ := a.Prefix(bits)
	for i := range 8 {
		b := within(scope, r)
		if i == 0 {
			b = scope.Addr()
		}
		if have, _ := stated(t, db, b, said); have != want {
			t.Errorf("%s is said to be %+v throughout, and %s is %+v", scope, want, b, have)
		}
	}
	if bits == 0 || bits == 1 && a.Is4() {
		return
	}
	wider, _ := a.Prefix(bits - 1)
	if a.Is6() && (wider.Overlaps(mapped4) || wider.Overlaps(sixToFour)) {
		return
	}
	for result := range db.NetworksWithin(wider, maxminddb.IncludeNetworksWithoutData(), maxminddb.IncludeAliasedNetworks()) {
		var record any
		if err := result.Decode(&record); err != nil {
			t.Fatal(err)
		}
		if meaning(record) != want {
			return
		}
	}
	t.Errorf("%s is %+v throughout, and %s is said to be the widest such", wider, want, scope)
}

// someAddr is an address, of IPv6 one of those that are given out.
func someAddr(r *rand.Rand, six bool) netip.Addr {
	if !six {
		return netip.AddrFrom4([4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())})
	}
	return within(netip.MustParsePrefix("2000::/3"), r)
}

// within is an address of a prefix.
func within(p netip.Prefix, r *rand.Rand) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= byte(r.Uint32()&1) << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// at is what a record has at a path; the words of a path have dots between them.
func at(record any, path string) any {
	for step := range strings.SplitSeq(path, ".") {
		switch v := record.(type) {
		case map[string]any:
			record = v[step]
		case []any:
			if record = any(nil); len(v) > 0 {
				record = v[0]
			}
		default:
			return nil
		}
	}
	return record
}

// wordAt is the first text that is something, of several paths.
func wordAt(record any, paths ...string) string {
	for _, p := range paths {
		if s, ok := at(record, p).(string); ok && strings.TrimSpace(s) != "" && s != "-" && len(s) <= maxWord {
			return strings.TrimSpace(s)
		}
	}
	return ""
}

func numberAt(record any, paths ...string) (float64, bool) {
	for _, p := range paths {
		switch v := at(record, p).(type) {
		case float64:
			return v, true
		case float32:
			return math.Round(float64(v)*1e4) / 1e4, true
		case uint64:
			return float64(v), true
		case string:
			if f, err := strconv.ParseFloat(strings.TrimPrefix(v, "AS"), 64); err == nil {
				return f, true
			}
		}
	}
	return 0, false
}

func number(text string) float64 {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return math.NaN() // which compares with nothing
	}
	return f
}

// meaning is what a record means, by the documents of the vendors, written down a
// second time: fields walks a record as it lies in the file, and this asks for
// each word of it.
func meaning(record any) Place {
	var p Place
	code := strings.ToUpper(wordAt(record, "country.iso_code", "country_code"))
	if c := wordAt(record, "country"); len(c) == 2 && code == "" {
		code = strings.ToUpper(c)
	}
	if Countries[code].Name == "" && beyond[code] == "" {
		code = strings.ToUpper(wordAt(record, "registered_country.iso_code"))
	}
	if Countries[code].Name != "" {
		p.Country = code
	}
	p.Continent = beyond[code]
	if c := wordAt(record, "continent.code", "continent_code"); Continents[c] != "" {
		p.Continent = c
	} else if c := wordAt(record, "continent"); Continents[c] != "" {
		p.Continent = c
	} else {
		for code, name := range Continents {
			if name == c && c != "" {
				p.Continent = code
			}
		}
	}
	if p.Continent == "" {
		p.Continent = Countries[p.Country].Continent
	}
	p.Subdivision = wordAt(record, "subdivisions.0.iso_code", "region_code", "subdivisions.0.names.en", "state1", "region", "stateprov")
	p.City = wordAt(record, "city.names.en", "city")
	asn, _ := numberAt(record, "autonomous_system_number", "traits.autonomous_system_number", "asn")
	p.ASN = uint32(asn)
	lat, hasLat := numberAt(record, "location.latitude", "latitude", "lat")
	lon, hasLon := numberAt(record, "location.longitude", "longitude", "lng")
	if first, second, ok := strings.Cut(wordAt(record, "loc"), ","); ok {
		lat, lon = number(first), number(second)
		hasLat, hasLon = true, true
	}
	if hasLat && hasLon && (lat != 0 || lon != 0) {
		p.Lat, p.Lon, p.Located = math.Round(lat*1e6)/1e6, math.Round(lon*1e6)/1e6, true
	}
	return p
}

// BenchmarkLoadReal is what loading each file costs on one core, and what it leaves
// behind.
func BenchmarkLoadReal(b *testing.B) {
	dir := os.Getenv(vendorsVar)
	if dir == "" {
		b.Skipf("NOT RUN: %s names no directory with databases of vendors", vendorsVar)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.mmdb"))
	if err != nil {
		b.Fatal(err)
	}
	for _, path := range files {
		file, err := os.ReadFile(path)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(filepath.Base(path), func(b *testing.B) { benchmarkLoad(b, file) })
	}
}
