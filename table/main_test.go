package table

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

func parse(t testing.TB, text string) *spec.Spec {
	t.Helper()
	s, err := spec.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func compile(t testing.TB, prev *Table, text string) *Table {
	t.Helper()
	tab, err := Compile(prev, parse(t, text))
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func name(t testing.TB, s string) dnswire.Name {
	t.Helper()
	n, err := dnswire.ParseName(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (t *Table) lookup(tb testing.TB, s string) *Node {
	tb.Helper()
	return t.Lookup([]byte(name(tb, s)))
}

// plan is the plan of a service.
func (t *Table) plan(tb testing.TB, service string) *Plan {
	tb.Helper()
	n := t.lookup(tb, service)
	if n == nil || n.Plan == NoPlan {
		tb.Fatalf("%s is no service", service)
	}
	return t.Plans[n.Plan]
}

// bare is a spec of zones by hand, so that it can have what the configuration
// refuses as well.
func bare(zones ...*spec.Zone) *spec.Spec {
	labels := func(z *spec.Zone) []string {
		l := strings.Split(strings.TrimSuffix(z.Name.String(), "."), ".")
		slices.Reverse(l)
		return l
	}
	slices.SortFunc(zones, func(a, b *spec.Zone) int { return slices.Compare(labels(a), labels(b)) })
	return &spec.Spec{Zones: zones}
}

func bareZone(n dnswire.Name, ns ...spec.Nameserver) *spec.Zone {
	return &spec.Zone{
		Name: n, Nameservers: ns,
		SOA: spec.SOA{Mbox: "\x0ahostmaster" + n, Serial: 7, Refresh: 3600, Retry: 600, Expire: 604800, Minimum: 30, TTL: 3600},
	}
}

// onePool is a policy of a single address.
var onePool = &spec.Policy{
	Pools:   []*spec.Pool{{Name: "p", MinHealthy: 1, Endpoints: []spec.Endpoint{{Address: netip.MustParseAddr("192.0.2.1"), Weight: 1}}}},
	Steer:   []spec.Step{{Filter: "rotate"}},
	Answers: 1,
}
