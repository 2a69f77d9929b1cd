package spec

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// steerAt is where the chain of a service stands, or else the service.
func (d *decoder) steerAt(o *object) document.Node {
	if e := o.get("steer"); e != nil {
		return e.val()
	}
	return o.at
}

// steered checks the filters of a policy against its endpoints, and each other.
// What the chain as a whole comes to is of interest when nothing else is wrong:
// when there are no more errors than before.
func (d *decoder) steered(pol *Policy, o *object, before int, fail func(key, format string, args ...any)) {
	d.grounds(pol, pol.Steer, o, fail)
	d.ordered(pol.Steer, o, false)
	if len(d.errs) == before {
		d.serves(pol, o, fail)
	}
}

// grounds finds filters that have nothing to go by. Endpoints that are disabled count: they
// come back, and who disables the last one of a kind has not undone the chain.
func (d *decoder) grounds(pol *Policy, steps []Step, o *object, fail func(key, format string, args ...any)) {
	names := poolNames(pol.Pools)
	holds := func(is func(e *Endpoint) bool) bool { return anyEndpoint(pol.Pools, is) }
	doubt := func(format string, args ...any) { d.doubt(d.steerAt(o), o.path.dot("steer"), format, args...) }
	for i := range steps {
		step := &steps[i]
		switch step.Filter {
		case "tags":
			if !holds(func(e *Endpoint) bool { return e.tagged(step.Tags) }) {
				fail("steer", "no endpoint of %s has %s: state tags at the endpoints that are meant", names, tagsOf(step.Tags))
			}
		case "geofence":
			d.fenced(step, holds, names, doubt, fail)
			d.strange(pol, step, doubt)
		case "nearest":
			if !holds(func(e *Endpoint) bool { p := e.place(); return p.Located || p.Country != "" }) {
				fail("steer", "nearest has nothing to go by: no endpoint of %s has coordinates; state at, or country at least, in the place of the pools", names)
			}
		case "latency":
			if !holds(func(e *Endpoint) bool { return len(e.Checks) > 0 }) {
				fail("steer", "latency has nothing to go by: checks measure it, and no endpoint of %s has one; state checks for the pools", names)
			} else if holds(func(e *Endpoint) bool { return len(e.Checks) == 0 }) {
				doubt("some endpoints of %s have no check, so that their latency is never known, and latency leaves them out while half of the others are known", names)
			}
		case "shed":
			if !holds(func(e *Endpoint) bool { return e.HardLimit > 0 }) {
				fail("steer", "shed has nothing to go by: no endpoint of %s has a hard_limit; state one for the pools or endpoints that are to shed", names)
			}
		case "schedule":
			if !slices.ContainsFunc(step.Windows, func(w *Window) bool {
				return slices.ContainsFunc(pol.all(), func(p *Pool) bool { return slices.Contains(w.Pools, p.Name) })
			}) {
				doubt("the schedule names no pool of the service, and changes nothing")
			}
		case "tier":
			if step.Spill != nil && !tiered(pol.Pools) {
				doubt("all endpoints of %s are of one tier, so that nothing can spill: state a second pool, or a priority", names)
			}
		case "first":
			for i, c := range step.Chains {
				d.grounds(pol, c, o, fail)
				if i < len(step.Chains)-1 && !slices.ContainsFunc(c, func(s Step) bool { return s.leaves(pol.Pools) }) {
					doubt("first never gets beyond its chain [%s], which always keeps something%s", chainText(c), unfenced(c))
					break
				}
			}
		}
	}
}

// fenced finds levels of a fence that no endpoint's place knows.
func (d *decoder) fenced(step *Step, holds func(func(*Endpoint) bool) bool, names string, doubt func(string, ...any), fail func(string, string, ...any)) {
	known := 0
	var without []string
	for _, l := range step.Fence.Levels {
		if holds(func(e *Endpoint) bool { p := e.place(); return l.Known(&p) }) {
			known++
		} else {
			without = append(without, l.String())
		}
	}
	switch {
	case known == 0:
		fail("steer", "geofence has nothing to go by: no endpoint of %s has a place with %s; state it in the place of the pools", names, either(without))
	case len(without) > 0 && !slices.Equal(step.Fence.Levels, bestLevels):
		doubt("geofence never matches by %s: no endpoint of %s has a place with it", and(without), names)
	}
}

// maxHints is of how many warnings some say what was meant.
const maxHints = 100

