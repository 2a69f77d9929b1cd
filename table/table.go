package table

import (
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// Table is the compiled, immutable form of a spec. Sequences alone move.
type Table struct {
	Zones   []*Zone
	Plans   []*Plan
	Statics []*Statics
	Targets []health.Target
	ECS     bool   // client subnets are answered
	NSID    string // the identity given when asked for; empty: none

	names    names
	services int
	seqs     *sequences
	counters Counters
}

// Zone is one zone of a table.
type Zone struct {
	Name     dnswire.Name
	Text     string // Name with its final dot, for people and labels
	Parent   int    // index of the zone of ours that it lies in; -1 for none
	Services int    // how many it has

	// Negative is the SOA record with the TTL of negative answers (RFC 2308
	// section 3: the lower of the record's own and its minimum field).
	Negative RRSet
}

// Compile makes the table of a spec. Services that the previous table has as
// well go on with their sequences and counters; prev may be nil.
func Compile(prev *Table, s *spec.Spec) (*Table, error) {
	t := &Table{ECS: s.DNS.ECS, NSID: s.DNS.NSID}
	c := &compiler{t: t, planner: planner{
		table:   t,
		shared:  map[*spec.Policy]uint32{},
		targets: map[string]int32{},
		hosted:  map[*spec.Pool]bool{},
	}}
	n, octets := 0, 0
	for _, z := range s.Zones {
		n += len(z.Services) + len(z.Nameservers) + 1
		for i := range z.Services {
			octets += len(z.Services[i].Label) + 1 + len(z.Name)
		}
	}
	t.names.bytes = make([]byte, 0, octets)
	t.names.nodes = make([]Node, 0, n)
	t.names.resize(n)
	for _, z := range s.Zones {
		c.apex(z)
	}
	for i, z := range s.Zones {
		if err := c.zone(i, z); err != nil {
			return nil, err
		}
	}
	t.inherit(prev)
	return t, nil
}

type compiler struct {
	t       *Table
	planner planner
	name    []byte
}

// apex makes a zone and the node of its name. All zones' come first, so that no
// name is put in a zone above the one it belongs to.
func (c *compiler) apex(z *spec.Zone) {
	t := c.t
	zone := &Zone{
		Name: z.Name, Text: z.Name.String(), Parent: -1, Services: len(z.Services),
		Negative: soaSet(z, min(z.SOA.TTL, z.SOA.Minimum)),
	}
	i := uint32(len(t.Zones))
	n, _ := t.names.add([]byte(z.Name))
	t.names.nodes[n].Zone = i
	t.Zones = append(t.Zones, zone)
	c.static(n, glueSet(z), soaSet(z, z.SOA.TTL), nsSet(z))
}

func (c *compiler) static(node int, glue RRSet, sets ...RRSet) {
	c.t.names.nodes[node].Static = uint32(len(c.t.Statics))
	c.t.Statics = append(c.t.Statics, &Statics{Sets: sets, Glue: glue})
}

func (c *compiler) zone(i int, z *spec.Zone) error {
	t := c.t
	if z.Name != dnswire.Root {
		// A zone of ours around this one has its name as a cut, and the names on
		// the way to it exist there.
		for up := z.Name.Parent(); ; up = up.Parent() {
			if n := t.names.find([]byte(up)); n >= 0 {
				t.Zones[i].Parent = int(t.names.nodes[n].Zone)
				c.between(z.Name, int(t.names.nodes[n].Zone))
				break
			}
			if up == dnswire.Root {
				break
			}
		}
	}
	for _, ns := range z.Nameservers {
		if len(ns.Addrs) > 0 {
			n := c.add(i, ns.Name)
			sets := addressSets(ns.Addrs, z.SOA.TTL)
			if at := t.names.nodes[n].Static; at != NoStatic {
				// The zone's own name serves it.
				t.Statics[at].Sets = append(t.Statics[at].Sets, sets...)
			} else {
				c.static(n, RRSet{}, sets...)
			}
		}
	}
	for k := range z.Services {
		svc := &z.Services[k]
		n := c.service(i, z, svc.Label)
		plan, err := c.planner.plan(svc.Policy, func() string {
			return strings.TrimSuffix(t.Name(&t.names.nodes[n]).String(), ".")
		})
		if err != nil {
			return err
		}
		t.names.nodes[n].Plan = plan
	}
	t.services += len(z.Services)
	return nil
}

// service adds the node of a service by its label, which validation has found
// to be made of letters, digits, hyphens, underscores and dots.
func (c *compiler) service(zone int, z *spec.Zone, label string) int {
	if label == "@" {
		return c.t.names.find([]byte(z.Name))
	}
	c.name = c.name[:0]
	dotted := false
	for rest := label; rest != ""; {
		var first string
		first, rest, _ = strings.Cut(rest, ".")
		dotted = dotted || rest != ""
		c.name = append(c.name, byte(len(first)))
		c.name = append(c.name, first...)
	}
	c.name = append(c.name, z.Name...)
	if dotted || label[0] == '*' {
		return c.add(zone, dnswire.Name(c.name))
	}
	n, _ := c.t.names.add(c.name)
	c.t.names.nodes[n].Zone = uint32(zone)
	return n
}

// add adds the node of a name in a zone, and of the names between them.
func (c *compiler) add(zone int, name dnswire.Name) int {
	t := c.t
	n, made := t.names.add([]byte(name))
	if !made {
		return n
	}
	t.names.nodes[n].Zone = uint32(zone)
	c.between(name, zone)
	return n
}

// between adds the nodes of the names between a name and its zone's, and notes
// where a wildcard stands. A wildcard counts as one even when it exists only
// because of names below it (RFC 4592 section 4.1).
func (c *compiler) between(name dnswire.Name, zone int) {
	t := c.t
	for apex := t.Zones[zone].Name; name != apex; name = name.Parent() {
		up := name.Parent()
		n, made := t.names.add([]byte(up))
		if made {
			t.names.nodes[n].Zone = uint32(zone)
		}
		if name.First() == "*" {
			t.names.nodes[n].flags |= wildcardBelow
		}
		if !made {
			return
		}
	}
}

// Name is the name of a node.
func (t *Table) Name(n *Node) dnswire.Name { return dnswire.Name(t.names.text(n)) }

// Text is the lower-case wire form of a node's name.
func (t *Table) Text(n *Node) []byte { return t.names.text(n) }

// Services is the number of services.
func (t *Table) Services() int { return t.services }

// Lookup is the node of a lower-cased wire name, or nil.
func (t *Table) Lookup(name []byte) *Node {
	if i := t.names.find(name); i >= 0 {
		return &t.names.nodes[i]
	}
	return nil
}

// Find is where a name is answered (RFC 1034 section 4.3.2, RFC 4592 section
// 3.3.1): its own node, or that of the wildcard that covers it, or nil when it
// does not exist. Zone is -1 when it is in none of ours. The name is in
// lower-case wire form; buf is working memory.
func (t *Table) Find(name []byte, buf *[256]byte) (n *Node, zone int) {
	if n := t.Lookup(name); n != nil {
		return n, int(n.Zone)
	}
	for rest := name; len(rest) > 1; {
		rest = rest[1+rest[0]:]
		n := t.Lookup(rest)
		if n == nil {
			continue
		}
		if n.WildcardBelow() {
			buf[0], buf[1] = 1, '*'
			w := t.Lookup(buf[:2+copy(buf[2:], rest)])
			return w, int(n.Zone)
		}
		return nil, int(n.Zone)
	}
	return nil, -1
}

// EachService calls f for every service until it returns false, in no order.
func (t *Table) EachService(f func(n *Node, p *Plan) bool) {
	for i := range t.names.nodes {
		if n := &t.names.nodes[i]; n.Plan != NoPlan && !f(n, t.Plans[n.Plan]) {
			return
		}
	}
}

// Locate is the targets of an endpoint of a service, by address or host name:
// one for each set of checks that the service's pools have it judged by.
func (t *Table) Locate(service dnswire.Name, endpoint string) (targets []int) {
	n := t.Lookup([]byte(service))
	if n == nil || n.Plan == NoPlan {
		return nil
	}
	p := t.Plans[n.Plan]
	for _, ms := range []*[families]Members{&p.Members, &p.Spare} {
		for f := range ms {
			for i, e := range ms[f].Endpoints {
				if at := int(ms[f].Targets[i]); e.String() == endpoint && !slices.Contains(targets, at) {
					targets = append(targets, at)
				}
			}
		}
	}
	return targets
}
