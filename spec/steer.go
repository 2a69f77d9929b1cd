package spec

import (
	"math"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// steer decodes the chain of a service. Presets in it are expanded in place.
func (d *decoder) steer(pol *Policy, o *object) {
	e := o.get("steer")
	def := serviceSection.field("steer").def
	if e == nil {
		pol.Preset = def
		pol.Steer = expandStep(findSteering(def))
		return
	}
	p := o.path.dot("steer")
	r := e.val()
	if r.Kind() != document.Sequence {
		if s := d.steering(r, p); s != nil {
			pol.Preset, pol.Steer = s.name, expandStep(s)
		}
		return
	}
	items := d.list(r, p)
	if len(items) == 0 {
		d.fail(r, p, "the list is empty: state at least one filter, or leave steer out for %s", def)
	}
	for i, it := range items {
		if it.Kind() == document.Mapping {
			d.argument(pol, it, p.at(i))
			continue
		}
		if s := d.steering(it, p.at(i)); s != nil {
			pol.Steer = append(pol.Steer, expandStep(s)...)
		}
	}
}

func findSteering(name string) *steering {
	for i := range steerings {
		if steerings[i].name == name {
			return &steerings[i]
		}
	}
	return nil
}

func steeringNames(yield func(string) bool) {
	for _, s := range steerings {
		if !yield(s.name) {
			return
		}
	}
}

func expandStep(s *steering) []Step {
	if s.chain == nil {
		return []Step{{Filter: s.name}}
	}
	steps := make([]Step, len(s.chain))
	for i, name := range s.chain {
		steps[i].Filter = name
	}
	return steps
}

// steering is a word of the chain that stands without an argument.
func (d *decoder) steering(r document.Node, p *path) *steering {
	name, ok := d.text(r, p)
	if !ok {
		return nil
	}
	s := findSteering(name)
	switch {
	case s == nil:
		d.fail(r, p, "%s", unknown("filter", name, steeringNames))
	case s.later:
		d.fail(r, p, notAvailable)
	case s.arg != "":
		d.fail(r, p, "%s needs an argument, in a list: write [%s]", name, s.arg)
	default:
		return s
	}
	return nil
}

// argument decodes a filter with an argument, a map of one key.
func (d *decoder) argument(pol *Policy, r document.Node, p *path) {
	entries := d.entries(p, []document.Node{r}, func(string) bool { return false })
	if len(entries) != 1 {
		d.fail(r, p, "a filter with an argument is a map of one key, such as limit: 2")
		return
	}
	e := entries[0]
	s := findSteering(e.name)
	switch {
	case s == nil:
		d.fail(e.key, p, "%s", unknown("filter", e.name, steeringNames))
	case s.later:
		d.fail(e.key, p, notAvailable)
	case s.name == "limit":
		n, ok := d.integer(e.val(), p.dot(e.name), 1, math.MaxUint16)
		if ok {
			pol.Steer = append(pol.Steer, Step{Filter: "limit", N: int(n)})
		}
	case s.name == "tags":
		before := len(d.errs)
		items := d.list(e.val(), p.dot(e.name))
		tags := d.words(items, p.dot(e.name))
		if len(tags) == 0 && len(d.errs) == before {
			d.fail(e.val(), p.dot(e.name), "the list is empty: state at least one tag")
		}
		pol.Steer = append(pol.Steer, Step{Filter: "tags", Tags: tags})
	default:
		d.fail(e.key, p, "%s takes no argument: write it alone", e.name)
	}
}
