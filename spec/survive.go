package spec

import (
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/geo"
)

// What a chain would keep while every endpoint is up, for clients at the places
// that matter to it. Chains that leave somebody with nothing are found so.

// spot is an endpoint as chains see it.
type spot struct {
	*Endpoint
	pool  int
	place geo.Place
}

// spots are the endpoints of a family, of those that families gives. Host names
// that are flattened are among each of the others.
func spots(pools []*Pool, family int, flatten bool) []spot {
	var out []spot
	for at, pool := range pools {
		for i := range pool.Endpoints {
			e := &pool.Endpoints[i]
			if e.family() == family || flatten && e.Host != "" && family != hostFamily {
				out = append(out, spot{Endpoint: e, pool: at, place: e.place()})
			}
		}
	}
	return out
}

// family is the position of an endpoint's family in what families gives.
func (e *Endpoint) family() int {
	switch {
	case e.Host != "":
		return hostFamily
	case e.Address.Is4():
		return 0
	}
	return 1
}

func (e *Endpoint) place() geo.Place {
	if e.Place == nil {
		return geo.Place{}
	}
	place := e.Place.Geo()
	place.Fill()
	return place
}

// clients are places of clients of whom each is treated differently, as far as
// that depends on whether endpoints match and on where the nearest one is: those
// of the endpoints, in full and as their countries alone, and of continents, on
// which there may be a country without an endpoint.
func clients(at []spot) []geo.Place {
	seen := map[geo.Place]bool{}
	var out []geo.Place
	add := func(p geo.Place) {
		if !seen[p] {
			seen[p] = true
			out = append(out, p)
		}
	}
	for i := range at {
		add(at[i].place)
	}
	for i := range at {
		if p := at[i].place; p.Country != "" {
			add(geo.Place{Country: p.Country, Continent: p.Continent})
		}
	}
	for _, c := range placeSection.field("continent").words {
		add(geo.Place{Continent: c})
	}
	add(geo.Place{})
	return out
}

// loss is why nothing is left.
type loss uint8

const (
	notLost loss = iota
	byFence
	byTags
	byWeight
)

// survive is what a chain keeps for a client, or why it keeps nothing. What
// depends on anything but places, tags, weights and tiers keeps all.
func survive(steps []Step, client *geo.Place, set []spot) ([]spot, loss) {
	for i := range steps {
		step := &steps[i]
		why := notLost
		switch step.Filter {
		case "tags":
			why = byTags
			set = filter(set, func(s *spot) bool { return s.tagged(step.Tags) })
		case "weighted", "sticky":
			why = byWeight
			set = filter(set, func(s *spot) bool { return s.Weight > 0 })
		case "tier":
			if step.Spill == nil {
				set = tierOf(set)
			}
		case "geofence":
			why = byFence
			set = step.Fence.keeps(client, set)
		case "nearest":
			set = step.Nearest.keeps(client, set)
		case "first":
			var kept []spot
			for _, c := range step.Chains {
				var lost loss
				if kept, lost = survive(c, client, set); len(kept) > 0 {
					break
				}
				why = max(why, lost)
			}
			set = kept
		}
		if len(set) == 0 {
			return nil, why
		}
	}
	return set, notLost
}

func filter(set []spot, keep func(*spot) bool) []spot {
	var out []spot
	for i := range set {
		if keep(&set[i]) {
			out = append(out, set[i])
		}
	}
	return out
}

// tierOf is the first pool of a set, and its lowest priority.
func tierOf(set []spot) []spot {
	if len(set) == 0 {
		return nil
	}
	best := set[0]
	for _, s := range set {
		if s.pool < best.pool || s.pool == best.pool && s.Priority < best.Priority {
			best = s
		}
	}
	return filter(set, func(s *spot) bool { return s.pool == best.pool && s.Priority == best.Priority })
}

func (f *Fence) keeps(client *geo.Place, set []spot) []spot {
	for _, l := range f.Levels {
		if kept := filter(set, func(s *spot) bool { return l.Same(client, &s.place) }); len(kept) > 0 {
			return kept
		}
	}
	if f.Strict {
		return nil
	}
	return set
}

func (n *Nearest) keeps(client *geo.Place, set []spot) []spot {
	least := math.Inf(1)
	for i := range set {
		least = min(least, geo.Distance(client, &set[i].place))
	}
	if math.IsInf(least, 1) {
		return set
	}
	most := least + max(n.Tolerance/100*least, n.Within)
	return filter(set, func(s *spot) bool { return geo.Distance(client, &s.place) <= most })
}

