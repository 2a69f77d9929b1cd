package rhumb

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// preparePlaces loads what a statement says of places, when anybody needs it: a
// service, or somebody who has looked an address up. Files that are stated are
// read in any case, so that what is wrong with them comes out. Without need the
// change is nil.
func (e *Engine) preparePlaces(s *spec.Spec, t *table.Table, asked bool) (*geo.Change, error) {
	if !asked && len(s.Geo.Databases) == 0 && t.Needs()&steer.Places == 0 {
		return nil, nil
	}
	return e.loadPlaces(s)
}

func (e *Engine) loadPlaces(s *spec.Spec) (*geo.Change, error) {
	c := geo.Config{Networks: s.Geo.Networks, Regions: s.Geo.Regions}
	for _, d := range s.Geo.Databases {
		c.Databases = append(c.Databases, source(d))
	}
	change, err := e.atlas.Prepare(c)
	if err == nil {
		return change, nil
	}
	// Which of the files it is shows when each is taken for itself.
	var all spec.Errors
	for i := range s.Geo.Databases {
		if _, err := e.atlas.Prepare(geo.Config{Databases: c.Databases[i : i+1]}); err != nil {
			why := err
			if inner := errors.Unwrap(err); inner != nil {
				why = inner // without the path, which the message has
			}
			all = append(all, s.DatabaseFault(i, "%s: %s", c.Databases[i], why))
		}
	}
	if len(all) > 0 {
		return nil, all
	}
	return nil, err
}

// source is how geo names a database.
func source(d spec.Database) string {
	if d.Path == "" {
		return geo.BuiltIn
	}
	return d.Path
}

// places makes sure that the snapshot has a view of places, and gives it.
func (e *Engine) places() (*geo.View, error) {
	if s := e.Snapshot(); s != nil && s.Geo != nil {
		return s.Geo, nil
	}
	e.locating.Lock() // they are loaded once, however many ask
	defer e.locating.Unlock()
	for {
		e.mu.Lock()
		s, known := e.spec, e.placed
		e.mu.Unlock()
		switch {
		case s == nil:
			return nil, errors.New("rhumb: no configuration is in force yet")
		case known:
			return e.Snapshot().Geo, nil
		}
		change, err := e.loadPlaces(s)
		if err != nil {
			return nil, err
		}
		e.mu.Lock()
		if e.spec == s {
			e.chart(change)
			e.placed = true
			e.replace()
		}
		e.mu.Unlock()
		// Once more when another statement came meanwhile.
	}
}

// chart puts places in force. It is called under e.mu, after spec has been set.
func (e *Engine) chart(c *geo.Change) {
	e.atlas.Apply(c)
	files := slices.ContainsFunc(e.spec.Geo.Databases, func(d spec.Database) bool { return d.Path != "" })
	if files && !closed(e.charted) {
		close(e.charted)
	}
}

// Places says where addresses are, by the statement in force. They are loaded when
// nobody has needed them before.
func (e *Engine) Places() (*geo.View, error) { return e.places() }

// Locate says where an address is taken to be, and by whom. It loads what there
// is of places when nobody has needed it before.
func (e *Engine) Locate(addr netip.Addr) (*api.GeoLookup, error) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsValid() {
		return nil, errors.New("rhumb: no address to look up")
	}
	v, err := e.places()
	if err != nil {
		return nil, err
	}
	place, prefix := v.Lookup(addr)
	out := &api.GeoLookup{Address: addr.String(), Network: prefix.String(), Place: placeOf(&place), Sources: []api.GeoSource{}}
	databases := e.atlas.Status()
	for _, s := range v.Explain(addr) {
		src := api.GeoSource{Kind: "database", Name: s.Name, Network: s.Prefix.String(), Place: placeOf(&s.Place)}
		if s.Name == geo.Networks {
			src.Kind, src.Name = "network", src.Network
		}
		for _, d := range databases {
			if d.Name == s.Name {
				src.Type, src.Built = d.Kind, d.Built
			}
		}
		out.Sources = append(out.Sources, src)
	}
	return out, nil
}

func placeOf(p *geo.Place) api.GeoPlace {
	out := api.GeoPlace{
		Region: p.Region, Continent: p.Continent, ContinentName: geo.Continents[p.Continent],
		Country: p.Country, CountryName: geo.Countries[p.Country].Name,
		Subdivision: p.Subdivision, City: p.City, ASN: p.ASN,
	}
	if p.Located {
		out.At = []float64{p.Lat, p.Lon}
	}
	return out
}

// Geo is what is known of places, and from where.
func (e *Engine) Geo() *api.Geo {
	e.mu.Lock()
	s, placed := e.spec, e.placed
	e.mu.Unlock()
	out := &api.Geo{Loaded: placed, Databases: []api.GeoDatabase{}}
	if s == nil {
		return out
	}
	out.Networks, out.Regions = len(s.Geo.Networks), len(s.Geo.Regions)
	if !placed {
		return out
	}
	out.Places = e.atlas.View().Places()
	for _, d := range e.atlas.Status() {
		out.Databases = append(out.Databases, api.GeoDatabase{
			File: d.Name, Type: d.Kind, Built: d.Built, Loaded: d.Loaded, Entries: d.Entries, Error: d.Error,
		})
	}
	return out
}
