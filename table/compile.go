package table

import (
	"errors"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// stated is what a table keeps of its spec, to find what the next one changes.
type stated struct {
	zones []*spec.Zone
	// numbers are the plans by Policy.Key. Those of services with a plan of their
	// own have none.
	numbers map[string]uint32
	own     bool // there are such services
	// seqs and counters are how many of them the services need.
	seqs, counters uint32
}

// Compile makes the table of a spec. Services that the previous table has as
// well go on with their sequences and counters; prev may be nil. Where the two
// specs share what they state, the tables share what is made of it, and the rest
// is all that the new one costs. What is doubtful about all names together goes to
// the warnings of the spec. The error is a spec.Errors, or a Scattered.
func Compile(prev *Table, s *spec.Spec) (*Table, error) {
	if prev != nil {
		t, err := change(prev, s)
		if !errors.Is(err, zone.ErrWhole) {
			return t, err
		}
	}
	c := begin(s)
	t := c.t
	data := make([]*zone.Data, len(s.Zones))
	n := 0
	for i, z := range s.Zones {
		data[i] = z.Records()
		n += z.Services.Len()
	}
	t.Tree, t.anew = zone.NewTree(data, n), true
	if err := scattered(t.Tree); err != nil {
		return nil, err
	}
	for i, z := range s.Zones {
		c.shadows(i, z.Services)
		for svc := range z.Services.All() {
			if err := c.add(i, &svc); err != nil {
				return nil, err
			}
		}
	}
	if err := c.faults(); err != nil {
		return nil, err
	}
	c.doubts(nil)
	t.inherit(prev)
	return t, nil
}

// Scattered is the error of a zone with records of one name in two parts of its
// file: it is to be read as a whole.
type Scattered struct{ Zone dnswire.Name }

func (e *Scattered) Error() string {
	return "table: the file of the zone " + e.Zone.String() + " has records of one name in several places: read it as a whole"
}

func scattered(t *zone.Tree) error {
	if twice := t.Twice(); len(twice) > 0 {
		return &Scattered{t.Data(twice[0].Zone).Name}
	}
	return nil
}

type compiler struct {
	spec    *spec.Spec
	t       *Table
	planner planner
	name    []byte
	errs    spec.Errors
}

// begin makes a table without names and plans.
func begin(s *spec.Spec) *compiler {
	t := &Table{
		serial: serials.Add(1),
		ECS:    s.DNS.ECS, ECSTrusted: s.DNS.ECSTrusted, NSID: s.DNS.NSID,
		CookieSecrets: s.DNS.CookieSecrets, RequireCookie: s.DNS.RequireCookie,
		Chaos:         s.DNS.Chaos,
		ReportChannel: s.DNS.ReportChannel,
		stated:        stated{zones: s.Zones, numbers: map[string]uint32{}},
	}
	for _, z := range s.Zones {
		n := z.Services.Len()
		t.services += n
		t.Zones = append(t.Zones, &Zone{Name: z.Name, Text: z.Name.String(), Labels: uint8(z.Name.Labels()), Services: n, Waits: z.Waits()})
		if z.Waits() {
			t.Waiting++
		}
	}
	return &compiler{spec: s, t: t, planner: planner{
		table:   t,
		known:   map[*spec.Policy]uint32{},
		targets: map[string]int32{},
		hosts:   map[dnswire.Name]int32{},
		hosted:  map[*spec.Pool]bool{},
		inner:   map[innerKey]*Plan{},
	}}
}

// add adds a service. What speaks against it goes to the faults.
func (c *compiler) add(at int, svc *spec.Service) error {
	t, z := c.t, c.spec.Zones[at]
	name := c.wire(z, svc.Label)
	if below, ok := t.Below(name, at); ok {
		c.fault(z, svc, "belongs to the zone %s: state it there", strings.TrimSuffix(t.Zones[below].Text, "."))
		return nil
	}
	n := t.Add(name, at)
	if n.Plan != NoPlan {
		c.twice(at, svc)
		return nil
	}
	plan, err := c.planner.plan(svc.Policy, func() string { return strings.TrimSuffix(dnswire.Name(name).String(), ".") })
	if err != nil {
		return err
	}
	n.Plan = plan
	c.beside(at, svc, n)
	return nil
}

// beside finds the static records that a service cannot stand beside.
func (c *compiler) beside(at int, svc *spec.Service, n *Node) {
	if why := c.t.clash(n, svc.Policy); why != "" {
		c.fault(c.spec.Zones[at], svc, "%s", why)
	}
}

// twice is the fault of a service whose name another one has: of the second of
// the two.
func (c *compiler) twice(at int, svc *spec.Service) {
	z := c.spec.Zones[at]
	first, found := spec.Service{}, false
	for s := range z.Services.All() {
		switch {
		case s.Label != svc.Label:
		case found:
			c.fault(z, &s, "stated twice; first at %s", c.spec.Where(&first))
			return
		default:
			first, found = s, true
		}
	}
}

// maxFaults is how many faults are worth finding.
const maxFaults = 100

func (c *compiler) fault(z *spec.Zone, svc *spec.Service, format string, args ...any) {
	if len(c.errs) < maxFaults {
		c.errs = append(c.errs, c.spec.Fault(z, svc, format, args...))
	}
}

func (c *compiler) faults() error {
	if len(c.errs) == 0 {
		return nil
	}
	c.errs.Sort()
	return c.errs
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
