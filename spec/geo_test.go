package spec

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/geo"
)

// manyNetworks is what an operator of a large network states: the same few places
// for many networks.
func manyNetworks(n int) []byte {
	var b bytes.Buffer
	b.WriteString("geo:\n  networks:\n")
	for i := range n {
		fmt.Fprintf(&b, "    10.%d.%d.%d/28: {region: r%d, country: IE, at: [53.35, -6.26]}\n", i>>12, i>>4&0xff, i&0xf<<4, i%50)
	}
	return b.Bytes()
}

func TestManyNetworks(t *testing.T) {
	const n = 100_000
	s, err := Parse("many.yaml", manyNetworks(n))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Geo.Networks) != n {
		t.Fatalf("%d networks", len(s.Geo.Networks))
	}
	want := geo.Network{
		Prefix: netip.MustParsePrefix("10.24.105.240/28"),
		Place:  geo.Place{Region: "r49", Continent: "EU", Country: "IE", Lat: 53.35, Lon: -6.26, Located: true},
	}
	if got := s.Geo.Networks[n-1]; got != want {
		t.Errorf("the last one is %+v", got)
	}
}

// BenchmarkManyNetworks is how long 100,000 networks take to read.
func BenchmarkManyNetworks(b *testing.B) {
	text := manyNetworks(100_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse("many.yaml", text); err != nil {
			b.Fatal(err)
		}
	}
}

// Several files state networks and regions together. What two of them state is
// an error that names both places.
func TestGeoOfSeveralFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	main := filepath.Join(dir, "rhumb.yaml")
	write("rhumb.yaml", "include: [conf.d/*.yaml]\ngeo:\n  networks: {10.0.0.0/8: {region: a}}\n  regions: {a: {countries: [IE]}}\n")
	write("conf.d/one.yaml", "geo:\n  databases: [geo/one.mmdb]\n  networks: {10.1.0.0/16: {region: b}}\n")
	write("conf.d/geo/one.mmdb", "")
	write("conf.d/two.yaml", "geo:\n  regions: {b: {continents: [EU]}}\n")
	s, watch, err := Load(main, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Geo.Networks) != 2 || len(s.Geo.Regions) != 2 || len(s.Geo.Databases) != 1 {
		t.Fatalf("%+v", s.Geo)
	}
	database := filepath.Join(dir, "conf.d", "geo", "one.mmdb")
	if got := s.Geo.Databases[0].Path; got != database {
		t.Errorf("the database is %s, not beside the file that states it", got)
	}
	if slices.Contains(watch, database) {
		t.Error("a database that is there is watched as a part of the configuration")
	}
	fault := s.DatabaseFault(0, "it is %s", "damaged")
	if got, want := fault.Error(), filepath.Join(dir, "conf.d", "one.yaml")+":2:15: geo.databases[0]: it is damaged"; got != want {
		t.Errorf("a fault of it is %s", got)
	}

	write("conf.d/two.yaml", "geo:\n  networks: {10.1.0.0/16: {region: c}}\n  regions: {c: {countries: [IE]}}\n")
	if err := os.Remove(database); err != nil {
		t.Fatal(err)
	}
	_, watch, err = Load(main, Options{})
	if err == nil {
		t.Fatal("accepted")
	}
	got := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "")
	want := strings.Join([]string{
		"conf.d/one.yaml:2:15: geo.databases[0]: geo/one.mmdb: no such file",
		"conf.d/two.yaml:2:14: geo.networks.10.1.0.0/16: stated twice; first at conf.d/one.yaml:3:14",
		`conf.d/two.yaml:3:29: geo.regions.c.countries[0]: IE is in the region "a" as well, at rhumb.yaml:4:29: it can be in one`,
	}, "\n")
	if filepath.ToSlash(got) != want {
		t.Errorf("the errors are\n%s", got)
	}
	if !slices.Contains(watch, database) {
		t.Error("nobody would see the database come")
	}
}

// An endpoint with a place of its own is in the region of its country, as a pool is.
func TestRegionOfEndpoint(t *testing.T) {
	s, err := Parse("x.yaml", []byte("geo: {regions: {west: {countries: [IE]}, east: {continents: [AS]}}}\n"+
		"pools: {p: {place: {country: JP}, endpoints: [192.0.2.1, {address: 192.0.2.2, place: {country: IE}}]}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	p := s.Pools["p"]
	if p.Place.Region != "east" || p.Endpoints[0].Place.Region != "east" || p.Endpoints[1].Place.Region != "west" {
		t.Errorf("%+v, %+v, %+v", p.Place, p.Endpoints[0].Place, p.Endpoints[1].Place)
	}
}
