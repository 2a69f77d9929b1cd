package table

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
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

// static are the records of a zone by hand: SOA and NS, and the addresses of
// its name servers.
func static(t testing.TB, z *spec.Zone) *zone.Data {
	t.Helper()
	b := zone.NewBuilder(z.Name)
	b.Implies()
	add := func(owner dnswire.Name, typ dnswire.Type, data string) {
		t.Helper()
		if err := b.Add(&text.Record{Owner: owner, Type: typ, TTL: 3600, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
	}
	add(z.Name, dnswire.TypeSOA, string(z.Nameservers[0].Name)+"\x0ahostmaster"+string(z.Name)+strings.Repeat("\x00", 20))
	for _, ns := range z.Nameservers {
		add(z.Name, dnswire.TypeNS, string(ns.Name))
		for _, a := range ns.Addrs {
			add(ns.Name, dnswire.TypeA, string(a.AsSlice()))
		}
	}
	d, faults, _ := b.Build()
	if len(faults) > 0 {
		t.Fatal(faults)
	}
	return d
}

// onePool is a policy of a single address.
var onePool = &spec.Policy{
	Pools:   []*spec.Pool{{Name: "p", MinHealthy: 1, Endpoints: []spec.Endpoint{{Address: netip.MustParseAddr("192.0.2.1"), Weight: 1}}}},
	Steer:   []spec.Step{{Filter: "rotate"}},
	Answers: 1,
}
