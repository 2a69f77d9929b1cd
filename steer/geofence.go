package steer

import (
	"encoding/binary"
	"strings"

	"github.com/rhumb-dns/rhumb/geo"
)

// Geofence keeps the candidates whose place is the client's at the first of
// Levels at which any candidate's is:
//
//	kept = { c : Levels[i].Same(client, Sites[c.Site]) },  i the least that keeps any
//
// When none is at any level it keeps all of them, or nothing if it is Strict. A
// place of which a level is not known is nobody's at that level, so a client of
// whom nothing is known is outside of every fence.
type Geofence struct {
	Levels []geo.Level
	Strict bool
	// Sites are the places of the endpoints by Candidate.Site, at most 65535.
	Sites []geo.Place
}

// Apply implements Filter.
func (g *Geofence) Apply(q *Query, set []Candidate) []Candidate {
	for _, l := range g.Levels {
		kept := set[:0]
		for _, c := range set {
			if g.same(l, q.Place, c.Site) {
				kept = append(kept, c)
			}
		}
		if len(kept) > 0 {
			return kept
		}
	}
	if g.Strict {
		return set[:0]
	}
	return set
}

func (g *Geofence) same(l geo.Level, client *geo.Place, site uint16) bool {
	return int(site) < len(g.Sites) && l.Same(client, &g.Sites[site])
}

// nobody ends a list of sites, of which there are fewer.
const nobody = ^uint16(0)

// Class implements Placed: for each level the sites that match.
func (g *Geofence) Class(dst []byte, client *geo.Place) []byte {
	for _, l := range g.Levels {
		if l.Known(client) {
			for i := range g.Sites {
				if l.Same(client, &g.Sites[i]) {
					dst = binary.BigEndian.AppendUint16(dst, uint16(i))
				}
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, nobody)
	}
	return dst
}

// String implements Filter.
func (g *Geofence) String() string {
	names := make([]string, len(g.Levels))
	for i, l := range g.Levels {
		names[i] = l.String()
	}
	text := strings.Join(names, ", ")
	if len(names) > 1 {
		text = "[" + text + "]"
	}
	if g.Strict {
		text = "{levels: " + text + ", strict: true}"
	}
	return "geofence: " + text
}

// Rule implements Filter.
func (g *Geofence) Rule() string {
	names := make([]string, len(g.Levels))
	for i, l := range g.Levels {
		names[i] = l.String()
	}
	text := "endpoints of the client's " + strings.Join(names, ", or else ")
	if g.Strict {
		return text + ", or else none"
	}
	return text + ", or else all"
}

// Why implements Told.
func (g *Geofence) Why(q *Query, given []Candidate) string {
	for _, l := range g.Levels {
		for i := range given {
			if g.same(l, q.Place, given[i].Site) {
				return "the client is in their " + l.String() + ", " + l.Of(q.Place)
			}
		}
	}
	where := []string{}
	for _, l := range g.Levels {
		if l.Known(q.Place) {
			where = append(where, l.String()+" "+l.Of(q.Place))
		}
	}
	text := "none is where the client is: " + strings.Join(where, ", ")
	if len(where) == 0 {
		text = "nothing is known of where the client is"
	}
	if g.Strict {
		return text + "; none is kept"
	}
	return text + "; all are kept"
}

// Needs implements Filter.
func (*Geofence) Needs() Needs { return Places }
