package spec

import (
	"fmt"
	"maps"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec/document"
)

var geoSection = section{
	title: "geo",
	intro: "Where clients are, for the filters that go by it: the longest of `networks` that holds an address, then `databases`, in their order. `rhumb geo lookup` says where an address is taken to be, and by whom. See [Geography](geo.md).",
	example: `geo:
  networks:
    10.0.0.0/8: {region: eu-west, country: IE}
    10.9.0.0/16: {region: us-east, country: US, subdivision: VA, at: [39.04, -77.49]}
  regions:
    eu-west: {countries: [IE, GB, FR]}
    us-east: {continents: [NA, SA]}
`,
	fields: []field{
		{name: "databases", typ: "list of files", prose: "the country database that is built in", doc: "In MaxMind's format (`.mmdb`), relative to the file that states them. What one does not say of an address, the next may. `built-in` in the list is the country database that is built in."},
		{name: "networks", typ: "map of places", def: "{}", merge: true, doc: "By network, such as `192.0.2.0/24`: a [place](#place). The longest network that holds an address decides, before the databases."},
		{name: "regions", typ: "map of regions", def: "{}", merge: true, doc: "By name: the countries and continents that are in a region of yours. See [geo.regions](#georegions)."},
	},
}

var regionSection = section{
	title: "geo.regions",
	intro: "A region is a word of your own for a part of the world, the same as `region` of a [place](#place). The region of a client, and of a pool that states none, is the one that has its country, or else the one that has its continent.",
	example: `geo:
  regions:
    eu-west: {countries: [IE, GB, FR, ES, PT]}
    eu-central: {continents: [EU]}           # the rest of Europe
    asia: {continents: [AS, OC], countries: [RU]}
`,
	fields: []field{
		{name: "countries", typ: "list of countries", def: "[]", doc: "ISO 3166-1, two capital letters. A country is in one region at most."},
		{name: "continents", typ: "list of continents", def: "[]", doc: "`AF`, `AN`, `AS`, `EU`, `NA`, `OC`, `SA`: those of its countries that no region names. A continent is in one region at most."},
	},
}

var ecsSection = section{
	title: "dns.ecs",
	intro: "In place of `true`: whose word on their clients is taken. A query from elsewhere is answered as if it had no client subnet option, and the answer has none. See [Client subnets](geo.md#client-subnets).",
	example: `dns:
  ecs: {trusted: [192.0.2.0/24, "2001:db8::/32"]}
`,
	fields: []field{
		{name: "trusted", typ: "list of networks", need: true, doc: "The resolvers, by source address."},
	},
}

// BuiltIn is how a list of databases names the one that is built in.
const BuiltIn = "built-in"

// Geo is where clients are.
type Geo struct {
	// Databases are asked in their order. None: the one that is built in.
	Databases []Database
	// Networks come before the databases; the longest one decides. Each is there
	// once, without bits outside of its mask.
	Networks []geo.Network
	Regions  []geo.Region // sorted by name; no country or continent is in two
}

// Database is a file of places.
type Database struct {
	Path string // absolute; empty: the one that is built in
	Pos  Pos
}

// DatabaseFault is an error about one of the databases, at the place where it is
// stated.
func (s *Spec) DatabaseFault(i int, format string, args ...any) Error {
	at := s.Geo.Databases[i].Pos
	return Error{
		File: s.shown(at.File), Line: at.Line, Col: at.Col,
		Path: (*path)(nil).dot("geo").dot("databases").at(i).String(), Msg: fmt.Sprintf(format, args...),
	}
}

// Geo is the place in geo's words.
func (p *Place) Geo() geo.Place {
	out := geo.Place{
		Region: p.Region, Continent: p.Continent, Country: p.Country, Subdivision: p.Subdivision, City: p.City, ASN: p.ASN,
	}
	if p.At != nil {
		out.Lat, out.Lon, out.Located = p.At[0], p.At[1], true
	}
	return out
}

func (d *decoder) geo(o *object) {
	g := &d.spec.Geo
	if o.get("regions") != nil {
		g.Regions = d.regions(o.get("regions"), o.path.dot("regions"))
	}
	if e := o.get("databases"); e != nil {
		g.Databases = d.databases(e.val(), o.path.dot("databases"))
	}
	if e := o.get("networks"); e != nil {
		g.Networks = d.places(e, o.path.dot("networks"))
	}
}

