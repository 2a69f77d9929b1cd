package admin_test

import (
	"slices"
	"testing"

	"github.com/rhumb-dns/rhumb/api"
)

func TestGeo(t *testing.T) {
	n := newNode(t, configuration)
	before := decode[api.Geo](t, n.ask("GET", "/api/v1/geo", ""), 200)
	if before.Loaded || before.Networks != 1 || before.Regions != 1 || len(before.Databases) != 0 {
		t.Errorf("before anybody asked: %+v", before)
	}

	l := decode[api.GeoLookup](t, n.ask("GET", "/api/v1/geo/lookup?ip=10.1.2.3", ""), 200)
	want := api.GeoPlace{
		Region: "lan", Continent: "EU", ContinentName: "Europe", Country: "IE", CountryName: "Ireland",
		Subdivision: "L", City: "Dublin", ASN: 64500, At: []float64{53.35, -6.26},
	}
	if !samePlace(l.Place, want) || l.Address != "10.1.2.3" || l.Network != "10.0.0.0/8" {
		t.Errorf("%+v", l)
	}
	if len(l.Sources) != 1 || l.Sources[0].Kind != "network" || l.Sources[0].Name != "10.0.0.0/8" || !samePlace(l.Sources[0].Place, want) {
		t.Errorf("said by %+v", l.Sources)
	}

	// What a region is made of has it, and the source does not say so.
	l = decode[api.GeoLookup](t, n.ask("GET", "/api/v1/geo/lookup?ip=8.8.8.8", ""), 200)
	if l.Place.Country != "US" || l.Place.Region != "north-america" {
		t.Errorf("%+v", l)
	}
	if len(l.Sources) != 1 || l.Sources[0].Kind != "database" || l.Sources[0].Name != "built-in" || l.Sources[0].Built.IsZero() || l.Sources[0].Place.Region != "" {
		t.Errorf("said by %+v", l.Sources)
	}
	mapped := decode[api.GeoLookup](t, n.ask("GET", "/api/v1/geo/lookup?ip=::ffff:8.8.8.8", ""), 200)
	if mapped.Address != "8.8.8.8" || mapped.Network != l.Network {
		t.Errorf("%+v", mapped)
	}
	nowhere := decode[api.GeoLookup](t, n.ask("GET", "/api/v1/geo/lookup?ip=192.0.2.1", ""), 200)
	if !samePlace(nowhere.Place, api.GeoPlace{}) || nowhere.Sources == nil || len(nowhere.Sources) != 0 {
		t.Errorf("%+v", nowhere)
	}

	after := decode[api.Geo](t, n.ask("GET", "/api/v1/geo", ""), 200)
	if !after.Loaded || after.Places < 100 || len(after.Databases) != 1 || after.Databases[0].File != "built-in" || after.Databases[0].Entries == 0 {
		t.Errorf("after somebody asked: %+v", after)
	}

	for target, want := range map[string]string{
		"/api/v1/geo/lookup":                     "ip: the parameter is missing",
		"/api/v1/geo/lookup?ip=here":             `ip: "here" is not an IP address`,
		"/api/v1/geo/lookup?addr=192.0.2.1":      `query: no parameter "addr"; there are ip`,
		"/api/v1/geo/lookup?ip=192.0.2.1&ip=::1": "query: ip is there twice",
	} {
		if refused(t, n.ask("GET", target, ""), 400) != want {
			t.Errorf("%s is refused otherwise", target)
		}
	}
	if got := refused(t, newNode(t, "").ask("GET", "/api/v1/geo/lookup?ip=192.0.2.1", ""), 503); got != "rhumb: no configuration is in force yet" {
		t.Error(got)
	}
}

func samePlace(a, b api.GeoPlace) bool {
	at := slices.Equal(a.At, b.At)
	a.At, b.At = nil, nil
	return at && a.Region == b.Region && a.Continent == b.Continent && a.ContinentName == b.ContinentName && a.Country == b.Country &&
		a.CountryName == b.CountryName && a.Subdivision == b.Subdivision && a.City == b.City && a.ASN == b.ASN
}
