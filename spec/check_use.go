package spec

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/rhumb-dns/rhumb/spec/document"
)

// layer is where a key of a check is stated, the innermost one first: it stands
// above those behind it.
type layer uint8

const (
	ofUse      layer = iota // with the reference of a pool or an endpoint
	ofCheck                 // in the check
	ofDefaults              // in check_defaults
	builtIn                 // nowhere
)

var checkDefaultsSection = section{
	title: "check_defaults",
	intro: "What checks have that do not state it themselves, in place of the defaults of [checks](#checks). A type of checks that has no such key does without.",
	example: `check_defaults: {interval: 10s, timeout: 3s, degraded_above: 500ms}
checks:
  web: {type: http, path: /healthz}
  db: {type: tcp, port: 5432, interval: 2s, timeout: 1s}
`,
}

var useSection = section{
	title: "checks of a pool or endpoint",
	intro: "An item of `checks` of a pool or an endpoint is the name of a check, or a map with the name and other values of its keys, which count there in place of those that the check states. A list or map, such as `headers`, is replaced as a whole. Probes that come to the same are made once, whoever wants them.",
	example: `checks:
  web: {type: http, path: /healthz}
  deep: {type: http, path: /deep}
pools:
  eu:
    checks: [web, {check: deep, on_fail: degraded, degraded_share: 25%}]
    endpoints:
      - 192.0.2.10
      - {address: 192.0.2.11, checks: [{check: web, path: /status, port: 8081}]}
`,
	fields: []field{
		{name: "check", typ: "check", need: true, doc: "The check, by its name. Every key that checks of its type have may stand beside it, but not `type`."},
	},
}

// anyUse has the keys of an item of checks, whatever the type of the check.
var anyUse = section{title: useSection.title}

// defaulted are the keys that check_defaults has.
var defaulted = []string{"interval", "timeout", "confirm", "rise", "fall", "degraded_above", "degraded_share"}

func init() {
	for _, name := range defaulted {
		checkDefaultsSection.fields = append(checkDefaultsSection.fields, *checkSection.field(name))
	}
}

// checkDefaults takes the section check_defaults in. What is wrong with it is said
// once and not for each check.
func (d *decoder) checkDefaults(o *object) {
	before := len(d.errs)
	d.pace(&Check{}, o)
	if len(d.errs) > before {
		return
	}
	for _, e := range o.keys {
		e.layer = ofDefaults
	}
	d.defaults = o.keys
}

// nearest is the key of those named that is stated in the innermost layer; nil when
// none is stated.
func (o *object) nearest(names ...string) *entry {
	var best *entry
	for _, n := range names {
		if e := o.get(n); e != nil && (best == nil || e.layer < best.layer) {
			best = e
		}
	}
	return best
}

// layerOf is where a key is stated.
func (o *object) layerOf(name string) layer {
	if e := o.get(name); e != nil {
		return e.layer
	}
	return builtIn
}

// uses are the checks that a list of a pool or an endpoint refers to.
func (d *decoder) uses(items []document.Node, p *path) []*Check {
	out := []*Check{}
	first := map[string]document.Node{}
	for i, it := range items {
		at, ip := it, p.at(i)
		var o *object
		if it.Kind() == document.Mapping {
			o = d.object(&anyUse, ip, it, it)
			e := o.get("check")
			if e == nil {
				continue
			}
			at, ip = e.val(), ip.dot("check")
		}
		name, ok := d.text(at, ip)
		if !ok {
			continue
		}
		if was, twice := first[name]; twice {
			d.fail(at, ip, "check %q is stated twice; first at %s", name, where(was))
			continue
		}
		first[name] = at
		c, exists := d.checks[name]
		if !exists {
			d.fail(at, ip, "%s", unknown("check", name, maps.Keys(d.checks)))
			continue
		}
		d.used["check "+name] = true
		if c != nil && o != nil {
			c = d.variant(c, o)
		}
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// variant is a check with the keys of an item of a list in place of its own; nil
// when they do not go together. Equal ones are one check.
func (d *decoder) variant(base *Check, o *object) *Check {
	before := len(d.errs)
	if e := o.get("type"); e != nil {
		d.fail(e.key, o.path.dot("type"), "a check has one type: refer to another check")
	}
	for _, e := range d.object(&anyCheck, o.path, document.Node{}, d.checkEntries[base.Name].vals...).keys {
		e.layer = ofCheck
		if o.get(e.name) == nil {
			o.keys = append(o.keys, e)
		}
	}
	o.keys = slices.DeleteFunc(o.keys, func(e *entry) bool { return e.name == "check" })
	o.sec = &anyCheck
	c := d.checkOf(base.Name, base.Type, o)
	if len(d.errs) == before {
		d.resolve(c)
	}
	if len(d.errs) > before {
		return nil
	}
	raw, plain := content(c), content(base)
	if string(raw) == string(plain) {
		return base
	}
	sum := sha256.Sum256(raw)
	c.Variant = fmt.Sprintf("%x", sum[:6])
	key := c.Name + " " + c.Variant
	if same := d.variants[key]; same != nil {
		return same
	}
	d.variants[key], d.checkAt[c], d.checkPlace[c] = c, o.at, o.path
	return c
}

// content is all that a check states.
func content(c *Check) []byte {
	raw, err := json.Marshal(c)
	if err != nil {
		panic(err) // plain data, as Check.Ask says
	}
	return raw
}
