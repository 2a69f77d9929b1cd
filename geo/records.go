package geo

import (
	"hash/maphash"
	"math"
	"slices"
	"strings"
)

// places is places by number, in few bytes. Number 0 knows nothing.
type places struct {
	records []record
	words   []string // by number; 0 is ""
}

// record is a Place with numbers for its words.
type record struct {
	region, continent, country, subdivision, city uint32
	asn                                           uint32
	lat, lon                                      int32 // in millionths of a degree; lat may be nowhere
}

// nowhere is the latitude of what is not located.
const nowhere = math.MinInt32

// nothing is the record of which nothing is known.
var nothing = record{lat: nowhere}

func (p *places) place(id uint32) Place {
	r := &p.records[id]
	out := Place{
		Region: p.words[r.region], Continent: p.words[r.continent], Country: p.words[r.country],
		Subdivision: p.words[r.subdivision], City: p.words[r.city], ASN: r.asn,
	}
	if r.lat != nowhere {
		out.Lat, out.Lon, out.Located = float64(r.lat)/1e6, float64(r.lon)/1e6, true
	}
	return out
}

// pool gives numbers to places and words, the same to equal ones.
type pool struct {
	places
	byRecord, byWord numbers
}

func newPool() *pool {
	p := &pool{byRecord: numbersFor(0), byWord: numbersFor(0)}
	p.word("")
	p.number(nothing)
	return p
}

// poolOf is a pool that begins with given places, each with its number. It
// appends to copies of the lists.
func poolOf(from *places) *pool {
	p := &pool{byRecord: numbersFor(len(from.records)), byWord: numbersFor(len(from.words))}
	p.words = slices.Clip(from.words)
	for i := range from.words {
		p.byWord.add(p.hashOfWord(uint32(i)), uint32(i), p.hashOfWord)
	}
	p.records = slices.Clip(from.records)
	for i := range from.records {
		p.byRecord.add(p.hashOfRecord(uint32(i)), uint32(i), p.hashOfRecord)
	}
	return p
}

func (p *pool) hashOfRecord(n uint32) uint64 { return maphash.Comparable(seed, p.records[n]) }
func (p *pool) hashOfWord(n uint32) uint64   { return maphash.String(seed, p.words[n]) }

func (p *pool) number(r record) uint32 {
	hash := maphash.Comparable(seed, r)
	id, ok := p.byRecord.find(hash, func(n uint32) bool { return p.records[n] == r })
	if !ok {
		id = uint32(len(p.records))
		p.records = append(p.records, r)
		p.byRecord.add(hash, id, p.hashOfRecord)
	}
	return id
}

func (p *pool) word(s string) uint32 {
	hash := maphash.String(seed, s)
	id, ok := p.byWord.find(hash, func(n uint32) bool { return p.words[n] == s })
	if !ok {
		id = uint32(len(p.words))
		s = strings.Clone(s) // which may be a bit of something large
		p.words = append(p.words, s)
		p.byWord.add(hash, id, p.hashOfWord)
	}
	return id
}

// record is a place with the words of p.
func (p *pool) record(at *Place) record {
	r := record{
		region: p.word(at.Region), continent: p.word(at.Continent), country: p.word(at.Country),
		subdivision: p.word(at.Subdivision), city: p.word(at.City), asn: at.ASN, lat: nowhere,
	}
	if at.Located {
		r.locate(at.Lat, at.Lon)
	}
	p.settle(&r)
	return r
}

// settle gives a record that has a country its continent.
func (p *pool) settle(r *record) {
	if r.country != 0 && r.continent == 0 {
		r.continent = p.word(Countries[p.words[r.country]].Continent)
	}
}

// locate sets the coordinates, unless they are none of the earth.
func (r *record) locate(lat, lon float64) bool {
	if !(math.Abs(lat) <= 90 && math.Abs(lon) <= 180) {
		return false
	}
	r.lat, r.lon = int32(math.Round(lat*1e6)), int32(math.Round(lon*1e6))
	return true
}

// adopt gives the places of another pool numbers in p.
func (p *pool) adopt(other *places) []uint32 {
	words := make([]uint32, len(other.words))
	for i, w := range other.words {
		words[i] = p.word(w)
	}
	ids := make([]uint32, len(other.records))
	for i, r := range other.records {
		r.region, r.continent, r.country = words[r.region], words[r.continent], words[r.country]
		r.subdivision, r.city = words[r.subdivision], words[r.city]
		ids[i] = p.number(r)
	}
	return ids
}

// over is what is known when upper is asked first and lower where upper says
// nothing. Where they disagree, what lies within is not taken from lower: the
// city of another country is not the client's.
func over(upper, lower record) record {
	u := upper
	if u.asn == 0 {
		u.asn = lower.asn
	}
	if u.region == 0 {
		u.region = lower.region
	}
	if u.country != 0 && lower.country != 0 {
		if u.country != lower.country {
			return u
		}
	} else if differ(u.continent, lower.continent) {
		return u
	}
	fill(&u.continent, lower.continent)
	fill(&u.country, lower.country)
	if differ(u.subdivision, lower.subdivision) {
		return u
	}
	fill(&u.subdivision, lower.subdivision)
	if differ(u.city, lower.city) {
		return u
	}
	fill(&u.city, lower.city)
	if u.lat == nowhere {
		u.lat, u.lon = lower.lat, lower.lon
	}
	return u
}

// differ is whether two words are known and not the same.
func differ(a, b uint32) bool { return a != 0 && b != 0 && a != b }

func fill(word *uint32, from uint32) {
	if *word == 0 {
		*word = from
	}
}
