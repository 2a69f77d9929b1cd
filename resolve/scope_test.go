package resolve_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/resolve"
)

// The made-up networks are in here, with nothing else.
var whole4, whole6 = netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")

// geography is a made-up geography.
func geography(t testing.TB, rng *rand.Rand, n int) (*geo.View, []netip.Prefix) {
	t.Helper()
	cfg, nets := territories(rng, n)
	return view(t, cfg), nets
}

// territories are networks of all lengths, some within others.
func territories(rng *rand.Rand, n int) (cfg geo.Config, nets []netip.Prefix) {
	places := []geo.Place{
		{Country: "IE", Continent: "EU"},
		{Country: "DE", Continent: "EU"},
		{Country: "FR", Continent: "EU"},
		{Country: "US", Continent: "NA", Subdivision: "CA"},
		{Country: "US", Continent: "NA", Subdivision: "NY"},
		{Country: "SG", Continent: "AS"},
		{Country: "BR", Continent: "SA"},
		{},
	}
	// In place of the countries that are built in, which are many.
	cfg.Databases = []string{"../geo/testdata/asn.mmdb"}
	seen := map[netip.Prefix]bool{}
	for len(nets) < n {
		var p netip.Prefix
		if rng.IntN(2) == 0 {
			b := [4]byte{10, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())}
			p = netip.PrefixFrom(netip.AddrFrom4(b), 9+rng.IntN(24)).Masked()
		} else {
			b := [16]byte{0x20, 0x01, 0x0d, 0xb8, byte(rng.Uint32() & 3), byte(rng.Uint32()), byte(rng.Uint32())}
			p = netip.PrefixFrom(netip.AddrFrom16(b), 33+rng.IntN(32)).Masked()
		}
		if seen[p] {
			continue
		}
		seen[p] = true
		nets = append(nets, p)
		cfg.Networks = append(cfg.Networks, geo.Network{Prefix: p, Place: places[rng.IntN(len(places))]})
	}
	return cfg, nets
}

func view(t testing.TB, cfg geo.Config) *geo.View {
	t.Helper()
	atlas := geo.New(geo.Options{})
	change, err := atlas.Prepare(cfg)
	if err != nil {
		t.Fatal(err)
	}
	atlas.Apply(change)
	return atlas.View()
}

