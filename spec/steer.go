package spec

import (
	"math"
	"slices"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// maxSteps is how many filters a chain may have, those of its chains counted,
// and maxNested how deep chains may stand in chains.
const (
	maxSteps  = 64
	maxNested = 4
)

// steer decodes the chain of a service. Presets and policies in it are expanded
// in place.
func (d *decoder) steer(pol *Policy, o *object) {
	e := o.get("steer")
	def := serviceSection.field("steer").def
	if e == nil {
		pol.Preset = def
		pol.Steer = findSteering(def).whole()
		return
	}
	p := o.path.dot("steer")
	before := len(d.errs)
	pol.Steer, pol.Preset = d.chain(e.val(), p, 0)
	if len(d.errs) == before {
		d.short(e.val(), p, pol.Steer)
	}
}

// short refuses a chain that has come to too many filters.
func (d *decoder) short(r document.Node, p *path, steps []Step) {
	if n := count(steps); n > maxSteps {
		d.fail(r, p, "a chain of %d filters, with those of presets and policies; %d are possible", n, maxSteps)
	}
}

func count(steps []Step) int {
	n := len(steps)
	for _, s := range steps {
		for _, c := range s.Chains {
			n += count(c)
		}
	}
	return n
}

// chain decodes a word, or a list of filters, presets and policies. alone is the
// word.
func (d *decoder) chain(r document.Node, p *path, depth int) (steps []Step, alone string) {
	if r.Kind() != document.Sequence {
		if r.Kind() == document.Mapping {
			d.fail(r, p, "a filter with an argument stands in a list: write it in brackets")
			return nil, ""
		}
		name, s := d.steering(r, p)
		if s == nil {
			return d.policyNamed(name), name
		}
		return s.whole(), s.name
	}
	items := d.list(r, p)
	if len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one filter, or leave steer out for %s", serviceSection.field("steer").def)
	}
	for i, it := range items {
		if it.Kind() == document.Mapping {
			if s, ok := d.argument(it, p.at(i), depth); ok {
				steps = append(steps, s)
			}
			continue
		}
		name, s := d.steering(it, p.at(i))
		if s == nil {
			steps = append(steps, d.policyNamed(name)...)
			continue
		}
		steps = append(steps, s.steps()...)
	}
	return steps, ""
}

func findSteering(name string) *steering {
	for i := range steerings {
		if steerings[i].name == name {
			return &steerings[i]
		}
	}
	return nil
}

// steeringNames yields what may stand in a chain, policies among it.
func (d *decoder) steeringNames(yield func(string) bool) {
	for _, s := range steerings {
		if !yield(s.name) {
			return
		}
	}
	for name := range d.named {
		if !yield(name) {
			return
		}
	}
}

// steps are what the word means in a list.
func (s *steering) steps() []Step {
	if s.chain != nil {
		return slices.Clone(s.chain)
	}
	switch s.name {
	case "nearest":
		return []Step{{Filter: s.name, Nearest: &nearestDefault}}
	case "latency":
		return []Step{{Filter: s.name, Latency: &latencyDefault}}
	}
	return []Step{{Filter: s.name}}
}

// whole is what it means as a whole chain.
func (s *steering) whole() []Step {
	steps := s.steps()
	if s.then != "" {
		steps = append(steps, Step{Filter: s.then})
	}
	return steps
}

// steering is a word of the chain that stands without an argument. A policy is
// its name and no steering; neither, and there is an error.
func (d *decoder) steering(r document.Node, p *path) (string, *steering) {
	name, ok := d.text(r, p)
	if !ok {
		return "", nil
	}
	s := findSteering(name)
	switch {
	case s == nil && d.named[name] == nil:
		d.fail(r, p, "%s", unknownFilter(name, d.steeringNames))
	case s == nil:
		d.reach(r, p, name)
		return name, nil
	case s.arg != "" && !s.optional:
		d.fail(r, p, "%s needs an argument, in a list: write [%s]", name, s.arg)
	default:
		return name, s
	}
	return "", nil
}

