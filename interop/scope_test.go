//go:build linux

package interop

import (
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	engine "github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/spec"
)

// placed is a node that steers by place. The second digit of what an endpoint's
// address ends in is the endpoint's, the first its pool's.
const placed = `
dns: {listen: [127.0.0.1:0]}
geo:
  networks:
%s
checks:
  closed: {type: tcp, port: %s, interval: 10s, timeout: 1s, fall: 1}
pools:
  ie: {place: {country: IE}, endpoints: [192.0.2.11, {address: 192.0.2.12, weight: 300}, "2001:db8:ffff::11"]}
  de: {place: {country: DE}, endpoints: [192.0.2.21, {address: 127.0.0.22, checks: [closed]}, "2001:db8:ffff::21"]}
  us: {place: {country: US}, endpoints: [192.0.2.31]}
  sg: {place: {country: SG}, endpoints: [192.0.2.41, "2001:db8:ffff::41"]}
  fr: {place: {country: FR}, checks: [closed], endpoints: [127.0.0.51]}
zones:
  gslb.test:
    nameservers: {ns: 127.0.0.13}
    services:
      geo: {pools: [ie, de, us, sg, fr], steer: geo, answers: 0, ttl: 600}
      strict: {pools: [ie, de, us, sg, fr], steer: [{geofence: {levels: country, strict: true}}], answers: 0, all_down: nodata, ttl: 600, https: {alpn: [h2]}, txt: [hello]}
      near: {pools: [ie, de, us, sg, fr], steer: [nearest, rotate], answers: 0, ttl: 600}
      tiered: {pools: [ie, de, us, sg, fr], steer: [geofence: continent, tier, rotate], answers: 0, ttl: 600}
      drawn: {pools: [ie, de, us, sg, fr], steer: [{geofence: {levels: country, strict: true}}, weighted], all_down: nodata, ttl: 600}
      sticky: {pools: [ie, de], steer: sticky, ttl: 600}
      both: {pools: [ie, de, us, sg, fr], steer: [geofence: continent, sticky], ttl: 600}
      plain: {pools: [ie, de, us], steer: weighted, ttl: 600}
`

// countries are those of networks that are made up; the last one is no place.
var countries = []string{"IE", "DE", "FR", "US", "SG", "BR", ""}

// The made-up networks are in here, and nothing else is.
var whole = map[bool]netip.Prefix{false: netip.MustParsePrefix("10.0.0.0/8"), true: netip.MustParsePrefix("2001:db8::/32")}

// madeUp are networks of all lengths, some within others, and what the
// configuration says of them.
func madeUp(rng *rand.Rand, n int) (nets []netip.Prefix, text string) {
	seen := map[netip.Prefix]bool{}
	var b strings.Builder
	for len(nets) < n {
		p := whole[len(nets)%2 == 1]
		a, bits := p.Addr().AsSlice(), p.Bits()+1+rng.IntN(24)
		if p.Addr().Is6() {
			bits += rng.IntN(8)
		}
		for i := p.Bits() / 8; i < len(a) && i < 8; i++ {
			a[i] = byte(rng.Uint32())
		}
		addr, _ := netip.AddrFromSlice(a)
		p = netip.PrefixFrom(addr, bits).Masked()
		if seen[p] {
			continue
		}
		seen[p] = true
		nets = append(nets, p)
		if c := countries[rng.IntN(len(countries))]; c != "" {
			fmt.Fprintf(&b, "    %q: {country: %s}\n", p, c)
		} else {
			fmt.Fprintf(&b, "    %q: {region: nowhere}\n", p)
		}
	}
	return nets, b.String()
}