// askFor is the records that a client is given, sorted, and the scope.
func askFor(t testing.TB, s *resolve.Snapshot, c *resolve.Scratch, name string, typ uint16, subnet netip.Prefix) (string, int) {
	t.Helper()
	q := parsed(query(t, name, typ, ecs(subnet)), dnswire.UDP)
	var m dns.Msg
	if err := m.Unpack(s.Append(nil, q, c)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, rr := range m.Answer {
		all = append(all, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	slices.Sort(all)
	for _, o := range m.IsEdns0().Option {
		if o, ok := o.(*dns.EDNS0_SUBNET); ok {
			return fmt.Sprint(all, m.Rcode), int(o.SourceScope)
		}
	}
	t.Fatalf("%s: no client subnet in %v", name, &m)
	return "", 0
}

func ecs(p netip.Prefix) func(*dns.Msg) {
	return func(m *dns.Msg) {
		m.SetEdns0(1232, false)
		o := &dns.EDNS0_SUBNET{Code: dns.EDNS0SUBNET, Family: 1, SourceNetmask: uint8(p.Bits()), Address: p.Addr().AsSlice()}
		if p.Addr().Is6() {
			o.Family = 2
		}
		m.IsEdns0().Option = append(m.IsEdns0().Option, o)
	}
}

const places = `
pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.1, 192.0.2.2, "2001:db8:ffff::1"]}
  de: {place: {country: DE}, endpoints: [192.0.2.3, "2001:db8:ffff::3"]}
  ca: {place: {country: US, subdivision: CA}, endpoints: [192.0.2.4, "2001:db8:ffff::4"]}
  sg: {place: {country: SG}, endpoints: [192.0.2.5, {address: 192.0.2.6, tags: [big]}]}
  nowhere: {endpoints: [203.0.113.1, 203.0.113.2, "2001:db8:ffff::9"]}
zones:
  x.test:
    nameservers: {ns1: 192.0.2.53}
    services:
      geo: {pools: [ie, de, ca, sg], steer: geo, answers: 0}
      strict: {pools: [ie, de, ca, sg], steer: [{geofence: {levels: country, strict: true}}], answers: 0, all_down: nodata}
      near: {pools: [ie, de, ca, sg], steer: [nearest, shuffle], answers: 0}
      both: {pools: [ie, de, ca, sg], steer: [geofence: [country, continent], nearest, weighted], answers: 0}
      tiered: {pools: [ie, de, ca, sg], steer: [geofence: continent, tier, rotate], answers: 0}
      tagged: {pools: [ie, de, ca, sg], steer: [geofence: country, tags: [big]], answers: 0}
      firsts: {pools: [ie, de, ca, sg], steer: [first: [[{geofence: {levels: country, strict: true}}, shuffle], [nearest, shuffle]]], answers: 0}
      chance: {pools: [ie, de, ca, sg], steer: [shuffle, limit: 3, geofence: country], answers: 0}
      plain: {pools: [ie, de, ca, sg], steer: weighted, answers: 0}
      sticky: {pools: [ie, de], steer: sticky}
      nearsticky: {pools: [ie, de, ca, sg], steer: [geofence: continent, sticky]}
      reserve: {pools: [ie, de], steer: [{geofence: {levels: country, strict: true}}, rotate], answers: 0, all_down: nowhere}
      luck: {pools: [ie, sg], steer: [geofence: country, shuffle, limit: 2, tags: [big]], answers: 0, all_down: nodata}
      fenced: {pools: [ie, de], steer: [{geofence: {levels: continent, strict: true}}], answers: 0, all_down: nodata}
      far: {pools: [ca, sg], steer: nearest, answers: 0}
      inside: {pools: [{service: fenced}, ca, sg], steer: [tier], answers: 0}
      around: {pools: [{service: inside}, nowhere], steer: [geofence: country, shuffle], answers: 0}
      beside: {pools: [{service: far}, ie], steer: [shuffle], answers: 0}
      stickies: {pools: [{service: sticky}, {service: nearsticky}], steer: sticky}
      stuck: {pools: [{service: sticky}, sg], steer: [tier]}
`

// TestScope holds the scope of every answer against what clients around are
// given: the same within it, and something else beyond, so that it is neither
// too wide nor narrower than needed.
func TestScope(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 1))
	where, nets := geography(t, rng, rounds(300))
	for _, down := range [][]string{nil, {"192.0.2.1", "192.0.2.2", "2001:db8:ffff::1"}, {"192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6", "2001:db8:ffff::3", "2001:db8:ffff::4"}} {
		s := compile(t, places, down...)
		s.Geo = where
		oracle := *s // it is not settled: every query decides for itself
		s.Settle(nil)
		c := resolve.NewScratch(1, 2)
		for _, name := range []string{"geo", "strict", "near", "both", "tiered", "tagged", "firsts", "plain", "reserve", "inside", "around"} {
			for _, typ := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypeMX} {
				for _, six := range []bool{false, true} {
					scopes(t, s, &oracle, c, name+".x.test", typ, edges(nets, six))
				}
			}
		}
	}
}

