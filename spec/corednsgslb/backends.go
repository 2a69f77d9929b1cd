package corednsgslb

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// backend is a backend while it is read.
type backend struct {
	Backend
	host   bool // Address is a host name
	at     document.Node
	of     *object
	uses   []*document.Value // its checks
	rows   []*row
	weight int
}

// row is one of the places that a backend is in. A native endpoint has one: the second
// one of a backend stands in a pool of its own, and so on.
type row struct{ country, city, asn, region *said }

// maxPlaces is in how many places the backends of a record are at most, each in a pool of
// its own: files of a few lines may ask for more than fits into memory.
const maxPlaces = 100

// backends reads the backends of a record.
func (f *file) backends(k *stated, r *Record, p pace) []*backend {
	var all []*backend
	byAddress := map[string]*backend{}
	made := map[string]*profile{} // checks that are stated in place
	for i, it := range f.list(k) {
		b := f.backend(it, item(k.path, i), &asked{record: r, pace: p, made: made})
		if b == nil {
			continue
		}
		same := byAddress[b.Address]
		if same == nil {
			byAddress[b.Address] = b
			all = append(all, b)
			continue
		}
		// One address in several places is one backend in all of them.
		if same.Priority != b.Priority || same.Enabled != b.Enabled || !slices.Equal(same.Checks, b.Checks) {
			f.fail(it, item(k.path, i), "%s is stated twice, with another priority, enable or healthchecks; first at %s", b.Address, where(same.at))
			continue
		}
		same.rows = append(same.rows, b.rows...)
		if r.Mode == "weighted" {
			same.weight += b.weight
		}
		same.Locations = append(same.Locations, b.Locations...)
		same.Spelled = append(same.Spelled, b.Spelled...)
		for _, t := range b.Tags {
			if !slices.Contains(same.Tags, t) {
				same.Tags = append(same.Tags, t)
			}
		}
	}
	for _, b := range all {
		r.Backends = append(r.Backends, b.Backend)
	}
	return all
}

// canonical is an address as a pool states it.
func canonical(s string) string {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String()
	}
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// asked is what the backends of a record have in common.
type asked struct {
	record *Record
	pace   pace
	made   map[string]*profile
}

// backend reads a backend. It is nil when nothing can be done with it.
func (f *file) backend(n document.Node, path string, as *asked) *backend {
	before := len(f.result.Faults)
	o := f.object(n, path, backendKeys, nil)
	address := o.get("address")
	if address == nil {
		if len(f.result.Faults) == before {
			f.fail(n, path, "the key \"address\" is missing")
		}
		return nil
	}
	b := &backend{at: n, of: o}
	spelled := f.text(o, "address", "")
	if b.Address = canonical(spelled); b.Address != spelled {
		b.Spelled = []string{spelled}
	}
	_, err := netip.ParseAddr(b.Address)
	b.host = err != nil
	b.Description = f.text(o, "description", "")
	b.Priority = f.integer(o, "priority", 0, 0, maxPriority)
	// Every weight that is not positive is 1.
	if b.weight = f.integer(o, "weight", 1, -1<<31, maxWeight); b.weight <= 0 {
		b.weight = 1
	}
	b.Enabled = f.boolean(o, "enable", true)
	if f.options.Enabled != nil {
		if on, stated := f.options.Enabled(as.record.Name, b.Address); stated {
			b.Enabled = on
		}
	}
	for _, t := range f.words(o, "tags") {
		b.Tags = append(b.Tags, t.text)
	}
	if k := o.get("timeout"); k != nil {
		f.duration(o, "timeout", 0)
		f.warn(k.key, k.path, "it does nothing, and never did: state timeout in the params of the healthchecks")
	}
	if b.rows = f.rows(o); len(b.rows) > maxPlaces {
		f.fail(n, path, "it is in %d places, with the sets of locations that its own are in: at most %d are possible", len(b.rows), maxPlaces)
	}
	for _, l := range f.words(o, "location") {
		b.Locations = append(b.Locations, l.text)
	}
	if k := o.get("healthchecks"); k != nil {
		b.uses, b.Checks = f.uses(k, b, as)
	}
	if len(f.result.Faults) > before {
		return nil
	}
	return b
}

// rows are the places that a backend is in. What it states of its country, network and
// location goes together, in alphabetical order, which is the same for all backends and so
// takes the fewest pools. Its cities are in its country; those of a backend in several are
// wherever there is one of the name.
func (f *file) rows(o *object) []*row {
	countries, cities, locations := f.words(o, "country"), f.words(o, "city"), f.words(o, "location")
	var asns []said
	for _, w := range f.words(o, "asn") {
		digits := w.text
		if len(digits) > 2 && strings.EqualFold(digits[:2], "AS") {
			digits = digits[2:]
		}
		n, err := strconv.ParseUint(digits, 10, 32)
		if err != nil || n == 0 {
			f.fail(w.at, w.path, "the number of an autonomous system such as 12345 or AS12345 is expected, not %q", w.text)
			continue
		}
		w.text = strconv.FormatUint(n, 10)
		asns = append(asns, w)
	}
	if len(locations) > 0 {
		locations = f.regions(locations)
	}
	for _, all := range [][]said{countries, cities, asns} {
		slices.SortFunc(all, func(a, b said) int { return strings.Compare(a.text, b.text) })
	}
	var rows []*row
	at := func(i int) *row {
		for len(rows) <= i {
			rows = append(rows, &row{})
		}
		return rows[i]
	}
	at(0)
	for i := range countries {
		at(i).country = &countries[i]
	}
	shift := 0
	if len(countries) > 1 {
		shift = len(countries)
	}
	for i := range cities {
		r := at(i + shift)
		r.city = &cities[i]
		if len(countries) == 1 {
			r.country = &countries[0]
		}
	}
	for i := range asns {
		at(i).asn = &asns[i]
	}
	for i := range locations {
		at(i).region = &locations[i]
	}
	return rows
}

