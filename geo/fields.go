package geo

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/oschwald/maxminddb-golang/v2/mmdbdata"
)

// fields is what a record of a database says, whoever made it. The vendors'
// layouts differ in names and in nesting:
//
//	MaxMind, DB-IP        country: {iso_code: IE}, city: {names: {en: Dublin}}, location: {latitude: 53.3, ...}
//	IPinfo                country: IE or Ireland, country_code: IE, city: Dublin, loc: "53.3,-6.2", asn: "AS1213"
//	ip-location-db        country_code: IE, city: Dublin, state1: Leinster, latitude: 53.3
//	IP2Location           as MaxMind, or country_code: IE, city_name: Dublin; what is not known is "-"
type fields struct {
	continent, continentName string
	country, countryName     string
	registered               string // the country of who holds the network
	subdivision, division    string // its code, its name
	city                     string
	asn                      uint32
	lat, lon                 float64
	hasLat, hasLon           bool
	entries                  int // of maps and lists, until now
	known                    *known
}

// known is what maps with a code and names say that were read lately. Vendors write
// a country once, and let the records of its networks point there. It spares half
// of the time that reading a file takes.
type known [1 << 12]named

type named struct {
	at      uint // offset of the map, plus one; 0: none
	codeKey string
	code    string
	name    string
}

// of is the entry for what is at an offset, whatever it has.
func (k *known) of(at uint) *named { return &k[at*0x9e3779b1>>7%uint(len(k))] }

// maxEntries is how many entries of maps and lists a record may have. The largest
// real ones have some hundred: the names of all places in eight languages.
const maxEntries = 4096

// maxWord is the length beyond which a text is no name of anything.
const maxWord = 200

var errEntries = errors.New("a record with too many entries")

// UnmarshalMaxMindDBCursor reads a record. What it does not know, or has another
// type than anybody's, is passed over.
func (f *fields) UnmarshalMaxMindDBCursor(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	return f.within(c, f.top)
}

// visit reads the value of a key and gives what comes behind it.
type visit func(key []byte, value mmdbdata.Cursor) (mmdbdata.Cursor, error)

// within visits the entries of a map; what is no map is passed over.
func (f *fields) within(c mmdbdata.Cursor, see visit) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindMap {
		return skip(c, err)
	}
	m, err := c.Map()
	if err != nil {
		return c, err
	}
	var next mmdbdata.Cursor
	for {
		key, value, ok := m.Next(next)
		if !ok {
			return m.End()
		}
		if f.entries++; f.entries > maxEntries {
			return c, errEntries
		}
		if next, err = see(key, value); err != nil {
			return c, err
		}
	}
}

func skip(c mmdbdata.Cursor, err error) (mmdbdata.Cursor, error) {
	if err != nil {
		return c, err
	}
	return c.Skip()
}

func (f *fields) top(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	switch string(key) {
	case "continent":
		return f.coded(v, "code", &f.continent, &f.continentName)
	case "continent_code":
		return text(v, &f.continent)
	case "continent_name":
		return text(v, &f.continentName)
	case "country":
		return f.coded(v, "iso_code", &f.country, &f.countryName)
	case "country_code", "country_iso_code", "country_short":
		return text(v, &f.country)
	case "country_name", "country_long":
		return text(v, &f.countryName)
	case "registered_country":
		var name string
		return f.coded(v, "iso_code", &f.registered, &name)
	case "subdivisions":
		return f.subdivisions(v)
	case "region_code", "region_iso_code", "state_code", "subdivision_code":
		return text(v, &f.subdivision)
	case "region", "region_name", "state", "state1", "stateprov", "subdivision":
		return text(v, &f.division)
	case "city":
		var code string
		return f.coded(v, "", &code, &f.city)
	case "city_name":
		return text(v, &f.city)
	case "location", "traits":
		return f.within(v, f.inner)
	case "loc":
		var both string
		next, err := text(v, &both)
		if lat, lon, ok := strings.Cut(both, ","); ok {
			f.lat, f.hasLat = degrees(lat)
			f.lon, f.hasLon = degrees(lon)
		}
		return next, err
	}
	return f.inner(key, v)
}