// edges are the addresses, in order, at which something may begin: between two of
// them all is alike.
func edges(nets []netip.Prefix, six bool) []netip.Addr {
	all := []netip.Addr{whole[six].Addr()}
	for _, p := range nets {
		if p.Addr().Is6() == six {
			all = append(all, p.Addr())
			if next := lastOf(p).Next(); whole[six].Contains(next) {
				all = append(all, next)
			}
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

// told is an answer for a client: its records in order and code, and the scope.
type told struct {
	what  string
	scope int
}

func tell(t testing.TB, msg []byte) told {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(msg); err != nil {
		t.Fatal(err)
	}
	all := strings.Split(outcome(t, msg), "+")
	slices.Sort(all)
	got := told{dns.RcodeToString[m.Rcode] + " " + strings.Join(all, " "), -1}
	if opt := m.IsEdns0(); opt != nil {
		for _, o := range opt.Option {
			if s, ok := o.(*dns.EDNS0_SUBNET); ok {
				got.scope = int(s.SourceScope)
			}
		}
	}
	return got
}

func tellAll(t testing.TB, conn net.Conn, asked []quick, atOnce int) []told {
	t.Helper()
	all := make([]told, len(asked))
	flood(t, conn, asked, atOnce, func(i int, msg []byte) { all[i] = tell(t, msg) })
	return all
}

// upstream is unbound, which tells of its clients' networks, in front of a node,
// and what it asks there.
type upstream struct {
	t               testing.TB
	r               *resolver
	through, beside net.Conn

	mu    sync.Mutex
	asked map[string]int // by name, type and subnet
}

func subnetsInFront(t *testing.T, n *node, more string) *upstream {
	t.Helper()
	u := &upstream{t: t, asked: map[string]int{}, beside: dial(t, n.port)}
	u.r = inFront(t, freePort(t), plain+subnetCache+more+stub("gslb.test", relay(t, n.port, func(q, _ *dns.Msg) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.asked[strings.ToLower(q.Question[0].Name)+" "+dns.Type(q.Question[0].Qtype).String()+" "+subnetOf(q)]++
	})))
	u.through = dial(t, u.r.port)
	return u
}

// sent is how many different questions for a type, with the network of a client,
// unbound has sent since it was last called. Where it minimises a query it asks for
// addresses first, whatever it is asked for.
func (u *upstream) sent(typ dnswire.Type) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for key := range u.asked {
		if strings.Contains(key, " "+typ.String()+" ") && !strings.HasSuffix(key, " ") {
			n++
		}
	}
	clear(u.asked)
	return n
}

// asking is a question, and what of the answers must be the same from the cache
// and beside it.
type asking struct {
	name string
	typ  dnswire.Type
	same func(what string) string
}

func whatever(what string) string { return what }

// pool is the pool of an answer of one endpoint that chance has drawn.
func pool(what string) string { return what[:len(what)-1] }

func none(string) string { return "" }

// TestScopeThroughCaches has clients on both sides of every boundary ask through a
// resolver that caches by the scope of RFC 7871. What each is given is what is for
// it, and no question reaches the node that the cache could have answered: as many
// do as there are largest networks that are answered alike.
func TestScopeThroughCaches(t *testing.T) {
	program(t, "unbound")
	rng := rand.New(rand.NewPCG(5, 5))
	nets, text := madeUp(rng, 300)
	n := serve(t, config(t, fmt.Sprintf(placed, text, freePort(t))))
	n.judged()
	u := subnetsInFront(t, n, "")
	for _, six := range []bool{false, true} {
		edges := edges(nets, six)
		var clients []netip.Addr // of every network its first address and its last
		for i, a := range edges {
			if i > 0 {
				clients = append(clients, a.Prev())
			}
			clients = append(clients, a)
		}
		slices.SortFunc(clients, netip.Addr.Compare)
		clients = slices.Compact(clients)
		rng.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
		for _, a := range []asking{
			{"geo", dnswire.TypeA, whatever},
			{"geo", dnswire.TypeAAAA, whatever},
			{"strict", dnswire.TypeA, whatever},
			{"strict", dnswire.TypeAAAA, whatever},
			{"strict", dnswire.TypeHTTPS, whatever},
			{"strict", dnswire.TypeTXT, whatever},
			{"near", dnswire.TypeA, whatever},
			{"tiered", dnswire.TypeA, whatever},
			{"drawn", dnswire.TypeA, pool},
			{"sticky", dnswire.TypeA, whatever},
			{"both", dnswire.TypeA, whatever},
			{"plain", dnswire.TypeA, none},
			{"geo", dnswire.TypeMX, whatever},
			{"none", dnswire.TypeA, whatever},
		} {
			u.compare(a, clients, edges, rng)
		}
	}
	u.r.content()
}

// compare asks one question for all clients.
func (u *upstream) compare(a asking, clients, edges []netip.Addr, rng *rand.Rand) {
	u.t.Helper()
	what := fmt.Sprintf("%s %s for IPv%d", a.name, a.typ, len(clients[0].AsSlice())/12*2+4)
	ask := func(of []netip.Addr) []quick {
		var asked []quick
		for _, c := range of {
			asked = append(asked, quick{a.name + ".gslb.test", a.typ, netip.PrefixFrom(c, c.BitLen())})
		}
		return asked
	}
	direct := tellAll(u.t, u.beside, ask(clients), atOnce)
	u.sent(a.typ)
	// One after the other, so that each finds what those before have left.
	cached := tellAll(u.t, u.through, ask(clients), 1)
	sent := u.sent(a.typ)
	blocks := map[netip.Prefix]bool{}
	for i, c := range clients {
		if a.same(cached[i].what) != a.same(direct[i].what) {
			u.t.Errorf("%s, %s: %v from the cache, and beside it %v", what, c, cached[i], direct[i])
		}
		if cached[i].scope != direct[i].scope {
			u.t.Errorf("%s, %s: scope %d from the cache, and beside it %d", what, c, cached[i].scope, direct[i].scope)
		}
		block, _ := c.Prefix(direct[i].scope)
		blocks[block] = true
	}
	if sent != len(blocks) {
		u.t.Errorf("%s: %d questions reached the node, and there are %d networks with an answer of their own", what, sent, len(blocks))
	}
	if needed := u.needed(a, edges, clients); needed > 0 && sent != needed {
		u.t.Errorf("%s: %d questions reached the node, and %d would have been enough", what, sent, needed)
	}
	// Others of the same networks, all at once: it is all in the cache.
	var others []netip.Addr
	for i, c := range clients {
		others = append(others, someOf(rng, c, direct[i].scope))
	}
	direct = tellAll(u.t, u.beside, ask(others), atOnce)
	for i, got := range tellAll(u.t, u.through, ask(others), atOnce) {
		if a.same(got.what) != a.same(direct[i].what) {
			u.t.Errorf("%s, %s: %v from the cache, and beside it %v", what, others[i], got, direct[i])
		}
	}
	if sent := u.sent(a.typ); sent != 0 {
		u.t.Errorf("%s: %d questions for networks that are in the cache reached the node", what, sent)
	}
}

// needed is how many largest networks that are answered alike the clients are in,
// by what is told at all edges; 0 where subnets have a say, which edges do not know.
func (u *upstream) needed(a asking, edges, clients []netip.Addr) int {
	if a.name == "sticky" || a.name == "both" {
		return 0
	}
	var asked []quick
	for _, e := range edges {
		asked = append(asked, quick{a.name + ".gslb.test", a.typ, netip.PrefixFrom(e, e.BitLen())})
	}
	truth := tellAll(u.t, u.beside, asked, atOnce)
	alike := func(p netip.Prefix) bool {
		i, found := slices.BinarySearchFunc(edges, p.Addr(), netip.Addr.Compare)
		if !found {
			i = max(i-1, 0) // what began before
		}
		for first := a.same(truth[i].what); i < len(edges) && edges[i].Compare(lastOf(p)) <= 0; i++ {
			if a.same(truth[i].what) != first {
				return false
			}
		}
		return true
	}
	blocks := map[netip.Prefix]bool{}
	for _, c := range clients {
		widest := netip.PrefixFrom(c, c.BitLen())
		for bits := c.BitLen() - 1; bits >= whole[c.Is6()].Bits(); bits-- {
			p, _ := c.Prefix(bits)
			if !alike(p) {
				break
			}
			widest = p
		}
		blocks[widest] = true
	}
	return len(blocks)
}

// someOf is an address that has so many bits in common with another one.
func someOf(rng *rand.Rand, a netip.Addr, bits int) netip.Addr {
	b := a.AsSlice()
	for i := max(bits, whole[a.Is6()].Bits()); i < 8*len(b); i++ {
		if rng.Uint32()&1 != 0 {
			b[i/8] ^= 0x80 >> (i % 8)
		}
	}
	a, _ = netip.AddrFromSlice(b)
	return a
}

// TestScopeOfCountries is the same for networks as resolvers state them, on both
// sides of boundaries of the countries of the world.
func TestScopeOfCountries(t *testing.T) {
	program(t, "unbound")
	text := fmt.Sprintf(placed, `    10.0.0.0/8: {country: IE}`, freePort(t))
	n := serve(t, config(t, text))
	n.judged()
	u := subnetsInFront(t, n, "  max-client-subnet-ipv4: 24\n  max-client-subnet-ipv6: 56\n")
	s, err := spec.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	change, err := e.Prepare(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Commit(change); err != nil {
		t.Fatal(err)
	}
	places, err := e.Places()
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct {
		bits   int
		starts []string
	}{
		{24, []string{"0.0.0.0"}},
		{56, []string{"2001::", "2400::", "2600::", "2800::", "2a00::", "2c00::"}},
	} {
		var clients []netip.Prefix
		for len(clients) < 1500 {
			b := netip.MustParseAddr(c.starts[rng.IntN(len(c.starts))]).AsSlice()
			from, most := 1, 0
			if len(b) == 4 {
				from, most = 0, 223
			}
			for i := from; i < len(b)/2; i++ {
				b[i] ^= byte(rng.Uint32())
			}
			if a, _ := netip.AddrFromSlice(b); most == 0 || int(b[0]) <= most {
				_, p := places.Lookup(a)
				for _, a := range []netip.Addr{p.Addr().Prev(), p.Addr(), lastOf(p), lastOf(p).Next()} {
					if a.IsValid() && !a.IsMulticast() {
						client, _ := a.Prefix(c.bits)
						clients = append(clients, client)
					}
				}
			}
		}
		rng.Shuffle(len(clients), func(i, j int) { clients[i], clients[j] = clients[j], clients[i] })
		for _, name := range []string{"geo", "strict", "near"} {
			var asked []quick
			for _, client := range clients {
				asked = append(asked, quick{name + ".gslb.test", dnswire.TypeA, client})
			}
			direct := tellAll(t, u.beside, asked, atOnce)
			u.sent(dnswire.TypeA)
			blocks := map[netip.Prefix]bool{}
			for i, got := range tellAll(t, u.through, asked, 1) {
				// Of a network that a boundary divides, the scope is longer than what was
				// asked for, and unbound takes it for that (RFC 7871 section 7.3.1).
				direct[i].scope = min(direct[i].scope, c.bits)
				if got != direct[i] {
					t.Errorf("%s for %s: %v from the cache, and beside it %v", name, clients[i], got, direct[i])
				}
				block, _ := clients[i].Addr().Prefix(direct[i].scope)
				blocks[block] = true
			}
			if sent := u.sent(dnswire.TypeA); sent != len(blocks) {
				t.Errorf("%s: %d questions reached the node, and there are %d networks with an answer of their own", name, sent, len(blocks))
			}
			t.Logf("%s: %d clients of /%d, %d networks", name, len(clients), c.bits, len(blocks))
		}
	}
}
