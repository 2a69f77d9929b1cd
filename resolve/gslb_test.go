package resolve_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// gslbBackend is a backend of CoreDNS-GSLB as its documents understand one.
type gslbBackend struct {
	address                             netip.Addr
	priority, weight                    int
	enabled, up                         bool
	countries, cities, asns, localities []string
}

// gslbRecord is a record, likewise.
type gslbRecord struct {
	mode     string
	backends []*gslbBackend
}

// yaml is the record as a file has it.
func (r *gslbRecord) yaml(rng *rand.Rand) string {
	var b strings.Builder
	fmt.Fprintf(&b, "    mode: %s\n    backends:\n", r.mode)
	for _, e := range r.backends {
		if len(e.localities) > 0 && rng.IntN(4) == 0 { // stated in two parts
			fmt.Fprintf(&b, "      - {address: %q, priority: %d, enable: %t, location: [%s]}\n", e.address, e.priority, e.enabled, strings.Join(e.localities, ", "))
		}
		fmt.Fprintf(&b, "      - address: %q\n        priority: %d\n        weight: %d\n        enable: %t\n", e.address, e.priority, e.weight, e.enabled)
		for _, k := range []struct {
			key   string
			words []string
		}{{"country", e.countries}, {"city", e.cities}, {"asn", e.asns}, {"location", e.localities}} {
			switch {
			case len(k.words) == 1 && rng.IntN(2) == 0:
				fmt.Fprintf(&b, "        %s: %s\n", k.key, k.words[0])
			case len(k.words) > 0:
				fmt.Fprintf(&b, "        %s: [%s]\n", k.key, strings.Join(k.words, ", "))
			}
		}
	}
	return b.String()
}

// may are the answers that a client may get: one of the sets, by the documents of
// CoreDNS-GSLB and docs/migration-coredns-gslb.md, read slowly.
func (r *gslbRecord) may(six bool, client *geo.Place, locations []string) [][]netip.Addr {
	var family, up []*gslbBackend
	for _, b := range r.backends {
		if b.enabled && b.address.Is6() == six {
			family = append(family, b)
			if b.up {
				up = append(up, b)
			}
		}
	}
	addresses := func(all []*gslbBackend) (out []netip.Addr) {
		for _, b := range all {
			out = append(out, b.address)
		}
		slices.SortFunc(out, netip.Addr.Compare)
		return out
	}
	each := func(all []*gslbBackend) (out [][]netip.Addr) {
		for _, b := range all {
			out = append(out, []netip.Addr{b.address})
		}
		return out
	}
	if len(up) == 0 {
		return [][]netip.Addr{addresses(family)}
	}
	if r.mode == "geoip" {
		for _, same := range []func(b *gslbBackend) bool{
			func(b *gslbBackend) bool { return slices.Contains(b.countries, client.Country) },
			func(b *gslbBackend) bool {
				return slices.Contains(b.cities, client.City) &&
					(len(b.countries) != 1 || client.Country == "" || b.countries[0] == client.Country)
			},
			func(b *gslbBackend) bool {
				return slices.ContainsFunc(b.asns, func(s string) bool { return strings.TrimPrefix(s, "AS") == fmt.Sprint(client.ASN) })
			},
		} {
			if i := slices.IndexFunc(up, same); i >= 0 {
				return each(up[i : i+1])
			}
		}
		var there []*gslbBackend
		for _, b := range up {
			if slices.ContainsFunc(b.localities, func(l string) bool { return slices.Contains(locations, l) }) {
				there = append(there, b)
			}
		}
		if len(there) > 0 {
			return [][]netip.Addr{addresses(there)}
		}
	}
	if r.mode == "geoip" || r.mode == "failover" {
		least := up[0].priority
		for _, b := range up {
			least = min(least, b.priority)
		}
		up = slices.DeleteFunc(up, func(b *gslbBackend) bool { return b.priority != least })
	}
	return each(up)
}

// words is up to n of the words, in random order.
func words(rng *rand.Rand, n int, of ...string) []string {
	rng.Shuffle(len(of), func(i, j int) { of[i], of[j] = of[j], of[i] })
	return of[:rng.IntN(n+1)]
}

