package corednsgslb

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// locations reads the map from subnets to locations. A location is a region in native
// words; where a subnet has several, its clients are in a region that stands for them, and
// which the backends of each are in as well.
func (f *file) locations() {
	k := f.top.get("subnets")
	first := map[netip.Prefix]document.Node{}
	regions := map[netip.Prefix]string{}
	for i, it := range f.list(k) {
		p := item(k.path, i)
		o := f.object(it, p, []string{"subnet", "location"}, nil)
		subnet := o.get("subnet")
		if subnet == nil {
			f.fail(it, p, "the key \"subnet\" is missing")
			continue
		}
		prefix, err := netip.ParsePrefix(f.text(o, "subnet", ""))
		if err != nil || prefix.Addr().Is4In6() {
			f.fail(subnet.val, subnet.path, "a network such as 10.0.0.0/24 is expected, not %s", describe(subnet.val))
			continue
		}
		prefix = prefix.Masked()
		var names []string
		for _, w := range f.words(o, "location") {
			names = append(names, w.text)
		}
		if len(names) == 0 {
			f.fail(it, p, "the key \"location\" is missing")
			continue
		}
		slices.Sort(names)
		region := strings.Join(names, "+")
		if at, twice := first[prefix]; twice {
			if regions[prefix] != region {
				f.fail(subnet.val, subnet.path, "%s is stated twice, with another location; first at %s", prefix, where(at))
			}
			continue
		}
		first[prefix], regions[prefix] = subnet.val, region
		f.share(region, names)
		place := mapping()
		place.Flow = true
		putAt(place, "region", o.get("location").val, literal(region))
		putAt(f.networks, prefix.String(), subnet.val, from(subnet.val, place))
	}
}

// share keeps the region of clients who are in some locations.
func (r *reading) share(region string, names []string) {
	if r.shared == nil {
		r.shared, r.stated = map[string][]string{}, map[string]bool{}
	}
	if r.stated[region] {
		return
	}
	r.stated[region] = true
	for _, name := range names {
		r.shared[name] = append(r.shared[name], region)
	}
}

// regions are those that a backend of some locations is in. One of which no subnet has
// anything is its own: it may be that of a network of the configuration.
func (r *reading) regions(locations []said) []said {
	var out []said
	there := map[string]bool{}
	add := func(l said, region string) {
		if !there[region] {
			there[region] = true
			l.text = region
			out = append(out, l)
		}
	}
	for _, l := range locations {
		if r.stated[l.text] || len(r.shared[l.text]) == 0 {
			add(l, l.text)
		}
	}
	var more []string
	for _, l := range locations {
		more = append(more, r.shared[l.text]...)
	}
	slices.Sort(more)
	for _, region := range more {
		add(locations[0], region)
	}
	return out
}
