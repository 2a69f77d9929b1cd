package table

import (
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// Table is the compiled, immutable form of a spec. Sequences alone move.
type Table struct {
	*zone.Tree // the index of all names

	Zones   []*Zone
	Waiting int // how many of the zones wait
	Plans   []*Plan
	Targets []health.Target
	Courses []conduct.Course
	Hosts   []dnswire.Name // host names whose addresses are answered
	// Schedules are the windows of time that filters ask for, each once.
	Schedules []*spec.Window
	ECS       bool // client subnets are answered
	// ECSTrusted are the resolvers whose client subnets count; empty: all.
	ECSTrusted []netip.Prefix
	NSID       string // the identity given when asked for; empty: none

	CookieSecrets [][16]byte // of DNS cookies: the first makes them, all verify; empty: the server's own
	RequireCookie bool       // UDP clients with a cookie that does not hold get BADCOOKIE
	Chaos         spec.Chaos
	ReportChannel dnswire.Name // where resolvers report errors to; no name: nowhere

	serial   uint64
	services int
	seqs     *sequences
	counters Counters
	stated   stated
	doubts   []doubt
	anew     bool
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
	// Waits is that a source has not handed over the zone's records yet: of names
	// that are no services nobody knows whether they exist.
	Waits bool
}

// serials are the numbers of tables so far.
var serials atomic.Uint64

// Serial is the number of the table, which no other one of this process has but
// for those that differ in the records of fed zones alone: indexes mean the same in
// all of them. It tells tables apart for who must not keep an old one alive.
func (t *Table) Serial() uint64 { return t.serial }

// Name is the name of a node.
func (t *Table) Name(n *Node) dnswire.Name { return dnswire.Name(t.Text(n)) }

// Anew is whether no part of the index is that of the table before.
func (t *Table) Anew() bool { return t.anew }

// Services is the number of services.
func (t *Table) Services() int { return t.services }

// EachService calls f for every service until it returns false, in no order.
func (t *Table) EachService(f func(n *Node, p *Plan) bool) {
	t.Each(func(n *Node) bool { return n.Plan == NoPlan || f(n, t.Plans[n.Plan]) })
}

// Locate is the targets of an endpoint of a service, by address or host name:
// one for each set of checks that the service's pools have it judged by. The
// endpoints of a nested service are those of that one alone.
func (t *Table) Locate(service dnswire.Name, endpoint string) (targets []int) {
	n := t.Lookup([]byte(service))
	if n == nil || n.Plan == NoPlan {
		return nil
	}
	p := t.Plans[n.Plan]
	for _, ms := range []*[families]Members{&p.Members, &p.Spare} {
		for f := range ms {
			for i, e := range ms[f].Endpoints {
				if n := p.Nests(int(ms[f].Candidates[i].Pool)); n != nil && n.Service != "" {
					continue
				}
				if at := int(ms[f].Targets[i]); e.String() == endpoint && !slices.Contains(targets, at) {
					targets = append(targets, at)
				}
			}
		}
	}
	return targets
}
