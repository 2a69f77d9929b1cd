package steer

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/rhumb-dns/rhumb/geo"
)

// Nearest keeps the candidates that are nearest to the client and those that are
// hardly further, in order of their distance. With d the distance to the
// nearest, it keeps those within
//
//	d + max(Tolerance/100 * d, Within)
//
// Distances are those of great circles on a sphere of the earth's mean radius:
// for unit vectors a and b to two points, 2 R asin(|a - b| / 2), which is the
// haversine formula (Sinnott, Virtues of the haversine, 1984) in vectors; it is
// exact for near points and within 0.6% of the ellipsoid for far ones. Distance
// grows with |a - b|, so that chords are compared and no angle is computed.
//
// Candidates of which no coordinates are known are kept only when none of the
// others is left. A client without coordinates chooses nothing: all are kept.
type Nearest struct {
	Tolerance float64 // percent
	Within    float64 // km
	at        []vector
}

// NewNearest is the filter for endpoints at sites, by Candidate.Site.
func NewNearest(tolerance, within float64, sites []geo.Place) *Nearest {
	n := &Nearest{Tolerance: tolerance, Within: within, at: make([]vector, len(sites))}
	for i := range sites {
		n.at[i] = vectorOf(&sites[i])
	}
	return n
}

// earth is the mean radius in km (IUGG).
const earth = 6371.0088

// vector is the unit vector to a point; all zero is nowhere.
type vector struct{ x, y, z float64 }

func vectorOf(p *geo.Place) vector {
	if !p.Located {
		return vector{}
	}
	slat, clat := math.Sincos(p.Lat * math.Pi / 180)
	slon, clon := math.Sincos(p.Lon * math.Pi / 180)
	return vector{clat * clon, clat * slon, slat}
}

// far is more than any square of a chord: the distance to nowhere.
const far = 5.0

// chord is the square of the distance between two points, from 0 to 4.
func (v vector) chord(w vector) float64 {
	if w == (vector{}) {
		return far
	}
	x, y, z := v.x-w.x, v.y-w.y, v.z-w.z
	return x*x + y*y + z*z
}

// km is the distance along the surface for the square of a chord.
func km(chord float64) float64 {
	return 2 * earth * math.Asin(math.Min(1, math.Sqrt(chord)/2))
}

// reach is the square of the chord up to which candidates are kept when the
// nearest one is at least.
func (n *Nearest) reach(least float64) float64 {
	d := km(least)
	d += math.Max(n.Tolerance/100*d, n.Within)
	if d >= math.Pi*earth {
		return 4.5
	}
	c := 2 * math.Sin(d/(2*earth))
	// The nearest itself is within reach whatever is lost in rounding.
	return math.Max(c*c, least)
}

func (n *Nearest) site(i uint16) vector {
	if int(i) < len(n.at) {
		return n.at[i]
	}
	return vector{}
}

// Apply implements Filter.
func (n *Nearest) Apply(q *Query, set []Candidate) []Candidate {
	client := vectorOf(q.Place)
	if client == (vector{}) {
		return set
	}
	least := far
	for i := range set {
		least = math.Min(least, client.chord(n.site(set[i].Site)))
	}
	if least == far {
		return set
	}
	reach := n.reach(least)
	kept := set[:0]
	for _, c := range set {
		if client.chord(n.site(c.Site)) <= reach {
			kept = append(kept, c)
		}
	}
	// Sites at the same distance have the order of their numbers, so that Class
	// knows it.
	slices.SortStableFunc(kept, func(a, b Candidate) int {
		return cmp.Or(
			cmp.Compare(client.chord(n.site(a.Site)), client.chord(n.site(b.Site))),
			cmp.Compare(a.Site, b.Site),
		)
	})
	return kept
}

// Class implements Placed: the sites in order of their distance, and for each
// one how many of them are kept when it is the nearest of the candidates.
func (n *Nearest) Class(dst []byte, client *geo.Place) []byte {
	v := vectorOf(client)
	type site struct {
		chord float64
		at    uint16
	}
	var sites []site
	if v != (vector{}) {
		for i, w := range n.at {
			if c := v.chord(w); c < far {
				sites = append(sites, site{c, uint16(i)})
			}
		}
	}
	slices.SortFunc(sites, func(a, b site) int {
		return cmp.Or(cmp.Compare(a.chord, b.chord), cmp.Compare(a.at, b.at))
	})
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(sites)))
	kept := 0
	for _, s := range sites {
		reach := n.reach(s.chord)
		for kept < len(sites) && sites[kept].chord <= reach {
			kept++
		}
		dst = binary.BigEndian.AppendUint16(dst, s.at)
		dst = binary.BigEndian.AppendUint16(dst, uint16(kept))
	}
	return dst
}

// String implements Filter.
func (n *Nearest) String() string {
	return fmt.Sprintf("nearest: {tolerance: %g%%, within: %gkm}", n.Tolerance, n.Within)
}

// Rule implements Filter.
func (n *Nearest) Rule() string {
	return fmt.Sprintf("the nearest, and those not further than %g%% or %g km more", n.Tolerance, n.Within)
}

// Why implements Told.
func (n *Nearest) Why(q *Query, given []Candidate) string {
	client := vectorOf(q.Place)
	if client == (vector{}) {
		return "the client's coordinates are not known; all are kept"
	}
	least, most := far, 0.0
	for i := range given {
		if c := client.chord(n.site(given[i].Site)); c < far {
			least, most = math.Min(least, c), math.Max(most, c)
		}
	}
	if least == far {
		return "no coordinates are known of any of them; all are kept"
	}
	return fmt.Sprintf("the client is at %.2f, %.2f; they are %.0f to %.0f km away, kept are those within %.0f km",
		q.Place.Lat, q.Place.Lon, km(least), km(most), km(math.Min(4, n.reach(least))))
}

// Needs implements Filter.
func (*Nearest) Needs() Needs { return Places }
