package table

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// world is the slow and obvious form of zones: every name with what it has.
type world struct {
	zones    []dnswire.Name // in the order of the table
	owner    map[dnswire.Name]dnswire.Name
	services map[dnswire.Name]bool
	statics  map[dnswire.Name]bool
}

// zoneOf is the zone that a name belongs to: the longest that it lies in.
func (w *world) zoneOf(n dnswire.Name) (best dnswire.Name) {
	for _, z := range w.zones {
		if n.Within(z) && len(z) > len(best) {
			best = z
		}
	}
	return best
}

// exists is whether a name exists in a zone, itself or because of names below
// it (RFC 4592 section 2.2.2). The zone below a zone exists in it as well.
func (w *world) exists(n, zone dnswire.Name) bool {
	if n == zone {
		return true
	}
	for o, z := range w.owner {
		below := z == zone || o == z && z != zone && z.Within(zone) // an apex is a name of the zone above
		if below && o.Within(n) && w.zoneOf(n) == zone {
			return true
		}
	}
	return false
}

// find is RFC 1034 section 4.3.2 with RFC 4592 section 3.3.1.
func (w *world) find(n dnswire.Name) (found, zone dnswire.Name) {
	zone = w.zoneOf(n)
	if zone == "" {
		return "", ""
	}
	if w.exists(n, zone) {
		return n, zone
	}
	encloser := n.Parent()
	for !w.exists(encloser, zone) {
		encloser = encloser.Parent()
	}
	if wild := "\x01*" + encloser; w.exists(wild, zone) {
		return wild, zone
	}
	return "", zone
}

// randomWorld makes zones over few labels, so that they nest and their names
// meet.
func randomWorld(t *testing.T, r *rand.Rand) (*world, *spec.Spec) {
	t.Helper()
	label := func() string { return []string{"a", "b", "c", "www", "*"}[r.IntN(5)] }
	below := func(zone dnswire.Name, depth int) (dnswire.Name, string) {
		labels := make([]string, depth)
		for i := range labels {
			labels[i] = label()
		}
		text := strings.Join(labels, ".")
		return name(t, text+"."+zone.String()), text
	}
	w := &world{owner: map[dnswire.Name]dnswire.Name{}, services: map[dnswire.Name]bool{}, statics: map[dnswire.Name]bool{}}
	for range 1 + r.IntN(4) {
		base := name(t, []string{"test", "x.test", "example"}[r.IntN(3)])
		if len(w.zones) > 0 && r.IntN(3) > 0 {
			base = w.zones[r.IntN(len(w.zones))]
		}
		z := base
		for range r.IntN(4) {
			n, err := z.Prepend([]string{"a", "b", "c"}[r.IntN(3)])
			if err != nil {
				t.Fatal(err)
			}
			z = n
		}
		if _, twice := w.owner[z]; !twice {
			w.owner[z] = z
			w.statics[z] = true
			w.zones = append(w.zones, z)
		}
	}
	var zones []*spec.Zone
	for _, z := range w.zones {
		zone := &spec.Zone{Name: z}
		for i := range 1 + r.IntN(2) {
			n := name(t, fmt.Sprintf("ns%d.%s", i, z))
			if r.IntN(2) == 0 {
				n, _ = below(z, 1+r.IntN(3))
			}
			if _, taken := w.owner[n]; taken || w.zoneOf(n) != z {
				continue
			}
			w.owner[n], w.statics[n] = z, true
			zone.Nameservers = append(zone.Nameservers, spec.Nameserver{Name: n, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.53")}})
		}
		if len(zone.Nameservers) == 0 {
			zone.Nameservers = []spec.Nameserver{{Name: name(t, "ns.elsewhere.")}}
		}
		var services []spec.Service
		if r.IntN(2) == 0 {
			w.services[z] = true
			services = append(services, spec.Service{Label: "@", Policy: onePool})
		}
		for range r.IntN(8) {
			n, text := below(z, 1+r.IntN(4))
			if _, taken := w.owner[n]; taken || w.zoneOf(n) != z {
				continue
			}
			w.owner[n], w.services[n] = z, true
			services = append(services, spec.Service{Label: text, Policy: onePool})
		}
		zone.Services = spec.StateServices(services)
		zone.Data = static(t, zone)
		zones = append(zones, zone)
	}
	s := bare(zones...)
	for i, z := range s.Zones {
		w.zones[i] = z.Name
	}
	return w, s
}

func TestFindAgainstOracle(t *testing.T) {
	seen := map[string]int{}
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 3))
		w, s := randomWorld(t, r)
		tab, err := Compile(nil, s)
		if err != nil {
			t.Fatal(err)
		}
		var asked []dnswire.Name
		for range 150 {
			labels := make([]string, r.IntN(6))
			for i := range labels {
				labels[i] = []string{"a", "b", "c", "www", "*", "ns0", "none"}[r.IntN(7)]
			}
			asked = append(asked, name(t, strings.Join(append(labels, []string{"test.", "x.test.", "example.", "other.", w.zones[0].String()}[r.IntN(5)]), ".")))
		}
		for n := range w.owner {
			for ; n != ""; n = n.Parent() {
				asked = append(asked, n)
			}
		}
		asked = append(asked, dnswire.Root)
		for _, n := range asked {
			m := tab.Find([]byte(n), dnswire.TypeA)
			node, at := m.Node, m.Zone
			wantName, wantZone := w.find(n)
			found, zone := dnswire.Name(""), dnswire.Name("")
			if node != nil {
				found = tab.Name(node)
				if node.Zone() != at {
					t.Fatalf("seed %d: %s: node of zone %d, found in %d", seed, n, node.Zone(), at)
				}
			}
			if at >= 0 {
				zone = tab.Zones[at].Name
			}
			if found != wantName || zone != wantZone {
				t.Fatalf("seed %d: %s: found %s in %s, want %s in %s\n%v", seed, n, found, zone, wantName, wantZone, w.owner)
			}
			what := "no zone"
			if zone != "" {
				what = "not there"
			}
			if node != nil {
				service, static := node.Plan != NoPlan, m.Static()
				if service != w.services[found] || static != w.statics[found] || node.Empty() != (!service && !static) {
					t.Fatalf("seed %d: %s: service %t, static %t", seed, found, service, static)
				}
				what = "there"
				if found != n {
					what = "by wildcard"
				}
				if node.Empty() {
					what += ", empty"
				}
			}
			seen[what]++
		}
		for i, z := range tab.Zones {
			parent := dnswire.Name("")
			if up := tab.Parent(i); up >= 0 {
				parent = tab.Zones[up].Name
			}
			if want := w.zoneOf(w.zones[i].Parent()); parent != want {
				t.Fatalf("seed %d: parent of %s is %s, want %s", seed, z.Text, parent, want)
			}
		}
	}
	for _, what := range []string{"no zone", "not there", "there", "there, empty", "by wildcard", "by wildcard, empty"} {
		if seen[what] < 50 {
			t.Errorf("only %d names were %s: %v", seen[what], what, seen)
		}
	}
}

