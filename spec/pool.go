package spec

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec/document"
)

func (d *decoder) allPools(p *path, entries []*entry) {
	d.nests.composed = composedOf(p, entries)
	for _, e := range entries {
		if d.nests.composed[e.name] == nil {
			d.addPool(e, p)
		} else {
			d.pools[e.name] = nil // known, but not made yet
		}
	}
	for _, e := range entries {
		if c := d.nests.composed[e.name]; c != nil {
			d.compose(c)
		}
	}
}

func (d *decoder) addPool(e *entry, p *path) {
	before := len(d.errs)
	pool := d.pool(e, p.dot(e.name))
	if len(d.errs) > before {
		pool = nil
	}
	d.pools[e.name] = pool
	if pool != nil {
		d.refs[pool] = e.key
		d.spec.Pools[pool.Name] = pool
	}
}

func (d *decoder) pool(e *entry, p *path) *Pool {
	if !d.name(e, p, "pool") {
		return nil
	}
	if _, taken := allDownRules[e.name]; taken {
		d.fail(e.key, p, "%s is a word of all_down and cannot be the name of a pool: rename it", e.name)
		return nil
	}
	o := d.object(&poolSection, p, e.key, e.vals...)
	pool := &Pool{Name: strings.Clone(e.name), Pos: pos(e.key), MinHealthy: int(o.integer("min_healthy"))}
	if o.get("pools") != nil {
		return d.composed(pool, o)
	}
	for _, key := range choiceKeys {
		if k := o.get(key); k != nil {
			d.fail(k.key, p.dot(key), "only for a pool that is composed of others: state pools in place of endpoints, or put it into the service")
		}
	}
	if k := o.get("place"); k != nil {
		pool.Place = d.placed(k, p.dot("place"))
	}
	pool.Conduct = d.conduct(o)
	common := Endpoint{Weight: 100, Place: &pool.Place}
	d.loadLimits(&common, o)
	common.Checks = d.uses(o.list("checks"), p.dot("checks"))
	k := o.get("endpoints")
	if k == nil {
		return pool
	}
	ep := p.dot("endpoints")
	items := o.list("endpoints")
	if items != nil && len(items) == 0 {
		d.fail(k.val(), ep, "the list is empty: state at least one endpoint")
	}
	first := map[string]document.Node{}
	pool.Endpoints = make([]Endpoint, 0, len(items))
	for i, it := range items {
		common.Pos = pos(it)
		end, ok := d.endpoint(it, ep.at(i), common)
		if !ok {
			continue
		}
		if at, twice := first[end.String()]; twice {
			d.fail(it, ep.at(i), "%s is stated twice; first at %s", end.String(), where(at))
			continue
		}
		first[end.String()] = it
		if end.disabled {
			pool.Disabled = append(pool.Disabled, end.Endpoint)
		} else {
			pool.Endpoints = append(pool.Endpoints, end.Endpoint)
		}
	}
	if pool.Conduct != nil && len(items) > maxCourse {
		d.fail(k.val(), ep, "%d are too many for a pool with failover_delay or other keys of conduct: %d are possible", len(items), maxCourse)
	}
	if m := o.get("min_healthy"); m != nil && len(items) > 0 && pool.MinHealthy > len(items)-len(pool.Disabled) {
		d.fail(m.val(), p.dot("min_healthy"), "%d is more than the pool has endpoints: %d", pool.MinHealthy, len(items)-len(pool.Disabled))
	}
	return pool
}

func pos(r document.Node) Pos {
	return Pos{File: r.File(), Line: r.Line(), Col: r.Col()}
}

// placed is the place of a pool or an endpoint, in the region that it is in when
// none is stated.
func (d *decoder) placed(e *entry, p *path) Place {
	pl := d.place(e, p)
	if pl.Region == "" {
		pl.Region = d.regionOf(&pl)
	}
	return pl
}

func (d *decoder) place(e *entry, p *path) Place {
	o := d.object(&placeSection, p, e.key, e.vals...)
	before := len(d.errs)
	pl := Place{
		Region: o.text("region"), Continent: o.text("continent"), Country: o.text("country"),
		Subdivision: o.text("subdivision"), City: o.text("city"),
	}
	if len(d.errs) == before {
		d.complete(&pl, o)
	}
	pl.ASN = uint32(o.integer("asn"))
	if k := o.get("at"); k != nil {
		pl.At = d.coordinates(k.val(), p.dot("at"))
	}
	return pl
}

func (d *decoder) coordinates(r document.Node, p *path) *[2]float64 {
	items := d.list(r, p)
	if items == nil {
		return nil
	}
	if len(items) != 2 {
		d.fail(r, p, "two numbers are expected: [latitude, longitude]")
		return nil
	}
	lat, okLat := d.number(items[0], p.at(0), -90, 90)
	long, okLong := d.number(items[1], p.at(1), -180, 180)
	if !okLat || !okLong {
		return nil
	}
	return &[2]float64{lat, long}
}