// databases are files that are there. What is in them, geo reads.
func (d *decoder) databases(r document.Node, p *path) []Database {
	items := d.list(r, p)
	if items != nil && len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one file, or remove the key for the country database that is built in")
	}
	var out []Database
	first := map[string]document.Node{}
	for i, it := range items {
		name, ok := d.text(it, p.at(i))
		if !ok {
			continue
		}
		abs := ""
		if name != BuiltIn {
			abs = beside(it, name)
		}
		at, twice := first[abs]
		switch {
		case name == "":
			d.fail(it, p.at(i), "a value is missing")
		case twice:
			d.fail(it, p.at(i), "%s is stated twice; first at %s", name, where(at))
		case abs == "" || d.database(it, p.at(i), name, abs):
			first[abs] = it
			out = append(out, Database{Path: abs, Pos: pos(it)})
		}
	}
	return out
}

// database is whether a database is a file. Only one that is not there is watched
// with the configuration: those that are, geo watches.
func (d *decoder) database(r document.Node, p *path, name, abs string) bool {
	st, err := os.Stat(abs)
	switch {
	case err != nil:
		d.looked = append(d.looked, abs)
		d.fail(r, p, "%s: %s", name, reason(err))
	case st.IsDir():
		d.fail(r, p, "%s is a directory: name the .mmdb file in it", name)
	case !st.Mode().IsRegular():
		d.fail(r, p, "%s: %s", name, notRegular)
	default:
		return true
	}
	return false
}

// places are the operator's networks.
func (d *decoder) places(e *entry, p *path) []geo.Network {
	entries := d.entries(p, e.vals, func(string) bool { return false })
	out := make([]geo.Network, 0, len(entries))
	first := make(map[netip.Prefix]*entry, len(entries))
	// Thousands of networks are at a few places.
	known := map[string]geo.Place{}
	for _, e := range entries {
		at := p.dot(e.name)
		n, ok := d.network(e.key, at, e.name)
		if !ok {
			continue
		}
		if other := first[n]; other != nil {
			d.fail(e.key, at, "%s is stated twice; first at %s", n, where(other.key))
			continue
		}
		first[n] = e
		text := e.val().Span()
		place, ok := known[string(text)]
		if text == nil || !ok {
			before := len(d.errs)
			pl := d.place(e, at)
			if len(d.errs) > before {
				continue
			}
			if pl == (Place{}) {
				d.fail(e.val(), at, "the place says nothing: state its region, country or whatever is known")
				continue
			}
			place = pl.Geo()
			if text != nil {
				known[string(text)] = place
			}
		}
		out = append(out, geo.Network{Prefix: n, Place: place})
	}
	return out
}