// inner reads the fields that may be at the top or within location or traits.
func (f *fields) inner(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	switch string(key) {
	case "latitude", "lat":
		return coordinate(v, &f.lat, &f.hasLat)
	case "longitude", "lng", "lon":
		return coordinate(v, &f.lon, &f.hasLon)
	case "autonomous_system_number", "asn", "as_number":
		return f.system(v)
	}
	return v.Skip()
}

// coded reads a map with a code and names, or a text that is either.
func (f *fields) coded(c mmdbdata.Cursor, codeKey string, code, name *string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindMap {
		if err != nil {
			return c, err
		}
		var word string
		next, err := text(c, &word)
		if len(word) != 2 || codeKey == "" {
			code = name
		}
		if *code == "" {
			*code = word
		}
		return next, err
	}
	at, err := c.Offset()
	if err != nil {
		return c, err
	}
	e := f.known.of(at)
	if e.at == at+1 && e.codeKey == codeKey {
		set(code, e.code)
		set(name, e.name)
		return c.Skip()
	}
	n := named{at: at + 1, codeKey: codeKey}
	next, err := f.within(c, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		switch string(key) {
		case codeKey:
			return text(v, &n.code)
		case "names":
			return f.names(v, &n.name)
		case "name":
			return text(v, &n.name)
		}
		return v.Skip()
	})
	if err != nil {
		return c, err
	}
	*e = n
	set(code, n.code)
	set(name, n.name)
	return next, nil
}

// set is *into = word, if there is one.
func set(into *string, word string) {
	if word != "" {
		*into = word
	}
}

// names reads the English one of a map of names by language, or the first if
// there is none.
func (f *fields) names(c mmdbdata.Cursor, name *string) (mmdbdata.Cursor, error) {
	return f.within(c, func(key []byte, v mmdbdata.Cursor) (mmdbdata.Cursor, error) {
		if string(key) == "en" || *name == "" {
			return text(v, name)
		}
		return v.Skip()
	})
}

// subdivisions reads the first, which is the widest, of a list.
func (f *fields) subdivisions(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindSlice {
		return skip(c, err)
	}
	s, err := c.Slice()
	if err != nil {
		return c, err
	}
	var next mmdbdata.Cursor
	for {
		i, v, ok := s.Next(next)
		if !ok {
			return s.End()
		}
		if f.entries++; f.entries > maxEntries {
			return c, errEntries
		}
		if i == 0 {
			next, err = f.coded(v, "iso_code", &f.subdivision, &f.division)
		} else {
			next, err = v.Skip()
		}
		if err != nil {
			return c, err
		}
	}
}

// system reads the number of an autonomous system: 1213, "1213" or "AS1213".
func (f *fields) system(c mmdbdata.Cursor) (mmdbdata.Cursor, error) {
	switch kind, err := c.Kind(); {
	case err != nil:
		return c, err
	case whole(kind):
		n, _, next, err := c.ReadInteger()
		if n <= math.MaxUint32 && err == nil {
			f.asn = uint32(n)
		}
		return next, err
	}
	var word string
	next, err := text(c, &word)
	if len(word) > 2 && strings.EqualFold(word[:2], "AS") {
		word = word[2:]
	}
	if n, bad := strconv.ParseUint(word, 10, 32); bad == nil {
		f.asn = uint32(n)
	}
	return next, err
}

// whole is whether a kind is a whole number.
func whole(k mmdbdata.Kind) bool {
	return k == mmdbdata.KindUint16 || k == mmdbdata.KindUint32 || k == mmdbdata.KindUint64 || k == mmdbdata.KindInt32
}

