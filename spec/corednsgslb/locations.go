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
		if len(names) > 1 {
			if f.shared == nil {
				f.shared = map[string][]string{}
			}
			f.shared[region] = names
		}
		place := mapping()
		place.Flow = true
		putAt(place, "region", o.get("location").val, literal(region))
		putAt(f.networks, prefix.String(), subnet.val, from(subnet.val, place))
	}
}

// regions are those that a backend of some locations is in.
func (r *reading) regions(locations []said) []said {
	out := slices.Clone(locations)
	var more []string
	for region, names := range r.shared {
		if slices.ContainsFunc(locations, func(s said) bool { return slices.Contains(names, s.text) }) {
			more = append(more, region)
		}
	}
	slices.Sort(more)
	for _, region := range more {
		out = append(out, said{text: region, at: locations[0].at, path: locations[0].path})
	}
	return out
}