// whereabouts is a client's place in words.
func whereabouts(p *geo.Place) string {
	switch {
	case p.City != "":
		return p.City
	case p.Country != "":
		return p.Country
	case p.Continent != "" && p.Region == "" && p.ASN == 0 && !p.Located:
		return "other countries"
	case p.Region != "":
		return "the region " + p.Region
	case p.ASN != 0:
		return geo.ByASN.Of(p)
	case p.Located:
		return "places near some endpoints"
	}
	return "places that are not known"
}

// serves warns of clients to whom a chain gives nothing although every endpoint
// is up. It is an error when nobody gets anything.
func (d *decoder) serves(pol *Policy, o *object, fail func(key, format string, args ...any)) {
	if !slices.ContainsFunc(pol.Steer, Step.empties) {
		return
	}
	var lost [hostFamily + 1]map[loss][]string
	served, any := 0, false
	for family := range lost {
		lost[family] = map[loss][]string{}
		set := spots(pol.Pools, family, pol.Flatten)
		any = any || len(set) > 0
		all := clients(set)
		for i := range all {
			if len(set) == 0 {
				break
			}
			_, why := survive(pol.Steer, &all[i], set)
			if why == notLost {
				served |= 1 << family
			} else if w := whereabouts(&all[i]); !slices.Contains(lost[family][why], w) {
				lost[family][why] = append(lost[family][why], w)
			}
		}
	}
	if !any {
		return // they have none that serves, which is not for the chain to answer
	}
	if served == 0 {
		fail("steer", "the chain keeps no endpoint of %s for anybody, even while all are up: see what each filter leaves to the next", poolNames(pol.Pools))
		return
	}
	for family, record := range [...]string{"A", "AAAA", "host-name"} {
		if d.leavesOut(lost[family], served&(1<<family) != 0, record, o) {
			return // the other families are most likely the same
		}
	}
}

// leavesOut warns of what one family lacks.
func (d *decoder) leavesOut(lost map[loss][]string, served bool, record string, o *object) bool {
	said := false
	warn := func(why loss, text string) {
		if len(lost[why]) == 0 {
			return
		}
		said = true
		who := "clients in " + some(lost[why]) + " are"
		if !served {
			who = "all clients are"
		}
		d.doubt(d.steerAt(o), o.path.dot("steer"), "%s left with no %s endpoint although all are up, and get what all_down says: %s", who, record, text)
	}
	warn(byWeight, "those that the chain keeps for them have weight 0")
	warn(byTags, "none of those that the chain keeps for them has the tags")
	if o.get("all_down") == nil {
		warn(byFence, "state all_down if that is meant, or leave strict out")
	}
	return said
}

// some is the first few of many words.
func some(words []string) string {
	if len(words) > 5 {
		return strings.Join(words[:4], ", ") + " and others"
	}
	return and(words)
}

// empties is whether a filter may keep nothing of something.
func (s Step) empties() bool {
	switch s.Filter {
	case "tags", "weighted", "sticky":
		return true
	case "geofence":
		return s.Fence.Strict
	case "first":
		return !slices.ContainsFunc(s.Chains, func(c []Step) bool { return !slices.ContainsFunc(c, Step.empties) })
	}
	return false
}

// idleLimits are the pools with limits of load that no service sheds by.
func (d *decoder) idleLimits() map[*Pool]bool {
	idle := map[*Pool]bool{}
	for pool := range maps.Values(d.pools) {
		if pool != nil && pool.Nested == nil && slices.ContainsFunc(pool.Endpoints, func(e Endpoint) bool { return e.HardLimit > 0 }) {
			idle[pool] = true
		}
	}
	for _, use := range d.policies.all {
		if use.services == 0 {
			continue
		}
		use.policy.chosen(func(pol *Policy) {
			if has(pol.Steer, "shed") {
				for _, pool := range pol.leaves(true) {
					delete(idle, pool)
				}
			}
		})
	}
	return idle
}

// has is whether a filter is in a chain or in the chains of it.
func has(steps []Step, name string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		return s.Filter == name || slices.ContainsFunc(s.Chains, func(c []Step) bool { return has(c, name) })
	})
}