// place is a row as a native place; nil when it says nothing.
func (r *row) place() *document.Value {
	v := mapping()
	v.Flow = true
	for _, p := range []struct {
		key string
		is  *said
	}{{"country", r.country}, {"city", r.city}, {"asn", r.asn}, {"region", r.region}} {
		switch {
		case p.is == nil:
		case p.key == "asn":
			putAt(v, p.key, p.is.at, word(p.is.text))
		default:
			putAt(v, p.key, p.is.at, literal(p.is.text))
		}
	}
	if len(v.Pairs) == 0 {
		return nil
	}
	v.Line, v.Col = v.Pairs[0].Key.Line, v.Pairs[0].Key.Col
	return v
}

// endpoint is a backend as a native endpoint, in one of its places.
func (b *backend) endpoint(r *row, weighted bool) *document.Value {
	v := mapping()
	v.Line, v.Col = b.at.Line(), b.at.Col()
	set := func(key, of string, val *document.Value) {
		if k := b.of.get(of); k != nil {
			putAt(v, key, k.val, val)
		} else {
			put(v, key, from(b.at, val))
		}
	}
	set("address", "address", literal(b.Address))
	if text := remark(b.Description); text != "" {
		v.Pairs[0].Key.Beside = " " + text
	}
	if b.Priority != 0 {
		set("priority", "priority", integer(b.Priority))
	}
	if weighted || b.weight != 1 {
		set("weight", "weight", integer(b.weight))
	}
	if len(b.Tags) > 0 {
		tags := list()
		for _, t := range b.Tags {
			tags.Items = append(tags.Items, literal(t))
		}
		set("tags", "tags", tags)
	}
	if !b.Enabled {
		set("enabled", "enable", word("false"))
	}
	if p := r.place(); p != nil {
		put(v, "place", p)
	}
	if len(b.uses) > 0 {
		set("checks", "healthchecks", list(b.uses...))
	}
	return v
}

// spread puts the rows of backends into pools: what it gives has a row of each backend for
// each pool, nil where it is in none. An earlier pool comes first, and in it what is stated
// first: so of two backends in one country, city or network the second one is never in an
// earlier pool. Where the first pool is too early for a backend it is there without a place,
// since the first has all of them. Modes that do not go by places need no more pools.
func spread(all []*backend, mode string) [][]*row {
	last := map[string]int{} // the last pool with something of a name
	out := make([][]*row, len(all))
	for i, b := range all {
		if mode != "geoip" {
			out[i] = b.rows[:1]
			continue
		}
		out[i] = []*row{{}}
		next := 0
		for _, r := range b.rows {
			names := r.names()
			for _, n := range names {
				next = max(next, last[n])
			}
			for _, n := range names {
				last[n] = next
			}
			for len(out[i]) <= next {
				out[i] = append(out[i], nil)
			}
			out[i][next] = r
			next++
		}
	}
	return out
}

// names are what a client may have in common with a row of which the first backend counts.
func (r *row) names() []string {
	var out []string
	if r.country != nil {
		out = append(out, "country "+r.country.text)
	}
	if r.city != nil {
		out = append(out, "city "+strings.ToLower(r.city.text))
	}
	if r.asn != nil {
		out = append(out, "asn "+r.asn.text)
	}
	return out
}

// poolsOf adds the pools of a record and returns their names, or says why there are none.
// The first has every backend.
// Those behind it have them in their further places, where clients are matched with them;
// what is not a matter of place finds all in the first.
func (f *file) poolsOf(name string, e *stated, all []*backend, mode string) []*document.Value {
	var names []*document.Value
	rows := spread(all, mode)
	for i := range rows {
		if len(rows[i]) > maxPlaces {
			f.fail(all[i].at, e.path, "the countries, cities and networks of the backends take more than %d pools: divide the record", maxPlaces)
			return nil
		}
	}
	for i := 0; ; i++ {
		endpoints := list()
		endpoints.Flow = false
		for k, b := range all {
			if i < len(rows[k]) && rows[k][i] != nil {
				endpoints.Items = append(endpoints.Items, b.endpoint(rows[k][i], mode == "weighted"))
			}
		}
		if len(endpoints.Items) == 0 {
			return names
		}
		pool := name
		if i > 0 {
			pool = fmt.Sprintf("%s/%d", name, i+1)
		}
		v := mapping()
		putAt(v, "endpoints", e.key, endpoints)
		putAt(f.pools, pool, e.key, v)
		names = append(names, from(e.key, literal(pool)))
	}
}
