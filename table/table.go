package table

import (
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// Table is the compiled, immutable form of a spec. Sequences alone move.
type Table struct {
	*zone.Tree // the index of all names

	Zones   []*Zone
	Plans   []*Plan
	Targets []health.Target
	Hosts   []dnswire.Name // host names whose addresses are answered
	ECS     bool           // client subnets are answered
	NSID    string         // the identity given when asked for; empty: none

	CookieSecrets [][16]byte // of DNS cookies: the first makes them, all verify; empty: the server's own
	RequireCookie bool       // UDP clients with a cookie that does not hold get BADCOOKIE
	Chaos         spec.Chaos
	ReportChannel dnswire.Name // where resolvers report errors to; no name: nowhere

	services int
	seqs     *sequences
	counters Counters
}

// Node is what the table knows of one name. Its Plan is an index in
// Table.Plans, its Seq the first of the service's two sequences when the plan
// rotates, and its Counter the first of the service's counters.
type Node = zone.Node

// NoPlan is the plan of a name that is no service.
const NoPlan = zone.NoPlan

// Zone is one zone of a table.
type Zone struct {
	Name     dnswire.Name
	Text     string // Name with its final dot, for people and labels
	Labels   uint8  // of Name, the root not counted
	Services int    // how many it has
}

// Compile makes the table of a spec. Services that the previous table has as
// well go on with their sequences and counters; prev may be nil.
func Compile(prev *Table, s *spec.Spec) (*Table, error) {
	t := &Table{
		ECS: s.DNS.ECS, NSID: s.DNS.NSID,
		CookieSecrets: s.DNS.CookieSecrets, RequireCookie: s.DNS.RequireCookie,
		Chaos:         s.DNS.Chaos,
		ReportChannel: s.DNS.ReportChannel,
	}
	c := &compiler{t: t, planner: planner{
		table:   t,
		shared:  map[*spec.Policy]uint32{},
		targets: map[string]int32{},
		hosts:   map[dnswire.Name]int32{},
		hosted:  map[*spec.Pool]bool{},
	}}
	data := make([]*zone.Data, len(s.Zones))
	n, octets := 0, 0
	for i, z := range s.Zones {
		data[i] = z.Data
		t.Zones = append(t.Zones, &Zone{
			Name: z.Name, Text: z.Name.String(), Labels: uint8(z.Name.Labels()), Services: z.Services.Len(),
		})
		n += z.Services.Len()
		for svc := range z.Services.All() {
			octets += len(svc.Label) + 2 + len(z.Name)
		}
	}
	t.Tree = zone.NewTree(data, n)
	t.Grow(octets)
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

func (c *compiler) zone(i int, z *spec.Zone) error {
	t := c.t
	for svc := range z.Services.All() {
		n := t.Add(c.wire(z, svc.Label), i)
		plan, err := c.planner.plan(svc.Policy, func() string {
			return strings.TrimSuffix(t.Name(n).String(), ".")
		})
		if err != nil {
			return err
		}
		n.Plan = plan
	}
	t.services += z.Services.Len()
	return nil
}

// wire is the name of a service in wire form, from its label, which validation
// has found to be made of letters, digits, hyphens, underscores and dots.
func (c *compiler) wire(z *spec.Zone, label string) []byte {
	c.name = c.name[:0]
	for rest := label; rest != "" && label != "@"; {
		var first string
		first, rest, _ = strings.Cut(rest, ".")
		c.name = append(c.name, byte(len(first)))
		c.name = append(c.name, first...)
	}
	c.name = append(c.name, z.Name...)
	return c.name
}

// Name is the name of a node.
func (t *Table) Name(n *Node) dnswire.Name { return dnswire.Name(t.Text(n)) }

// Services is the number of services.
func (t *Table) Services() int { return t.services }

// EachService calls f for every service until it returns false, in no order.
func (t *Table) EachService(f func(n *Node, p *Plan) bool) {
	nodes := t.Nodes()
	for i := range nodes {
		if n := &nodes[i]; n.Plan != NoPlan && !f(n, t.Plans[n.Plan]) {
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
