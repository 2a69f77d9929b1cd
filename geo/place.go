package geo

import "math"

// Place is where an address, or an endpoint, is. What is not known is empty.
type Place struct {
	Region    string // the operator's word
	Continent string // two letters: AF AN AS EU NA OC SA
	Country   string // ISO 3166-1 alpha-2
	// Subdivision is ISO 3166-2 without the country: CA of US-CA. From a database
	// that has no codes it is the English name.
	Subdivision string
	City        string // its English name
	ASN         uint32 // 0: not known
	// Lat and Lon are degrees, north and east positive. They mean nothing unless
	// Located.
	Lat, Lon float64
	Located  bool
}

// Fill completes p with what its country says: the continent, and, unless p is
// located, the country's centre.
func (p *Place) Fill() {
	c, ok := Countries[p.Country]
	if !ok {
		return
	}
	if p.Continent == "" {
		p.Continent = c.Continent
	}
	if !p.Located {
		p.Lat, p.Lon, p.Located = c.Lat, c.Lon, true
	}
}

// earthRadius is the mean radius of the earth in km (R1 of IUGG and WGS 84).
const earthRadius = 6371.0088

// Distance is how far a and b are from each other, in km along a great circle,
// on a sphere, which is within 0.6 percent of the truth. It is the haversine
// formula (R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68, 1984),
// exact for small distances as well. Without both places' coordinates it is +Inf.
func Distance(a, b *Place) float64 {
	if !a.Located || !b.Located {
		return math.Inf(1)
	}
	const rad = math.Pi / 180
	sinLat := math.Sin((b.Lat - a.Lat) * rad / 2)
	sinLon := math.Sin((b.Lon - a.Lon) * rad / 2)
	h := sinLat*sinLat + math.Cos(a.Lat*rad)*math.Cos(b.Lat*rad)*sinLon*sinLon
	// Rounding may take opposite points a hair beyond 1.
	return 2 * earthRadius * math.Asin(math.Sqrt(min(h, 1)))
}
