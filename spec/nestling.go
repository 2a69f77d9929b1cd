package spec

import (
	"bytes"
	"iter"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

// nestling is a service that others name.
type nestling struct {
	zone     dnswire.Name
	path     *path         // of the zone's services
	key, val document.Node // zero when it is in a run
	label    string
	text     string // of its policy, when it is in a run
	made     bool
	pool     *Pool // nil: it is wrong
}

// nestedService is the pool that stands for a service that a list names, nil when
// there is none or it is wrong.
func (d *decoder) nestedService(r document.Node, p *path) *Pool {
	s, ok := d.text(r, p)
	if !ok {
		return nil
	}
	if d.nests.zone == "" {
		d.fail(r, p, "a pool is composed of pools: name the service in the list of a service")
		return nil
	}
	names, why := meant(s, d.nests.zone)
	if why != "" {
		d.fail(r, p, "not the name of a service: %s", why)
		return nil
	}
	n := d.find(names)
	if n == nil {
		d.fail(r, p, "%s", unknown("service", s, d.serviceNames))
		return nil
	}
	if i := slices.Index(d.nests.path, n); i >= 0 {
		var chain []string
		for _, n := range d.nests.path[i:] {
			chain = append(chain, n.name()+" ("+where(n.key)+")")
		}
		d.fail(r, p, "services nest each other: %s -> %s", strings.Join(chain, " -> "), n.name())
		return nil
	}
	if !n.made && len(d.nests.path) > maxNest {
		d.tooDeep(r, p)
		return nil
	}
	return d.hatch(n)
}

// hatch makes the pool that stands for a service, nil when the service is wrong.
func (d *decoder) hatch(n *nestling) *Pool {
	if n.made {
		return n.pool
	}
	zone := d.nests.zone
	d.nests.zone, d.nests.path = n.zone, append(d.nests.path, n)
	var use *policyUse
	if n.key.IsZero() {
		use = d.policyIn(n.text, "", n.path)
	} else {
		use = d.policyOf(n.val, n.key, n.path, n.label == "@")
	}
	d.nests.zone, d.nests.path = zone, d.nests.path[:len(d.nests.path)-1]
	n.made = true
	if use != nil {
		n.pool = &Pool{Name: n.name(), MinHealthy: 1, Service: dnswire.Name(appendWire(nil, n.label, n.zone))}
		n.pool.nest(use.policy)
	}
	return n.pool
}

func (n *nestling) name() string {
	return bare(dnswire.Name(appendWire(nil, n.label, n.zone)))
}

// meant are the names that one in a list of pools may mean, of which the first
// that there is counts: below the zone, unless it ends in a dot, or a whole one.
func meant(s string, zone dnswire.Name) (names []dnswire.Name, why string) {
	whole, dot := strings.CutSuffix(s, ".")
	var b strings.Builder
	if why := appendLabel(&b, []byte(whole), 0); why != "" {
		return nil, why
	}
	label := b.String()
	if at := dnswire.Name(appendWire(nil, label, zone)); !dot && len(at) <= 255 {
		names = append(names, at)
	}
	if label != "@" {
		names = append(names, dnswire.Name(appendWire(nil, label, dnswire.Root)))
	}
	return names, ""
}

// references are the services that a policy names.
func references(policy document.Node) iter.Seq[document.Node] {
	return func(yield func(document.Node) bool) {
		if policy.Kind() != document.Mapping {
			return
		}
		for k, pools := range policy.Pairs() {
			if string(k.Raw()) != "pools" || pools.Kind() != document.Sequence {
				continue
			}
			for member := range pools.Children() {
				if member.Kind() != document.Mapping {
					continue
				}
				for k, v := range member.Pairs() {
					if string(k.Raw()) == "service" && !yield(v) {
						return
					}
				}
			}
		}
	}
}

// stated yields the values of the services keys of all zones.
func (n *nests) stated(yield func(*stated, document.Node) bool) {
	for _, z := range n.zones {
		for _, val := range z.vals {
			if val.Kind() != document.Mapping {
				continue
			}
			for k, v := range val.Pairs() {
				if string(k.Raw()) == "services" && !yield(z, v) {
					return
				}
			}
		}
	}
}

// find is the service with the first of the names that there is, nil for none.
func (d *decoder) find(names []dnswire.Name) *nestling {
	n := &d.nests
	if n.services == nil {
		n.services = map[dnswire.Name]*nestling{}
		d.gather()
	}
	missing := false
	for _, name := range names {
		if _, sought := n.services[name]; !sought { // it is not written as it reads
			n.services[name], missing = nil, true
		}
	}
	if missing {
		d.search()
	}
	for _, name := range names {
		if s := n.services[name]; s != nil {
			return s
		}
	}
	return nil
}

// gather looks for all services that are named in lists of pools.
func (d *decoder) gather() {
	for z, all := range d.nests.stated {
		if all.Kind() != document.Mapping {
			continue
		}
		for _, policy := range all.Pairs() {
			if text := policy.Span(); text != nil && !bytes.Contains(text, []byte("service")) {
				continue // as nearly all of them
			}
			for r := range references(policy) {
				if s, err := r.Text(d.env); err == nil {
					names, _ := meant(s, z.name)
					for _, name := range names {
						d.nests.services[name] = nil
					}
				}
			}
		}
	}
	d.search()
}

// search finds the services that are sought. The first of several with a name,
// which are an error, counts.
func (d *decoder) search() {
	var buf []byte
	for z, all := range d.nests.stated {
		p := z.path.dot("services")
		seek := func(label string) (*nestling, dnswire.Name) {
			buf = appendWire(buf[:0], label, z.name)
			found, sought := d.nests.services[dnswire.Name(buf)]
			if !sought || found != nil {
				return nil, ""
			}
			return &nestling{zone: z.name, path: p, label: strings.Clone(label)}, dnswire.Name(buf)
		}
		if all.Kind() == document.Mapping {
			for k, policy := range all.Pairs() {
				if raw := k.Raw(); len(raw) <= 253 {
					if n, name := seek(strings.ToLower(string(raw))); n != nil {
						n.key, n.val = k, policy
						d.nests.services[name] = n
					}
				}
			}
		}
		if cut := d.cuts[all]; cut != nil {
			for _, r := range cut.runs {
				r.Each(func(label string, policy int) bool {
					if n, name := seek(label); n != nil {
						n.text = r.words.texts[policy]
						d.nests.services[name] = n
					}
					return true
				})
			}
		}
	}
}

// serviceNames yields the names of all services, as lists of pools may have them.
func (d *decoder) serviceNames(yield func(string) bool) {
	for z, all := range d.nests.stated {
		if all.Kind() != document.Mapping {
			continue
		}
		for k := range all.Pairs() {
			label := strings.ToLower(string(k.Raw()))
			if z.name == d.nests.zone {
				if !yield(label) {
					return
				}
				continue
			}
			if len(label) <= 253 && !yield(bare(dnswire.Name(appendWire(nil, label, z.name)))) {
				return
			}
		}
	}
}
