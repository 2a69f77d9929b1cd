package controller

import (
	"maps"
	"math"
	"slices"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec"
)

// placeOf is where a client in a region is taken to be: where the pools of the region
// are; or else, where no pool is in it, the networks that geo.networks has in it; or else
// the countries and continents of geo.regions. What these do not have in common is not
// known, but for coordinates, of which it is the middle.
func placeOf(s *spec.Spec, region string) geo.Place {
	var found []geo.Place
	add := func(p geo.Place) {
		p.Fill()
		if p.Region == region && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	// In an order that is the same on every node, for sums.
	for _, name := range slices.Sorted(maps.Keys(s.Pools)) {
		pool := s.Pools[name]
		if pool.Nested != nil {
			continue // its endpoints are those of its pools
		}
		for i := range pool.Endpoints {
			if p := pool.Endpoints[i].Place; p != nil {
				add(p.Geo())
			}
		}
	}
	for i := 0; i < len(s.Geo.Networks) && (len(found) == 0 || i > 0); i++ {
		add(s.Geo.Networks[i].Place)
	}
	for i := range s.Geo.Regions {
		if r := &s.Geo.Regions[i]; r.Name == region && len(found) == 0 {
			for _, c := range r.Countries {
				add(geo.Place{Region: region, Country: c})
			}
			for _, c := range r.Continents {
				add(geo.Place{Region: region, Continent: c})
			}
		}
	}
	return common(region, found)
}

// common is what places have in common.
func common(region string, all []geo.Place) geo.Place {
	if len(all) == 0 {
		return geo.Place{Region: region}
	}
	out := all[0]
	out.Region = region
	var x, y, z float64
	located := 0
	const rad = math.Pi / 180
	for i := range all {
		p := &all[i]
		out.Continent = agreed(out.Continent, p.Continent)
		out.Country = agreed(out.Country, p.Country)
		out.Subdivision = agreed(out.Subdivision, p.Subdivision)
		out.City = agreed(out.City, p.City)
		out.ASN = agreed(out.ASN, p.ASN)
		if p.Located {
			located++
			x += math.Cos(p.Lat*rad) * math.Cos(p.Lon*rad)
			y += math.Cos(p.Lat*rad) * math.Sin(p.Lon*rad)
			z += math.Sin(p.Lat * rad)
		}
	}
	if located > 1 {
		out.Lat, out.Lon, out.Located = math.Atan2(z, math.Hypot(x, y))/rad, math.Atan2(y, x)/rad, true
		return out
	}
	for i := range all {
		if all[i].Located {
			out.Lat, out.Lon, out.Located = all[i].Lat, all[i].Lon, true
		}
	}
	return out
}

// agreed is a when b is the same, or else nothing.
func agreed[T comparable](a, b T) (none T) {
	if a == b {
		return a
	}
	return none
}