// text reads a text; anything else is passed over, and so is what only looks
// like one.
func text(c mmdbdata.Cursor, into *string) (mmdbdata.Cursor, error) {
	if kind, err := c.Kind(); err != nil || kind != mmdbdata.KindString {
		return skip(c, err)
	}
	s, next, err := c.ReadString()
	if err != nil {
		return c, err
	}
	s = strings.TrimSpace(s)
	switch {
	case len(s) > maxWord || !utf8.ValidString(s):
	case s == "-" || s == "NULL" || s == "N/A":
	case s != "":
		*into = s
	}
	return next, nil
}

func coordinate(c mmdbdata.Cursor, into *float64, has *bool) (mmdbdata.Cursor, error) {
	kind, err := c.Kind()
	if err != nil {
		return c, err
	}
	var next mmdbdata.Cursor
	switch kind {
	case mmdbdata.KindFloat64:
		*into, next, err = c.ReadFloat64()
	case mmdbdata.KindFloat32:
		var f float32
		f, next, err = c.ReadFloat32()
		// It is exact to four decimals: more would be noise.
		*into = math.Round(float64(f)*1e4) / 1e4
	case mmdbdata.KindString:
		var s string
		next, err = text(c, &s)
		*into, *has = degrees(s)
		return next, err
	default:
		if !whole(kind) {
			return c.Skip()
		}
		var n uint64
		n, _, next, err = c.ReadInteger()
		*into = float64(int64(n))
	}
	*has = err == nil
	return next, err
}

func degrees(s string) (float64, bool) {
	f, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
	return f, err == nil
}

// aliases are codes that databases use for countries and that ISO 3166-1 does not
// have, or no longer.
var aliases = map[string]string{
	"UK": "GB", "EL": "GR", // of the European Union
	"FX": "FR", "TP": "TL", "ZR": "CD",
}

// beyond are codes in the place of a country's for something larger.
var beyond = map[string]string{"EU": "EU", "AP": "AS"}

// record is what f says, with the words of p. Codes that are none, such as A1
// for proxies or ZZ for what is not known, say nothing.
func (f *fields) record(p *pool) record {
	r := nothing
	continent, country := "", ""
	for _, code := range []string{f.country, codeOf(f.countryName), f.registered} {
		code = strings.ToUpper(code)
		if to, ok := aliases[code]; ok {
			code = to
		}
		if _, ok := Countries[code]; ok {
			country = code
			break
		}
		if to, ok := beyond[code]; ok {
			continent = to
			break
		}
	}
	if code := strings.ToUpper(f.continent); Continents[code] != "" {
		continent = code
	} else if f.continentName != "" {
		for code, name := range Continents {
			if strings.EqualFold(name, f.continentName) {
				continent = code
			}
		}
	}
	r.country, r.continent = p.word(country), p.word(continent)
	p.settle(&r)
	_, code, full := strings.Cut(f.subdivision, "-")
	switch {
	case full && strings.HasPrefix(strings.ToUpper(f.subdivision), country+"-"):
		r.subdivision = p.word(strings.ToUpper(code))
	case f.subdivision != "":
		r.subdivision = p.word(strings.ToUpper(f.subdivision))
	default:
		r.subdivision = p.word(f.division)
	}
	r.city, r.asn = p.word(f.city), f.asn
	// 0, 0 is in the sea, and in databases the sign of what is not known.
	if f.hasLat && f.hasLon && (f.lat != 0 || f.lon != 0) {
		r.locate(f.lat, f.lon)
	}
	return r
}

// countryNames is the codes by the names in lower case.
var countryNames = sync.OnceValue(func() map[string]string {
	m := make(map[string]string, len(Countries))
	for code, c := range Countries {
		m[strings.ToLower(c.Name)] = code
	}
	return m
})

// codeOf is the code of a country by its English name.
func codeOf(name string) string {
	if name == "" {
		return ""
	}
	return countryNames()[strings.ToLower(name)]
}