// argument decodes a filter with an argument, a map of one key.
func (d *decoder) argument(r document.Node, p *path, depth int) (Step, bool) {
	entries := d.entries(p, []document.Node{r}, func(string) bool { return false })
	if len(entries) != 1 {
		d.fail(r, p, "a filter with an argument is a map of one key, such as limit: 2")
		return Step{}, false
	}
	e := entries[0]
	s := findSteering(e.name)
	before := len(d.errs)
	step := Step{Filter: e.name}
	p = p.dot(e.name)
	switch {
	case s == nil && d.named[e.name] == nil:
		d.fail(e.key, p.up, "%s", unknownFilter(e.name, d.steeringNames))
	case s == nil || s.arg == "":
		d.fail(e.key, p.up, "%s takes no argument: write it alone", e.name)
	case s.name == "limit":
		n, _ := d.integer(e.val(), p, 1, math.MaxUint16)
		step.N = int(n)
	case s.name == "tags":
		step.Tags = d.words(d.list(e.val(), p), p)
		if len(step.Tags) == 0 && len(d.errs) == before {
			d.fail(e.val(), p, "the list is empty: state at least one tag")
		}
	case s.name == "geofence":
		step.Fence = d.fence(e, p)
	case s.name == "nearest":
		step.Nearest = d.nearest(e, p)
	case s.name == "latency":
		step.Latency = d.latency(e, p)
	case s.name == "tier":
		step.Spill = d.spill(e, p)
	case s.name == "schedule":
		step.Windows = d.windows(e.val(), p)
	case s.name == "first":
		step.Chains = d.chains(e.val(), p, depth)
	}
	return step, len(d.errs) == before
}

// chains decodes the chains of first.
func (d *decoder) chains(r document.Node, p *path, depth int) [][]Step {
	items := d.list(r, p)
	switch {
	case items == nil:
		return nil
	case len(items) < 2:
		d.fail(r, p, "at least two chains are expected: the second is for when the first keeps nothing")
	case depth >= maxNested:
		d.fail(r, p, "chains stand in chains more than %d deep", maxNested)
		return nil
	}
	var out [][]Step
	for i, it := range items {
		if steps, _ := d.chain(it, p.at(i), depth+1); len(steps) > 0 {
			out = append(out, steps)
		}
	}
	return out
}

// namedChain is a policy, and how far it has been decoded.
type namedChain struct {
	entry *entry
	steps []Step // nil when it is wrong, or not decoded yet
	begun bool
	done  bool
}

// allPolicies decodes the named chains. Each is decoded once, when the first one
// refers to it, so that their order does not matter.
func (d *decoder) allPolicies(p *path, entries []*entry) {
	for _, e := range entries {
		if !d.name(e, p.dot(e.name), "policy") {
			continue
		}
		if findSteering(e.name) != nil {
			d.fail(e.key, p.dot(e.name), "%s is a filter or preset and cannot be the name of a policy: rename it", e.name)
			continue
		}
		d.named[e.name] = &namedChain{entry: e}
	}
	for _, e := range entries {
		if n := d.named[e.name]; n != nil && !n.done {
			d.decodePolicy(e.name, n)
		}
	}
}

func (d *decoder) decodePolicy(name string, n *namedChain) {
	n.begun = true
	d.within = append(d.within, name)
	before := len(d.errs)
	p := (*path)(nil).dot("policies").dot(name)
	steps, _ := d.chain(n.entry.val(), p, 0)
	if len(d.errs) == before {
		if d.short(n.entry.val(), p, steps); len(d.errs) == before {
			n.steps = steps
		}
	}
	d.within = d.within[:len(d.within)-1]
	n.done = true
}

// reach decodes the policy that a chain refers to, unless that has been done.
func (d *decoder) reach(r document.Node, p *path, name string) {
	n := d.named[name]
	switch {
	case n.done:
	case n.begun:
		from := slices.Index(d.within, name)
		way := ""
		for _, w := range d.within[from:] {
			way += w + " -> "
		}
		d.fail(r, p, "policies refer to each other: %s%s", way, name)
		return
	default:
		d.decodePolicy(name, n)
	}
	d.used["policy "+name] = true
}

// policyNamed is the chain of a policy, empty when it is wrong itself.
func (d *decoder) policyNamed(name string) []Step {
	if n := d.named[name]; n != nil {
		return slices.Clone(n.steps)
	}
	return nil
}