// strange finds regions that no client is ever in: a region is a word of the
// configuration, and no database knows any. The preset geo, which goes by
// everything, is asked only where regions are in use.
func (d *decoder) strange(pol *Policy, step *Step, doubt func(string, ...any)) {
	if !slices.Contains(step.Fence.Levels, geo.ByRegion) {
		return
	}
	if d.regionWords == nil {
		d.regionWords = map[string]bool{}
		for i := range d.spec.Geo.Regions {
			d.regionWords[d.spec.Geo.Regions[i].Name] = true
		}
		for i := range d.spec.Geo.Networks {
			if r := d.spec.Geo.Networks[i].Place.Region; r != "" {
				d.regionWords[r] = true
			}
		}
	}
	if len(d.regionWords) == 0 && slices.Equal(step.Fence.Levels, bestLevels) {
		return
	}
	said := map[string]bool{"": true}
	for _, p := range pol.Pools {
		for i := range p.Endpoints {
			r := p.Endpoints[i].place().Region
			if said[r] || d.regionWords[r] {
				continue
			}
			said[r] = true
			hint := ""
			// To find what was meant is to look at all of them.
			if len(d.spec.Warnings) < maxHints {
				if n := near(r, maps.Keys(d.regionWords)); n != "" {
					hint = fmt.Sprintf("; did you mean %q?", n)
				}
			}
			doubt("no client is ever in the region %q of the pool %s: neither geo.regions nor geo.networks has it%s", r, p.Name, hint)
		}
	}
}

// leaves is whether a filter may keep nothing of the endpoints of pools while
// all are up.
func (s Step) leaves(pools []*Pool) bool {
	switch s.Filter {
	case "weighted", "sticky":
		return slices.ContainsFunc(pools, func(p *Pool) bool {
			return slices.ContainsFunc(p.Endpoints, func(e Endpoint) bool { return e.Weight == 0 })
		})
	case "first":
		return !slices.ContainsFunc(s.Chains, func(c []Step) bool {
			return !slices.ContainsFunc(c, func(s Step) bool { return s.leaves(pools) })
		})
	}
	return s.empties()
}

// unfenced is what to do about a chain in which a fence might have been meant to
// keep nothing.
func unfenced(steps []Step) string {
	for _, s := range steps {
		if s.Filter == "geofence" {
			f := Fence{Levels: s.Fence.Levels, Strict: true}
			return ": write geofence: " + f.String() + " for one that keeps nobody when none matches"
		}
	}
	return ""
}

// tiered is whether endpoints are of several tiers.
func tiered(pools []*Pool) bool {
	all := pools[0].Endpoints
	return len(pools) > 1 || slices.ContainsFunc(all, func(e Endpoint) bool { return e.Priority != all[0].Priority })
}

// orders is whether a filter puts what it keeps in an order of its own.
func (s Step) orders() bool {
	switch s.Filter {
	case "rotate", "shuffle", "weighted", "sticky", "nearest", "latency", "first":
		return true
	}
	return false
}

// ordered finds filters that come too early or too late. sorted says that the
// endpoints have been put in order in front of the chain.
func (d *decoder) ordered(steps []Step, o *object, sorted bool) {
	doubt := func(format string, args ...any) { d.doubt(d.steerAt(o), o.path.dot("steer"), format, args...) }
	drawn := ""
	for i, step := range steps {
		switch {
		case drawn != "" && step.draws():
			doubt("%s comes behind %s and puts what that has drawn into another order, so that %s counts for nothing: leave one of them out%s", step.Filter, drawn, drawn, ofPreset(step.Filter))
		case step.Filter == "limit" && !sorted:
			if j := slices.IndexFunc(steps[i+1:], Step.orders); j >= 0 {
				doubt("limit: %d keeps the first endpoints of the list, before %s has a choice: write it behind", step.N, steps[i+1+j].Filter)
			}
		case step.Filter == "shed" && drawn != "":
			doubt("shed comes behind %s, which has drawn by then: write it in front", drawn)
		}
		for _, c := range step.Chains {
			d.ordered(c, o, sorted)
		}
		sorted = sorted || step.orders()
		switch step.Filter {
		case "weighted", "sticky", "shuffle":
			drawn = step.Filter
		case "limit": // what was drawn has been made use of
			drawn = ""
		}
	}
}

// draws is whether a filter leaves nothing of the order of what it is given.
func (s Step) draws() bool {
	switch s.Filter {
	case "rotate", "shuffle", "weighted", "sticky":
		return true
	}
	return false
}

// ofPreset says which preset a filter may have come with.
func ofPreset(filter string) string {
	if filter == "rotate" {
		return " (failover is tier, rotate)"
	}
	return ""
}

// tagsOf are tags with the word for them.
func tagsOf(tags []string) string {
	if len(tags) == 1 {
		return "the tag " + tags[0]
	}
	return "all of the tags " + and(tags)
}

// either is a list for people, of things of which one is enough.
func either(words []string) string {
	if n := len(words); n > 1 {
		return strings.Join(words[:n-1], ", ") + " or " + words[n-1]
	}
	return strings.Join(words, "")
}

// bestLevels are those of the preset geo.
var bestLevels = []geo.Level{geo.ByASN, geo.ByCity, geo.BySubdivision, geo.ByCountry, geo.ByRegion, geo.ByContinent}
