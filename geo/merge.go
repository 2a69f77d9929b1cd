package geo

import "slices"

// layer is what one source says of all addresses. The addresses of IPv4 are
// always inside4 in its v6.
type layer struct {
	tables
	places places
	name   string
}

// stack puts layers of which the first counts most into one. The result may
// share memory with the first.
func stack(layers []*layer) *layer {
	switch len(layers) {
	case 0:
		p := newPool()
		return &layer{tables: tables{v4: (&builder4{}).done(), v6: newBuilder6(inside4, 2).done()}, places: p.places}
	case 1:
		return layers[0]
	}
	out := layers[0]
	for _, l := range layers[1:] {
		out = lay(out, l, false)
	}
	return out
}

// lay puts the layer upper over lower. The places of one of them keep their
// numbers: of lower if keepLower, else of upper. To keep those of the larger one
// spares work and memory.
func lay(upper, lower *layer, keepLower bool) *layer {
	kept, other := upper, lower
	if keepLower {
		kept, other = lower, upper
	}
	p := poolOf(&kept.places)
	ids := p.adopt(&other.places)
	known := map[uint64]uint32{}
	var lastKept, lastOther, last uint32 // of both 0 comes 0
	combine := func(k, o uint32) uint32 {
		if o == 0 {
			return k
		}
		if k == lastKept && o == lastOther {
			return last
		}
		key := uint64(k)<<32 | uint64(o)
		id, ok := known[key]
		if !ok {
			a, b := p.records[k], p.records[ids[o]]
			if keepLower {
				a, b = b, a
			}
			id = p.number(over(a, b))
			known[key] = id
		}
		lastKept, lastOther, last = k, o, id
		return id
	}
	out := &layer{}
	if out.v4 = kept.v4; !other.v4.blank() {
		out.v4 = combine4(&kept.v4, &other.v4, combine)
	}
	if out.v6 = kept.v6; !other.v6.blank() {
		out.v6 = combine6(&kept.v6, &other.v6, combine)
	}
	out.places = p.places
	return out
}

// combine4 has f(a's value, b's value) for each address.
func combine4(a, b *ranges4, f func(x, y uint32) uint32) ranges4 {
	var out builder4
	i, j := 0, 0
	for {
		at := max(a.starts[i], b.starts[j])
		out.add(at, f(a.values[i], b.values[j]))
		// On to the range that ends first, or to both.
		moreA, moreB := i+1 < len(a.starts), j+1 < len(b.starts)
		switch {
		case !moreA && !moreB:
			return out.done()
		case !moreB || moreA && a.starts[i+1] < b.starts[j+1]:
			i++
		case !moreA || b.starts[j+1] < a.starts[i+1]:
			j++
		default:
			i++
			j++
		}
	}
}

// combine6 is combine4 for IPv6.
func combine6(a, b *ranges6, f func(x, y uint32) uint32) ranges6 {
	out := newBuilder6(inside4, len(a.starts)+len(b.starts))
	value := func(x, y uint32) uint32 {
		if x == inside4 || y == inside4 {
			return 0 // of IPv4, and left out
		}
		return f(x, y)
	}
	var ca, cb cell
	ca.k, cb.k = a.firstSegment(), b.firstSegment()
	for {
		aHi, aLo := a.start(ca)
		bHi, bLo := b.start(cb)
		if less(aHi, aLo, bHi, bLo) {
			aHi, aLo = bHi, bLo
		}
		out.add(aHi, aLo, value(a.value(ca), b.value(cb)))
		nextA, moreA := a.next(ca)
		nextB, moreB := b.next(cb)
		if !moreA && !moreB {
			return out.done()
		}
		if moreA {
			aHi, aLo = a.start(nextA)
		}
		if moreB {
			bHi, bLo = b.start(nextB)
		}
		switch {
		case !moreB || moreA && less(aHi, aLo, bHi, bLo):
			ca = nextA
		case !moreA || less(bHi, bLo, aHi, aLo):
			cb = nextB
		default:
			ca, cb = nextA, nextB
		}
	}
}

// less is whether one address comes before another.
func less(aHi, aLo, bHi, bLo uint64) bool { return aHi < bHi || aHi == bHi && aLo < bLo }

// firstSegment is the segment with which the first range begins, if it is a block.
func (r *ranges6) firstSegment() uint32 {
	if b := r.values[0]; b >= deepFlag {
		return r.blocks[b-deepFlag]
	}
	return 0
}

// finished makes a view of a layer: its places get what their country says, and
// the region that cfg has for it.
func finished(l *layer, cfg *Config) *View {
	used := make([]bool, len(l.places.records))
	used[0] = true
	for _, list := range [][]uint32{l.v4.values, l.v6.values, l.v6.deeps} {
		for _, v := range list {
			if v < inside4 {
				used[v] = true
			}
		}
	}
	countries, continents := regions(cfg)
	// The words keep their numbers, and so do the places unless some are now alike.
	p := poolOf(&places{words: l.places.words})
	ids, same := make([]uint32, len(used)), true
	for i, r := range l.places.records {
		if !used[i] {
			same = false
			continue
		}
		p.complete(&r)
		if r.region == 0 {
			r.region = p.word(countries[p.words[r.country]])
		}
		if r.region == 0 {
			r.region = p.word(continents[p.words[r.continent]])
		}
		ids[i] = p.number(r)
		same = same && ids[i] == uint32(i)
	}
	v := &View{places: p.places, generation: generations.Add(1)}
	if slices.Equal(v.places.records, l.places.records) {
		v.places.records = l.places.records // not to have them twice
	}
	if same {
		v.tables = joined(l.tables)
	} else {
		v.tables = l.classes(ids)
	}
	return v
}

// complete gives a record that has a country and no coordinates the centre of
// the country.
func (p *pool) complete(r *record) {
	p.settle(r)
	if r.lat != nowhere || r.country == 0 {
		return
	}
	if c, ok := Countries[p.words[r.country]]; ok {
		r.locate(c.Lat, c.Lon)
	}
}

// regions is the region of each country and continent that has one.
func regions(cfg *Config) (countries, continents map[string]string) {
	countries, continents = map[string]string{}, map[string]string{}
	for _, r := range cfg.Regions {
		for _, c := range r.Countries {
			countries[c] = r.Name
		}
		for _, c := range r.Continents {
			continents[c] = r.Name
		}
	}
	return countries, continents
}
