package health

import (
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec"
)

// Selection says which endpoints are meant. Of each list that is not empty one
// item must fit: {Pools: [eu us], Tags: [ssd]} is every endpoint of the two pools
// that has the tag. Texts are compared without case, but for names of pools.
type Selection struct {
	Endpoints    []string `json:"endpoints,omitempty"` // addresses and host names
	Pools        []string `json:"pools,omitempty"`     // also those that are composed of others
	Tags         []string `json:"tags,omitempty"`
	Regions      []string `json:"regions,omitempty"`
	Continents   []string `json:"continents,omitempty"` // two letters
	Countries    []string `json:"countries,omitempty"`  // ISO 3166-1 alpha-2
	Subdivisions []string `json:"subdivisions,omitempty"`
	Cities       []string `json:"cities,omitempty"`
	ASNs         []uint32 `json:"asns,omitempty"`
}

// lists are the lists of texts with what one item is called.
func (s *Selection) lists() []selected {
	return []selected{
		{"endpoint", s.Endpoints},
		{"pool", s.Pools},
		{"tag", s.Tags},
		{"region", s.Regions},
		{"continent", s.Continents},
		{"country", s.Countries},
		{"subdivision", s.Subdivisions},
		{"city", s.Cities},
	}
}

type selected struct {
	noun  string
	items []string
}

func (s *Selection) empty() bool {
	return len(s.ASNs) == 0 && !slices.ContainsFunc(s.lists(), func(l selected) bool { return len(l.items) > 0 })
}

// String is the selection as the command's flags would have it.
func (s *Selection) String() string {
	var all []string
	for _, l := range s.lists() {
		if len(l.items) > 0 {
			all = append(all, l.noun+" "+strings.Join(l.items, " or "))
		}
	}
	if len(s.ASNs) > 0 {
		var asns []string
		for _, n := range s.ASNs {
			asns = append(asns, strconv.FormatUint(uint64(n), 10))
		}
		all = append(all, "asn "+strings.Join(asns, " or "))
	}
	return strings.Join(all, ", ")
}

// canonical is the selection with its endpoints as pools state them.
func (s Selection) canonical() Selection {
	all := make([]string, 0, len(s.Endpoints))
	for _, e := range s.Endpoints {
		all = append(all, canonical(e))
	}
	s.Endpoints = all
	return s
}

// endpoints are the endpoints of pools that are selected, sorted, each once.
func (s *Selection) endpoints(pools map[string]*spec.Pool) []string {
	var all []string
	for name, p := range pools {
		if p == nil || len(s.Pools) > 0 && !slices.Contains(s.Pools, name) {
			continue
		}
		for i := range p.Endpoints {
			if e := &p.Endpoints[i]; s.fits(e) {
				all = append(all, e.String())
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// fits is whether an endpoint of a selected pool is meant.
func (s *Selection) fits(e *spec.Endpoint) bool {
	at := spec.Place{}
	if e.Place != nil {
		at = *e.Place
	}
	any := func(wanted []string, is ...string) bool {
		return len(wanted) == 0 || slices.ContainsFunc(wanted, func(w string) bool {
			return slices.ContainsFunc(is, func(x string) bool { return strings.EqualFold(w, x) && x != "" })
		})
	}
	return (len(s.Endpoints) == 0 || slices.Contains(s.Endpoints, e.String())) && any(s.Tags, e.Tags...) &&
		any(s.Regions, at.Region) && any(s.Continents, at.Continent) && any(s.Countries, at.Country) &&
		any(s.Subdivisions, at.Subdivision) && any(s.Cities, at.City) && (len(s.ASNs) == 0 || slices.Contains(s.ASNs, at.ASN))
}