func (d *decoder) regions(e *entry, p *path) []geo.Region {
	var out []geo.Region
	type claim struct {
		region string
		at     document.Node
	}
	claims := map[string]claim{}
	words := func(o *object, region, name string, known func(document.Node, *path, string) bool) []string {
		var all []string
		for i, it := range o.list(name) {
			at := o.path.dot(name).at(i)
			s, ok := d.text(it, at)
			if !ok || !known(it, at, s) {
				continue
			}
			switch c, taken := claims[name+s]; {
			case taken && c.region == region:
				d.fail(it, at, "%q is stated twice; first at %s", s, where(c.at))
			case taken:
				d.fail(it, at, "%s is in the region %q as well, at %s: it can be in one", s, c.region, where(c.at))
			default:
				claims[name+s] = claim{region, it}
				all = append(all, s)
			}
		}
		return all
	}
	for _, e := range d.entries(p, e.vals, func(string) bool { return false }) {
		if !d.name(e, p.dot(e.name), "region") {
			continue
		}
		before := len(d.errs)
		o := d.object(&regionSection, p.dot(e.name), e.key, e.vals...)
		r := geo.Region{
			Name:       strings.Clone(e.name),
			Countries:  words(o, e.name, "countries", d.country),
			Continents: words(o, e.name, "continents", d.continent),
		}
		if len(d.errs) == before && len(r.Countries)+len(r.Continents) == 0 {
			d.fail(e.key, o.path, "the region is empty: state its countries, its continents, or both")
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b geo.Region) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// complete adds to a place what follows from the rest of it, and refuses what
// contradicts it.
func (d *decoder) complete(pl *Place, o *object) {
	at := func(name string) (document.Node, *path) { return o.get(name).val(), o.path.dot(name) }
	before := len(d.errs)
	if o.get("continent") != nil {
		r, p := at("continent")
		d.continent(r, p, pl.Continent)
	}
	if o.get("country") != nil {
		r, p := at("country")
		d.country(r, p, pl.Country)
	}
	if c, known := geo.Countries[pl.Country]; known && len(d.errs) == before {
		if pl.Continent == "" {
			pl.Continent = c.Continent
		}
		if pl.Continent != c.Continent {
			r, p := at("continent")
			d.fail(r, p, "%s (%s) is not in %s: write %s (%s), or leave the continent out", pl.Country, c.Name, geo.Continents[pl.Continent], c.Continent, geo.Continents[c.Continent])
		}
	}
	if o.get("subdivision") != nil {
		r, p := at("subdivision")
		s := pl.Subdivision
		country, inner, _ := strings.Cut(s, "-")
		_, is := geo.Countries[country]
		switch {
		case is && inner != "":
			d.fail(r, p, "the country has a key of its own: write %s for %s", inner, s)
		case s == "":
			d.fail(r, p, "a value is missing")
		case o.get("country") == nil:
			d.fail(r, p, "state its country as well: %s may be a part of several", s)
		}
	}
}

// regionOf is the region that a place without one is in, "" for none.
func (d *decoder) regionOf(pl *Place) string {
	in := func(of func(*geo.Region) []string, word string) string {
		for i := range d.spec.Geo.Regions {
			if r := &d.spec.Geo.Regions[i]; word != "" && slices.Contains(of(r), word) {
				return r.Name
			}
		}
		return ""
	}
	if r := in(func(r *geo.Region) []string { return r.Countries }, pl.Country); r != "" {
		return r
	}
	return in(func(r *geo.Region) []string { return r.Continents }, pl.Continent)
}

// country is whether s is a country's code; the message for one that is not
// names the code that was probably meant.
func (d *decoder) country(r document.Node, p *path, s string) bool {
	if _, ok := geo.Countries[s]; ok {
		return true
	}
	if s == "UK" { // which ISO 3166-1 keeps free for it
		d.fail(r, p, "unknown country %q: the United Kingdom is GB", s)
		return false
	}
	if name, ok := geo.Continents[s]; ok {
		d.fail(r, p, "%s (%s) is a continent, not a country", s, name)
		return false
	}
	names := make(map[string]string, len(geo.Countries))
	for code, c := range geo.Countries {
		names[c.Name] = code
	}
	d.fail(r, p, "%s", unknownPlace("country", s, names, "two capital letters of ISO 3166-1, such as IE, are"))
	return false
}

// continent is whether s is a continent's code.
func (d *decoder) continent(r document.Node, p *path, s string) bool {
	if _, ok := geo.Continents[s]; ok {
		return true
	}
	names := make(map[string]string, len(geo.Continents))
	for code, name := range geo.Continents {
		names[name] = code
	}
	d.fail(r, p, "%s", unknownPlace("continent", s, names, "one of "+strings.Join(slices.Sorted(maps.Keys(geo.Continents)), ", ")+" is"))
	return false
}

// unknownPlace is the message for a code that there is not, with the one whose
// name, or whose letters in the other case, this is.
func unknownPlace(what, s string, codes map[string]string, expected string) string {
	for name, code := range codes {
		if strings.EqualFold(s, code) {
			return fmt.Sprintf("unknown %s %q: did you mean %s?", what, s, code)
		}
		if strings.EqualFold(s, name) {
			return fmt.Sprintf("unknown %s %q: write %s", what, s, code)
		}
	}
	if len(s) > 3 {
		if n := near(s, maps.Keys(codes)); n != "" {
			return fmt.Sprintf("unknown %s %q: did you mean %s (%s)?", what, s, codes[n], n)
		}
	}
	return fmt.Sprintf("unknown %s %q: %s expected", what, s, expected)
}

// ecs is whether client subnets are listened to, and whose: all that send one
// when there are no networks.
func (d *decoder) ecs(o *object) (on bool, trusted []netip.Prefix) {
	e := o.get("ecs")
	if e == nil || e.val().Kind() != document.Mapping {
		return o.boolean("ecs"), nil
	}
	p := o.path.dot("ecs")
	m := d.object(&ecsSection, p, e.key, e.vals...)
	t := m.get("trusted")
	if t == nil {
		return true, nil
	}
	before := len(d.errs)
	trusted = d.networks(t.val(), p.dot("trusted"))
	if len(trusted) == 0 && len(d.errs) == before {
		d.fail(t.val(), p.dot("trusted"), "the list is empty: nobody would be believed; state the networks of resolvers, or ecs: false")
	}
	return true, trusted
}