// TestFindCases has the examples of RFC 4592 section 2.2.1, and a zone of ours
// within another.
func TestFindCases(t *testing.T) {
	const text = `
pools: {p: {endpoints: [192.0.2.1]}}
zones:
  example:
    nameservers: {ns.example.com.: []}
    services:
      "*": {pools: [p]}
      host1: {pools: [p]}
      _telnet._tcp.host1: {pools: [p]}
      "*.wild": {pools: [p]}
      deep.er.down: {pools: [p]}
  sub.zone.example:
    nameservers: {ns1: 192.0.2.53}
    services: {www: {pools: [p]}}
`
	tab := compile(t, nil, text)
	for _, c := range []struct{ name, found, zone string }{
		{"example.", "example.", "example."},
		{"host3.example.", "*.example.", "example."},
		{"foo.bar.example.", "*.example.", "example."},
		{"host1.example.", "host1.example.", "example."},
		{"nope.host1.example.", "", "example."},
		{"_tcp.host1.example.", "_tcp.host1.example.", "example."},
		{"_telnet._tcp.host1.example.", "_telnet._tcp.host1.example.", "example."},
		{"_ssh._tcp.host1.example.", "", "example."},
		{"*.example.", "*.example.", "example."},
		{"a.*.example.", "", "example."},
		{"wild.example.", "wild.example.", "example."},
		{"x.y.wild.example.", "*.wild.example.", "example."},
		{"down.example.", "down.example.", "example."},
		{"er.down.example.", "er.down.example.", "example."},
		{"x.down.example.", "", "example."},
		{"x.er.down.example.", "", "example."},
		{"zone.example.", "zone.example.", "example."},
		{"x.zone.example.", "", "example."},
		{"sub.zone.example.", "sub.zone.example.", "sub.zone.example."},
		{"x.sub.zone.example.", "", "sub.zone.example."},
		{"www.sub.zone.example.", "www.sub.zone.example.", "sub.zone.example."},
		{"ns1.sub.zone.example.", "ns1.sub.zone.example.", "sub.zone.example."},
		{"badexample.", "", ""},
		{"com.", "", ""},
		{".", "", ""},
	} {
		m := tab.Find([]byte(name(t, c.name)), dnswire.TypeA)
		node, zone := m.Node, m.Zone
		found, in := "", ""
		if node != nil {
			found = tab.Name(node).String()
		}
		if zone >= 0 {
			in = tab.Zones[zone].Text
		}
		if found != c.found || in != c.zone {
			t.Errorf("%s: %q in %q, want %q in %q", c.name, found, in, c.found, c.zone)
		}
	}
}
