package geo

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Config is what places are made of.
type Config struct {
	// Databases are paths of files in MaxMind's format. What the first one does not
	// know of an address, the next is asked for. Without any, it is the country
	// database that is built in.
	Databases []string
	// Networks come before all databases. Of those that contain an address, the one
	// with the longest prefix counts; what its place does not state is taken from
	// the databases, as far as these agree with what it states.
	Networks []Network
	// Regions give a region to places whose network states none.
	Regions []Region
}

// Network is an operator's word on where a network is.
type Network struct {
	Prefix netip.Prefix
	Place  Place
}

// Region is a region by the countries and continents that belong to it. A
// country's region comes before that of its continent.
type Region struct {
	Name                  string
	Countries, Continents []string // as in the tables of those names
}

// clone is a copy of c that shares no list with it.
func (c Config) clone() Config {
	c.Databases, c.Networks, c.Regions = slices.Clone(c.Databases), slices.Clone(c.Networks), slices.Clone(c.Regions)
	for i := range c.Regions {
		r := &c.Regions[i]
		r.Countries, r.Continents = slices.Clone(r.Countries), slices.Clone(r.Continents)
	}
	return c
}

func (c Config) equal(o Config) bool {
	return slices.Equal(c.Databases, o.Databases) && slices.Equal(c.Networks, o.Networks) &&
		slices.EqualFunc(c.Regions, o.Regions, func(a, b Region) bool {
			return a.Name == b.Name && slices.Equal(a.Countries, b.Countries) && slices.Equal(a.Continents, b.Continents)
		})
}

// check finds what nobody can mean.
func (c Config) check() error {
	for i, path := range c.Databases {
		if path == "" {
			return fmt.Errorf("geo: database %d has no path", i+1)
		}
		if slices.Contains(c.Databases[:i], path) {
			return fmt.Errorf("geo: database %s is there twice: leave one out", path)
		}
	}
	of := map[string]string{}
	for _, r := range c.Regions {
		for _, code := range r.Countries {
			if _, ok := Countries[code]; !ok {
				return fmt.Errorf("geo: region %s: %q is no country: write a code of ISO 3166-1 alpha-2 in capitals", r.Name, code)
			}
			if other, ok := of[code]; ok {
				return fmt.Errorf("geo: country %s is in region %s and in region %s: leave it in one", code, other, r.Name)
			}
			of[code] = r.Name
		}
	}
	clear(of) // NA is a country and a continent
	for _, r := range c.Regions {
		for _, code := range r.Continents {
			if _, ok := Continents[code]; !ok {
				return fmt.Errorf("geo: region %s: %q is no continent: write AF, AN, AS, EU, NA, OC or SA", r.Name, code)
			}
			if other, ok := of[code]; ok {
				return fmt.Errorf("geo: continent %s is in region %s and in region %s: leave it in one", code, other, r.Name)
			}
			of[code] = r.Name
		}
	}
	return nil
}

// arranged is the networks with their prefixes masked and those of IPv4 in
// IPv6's form as IPv4, the longest first.
func arranged(in []Network) ([]Network, error) {
	out := slices.Clone(in)
	for i := range out {
		p := out[i].Prefix
		switch {
		case !p.IsValid() || p.Addr().Zone() != "":
			return nil, fmt.Errorf("geo: network %d has no valid prefix", i+1)
		case p.Addr().Is4In6() && p.Bits() < 96:
			return nil, fmt.Errorf("geo: network %s: write networks of IPv4 as such, as in 192.0.2.0/24", p)
		case p.Addr().Is4In6():
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		out[i].Prefix = p.Masked()
	}
	slices.SortStableFunc(out, func(a, b Network) int {
		return cmp.Or(b.Prefix.Bits()-a.Prefix.Bits(), a.Prefix.Addr().Compare(b.Prefix.Addr()))
	})
	for i := 1; i < len(out); i++ {
		if out[i].Prefix == out[i-1].Prefix {
			return nil, fmt.Errorf("geo: network %s is there twice: leave one out", out[i].Prefix)
		}
	}
	return out, nil
}

// layerOf flattens networks that were arranged.
func layerOf(networks []Network) *layer {
	p := newPool()
	ids := make([]uint32, len(networks))
	order := make([]int, len(networks))
	for i := range networks {
		ids[i], order[i] = p.number(p.record(&networks[i].Place)), i
	}
	// By first address, and the wider before those within it.
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := networks[a].Prefix, networks[b].Prefix
		return cmp.Or(x.Addr().Compare(y.Addr()), x.Bits()-y.Bits())
	})
	var b4 builder4
	b6 := newBuilder6(inside4, 2*len(networks)+2)
	b4.add(0, 0)
	s4 := sweep{width: 32, add: func(_, lo uint64, id uint32) { b4.set(uint32(lo), id) }}
	s6 := sweep{width: 128, add: b6.add}
	for _, i := range order {
		if networks[i].Prefix.Addr().Is4() {
			s4.begin(networks[i].Prefix, ids[i])
		} else {
			s6.begin(networks[i].Prefix, ids[i])
		}
	}
	s4.end()
	s6.end()
	return &layer{tables: tables{v4: b4.done(), v6: b6.done()}, places: p.places, name: Networks}
}

// sweep turns nested prefixes, each before those within it, into ranges.
type sweep struct {
	width int // bits of an address
	add   func(hi, lo uint64, value uint32)
	stack []reach // the prefixes around the one at hand, each within the one before
}

// reach is until where a value reaches: the address behind, unless over, which
// is when the addresses end there.
type reach struct {
	hi, lo uint64
	over   bool
	value  uint32
}

func (s *sweep) begin(p netip.Prefix, value uint32) {
	hi, lo := halves(p.Addr())
	if s.width == 32 {
		hi, lo = 0, lo&0xffffffff
	}
	s.leave(hi, lo)
	r := reach{hi: hi, lo: lo, value: value}
	// The first address behind the prefix.
	switch free := s.width - p.Bits(); {
	case free >= 128:
		r.over = true
	case free >= 64:
		r.hi += 1 << (free - 64)
		r.over = r.hi == 0
	default:
		r.lo += 1 << free
		if r.lo == 0 {
			r.hi++
			r.over = r.hi == 0
		}
		if s.width == 32 {
			r.over = r.lo > 0xffffffff
		}
	}
	s.stack = append(s.stack, r)
	s.add(hi, lo, value)
}

// leave ends the prefixes that reach no further than to before an address.
func (s *sweep) leave(hi, lo uint64) {
	for n := len(s.stack); n > 0; n = len(s.stack) {
		top := s.stack[n-1]
		if top.over || less(hi, lo, top.hi, top.lo) {
			return
		}
		s.pop()
	}
}

func (s *sweep) pop() {
	n := len(s.stack) - 1
	top := s.stack[n]
	s.stack = s.stack[:n]
	if top.over {
		return
	}
	value := uint32(0)
	if n > 0 {
		value = s.stack[n-1].value
	}
	s.add(top.hi, top.lo, value)
}

func (s *sweep) end() {
	for len(s.stack) > 0 {
		s.pop()
	}
}