// loadLimits decodes the limits of load, those of the pool or an endpoint.
func (d *decoder) loadLimits(e *Endpoint, o *object) {
	soft, hard := o.get("soft_limit"), o.get("hard_limit")
	if hard != nil {
		var ok bool
		if e.HardLimit, ok = d.number(hard.val(), o.path.dot("hard_limit"), minLoad, maxLoad); !ok {
			return
		}
		if soft == nil && (e.SoftLimit == 0 || e.SoftLimit > e.HardLimit) {
			e.SoftLimit = e.HardLimit
		}
	}
	if soft == nil {
		return
	}
	p := o.path.dot("soft_limit")
	var ok bool
	e.SoftLimit, ok = d.number(soft.val(), p, minLoad, maxLoad)
	switch {
	case !ok:
	case e.HardLimit == 0:
		d.fail(soft.val(), p, "how far the load may go is not said: state hard_limit as well")
	case e.SoftLimit > e.HardLimit:
		d.fail(soft.val(), p, "%s is above the hard_limit of %s", plainNumber(e.SoftLimit), plainNumber(e.HardLimit))
	}
}

// statedEndpoint is an endpoint, and whether it is stated not to serve.
type statedEndpoint struct {
	Endpoint
	disabled bool
}

// endpoint decodes an endpoint that has what is common to those of its pool
// unless it states its own.
func (d *decoder) endpoint(r document.Node, p *path, common Endpoint) (statedEndpoint, bool) {
	before := len(d.errs)
	e := statedEndpoint{Endpoint: common}
	at, atPath := r, p
	if r.Kind() == document.Mapping {
		o := d.object(&endpointSection, p, r, r)
		e.Weight, e.Priority = uint32(o.integer("weight")), int(o.integer("priority"))
		e.Port = uint16(o.integer("port"))
		d.loadLimits(&e.Endpoint, o)
		e.disabled = !o.boolean("enabled")
		if k := o.get("place"); k != nil {
			own := d.placed(k, p.dot("place"))
			e.Place = &own
		}
		e.Tags = d.words(o.list("tags"), p.dot("tags"))
		if o.get("checks") != nil {
			e.Checks = d.uses(o.list("checks"), p.dot("checks"))
		}
		k := o.get("address")
		if k == nil {
			return e, false
		}
		at, atPath = k.val(), p.dot("address")
	}
	s, ok := d.text(at, atPath)
	if !ok {
		return e, false
	}
	var why string
	if e.Address, e.Host, why = address(s); why != "" {
		d.fail(at, atPath, "%s", why)
	}
	return e, len(d.errs) == before
}

// address reads an IP address that can serve, or a host name.
func address(s string) (netip.Addr, dnswire.Name, string) {
	a, err := netip.ParseAddr(s)
	if err != nil {
		if ap, err := netip.ParseAddrPort(s); err == nil {
			return a, "", fmt.Sprintf("%s has a port: write %s, and the port in the check; for SRV records write {address: %s, port: %d}", s, ap.Addr(), quoted(ap.Addr()), ap.Port())
		}
		if !strings.ContainsFunc(s, func(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }) || strings.Contains(s, ":") {
			return a, "", fmt.Sprintf("%q is neither an IP address nor a host name", s)
		}
		if !strings.Contains(strings.TrimSuffix(s, "."), ".") {
			return a, "", fmt.Sprintf("%q is neither an IP address nor a whole host name", s)
		}
		if why := badHost(s); why != "" {
			return a, "", fmt.Sprintf("%q is neither an IP address nor a host name: %s", s, why)
		}
		n, err := dnswire.ParseName(s)
		if err != nil {
			return a, "", err.Error()
		}
		return a, n, ""
	}
	switch {
	case a.Zone() != "":
		return a, "", fmt.Sprintf("%s has a zone identifier, which means nothing to a client: write %s", s, a.WithZone(""))
	case a.Is4In6():
		return a, "", fmt.Sprintf("%s is IPv4 written as IPv6: write %s", s, a.Unmap())
	case a.IsUnspecified():
		return a, "", fmt.Sprintf("%s is no address to connect to", s)
	case a.IsMulticast(), a == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return a, "", fmt.Sprintf("%s is a multicast or broadcast address", s)
	}
	return a, "", ""
}

// quoted is an address as a flow map holds it.
func quoted(a netip.Addr) string {
	if a.Is4() {
		return a.String()
	}
	return strconv.Quote(a.String())
}

// badHost is what is wrong with a host name, "" when nothing is.
func badHost(s string) string {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return "it is longer than 253 characters"
	}
	for label := range strings.SplitSeq(s, ".") {
		if why := badLabel(label); why != "" {
			return why
		}
	}
	return ""
}

// badLabel is what is wrong with one label of a name.
func badLabel(label string) string {
	switch {
	case label == "":
		return "it has an empty label"
	case len(label) > 63:
		return fmt.Sprintf("the label %q is longer than 63 characters", label)
	}
	for _, r := range label {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return fmt.Sprintf("%q is not a letter, digit, hyphen or underscore", r)
		}
	}
	return ""
}
