package spec

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// CalculatedCheck is a condition over other checks of the same endpoint.
type CalculatedCheck struct {
	Need int      // how many of Of must pass, 1 to all of them
	Of   []*Check // in the order written, at least one
}

// MarshalJSON gives the members by their names, which is what tells one condition
// from another.
func (c *CalculatedCheck) MarshalJSON() ([]byte, error) {
	names := make([]string, len(c.Of))
	for i, m := range c.Of {
		names[i] = m.Name
	}
	return json.Marshal(struct {
		Need int
		Of   []string
	}{c.Need, names})
}

// maxLeaves is how many probes and reports one calculated check may come to: those
// that refer to each other multiply.
const maxLeaves = 64

// maxCalculated is how deep calculated checks may refer to others.
const maxCalculated = 16

var calculatedKind = &checkKind{
	types: []CheckType{CheckCalculated}, section: &calculatedSection, lacks: probing,
	decode: (*decoder).calculatedCheck,
}

var calculatedSection = section{
	title: "checks: calculated",
	intro: "A condition over other checks of the same endpoint, which are probed for it although they are not among the endpoint's own. A calculated check may refer to others, and not to itself by way of them. It states one of the following keys.",
	example: `checks:
  web: {type: http, path: /healthz}
  port: {type: tcp, port: 8443}
  disk: {type: external}
  cache: {type: tcp, port: 6379}
  serves: {type: calculated, any: [web, port]}
  well: {type: calculated, all: [serves, disk]}
  most: {type: calculated, at_least: {n: 2, of: [web, disk, cache]}}
`,
	fields: []field{
		{name: "all", typ: "list of checks", prose: "`any` or `at_least`", doc: "All of them must pass."},
		{name: "any", typ: "list of checks", prose: "`all` or `at_least`", doc: "One of them must pass."},
		{name: "at_least", typ: "map", prose: "`all` or `any`", doc: "So many of them must pass. See [at_least](#at_least)."},
	},
}

var atLeastSection = section{
	title: "at_least",
	intro: "Of a calculated check.",
	fields: []field{
		{name: "n", typ: "integer", need: true, lo: 1, hi: maxLeaves, doc: "How many must pass; at most the number of checks."},
		{name: "of", typ: "list of checks", need: true, doc: "Of which checks."},
	},
}

// Leaves yields the checks that are probed or reported of which a check consists: the
// check itself or, in order and as often as they stand there, those that it is
// calculated from.
func (c *Check) Leaves(yield func(*Check) bool) { c.leaves(yield) }

func (c *Check) leaves(yield func(*Check) bool) bool {
	a, ok := c.Ask.(*CalculatedCheck)
	if !ok {
		return yield(c)
	}
	for _, m := range a.Of {
		if !m.leaves(yield) {
			return false
		}
	}
	return true
}

// NeedsHost is whether a check asks for the service's host, so that it cannot be
// made for several services at once.
func (c *Check) NeedsHost() bool {
	for l := range c.Leaves {
		if l.Host == "" && l.Type.Named() {
			return true
		}
	}
	return false
}

// calculation is a calculated check of which the members are not known yet.
type calculation struct {
	of    []document.Node
	path  *path // of the list
	state visit
	depth int // of calculated checks within each other, from 1
}

type visit uint8

const (
	unseen visit = iota
	underWay
	done
)

// calculatedCheck reads what the check states. Its members may be stated behind it;
// resolve finds them.
func (d *decoder) calculatedCheck(c *Check, o *object) {
	a := &CalculatedCheck{}
	c.Ask = a
	var stated []*entry
	for _, name := range []string{"all", "any", "at_least"} {
		if e := o.get(name); e != nil && e.layer == o.nearest("all", "any", "at_least").layer {
			stated = append(stated, e)
		}
	}
	switch len(stated) {
	case 0:
		d.fail(o.at, o.path, "one of the keys \"all\", \"any\" and \"at_least\" is missing")
		return
	case 1:
	default:
		d.fail(stated[1].key, o.path.dot(stated[1].name), "%s is stated as well: a check has one condition; write another check, and refer to it", stated[0].name)
		return
	}
	e := stated[0]
	k := &calculation{path: o.path.dot(e.name)}
	n, at := int64(0), e.val()
	if e.name == "at_least" {
		least := d.object(&atLeastSection, k.path, e.key, e.vals...)
		k.path = k.path.dot("of")
		k.of, n = least.list("of"), least.integer("n")
		if of := least.get("of"); of != nil {
			at = of.val()
		}
		if n > int64(len(k.of)) && len(k.of) > 0 {
			d.fail(least.get("n").val(), least.path.dot("n"), "%d is more than the checks there are: %d", n, len(k.of))
		}
	} else {
		k.of = o.list(e.name)
	}
	if k.of != nil && len(k.of) == 0 {
		d.fail(at, k.path, "the list is empty: state at least one check")
	}
	switch e.name {
	case "all":
		n = int64(len(k.of))
	case "any":
		n = 1
	}
	a.Need = int(n)
	d.calculations[c] = k
}

// resolve finds the members of a calculated check, and of those among them.
func (d *decoder) resolve(c *Check) { d.resolveWithin(c, nil) }

func (d *decoder) resolveWithin(c *Check, way []*Check) {
	k := d.calculations[c]
	if k == nil || k.state == done {
		return
	}
	k.state = underWay
	way = append(way, c)
	a := c.Ask.(*CalculatedCheck)
	a.Of = lookup(d, "check", d.checks, k.of, k.path)
	for i, m := range a.Of {
		inner := d.calculations[m]
		if inner != nil && inner.state == underWay {
			d.fail(k.node(d, m, i), k.path, "%s is calculated from itself: %s", m.Name, around(way, m))
			a.Of = nil
			break
		}
		d.resolveWithin(m, way)
		if inner != nil {
			k.depth = max(k.depth, inner.depth)
		}
	}
	k.state = done
	if k.depth++; k.depth > maxCalculated {
		if k.depth == maxCalculated+1 { // those beyond it go on from here
			d.fail(k.of[0], k.path, "calculated checks refer to each other more than %d deep: state more in one of them", maxCalculated)
		}
		a.Of = nil
		return
	}
	leaves := 0
	for m := range c.Leaves {
		leaves++
		if leaves > maxLeaves {
			d.fail(k.of[0], k.path, "it comes to more than %d checks in all", maxLeaves)
			a.Of = nil
			break
		}
		// What becomes of failures of one event within this time belongs together.
		c.Interval = max(c.Interval, m.Interval)
	}
}

// node is where a member stands.
func (k *calculation) node(d *decoder, m *Check, i int) document.Node {
	for _, n := range k.of {
		if s, err := n.Text(d.env); err == nil && s == m.Name {
			return n
		}
	}
	return k.of[min(i, len(k.of)-1)]
}

// around is the way from a check to itself.
func around(way []*Check, to *Check) string {
	at := slices.Index(way, to)
	names := []string{}
	for _, c := range way[max(at, 0):] {
		names = append(names, c.Name)
	}
	return strings.Join(append(names, to.Name), " -> ")
}
