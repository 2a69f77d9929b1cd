package steer

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/geo"
)

// at is a set of one candidate for each of the sites.
func at(sites ...uint16) []Candidate {
	s := set(len(sites))
	for i := range s {
		s[i].Site = sites[i]
	}
	return s
}

var (
	dublin   = geo.Place{Continent: "EU", Country: "IE", Subdivision: "L", City: "Dublin", Lat: 53.35, Lon: -6.26, Located: true}
	cork     = geo.Place{Continent: "EU", Country: "IE", Subdivision: "M", City: "Cork", Lat: 51.9, Lon: -8.47, Located: true}
	london   = geo.Place{Region: "west", Continent: "EU", Country: "GB", City: "London", Lat: 51.51, Lon: -0.13, Located: true}
	slough   = geo.Place{Region: "west", Continent: "EU", Country: "GB", City: "Slough", Lat: 51.51, Lon: -0.59, Located: true}
	newYork  = geo.Place{Continent: "NA", Country: "US", Subdivision: "NY", City: "New York", Lat: 40.71, Lon: -74.01, Located: true, ASN: 64500}
	dublinOh = geo.Place{Continent: "NA", Country: "US", Subdivision: "OH", City: "Dublin", Lat: 40.1, Lon: -83.11, Located: true}
	nowhere  = geo.Place{}
)

func TestGeofence(t *testing.T) {
	sites := []geo.Place{dublin, cork, london, newYork, nowhere, dublinOh}
	all := []uint16{0, 1, 2, 3, 4, 5}
	for _, c := range []struct {
		name   string
		levels []geo.Level
		strict bool
		client geo.Place
		sites  []uint16
		want   []uint32
	}{
		{"country", []geo.Level{geo.ByCountry}, false, geo.Place{Country: "IE"}, all, []uint32{0, 1}},
		{"country of nobody", []geo.Level{geo.ByCountry}, false, geo.Place{Country: "FR"}, all, []uint32{0, 1, 2, 3, 4, 5}},
		{"country of nobody, strict", []geo.Level{geo.ByCountry}, true, geo.Place{Country: "FR"}, all, []uint32{}},
		{"country, strict", []geo.Level{geo.ByCountry}, true, geo.Place{Country: "GB"}, all, []uint32{2}},
		{"unknown client", []geo.Level{geo.ByCountry, geo.ByContinent}, false, nowhere, all, []uint32{0, 1, 2, 3, 4, 5}},
		{"unknown client, strict", []geo.Level{geo.ByCountry, geo.ByContinent}, true, nowhere, all, []uint32{}},
		{"wider", []geo.Level{geo.ByCountry, geo.ByContinent}, false, geo.Place{Country: "FR", Continent: "EU"}, all, []uint32{0, 1, 2}},
		{"wider, strict", []geo.Level{geo.ByCountry, geo.ByContinent}, true, geo.Place{Country: "FR", Continent: "EU"}, all, []uint32{0, 1, 2}},
		{"the narrowest wins", []geo.Level{geo.ByCity, geo.ByCountry}, false, geo.Place{Country: "IE", City: "cork"}, all, []uint32{1}},
		{"one left of a level", []geo.Level{geo.ByCity, geo.ByCountry}, false, geo.Place{Country: "IE", City: "Cork"}, []uint16{0, 3}, []uint32{0}},
		{"a city is in its country", []geo.Level{geo.ByCity}, true, geo.Place{Country: "US", City: "Dublin"}, all, []uint32{5}},
		{"a city is in its subdivision", []geo.Level{geo.ByCity}, true, geo.Place{Country: "US", City: "Dublin", Subdivision: "CA"}, all, []uint32{}},
		{"a city whose country is not known", []geo.Level{geo.ByCity}, true, geo.Place{City: "Dublin"}, all, []uint32{0, 5}},
		{"subdivision", []geo.Level{geo.BySubdivision}, true, geo.Place{Country: "US", Subdivision: "NY"}, all, []uint32{3}},
		{"subdivision of another country", []geo.Level{geo.BySubdivision}, true, geo.Place{Country: "US", Subdivision: "L"}, all, []uint32{}},
		{"region", []geo.Level{geo.ByRegion}, true, geo.Place{Region: "west"}, all, []uint32{2}},
		{"asn", []geo.Level{geo.ByASN}, true, geo.Place{ASN: 64500}, all, []uint32{3}},
		{"nothing to choose from", []geo.Level{geo.ByASN}, true, geo.Place{ASN: 64500}, nil, []uint32{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := &Geofence{Levels: c.levels, Strict: c.strict, Sites: sites}
			q := rnd(1)
			q.Place = &c.client
			given := at(c.sites...)
			why := g.Why(q, given)
			got := indexes(g.Apply(q, given))
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if unknown := c.client == (geo.Place{}); unknown != strings.HasPrefix(why, "nothing is known of where the client is") && len(c.levels) > 1 {
				t.Errorf("of a client at %+v it says %q", c.client, why)
			}
			if all := len(got) == len(c.sites) && len(c.want) == len(sites); all != strings.HasSuffix(why, "all are kept") {
				t.Errorf("keeps %v and says %q", got, why)
			}
		})
	}
}