// edges are the first addresses of networks and those behind their last: between
// two of them all is alike.
func edges(nets []netip.Prefix, six bool) []netip.Addr {
	all := []netip.Addr{whole4.Addr()}
	if six {
		all[0] = whole6.Addr()
	}
	for _, p := range nets {
		if p.Addr().Is6() != six {
			continue
		}
		all = append(all, p.Addr())
		if next := lastOf(p).Next(); whole4.Contains(next) || whole6.Contains(next) {
			all = append(all, next)
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

func lastOf(p netip.Prefix) netip.Addr {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

func scopes(t *testing.T, s, oracle *resolve.Snapshot, c *resolve.Scratch, name string, typ uint16, edges []netip.Addr) {
	t.Helper()
	truth := make([]string, len(edges))
	for i, a := range edges {
		truth[i], _ = askFor(t, oracle, c, name, typ, netip.PrefixFrom(a, a.BitLen()))
	}
	// alike is whether all clients of a network are given the same.
	alike := func(p netip.Prefix, want string) bool {
		i, found := slices.BinarySearchFunc(edges, p.Addr(), netip.Addr.Compare)
		if !found {
			i = max(i-1, 0) // the range that began before
		}
		for ; i < len(edges) && edges[i].Compare(lastOf(p)) <= 0; i++ {
			if truth[i] != want {
				return false
			}
		}
		return true
	}
	for i, a := range edges {
		got, scope := askFor(t, s, c, name, typ, netip.PrefixFrom(a, a.BitLen()))
		if scope == 0 && len(slices.Compact(slices.Sorted(slices.Values(truth)))) > 1 {
			t.Errorf("%s %s for %s: scope 0", name, dns.TypeToString[typ], a)
		}
		if got != truth[i] {
			t.Errorf("%s %s for %s: %s, and by its own decision %s", name, dns.TypeToString[typ], a, got, truth[i])
		}
		p, _ := a.Prefix(scope)
		if !alike(p, got) {
			t.Errorf("%s %s for %s: scope %d, and not all of %s are given %s", name, dns.TypeToString[typ], a, scope, p, got)
		}
		if scope > 0 && scope > whole4.Bits() && (a.Is4() || scope > whole6.Bits()) {
			if wider, _ := a.Prefix(scope - 1); alike(wider, got) {
				t.Errorf("%s %s for %s: scope %d, and all of %s are given %s", name, dns.TypeToString[typ], a, scope, wider, got)
			}
		}
	}
}

// TestScopeOfSubnets asks neighbours of clients that are steered by their subnet.
func TestScopeOfSubnets(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 2))
	where, _ := geography(t, rng, 100)
	s := compile(t, places)
	s.Geo = where
	s.Settle(nil)
	c := resolve.NewScratch(1, 2)
	for range rounds(300) {
		for _, name := range []string{"sticky.x.test", "nearsticky.x.test", "stickies.x.test", "stuck.x.test"} {
			a := netip.AddrFrom4([4]byte{10, byte(rng.Uint32()), byte(rng.Uint32()), byte(rng.Uint32())})
			p, _ := a.Prefix(24)
			got, scope := askFor(t, s, c, name, dns.TypeA, p)
			within, _ := a.Prefix(scope)
			for range 40 {
				b := within.Addr().As4()
				r := rng.Uint32()
				for i := range b {
					b[i] |= byte(r>>(24-8*i)) & byte(uint64(1<<32-1)>>scope>>(24-8*i))
				}
				other, _ := netip.AddrFrom4(b).Prefix(24)
				if also, _ := askFor(t, s, c, name, dns.TypeA, other); also != got {
					t.Fatalf("%s for %s: %s with scope %d, and for %s %s", name, p, got, scope, other, also)
				}
			}
		}
	}
}

// TestScopeOfChance: where chance comes before places, the scope is that of what
// the places can mean, whatever chance does.
func TestScopeOfChance(t *testing.T) {
	s := compile(t, places)
	s.Geo = view(t, geo.Config{Networks: []geo.Network{
		{Prefix: netip.MustParsePrefix("10.0.0.0/9"), Place: geo.Place{Country: "IE"}},
		{Prefix: netip.MustParsePrefix("10.64.0.0/12"), Place: geo.Place{Country: "FR"}},
		{Prefix: netip.MustParsePrefix("10.128.0.0/10"), Place: geo.Place{Country: "ES"}},
	}})
	s.Settle(nil)
	c := resolve.NewScratch(1, 2)
	for client, want := range map[string]int{"10.0.0.1/32": 10, "10.64.0.1/32": 12, "10.80.0.0/24": 12, "10.130.0.1/32": 9} {
		if _, scope := askFor(t, s, c, "chance.x.test", dns.TypeA, netip.MustParsePrefix(client)); scope != want {
			t.Errorf("%s: scope %d, want %d", client, scope, want)
		}
	}
}
