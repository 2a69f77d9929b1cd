package spec

import (
	"maps"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// A list of pools may hold what chooses among endpoints of its own first: a pool
// that is composed of others, and a service. Either becomes a Pool with Nested,
// which has all endpoints that it may give, so that whoever looks at pools finds
// them as those of any other.
//
// Services are decoded where they stand, one by one. One that another names may
// stand anywhere, so the first name of a service in a list of pools has all files
// searched for what is named in such lists. What was found is decoded when it is
// needed, in the zone that it stands in.

// maxNest is how deep services and composed pools may be nested.
const maxNest = 8

// maxInside is how many endpoints what is nested may have in all: each level may
// name the one below many times.
const maxInside = 1 << 16

// nests is what is known of what is nested.
type nests struct {
	composed map[string]*composed // pools of pools
	pools    []*composed          // being made, the outermost first

	zone     dnswire.Name // of the service that is being decoded
	zones    []*stated
	services map[dnswire.Name]*nestling // those that are named somewhere; nil values are not found
	path     []*nestling                // being made, the outermost first
	turned   map[*Pool]*Pool            // the same pools with the other Flatten
}

// composed is a pool of pools.
type composed struct {
	entry *entry
	path  *path // of all pools
	made  bool
}

// composedOf finds the pools that state pools.
func composedOf(p *path, entries []*entry) map[string]*composed {
	var out map[string]*composed
	for _, e := range entries {
		if e.val().Kind() != document.Mapping {
			continue
		}
		for k := range e.val().Pairs() {
			if string(k.Raw()) == "pools" {
				if out == nil {
					out = map[string]*composed{}
				}
				out[e.name] = &composed{entry: e, path: p}
			}
		}
	}
	return out
}

// compose makes a composed pool unless it is made.
func (d *decoder) compose(c *composed) {
	if c.made {
		return
	}
	c.made = true
	d.nests.pools = append(d.nests.pools, c)
	d.addPool(c.entry, c.path)
	d.nests.pools = d.nests.pools[:len(d.nests.pools)-1]
}

// choiceKeys say how a composed pool chooses.
var choiceKeys = []string{"steer", "answers", "all_down", "panic"}

// composed decodes a pool of pools. It is nil when one of them is wrong.
func (d *decoder) composed(pool *Pool, o *object) *Pool {
	before := len(d.errs)
	for _, k := range o.keys {
		if !slices.Contains(choiceKeys, k.name) && k.name != "pools" && k.name != "min_healthy" {
			d.fail(k.key, o.path.dot(k.name), "not in a pool that is composed of others: state it in those")
		}
	}
	pol := &Policy{Answers: int(o.integer("answers"))}
	if whole := d.choice(pol, o); !whole || len(d.errs) > before {
		return nil
	}
	d.flatten(pol, o, false)
	d.adopt(pol)
	d.sound(pol, o, o.get("pools"))
	pol.Key = pol.mean()
	pool.nest(pol)
	if m := o.get("min_healthy"); m != nil {
		most := len(pool.Endpoints)
		if spare := pol.AllDown.Pool; spare != nil {
			most -= len(spare.Endpoints)
		}
		if pool.MinHealthy > most {
			d.fail(m.val(), o.path.dot("min_healthy"), "%d is more than the pool has endpoints: %d", pool.MinHealthy, most)
		}
	}
	return pool
}

// nest makes p the pool that stands for a policy.
func (p *Pool) nest(pol *Policy) {
	p.Nested, p.Endpoints = pol, make([]Endpoint, 0, pol.size())
	for _, pool := range pol.all() {
		p.Endpoints = append(p.Endpoints, pool.Endpoints...)
	}
}

// size is how many endpoints the pools have that a policy may answer with.
func (p *Policy) size() (n int) {
	for _, pool := range p.all() {
		n += len(pool.Endpoints)
	}
	return n
}

// appendMean appends what a pool means besides its name and endpoints, for
// Policy.mean.
func (p *Pool) appendMean(b []byte) []byte {
	if p.Nested == nil {
		return b
	}
	b = append(b, '(')
	if p.Service != "" {
		b = append(b, "service "...)
	}
	return append(append(b, p.Nested.Key...), ')')
}

// members finds what a list of pools names: pools by their names, and maps with the
// name of a pool or service, and its weight. The weights are nil when none is
// stated. It is not whole when some are left out that are wrong themselves.
func (d *decoder) members(items []document.Node, p *path) (pools []*Pool, weights []uint32, whole bool) {
	first := map[string]document.Node{}
	whole = true
	for i, it := range items {
		m, ok := d.member(it, p.at(i))
		if m.wrong {
			whole = false
		}
		if !ok {
			continue
		}
		what := "pool"
		if m.pool != nil {
			what = "service"
		}
		if at, twice := first[what+" "+m.name]; twice {
			d.fail(it, p.at(i), "%s %q is stated twice; first at %s", what, m.name, where(at))
			continue
		}
		first[what+" "+m.name] = it
		if m.pool == nil {
			c := d.nests.composed[m.name]
			if c != nil && !d.settled(c, it, p.at(i)) {
				whole = false
				continue
			}
			known := false
			if m.pool, known = d.pools[m.name]; !known {
				d.fail(it, p.at(i), "%s", unknown(what, m.name, maps.Keys(d.pools)))
				continue
			}
			d.used["pool "+m.name] = true
			if m.pool == nil {
				whole = whole && c == nil
				continue
			}
		}
		if m.weighs && weights == nil {
			weights = make([]uint32, len(pools), len(items))
			for i := range weights {
				weights[i] = defaultWeight
			}
		}
		pools = append(pools, m.pool)
		if weights != nil {
			weights = append(weights, m.weight)
		}
	}
	return pools, weights, whole
}

// defaultWeight is that of endpoints, and of pools in a list in which another
// states one.
const defaultWeight = 100

// member is an item of a list of pools.
type member struct {
	name   string
	pool   *Pool // of a service; nil: the pool called name
	weight uint32
	weighs bool // the weight is stated
	wrong  bool // what it names is
}

// member decodes one item; it is not ok when nothing can be said of it.
func (d *decoder) member(it document.Node, p *path) (m member, ok bool) {
	m.weight = defaultWeight
	if it.Kind() != document.Mapping {
		m.name, ok = d.text(it, p)
		return m, ok
	}
	o := d.object(&memberSection, p, it, it)
	if m.weighs = o.get("weight") != nil; m.weighs {
		m.weight = uint32(o.integer("weight"))
	}
	service, pool := o.get("service"), o.get("pool")
	switch {
	case service != nil && pool != nil:
		d.fail(pool.key, p.dot("pool"), "service is stated as well: an item is one of them")
	case service != nil:
		if m.pool = d.nestedService(service.val(), p.dot("service")); m.pool != nil {
			m.name = m.pool.Name
			return m, true
		}
	case pool != nil:
		m.name, ok = d.text(pool.val(), p.dot("pool"))
		return m, ok
	}
	m.wrong = true
	return m, false
}

// weights refuses those of pools that change nothing.
func (d *decoder) weights(pol *Policy, o *object) {
	if pol.Weights == nil || pol.Steer == nil {
		return
	}
	e := o.get("pools")
	switch {
	case !anyStep(pol.Steer, "weighted"):
		d.fail(e.key, o.path.dot("pools"), "weights of pools are for the filter weighted, which this chain has not: write steer: weighted, or put weighted in the chain")
	case !slices.ContainsFunc(pol.Weights, func(w uint32) bool { return w > 0 }):
		d.fail(e.key, o.path.dot("pools"), "every pool has the weight 0, which takes no traffic")
	}
}

// anyStep is whether a chain has a filter, in one of its chains of first as well.
func anyStep(steps []Step, filter string) bool {
	return slices.ContainsFunc(steps, func(s Step) bool {
		return s.Filter == filter || slices.ContainsFunc(s.Chains, func(chain []Step) bool { return anyStep(chain, filter) })
	})
}

// settled makes a composed pool that a list names. It is false when that leads in
// a circle, or too deep.
func (d *decoder) settled(c *composed, at document.Node, p *path) bool {
	if i := slices.Index(d.nests.pools, c); i >= 0 {
		var names []string
		for _, c := range d.nests.pools[i:] {
			names = append(names, c.entry.name+" ("+where(c.entry.key)+")")
		}
		d.fail(at, p, "pools are composed of each other: %s -> %s", strings.Join(names, " -> "), c.entry.name)
		return false
	}
	if !c.made && len(d.nests.pools) > maxNest {
		d.tooDeep(at, p)
		return false
	}
	d.compose(c)
	return true
}

func (d *decoder) tooDeep(at document.Node, p *path) {
	d.fail(at, p, "services and composed pools are nested more than %d deep: name the pools themselves", maxNest)
}

// nestable is whether the members of a policy may be nested: not too deep, and
// not too many. It notes how deep they are, and has the TTL that goes for all of
// them.
func (d *decoder) nestable(pol *Policy, at *entry, p *path) bool {
	for _, pool := range pol.Pools {
		if pool.Nested == nil {
			continue
		}
		pol.depth = max(pol.depth, 1+pool.Nested.depth)
		if pool.Service != "" {
			pol.TTL = min(pol.TTL, pool.Nested.TTL)
		}
	}
	switch {
	case pol.depth > maxNest:
		d.tooDeep(at.key, p.dot("pools"))
		return false
	case pol.depth > 0 && pol.size() > maxInside:
		d.fail(at.key, p.dot("pools"), "%d endpoints with those of nested pools and services are more than %d: name the pools that you mean", pol.size(), maxInside)
		return false
	}
	return true
}

// adopt gives what is nested in a policy its Flatten: there is one answer.
func (d *decoder) adopt(pol *Policy) {
	for i, pool := range pol.Pools {
		pol.Pools[i] = d.turn(pool, pol.Flatten)
	}
}

// turn is a pool as it stands in a policy with a Flatten.
func (d *decoder) turn(pool *Pool, flatten bool) *Pool {
	if pool.Nested == nil || pool.Nested.Flatten == flatten || !slices.ContainsFunc(pool.Endpoints, func(e Endpoint) bool { return e.Host != "" }) {
		return pool
	}
	if other := d.nests.turned[pool]; other != nil {
		return other
	}
	pol := *pool.Nested
	pol.Flatten, pol.Pools = flatten, slices.Clone(pol.Pools)
	d.adopt(&pol)
	pol.Key = pol.mean()
	other := *pool
	other.nest(&pol)
	if d.nests.turned == nil {
		d.nests.turned = map[*Pool]*Pool{}
	}
	d.nests.turned[pool] = &other
	return &other
}

// leaves are the pools with endpoints of their own that a policy may answer with,
// those of nested services among them if so wanted.
func (p *Policy) leaves(services bool) []*Pool {
	if p.depth == 0 {
		return p.all()
	}
	var out []*Pool
	for _, pool := range p.all() {
		switch {
		case pool.Nested == nil:
			out = append(out, pool)
		case pool.Service == "" || services:
			out = append(out, pool.Nested.leaves(services)...)
		}
	}
	return out
}

// chosen calls f with a policy and those of the composed pools in it. Nested
// services are uses of their own.
func (p *Policy) chosen(f func(*Policy)) {
	f(p)
	for _, pool := range p.Pools {
		if pool.Nested != nil && pool.Service == "" {
			pool.Nested.chosen(f)
		}
	}
}

// judged are the pools whose checks may ask for the name of a service with the
// policy. The endpoints of a nested service are judged for that one.
func (p *Policy) judged() []*Pool { return p.leaves(false) }

// keepText notes what a text means: in this zone, if it names a service.
func (d *decoder) keepText(texts map[string]*policyUse, text string, use *policyUse) {
	if !slices.ContainsFunc(use.policy.Pools, func(p *Pool) bool { return p.Service != "" }) {
		texts[text] = use
		return
	}
	if texts[text] == nil {
		texts[text] = &policyUse{within: map[dnswire.Name]*policyUse{}}
	}
	texts[text].within[d.nests.zone] = use
}

// hidden warns of pools that the chain never comes to, because one before them
// always has an answer.
func (d *decoder) hidden(pol *Policy, o *object) {
	if len(pol.Steer) == 0 || pol.Steer[0].Filter != "tier" || pol.Steer[0].Spill != nil {
		return
	}
	for i, pool := range pol.Pools[:len(pol.Pools)-1] {
		if pool.Nested == nil || !pool.Nested.AllDown.never() {
			continue
		}
		have, behind := families([]*Pool{pool}), families(pol.Pools[i+1:])
		reached := false
		for f := range behind {
			reached = reached || len(have[f].endpoints) == 0 && len(behind[f].endpoints) > 0
		}
		if items := o.list("pools"); !reached && i < len(items) {
			d.doubt(items[i], o.path.dot("pools").at(i), "%s states an all_down with which it always has an answer, so the pools behind it are never reached: leave its all_down out, or name it last", pool.Name)
			return
		}
	}
}

// never is whether a nested policy with this rule is never without an answer.
func (a AllDown) never() bool {
	return a.Stated && a.Rule != NoData && a.Rule != ServFail
}
