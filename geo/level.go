package geo

import (
	"strconv"
	"strings"
)

// Level is how exactly two places are compared, from one network to a whole
// continent.
type Level uint8

// The levels, from the narrowest to the widest.
const (
	ByASN Level = iota
	ByCity
	BySubdivision
	ByCountry
	ByRegion
	ByContinent
	levels
)

var levelNames = [levels]string{"asn", "city", "subdivision", "country", "region", "continent"}

func (l Level) String() string { return levelNames[l] }

// LevelOf is the level of a name.
func LevelOf(name string) (Level, bool) {
	for l, n := range levelNames {
		if n == name {
			return Level(l), true
		}
	}
	return 0, false
}

// LevelNames yields the names of the levels, from the narrowest to the widest.
func LevelNames(yield func(string) bool) {
	for _, n := range levelNames {
		if !yield(n) {
			return
		}
	}
}

// Known is whether a place says where it is at a level.
func (l Level) Known(p *Place) bool {
	switch l {
	case ByASN:
		return p.ASN != 0
	case ByCity:
		return p.City != ""
	case BySubdivision:
		return p.Subdivision != "" && p.Country != ""
	case ByCountry:
		return p.Country != ""
	case ByRegion:
		return p.Region != ""
	}
	return p.Continent != ""
}

// Same is whether two places are one at a level. What is not known is the same
// as nothing. Codes of subdivisions mean something within a country only; cities
// of one name in different countries or subdivisions are different ones where
// both of those are known.
func (l Level) Same(a, b *Place) bool {
	if !l.Known(a) || !l.Known(b) {
		return false
	}
	switch l {
	case ByASN:
		return a.ASN == b.ASN
	case ByCity:
		return strings.EqualFold(a.City, b.City) &&
			(a.Country == b.Country || a.Country == "" || b.Country == "") &&
			(a.Subdivision == b.Subdivision || a.Subdivision == "" || b.Subdivision == "")
	case BySubdivision:
		return a.Country == b.Country && a.Subdivision == b.Subdivision
	case ByCountry:
		return a.Country == b.Country
	case ByRegion:
		return a.Region == b.Region
	}
	return a.Continent == b.Continent
}

// Of is what a place is at a level, as text.
func (l Level) Of(p *Place) string {
	switch l {
	case ByASN:
		return "AS" + strconv.FormatUint(uint64(p.ASN), 10)
	case ByCity:
		return p.City
	case BySubdivision:
		return p.Country + "-" + p.Subdivision
	case ByCountry:
		return p.Country
	case ByRegion:
		return p.Region
	}
	return p.Continent
}