func TestNearest(t *testing.T) {
	other := dublin
	other.Region = "west"
	sites := []geo.Place{newYork, dublin, london, slough, nowhere, other}
	for _, c := range []struct {
		name              string
		tolerance, within float64
		client            geo.Place
		sites             []uint16
		want              []uint32
	}{
		{"in order", 1000, 20000, cork, []uint16{0, 1, 2, 3}, []uint32{1, 3, 2, 0}},
		{"the nearest alone", 0, 0, cork, []uint16{0, 1, 2, 3}, []uint32{1}},
		{"near-equals", 0, 100, geo.Place{Lat: 51.5, Lon: -0.1, Located: true}, []uint16{0, 1, 2, 3}, []uint32{2, 3}},
		{"in proportion", 15, 0, dublinOh, []uint16{1, 2, 3}, []uint32{0, 2, 1}},
		{"not in proportion", 1, 0, dublinOh, []uint16{1, 2, 3}, []uint32{0}},
		{"unknown client", 0, 0, nowhere, []uint16{0, 1, 4}, []uint32{0, 1, 2}},
		{"client of a country alone", 0, 0, geo.Place{Country: "IE"}, []uint16{0, 1, 4}, []uint32{0, 1, 2}},
		{"unknown endpoints give way", 1000, 20000, dublin, []uint16{4, 0, 4}, []uint32{1}},
		{"only unknown endpoints", 0, 0, dublin, []uint16{4, 4}, []uint32{0, 1}},
		{"at the same place", 0, 0, dublin, []uint16{1, 1}, []uint32{0, 1}},
		{"equally far", 0, 0, dublin, []uint16{5, 1}, []uint32{1, 0}},
		{"nothing", 0, 0, dublin, nil, []uint32{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := NewNearest(c.tolerance, c.within, sites)
			q := rnd(1)
			q.Place = &c.client
			given := at(c.sites...)
			why := n.Why(q, given)
			if got := indexes(n.Apply(q, given)); !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
			if unknown := c.client == nowhere || !c.client.Located; unknown != strings.Contains(why, "are not known") {
				t.Errorf("%q", why)
			}
		})
	}
}

// TestDistances compares with the haversine formula by angles.
func TestDistances(t *testing.T) {
	haversine := func(a, b geo.Place) float64 {
		rad := math.Pi / 180
		x, y := math.Sin((b.Lat-a.Lat)*rad/2), math.Sin((b.Lon-a.Lon)*rad/2)
		h := x*x + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*y*y
		return 2 * earth * math.Asin(math.Sqrt(min(1, h)))
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		a := geo.Place{Lat: r.Float64()*180 - 90, Lon: r.Float64()*360 - 180, Located: true}
		b := geo.Place{Lat: r.Float64()*180 - 90, Lon: r.Float64()*360 - 180, Located: true}
		if r.IntN(2) == 0 {
			b.Lat, b.Lon = a.Lat+r.Float64()*1e-3, a.Lon+r.Float64()*1e-3
		}
		got, want := km(vectorOf(&a).chord(vectorOf(&b))), haversine(a, b)
		if math.Abs(got-want) > 1e-6*want+1e-6 {
			t.Fatalf("%v to %v: %v km, want %v", a, b, got, want)
		}
	}
	if d := haversine(dublin, london); math.Abs(d-464) > 2 {
		t.Errorf("Dublin to London is %.0f km", d)
	}
}

// TestClasses holds that clients of one class have one result, whatever the
// candidates, and that classes differ where results do.
func TestClasses(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	place := func() geo.Place {
		p := geo.Place{
			Continent: pick("", "EU", "NA"), Country: pick("", "IE", "GB"), Subdivision: pick("", "A", "B"),
			City: pick("", "X", "Y"), Region: pick("", "r"), ASN: uint32(r.IntN(3)),
		}
		if r.IntN(3) > 0 {
			p.Lat, p.Lon, p.Located = float64(r.IntN(5)*30-60), float64(r.IntN(6)*60-180), true
		}
		return p
	}
	for range 60 {
		sites := make([]geo.Place, 1+r.IntN(6))
		for i := range sites {
			sites[i] = place()
		}
		levels := []geo.Level{geo.ByASN, geo.ByCity, geo.BySubdivision, geo.ByCountry, geo.ByRegion, geo.ByContinent}
		r.Shuffle(len(levels), func(i, j int) { levels[i], levels[j] = levels[j], levels[i] })
		fence := &Geofence{Levels: levels[:1+r.IntN(3)], Strict: r.IntN(2) == 0, Sites: sites}
		near := NewNearest(float64(r.IntN(3)*20), float64(r.IntN(3)*1000), sites)
		for _, f := range []Placed{fence, near, NewFirst([]Filter{fence, near}, []Filter{near})} {
			type seen struct {
				client  geo.Place
				results []string
			}
			classes := map[string]seen{}
			for range 60 {
				client := place()
				q := rnd(1)
				q.Place = &client
				rr := rand.New(rand.NewPCG(9, 9))
				var results []string
				for range 20 {
					s := set(rr.IntN(6))
					for i := range s {
						s[i].Site = uint16(rr.IntN(len(sites)))
					}
					results = append(results, key(f.Apply(q, s)))
				}
				class := string(f.Class(nil, &client))
				if old, ok := classes[class]; ok && !slices.Equal(old.results, results) {
					t.Fatalf("%s: %+v and %+v are of one class and have %v and %v", f, old.client, client, old.results, results)
				}
				classes[class] = seen{client, results}
			}
		}
	}
}
