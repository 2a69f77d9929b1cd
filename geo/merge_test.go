package geo

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// TestMerge compares views of several random sources with asking each for each
// address.
func TestMerge(t *testing.T) {
	countries := []string{"", "IE", "GB", "US"}
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 3))
		// The number of a place says what it is, in each source in its own way.
		kinds := []func(n uint32) Place{
			func(n uint32) Place { return Place{ASN: n} },
			func(n uint32) Place { return Place{Country: countries[n&3]} },
			func(n uint32) Place {
				if n == 0 {
					return Place{}
				}
				return Place{Country: countries[n&1+1], City: countries[n&3], Lat: float64(n), Lon: 1, Located: true}
			},
		}
		var nets oracle
		var worlds []oracle
		var sources []*layer
		for range 1 + r.IntN(3) {
			o := randomNetworks(r)
			kind := kinds[r.IntN(len(kinds))]
			stated := make([]Network, len(o))
			for i, n := range o {
				stated[i] = Network{n.Prefix, kind(n.Place.ASN)}
			}
			a, err := arranged(stated)
			if err != nil {
				t.Fatal(err)
			}
			nets, worlds, sources = append(nets, o...), append(worlds, stated), append(sources, layerOf(a))
		}
		own := []Network{
			{netip.MustParsePrefix("128.0.0.0/2"), Place{Region: "east"}},
			{netip.MustParsePrefix("::ffff:129.0.0.0/104"), Place{Country: "DE"}},
			{netip.MustParsePrefix("2000::/5"), Place{Region: "six", City: "X"}},
			{netip.MustParsePrefix("2000::1/128"), Place{ASN: 77}},
		}
		if seed%4 == 0 {
			own = nil
		}
		cfg := Config{Networks: own, Regions: []Region{{"west", []string{"US"}, nil}, {"islands", []string{"GB", "IE"}, []string{"EU"}}}}
		networks, err := arranged(own)
		if err != nil {
			t.Fatal(err)
		}
		set := setting{cfg: cfg, networks: networks}
		for _, l := range sources {
			set.loaded = append(set.loaded, &loaded{layer: l})
		}
		for _, n := range networks {
			nets = append(nets, Network{Prefix: n.Prefix})
		}
		answer := func(a netip.Addr) any {
			var p Place
			for _, w := range worlds {
				p = overPlace(p, longest(w, a))
			}
			p = overPlace(longest(networks, a), p)
			p.Fill()
			switch {
			case p.Region != "":
			case p.Country == "US":
				p.Region = "west"
			case p.Continent == "EU":
				p.Region = "islands"
			}
			return p
		}
		v := set.build()
		for _, a := range samples(r, nets) {
			id, bits := v.find(a)
			hold(t, truth{nets, answer}, a, v.Place(id), bits)
		}
		if v.Place(0) != (Place{}) {
			t.Fatalf("place 0 is %+v", v.Place(0))
		}
	}
}

func longest(nets []Network, a netip.Addr) Place {
	best, p := -1, Place{}
	for _, n := range nets {
		if n.Prefix.Contains(a) && n.Prefix.Bits() > best {
			best, p = n.Prefix.Bits(), n.Place
		}
	}
	if c := Countries[p.Country]; p.Continent == "" {
		p.Continent = c.Continent
	}
	return p
}

// overPlace is over as its docstring says it.
func overPlace(u, l Place) Place {
	if u.ASN == 0 {
		u.ASN = l.ASN
	}
	if u.Region == "" {
		u.Region = l.Region
	}
	apart := func(a, b string) bool { return a != "" && b != "" && a != b }
	switch both := u.Country != "" && l.Country != ""; {
	case both && u.Country != l.Country, !both && apart(u.Continent, l.Continent):
		return u
	}
	take := func(into *string, from string) {
		if *into == "" {
			*into = from
		}
	}
	take(&u.Continent, l.Continent)
	take(&u.Country, l.Country)
	if apart(u.Subdivision, l.Subdivision) {
		return u
	}
	take(&u.Subdivision, l.Subdivision)
	if apart(u.City, l.City) {
		return u
	}
	take(&u.City, l.City)
	if !u.Located {
		u.Lat, u.Lon, u.Located = l.Lat, l.Lon, l.Located
	}
	return u
}

func TestConfigRefuses(t *testing.T) {
	net := func(s string) Network { return Network{Prefix: netip.MustParsePrefix(s)} }
	for want, cfg := range map[string]Config{
		"is there twice: leave one out":                  {Networks: []Network{net("10.0.0.0/8"), net("10.1.0.0/8")}},
		"network 10.0.0.0/8 is there twice":              {Networks: []Network{net("10.0.0.0/8"), net("::ffff:10.0.0.0/104")}},
		"write networks of IPv4 as such":                 {Networks: []Network{net("::ffff:10.0.0.0/90")}},
		"network 1 has no valid prefix":                  {Networks: []Network{{}}},
		"database x.mmdb is there twice":                 {Databases: []string{"x.mmdb", "x.mmdb"}},
		"database 1 has no path":                         {Databases: []string{""}},
		"geo: database: open nowhere.mmdb":               {Databases: []string{"nowhere.mmdb"}},
		"is no file":                                     {Databases: []string{"."}},
		`region eu: "UK" is no country`:                  {Regions: []Region{{Name: "eu", Countries: []string{"UK"}}}},
		`region eu: "XX" is no continent`:                {Regions: []Region{{Name: "eu", Continents: []string{"XX"}}}},
		"country IE is in region eu and in region west":  {Regions: []Region{{"eu", []string{"IE"}, nil}, {"west", []string{"IE"}, nil}}},
		"continent EU is in region eu and in region all": {Regions: []Region{{"eu", nil, []string{"EU"}}, {"all", nil, []string{"EU"}}}},
	} {
		if _, err := New(Options{}).Prepare(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	city := writer{kind: "City", size: 24}
	city.add(netip.MustParsePrefix("192.0.2.0/24"), maxmindCity)
	asn := writer{kind: "ASN", size: 24}
	asn.add(netip.MustParsePrefix("192.0.0.0/16"), object{"asn": "AS7"})
	cfg := Config{
		Databases: []string{write(t, dir, "city.mmdb", city.file()), write(t, dir, "asn.mmdb", asn.file())},
		Networks: []Network{
			{netip.MustParsePrefix("192.0.2.64/26"), Place{Region: "office"}},
			{netip.MustParsePrefix("192.0.2.0/25"), Place{Region: "campus"}},
		},
	}
	a := New(Options{})
	c, err := a.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	a.Apply(c)
	dublin := Place{Continent: "EU", Country: "IE", Subdivision: "L", City: "Dublin", Lat: 53.3379, Lon: -6.2591, Located: true}
	got := a.View().Explain(netip.MustParseAddr("::ffff:192.0.2.65"))
	want := []Source{
		{Networks, netip.MustParsePrefix("192.0.2.64/26"), Place{Region: "office"}},
		{cfg.Databases[0], netip.MustParsePrefix("192.0.2.0/24"), dublin},
		{cfg.Databases[1], netip.MustParsePrefix("192.0.0.0/16"), Place{ASN: 7}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	p, prefix := a.View().Lookup(netip.MustParseAddr("192.0.2.65"))
	dublin.Region, dublin.ASN = "office", 7
	if p != dublin || prefix != netip.MustParsePrefix("192.0.2.64/26") {
		t.Errorf("%+v in %s", p, prefix)
	}
	if got := a.View().Explain(netip.Addr{}); got != nil {
		t.Errorf("no address is explained as %v", got)
	}
}
