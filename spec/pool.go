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
	for _, e := range entries {
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
	if k := o.get("place"); k != nil {
		pool.Place = d.place(k, p.dot("place"))
	}
	checks := lookup(d, "check", d.checks, o.list("checks"), p.dot("checks"))
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
		end, ok := d.endpoint(it, ep.at(i), checks)
		if !ok {
			continue
		}
		if at, twice := first[end.String()]; twice {
			d.fail(it, ep.at(i), "%s is stated twice; first at %s", end.String(), where(at))
			continue
		}
		first[end.String()] = it
		pool.Endpoints = append(pool.Endpoints, end)
	}
	if m := o.get("min_healthy"); m != nil && len(items) > 0 && pool.MinHealthy > len(items) {
		d.fail(m.val(), p.dot("min_healthy"), "%d is more than the pool has endpoints: %d", pool.MinHealthy, len(items))
	}
	return pool
}

func pos(r document.Node) Pos {
	return Pos{File: r.File(), Line: r.Line(), Col: r.Col()}
}

func (d *decoder) place(e *entry, p *path) Place {
	o := d.object(&placeSection, p, e.key, e.vals...)
	pl := Place{
		Region: o.text("region"), Continent: o.word("continent"), Country: o.text("country"),
		Subdivision: o.text("subdivision"), City: o.text("city"), ASN: uint32(o.integer("asn")),
	}
	if c := pl.Country; c != "" && (len(c) != 2 || !capital(c[0]) || !capital(c[1])) {
		d.fail(o.get("country").val(), p.dot("country"), "two capital letters such as IE are expected, not %q", c)
	}
	if k := o.get("at"); k != nil {
		pl.At = d.coordinates(k.val(), p.dot("at"))
	}
	return pl
}

func capital(c byte) bool { return c >= 'A' && c <= 'Z' }

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

func (d *decoder) endpoint(r document.Node, p *path, checks []*Check) (Endpoint, bool) {
	before := len(d.errs)
	e := Endpoint{Weight: 100, Checks: checks, Pos: pos(r)}
	at, atPath := r, p
	if r.Kind() == document.Mapping {
		o := d.object(&endpointSection, p, r, r)
		e.Weight, e.Priority = uint32(o.integer("weight")), int(o.integer("priority"))
		e.Port = uint16(o.integer("port"))
		e.Tags = d.words(o.list("tags"), p.dot("tags"))
		if o.get("checks") != nil {
			e.Checks = lookup(d, "check", d.checks, o.list("checks"), p.dot("checks"))
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
