package simulate

import (
	"math"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec"
)

// point is a point on the earth, in degrees.
type point struct {
	lat, lon float64
	known    bool
}

var nowhere point

// pointOf is where a pool is: its coordinates, or else the centre of its country.
func pointOf(p spec.Place) point {
	if p.At != nil {
		return point{p.At[0], p.At[1], true}
	}
	return centreOf(p.Country)
}

// placePoint is where a client is: its coordinates, or else the centre of its
// country.
func placePoint(p geo.Place) point {
	if p.Located {
		return point{p.Lat, p.Lon, true}
	}
	return centreOf(p.Country)
}

// centreOf is the centre of a country's population.
func centreOf(country string) point {
	c, known := geo.Countries[country]
	return point{c.Lat, c.Lon, known}
}

// earth is the mean radius in km (IUGG).
const earth = 6371.0088

// to is the distance between two points along a great circle, in km, by the
// haversine formula (Sinnott, Virtues of the haversine, 1984); not a number when
// one of them is not known.
func (p point) to(q point) float64 {
	if !p.known || !q.known {
		return math.NaN()
	}
	const rad = math.Pi / 180
	dlat, dlon := math.Sin((q.lat-p.lat)*rad/2), math.Sin((q.lon-p.lon)*rad/2)
	h := dlat*dlat + math.Cos(p.lat*rad)*math.Cos(q.lat*rad)*dlon*dlon
	return 2 * earth * math.Asin(math.Min(1, math.Sqrt(h)))
}