func randomGSLB(rng *rand.Rand) *gslbRecord {
	r := &gslbRecord{mode: []string{"failover", "roundrobin", "random", "weighted", "geoip", "geoip", "geoip"}[rng.IntN(7)]}
	for i := range 1 + rng.IntN(6) {
		b := &gslbBackend{priority: rng.IntN(3), weight: 1 + rng.IntN(3), enabled: rng.IntN(6) > 0}
		b.address = netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})
		if rng.IntN(3) == 0 {
			b.address = netip.MustParseAddr(fmt.Sprintf("2001:db8:ffff::%x", i+1))
		}
		if rng.IntN(2) == 0 {
			b.countries = words(rng, 3, "IE", "DE", "FR")
			b.cities = words(rng, 2, "Dublin", "Paris", "Lyon")
			b.asns = words(rng, 2, "64500", "AS64501", "64502")
		}
		b.localities = words(rng, 2, "paris", "london", "oslo")
		r.backends = append(r.backends, b)
	}
	return r
}

// gslbClients are clients of the subnets of a map of locations, in all sorts of places.
type gslbClients struct {
	addresses []netip.Addr
	places    []geo.Place
	locations [][]string
	mapped    map[netip.Prefix][]string
}

func newGSLBClients() *gslbClients {
	c := &gslbClients{mapped: map[netip.Prefix][]string{}}
	for i, locations := range [][]string{nil, {"paris"}, {"london", "paris"}, {"oslo"}} {
		for k, place := range []geo.Place{
			{},
			{Country: "IE"},
			{Country: "IE", City: "Dublin"},
			{Country: "FR", City: "Paris", ASN: 64500},
			{Country: "US", City: "Paris"},
			{City: "Lyon"},
			{Country: "FR", City: "Lyon"},
			{Country: "US", City: "Lyon", ASN: 64502},
			{ASN: 64501},
			{Country: "SE", ASN: 64502},
			{Country: "DE"},
		} {
			net := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i), byte(k), 0}), 24)
			if locations != nil {
				c.mapped[net] = locations
			}
			c.addresses, c.places, c.locations = append(c.addresses, net.Addr().Next()), append(c.places, place), append(c.locations, locations)
		}
	}
	return c
}

// file is the map of locations.
func (c *gslbClients) file() string {
	var b strings.Builder
	b.WriteString("subnets:\n")
	for net, locations := range c.mapped {
		fmt.Fprintf(&b, "  - {subnet: %s, location: [%s]}\n", net, strings.Join(locations, ", "))
	}
	return b.String()
}

// view is where they are, with the regions that a configuration gives them.
func (c *gslbClients) view(t *testing.T, s *spec.Spec) *geo.View {
	cfg := geo.Config{Databases: []string{"../geo/testdata/asn.mmdb"}}
	for i, a := range c.addresses {
		net := geo.Network{Prefix: netip.PrefixFrom(a, 24).Masked(), Place: c.places[i]}
		for _, n := range s.Geo.Networks {
			if n.Prefix == net.Prefix {
				net.Place.Region = n.Place.Region
			}
		}
		cfg.Networks = append(cfg.Networks, net)
	}
	return view(t, cfg)
}

// given is what a client is answered with, in order.
func given(t *testing.T, s *resolve.Snapshot, c *resolve.Scratch, name string, typ uint16, client netip.Addr) []netip.Addr {
	t.Helper()
	q := parsed(query(t, name, typ), dnswire.UDP)
	q.Client = netip.AddrPortFrom(client, 53)
	m := sound(t, q, s.Append(nil, q, c))
	if m.Rcode != dns.RcodeSuccess {
		t.Fatal(m)
	}
	var got []netip.Addr
	for _, rr := range m.Answer {
		got = append(got, netip.MustParseAddr(strings.TrimPrefix(rr.String(), rr.Header().String())))
	}
	slices.SortFunc(got, netip.Addr.Compare)
	return got
}

