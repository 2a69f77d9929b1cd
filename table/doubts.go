package table

import (
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// doubt is what is allowed and probably not meant, and shows only when all names
// are together. The reading of a configuration finds most of it; of zone files
// that it reads by parts, and of stretches of services, it is found here.
type doubt struct {
	warning spec.Error
	zone    int
	about   dnswire.Name // the service, or the name server
	above   dnswire.Name // the wildcard above the service, or the name that is served
	server  bool
}

// maxDoubts is how many are worth finding.
const maxDoubts = 100

func (c *compiler) doubtful(d doubt) bool {
	c.t.doubts = append(c.t.doubts, d)
	return len(c.t.doubts) < maxDoubts
}

// shadows finds services, which are not in the table yet, that stand below a
// wildcard: its records no longer answer for their names.
func (c *compiler) shadows(at int, services spec.Services) {
	if !c.t.Wildcards(at) {
		return
	}
	for svc := range services.All() {
		if !c.shadow(at, &svc) {
			return
		}
	}
}

// shadow is shadows for one service. It is false when enough is found.
func (c *compiler) shadow(at int, svc *spec.Service) bool {
	t, z := c.t, c.spec.Zones[at]
	name := c.wire(z, svc.Label)
	m := t.Find(name, dnswire.TypeA)
	if m.Kind != zone.Wildcard || m.Zone != at || !m.Static() {
		return len(t.doubts) < maxDoubts
	}
	over := t.Name(m.Node)
	return c.doubtful(doubt{
		warning: c.spec.Fault(z, svc, "the records of %s no longer answer for this name", bareName(over)),
		zone:    at, about: dnswire.Name(name), above: over,
	})
}

// doubts finds what servers lack, and zones that the one above says nothing of.
// With the table before it looks at what has changed: name servers whose address
// goes away while they stay are found by a table made anew, as `rhumb check` does.
func (c *compiler) doubts(prev *Table) {
	t := c.t
	if prev != nil {
		for _, d := range prev.doubts {
			if c.holds(&d) {
				t.doubts = append(t.doubts, d)
			}
		}
	}
	for i, z := range c.spec.Zones {
		c.undelegated(i)
		if !z.Records().Joined() {
			continue
		}
		var before *zone.Data
		if prev != nil {
			before = prev.Data(i)
		}
		z.Records().Servers(before, func(top, name []byte) bool {
			why := c.lacks(i, name)
			if why == "" {
				return true
			}
			owner, server := dnswire.Name(top), dnswire.Name(name)
			if slices.ContainsFunc(t.doubts, func(o doubt) bool { return o.server && o.about == server && o.above == owner }) {
				return true
			}
			return c.doubtful(doubt{
				warning: c.spec.FaultOf(z, "the name server %s of %s %s", bareName(server), bareName(owner), why),
				zone:    i, about: server, above: owner, server: true,
			})
		})
	}
	var all spec.Errors
	for i := range t.doubts {
		all = append(all, t.doubts[i].warning)
	}
	c.spec.Doubt(all)
}

// lacks is what a name server of a zone lacks, empty when nothing.
func (c *compiler) lacks(zone int, server []byte) string {
	m, ok := c.t.Glue(server, zone)
	if ok && m.Node != nil && m.Node.Plan != NoPlan {
		return ""
	}
	has := func(t dnswire.Type) bool {
		_, found := m.Set(t)
		return ok && found
	}
	switch {
	case ok && has(dnswire.TypeCNAME):
		return "is an alias: resolvers do not follow it (RFC 2181 section 10.3)"
	case !ok || !has(dnswire.TypeA) && !has(dnswire.TypeAAAA):
		return "has no address here, and nobody else can know it"
	}
	return ""
}

// holds is whether a doubt of the table before is one of this one.
func (c *compiler) holds(d *doubt) bool {
	t := c.t
	static := func(name dnswire.Name) (*Node, bool) {
		n := t.Lookup([]byte(name))
		if n == nil {
			return nil, false
		}
		m := t.Match(n)
		return n, m.Static()
	}
	_, above := static(d.above)
	if d.server {
		return above && c.lacks(d.zone, []byte(d.about)) != ""
	}
	n, _ := static(d.about)
	return above && n != nil && n.Plan != NoPlan
}

// undelegated finds that the file of the zone above says nothing of a zone:
// whoever asks there, as a resolver does for DS, is told that it does not exist.
func (c *compiler) undelegated(at int) {
	t, z := c.t, c.spec.Zones[at]
	up := t.Parent(at)
	if up < 0 || len(c.spec.Zones[up].Nameservers) > 0 || !c.spec.Zones[up].Records().Joined() {
		return
	}
	m := t.Find([]byte(z.Name), dnswire.TypeDS)
	if _, cut := m.Set(dnswire.TypeNS); m.Kind == zone.Delegation || m.Kind == zone.Exact && cut {
		return
	}
	c.spec.Doubt(spec.Errors{c.spec.FaultOf(z, "the file of %s does not delegate this zone: resolvers that ask there are told that it does not exist", bareName(c.spec.Zones[up].Name))})
}

func bareName(n dnswire.Name) string {
	if n.IsRoot() {
		return "."
	}
	return strings.TrimSuffix(n.String(), ".")
}