// Files of CoreDNS-GSLB mean what its documents say, for clients everywhere and whatever is
// up; and what they are converted into answers the same, and so it does with all enabled.
func TestGSLB(t *testing.T) {
	rng := rand.New(rand.NewPCG(12, 7))
	clients := newGSLBClients()
	for range 8 {
		dir := t.TempDir()
		write := func(name, text string) string {
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			return file
		}
		var text strings.Builder
		text.WriteString("records:\n")
		var records []*gslbRecord
		for i := range 8 {
			r := randomGSLB(rng)
			records = append(records, r)
			fmt.Fprintf(&text, "  r%d.x.test.:\n%s", i, r.yaml(rng))
		}
		g := &spec.GSLB{Name: "Corefile", Files: []spec.GSLBFile{
			{Path: write("db.yml", text.String()), Zone: "x.test"}, {Path: write("map.yml", clients.file())},
		}}
		read, _, err := spec.LoadGSLB(g, spec.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, text.String())
		}
		converted, _, err := spec.ConvertGSLB(g)
		if err != nil {
			t.Fatal(err)
		}
		native, _, err := spec.Load(write("rhumb.yaml", converted), spec.Options{})
		if err != nil {
			t.Fatalf("%v\n%s", err, converted)
		}
		// Who enables a backend in what it was converted into has all of it.
		enabled, _, err := spec.Load(write("enabled.yaml", strings.ReplaceAll(converted, "        enabled: false\n", "")), spec.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, from := range []*spec.Spec{read, native, enabled} {
			for _, r := range records {
				for _, b := range r.backends {
					b.enabled = b.enabled || from == enabled
				}
			}
			tab, err := table.Compile(nil, from)
			if err != nil {
				t.Fatal(err)
			}
			s := &resolve.Snapshot{Table: tab, Geo: clients.view(t, from)}
			for range 4 {
				s.Health = gslbHealth(rng, tab, records)
				for i, r := range records {
					for k, client := range clients.addresses {
						for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA} {
							want := r.may(typ == dns.TypeAAAA, &clients.places[k], clients.locations[k])
							c := resolve.NewScratch(rng.Uint64(), rng.Uint64())
							got := given(t, s, c, fmt.Sprintf("r%d.x.test", i), typ, client)
							if !slices.ContainsFunc(want, func(w []netip.Addr) bool { return slices.Equal(w, got) }) {
								t.Fatalf("r%d, a client at %+v and %v, type %d, is given %v, and not one of %v\n%s\n%s",
									i, clients.places[k], clients.locations[k], typ, got, want, r.yaml(rng), converted)
							}
						}
					}
					// All that may be given is, to one client or another who asks.
					missing := r.may(false, &clients.places[0], clients.locations[0])
					c := resolve.NewScratch(rng.Uint64(), rng.Uint64())
					for range 300 {
						got := given(t, s, c, fmt.Sprintf("r%d.x.test", i), dns.TypeA, clients.addresses[0])
						missing = slices.DeleteFunc(missing, func(w []netip.Addr) bool { return slices.Equal(w, got) })
						if len(missing) == 0 {
							break
						}
					}
					if len(missing) > 0 {
						t.Fatalf("r%d: nobody is given %v\n%s", i, missing, r.yaml(rng))
					}
				}
			}
		}
	}
}

// gslbHealth has each address up or down by chance.
func gslbHealth(rng *rand.Rand, tab *table.Table, records []*gslbRecord) *health.View {
	chance, up := rng.IntN(4), map[netip.Addr]bool{}
	for _, r := range records {
		for _, b := range r.backends {
			if _, ok := up[b.address]; !ok {
				up[b.address] = rng.IntN(3) < chance
			}
			b.up = up[b.address]
		}
	}
	details := map[int]health.Detail{}
	for i := range tab.Targets {
		if !up[netip.MustParseAddr(tab.Targets[i].String())] {
			details[i] = health.Detail{State: health.Down, Authority: health.Validation}
		}
	}
	return health.Fixed(len(tab.Targets), details)
}
