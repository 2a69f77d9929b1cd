package main

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/resolve"
)

// sites are where the endpoints of the cases by place are: pool i has one, in a
// country.
var sites = [8]string{"IE", "DE", "US", "BR", "ZA", "SG", "JP", "AU"}

// placeSteer is what a client is given: the endpoint of its country or else its
// continent, the nearest of several; all when nothing is known of it, of which it
// takes the first. Nothing is left to chance, so that all servers can be told the
// same.
const placeSteer = "[geofence: [country, continent], nearest: {tolerance: 0%, within: 0km}, tier]"

// world is where clients are: a country database, the same file for every server,
// and what is decided for each country.
type world struct {
	path    string // "": the database that is built into rhumb
	answers map[string]int
	snap    *resolve.Snapshot
}

// worldOf makes the database, once: the countries of the one that is built in, and
// for clients on this machine a country for each /24 of 127.0.0.0/8.
func worldOf(s *settings) (*world, error) {
	if s.world != nil {
		return s.world, nil
	}
	view, err := viewOf(geo.Config{})
	if err != nil {
		return nil, err
	}
	w := &world{path: filepath.Join(s.dir, "countries.mmdb"), answers: map[string]int{}}
	tree, values := newNetworkTree(), map[string]uint32{}
	for addr := netip.IPv4Unspecified(); ; {
		place, p := view.Lookup(addr)
		if c := place.Country; c != "" {
			v, ok := values[c]
			if !ok {
				v = tree.value(map[string]any{"continent": map[string]any{"code": place.Continent}, "country": map[string]any{"iso_code": c}})
				values[c] = v
			}
			tree.put(p, v)
		}
		next := uint64(binary.BigEndian.Uint32(addr.AsSlice())) + 1<<(32-p.Bits())
		if next >= 1<<32 {
			break
		}
		addr = netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(next))))
	}
	countries := slices.Sorted(maps.Keys(values))
	if len(countries) < 100 {
		return nil, fmt.Errorf("%d countries in the database that is built in", len(countries))
	}
	local := func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{127, byte(i >> 8), byte(i), 0}), 24)
	}
	for i := range 1 << 16 {
		tree.put(local(i), values[countries[i%len(countries)]])
	}
	if err := os.WriteFile(w.path, tree.file("GeoLite2-Country"), 0o600); err != nil {
		return nil, err
	}
	if w.snap, err = snapshot(rhumbServices(steerPlace, 1)); err != nil {
		return nil, err
	}
	if w.snap.Geo, err = viewOf(geo.Config{Databases: []string{w.path}}); err != nil {
		return nil, err
	}
	w.snap.Settle(nil)
	for i, c := range countries {
		addr, err := w.answer(local(i))
		if err != nil {
			return nil, fmt.Errorf("country %s: %w", c, err)
		}
		w.answers[c] = int(addr.As4()[1]) - 1
	}
	s.world = w
	return w, nil
}

func viewOf(cfg geo.Config) (*geo.View, error) {
	atlas := geo.New(geo.Options{})
	change, err := atlas.Prepare(cfg)
	if err != nil {
		return nil, err
	}
	atlas.Apply(change)
	return atlas.View(), nil
}

// answer is what a client of a network is to be given.
func (w *world) answer(client netip.Prefix) (netip.Addr, error) {
	name, err := dnswire.ParseName(serviceName(0))
	if err != nil {
		return netip.Addr{}, err
	}
	var q dnswire.Query
	q.Parse(dnswire.AppendQuery(nil, name, dnswire.TypeA, client))
	return addressOf(w.snap.Append(nil, &q, resolve.NewScratch(1, 2)))
}

// addressOf is the address in an answer that has one record with one.
func addressOf(b []byte) (netip.Addr, error) {
	if len(b) < dnswire.HeaderLen || binary.BigEndian.Uint16(b[6:]) != 1 {
		return netip.Addr{}, errors.New("not one record")
	}
	at := dnswire.HeaderLen
	for at < len(b) && b[at] != 0 {
		at += 1 + int(b[at])
	}
	const question, head = 1 + 4, 12 // behind the labels; of a record whose owner is a pointer
	if at += question + head; len(b) < at+4 || b[at-1] != 4 {
		return netip.Addr{}, errors.New("no address where one should be")
	}
	return netip.AddrFrom4([4]byte(b[at:])), nil
}

// agrees asks a server for clients all over the world, by client subnet and by
// source address, and says where it does not answer as rhumb is to.
func (w *world) agrees(p *peer, names int) error {
	r := rand.New(rand.NewPCG(3, 3))
	for i := range 1000 {
		client := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), 0}), 24)
		from, subnet := netip.AddrFrom4([4]byte{127, 0, 0, 1}), client
		if i%2 == 0 {
			a := client.Addr().As4()
			from = netip.AddrFrom4([4]byte{127, a[1], a[2], 1})
			client, subnet = netip.PrefixFrom(from, 24).Masked(), netip.Prefix{}
		}
		want, err := w.answer(client)
		if err != nil {
			return fmt.Errorf("rhumb itself for %v: %w", client, err)
		}
		got, err := askAs(p.addr, serviceName(r.IntN(names)), from, subnet)
		if err != nil {
			return fmt.Errorf("for %v: %w", client, err)
		}
		if got != want {
			return fmt.Errorf("for %v: %v, and rhumb %v", client, got, want)
		}
	}
	return nil
}

// askAs asks for an address from a source address, with a client subnet if it is
// valid.
func askAs(to netip.AddrPort, name string, from netip.Addr, subnet netip.Prefix) (netip.Addr, error) {
	n, err := dnswire.ParseName(name)
	if err != nil {
		return netip.Addr{}, err
	}
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0)), net.UDPAddrFromAddrPort(to))
	if err != nil {
		return netip.Addr{}, err
	}
	defer func() { _ = conn.Close() }()
	b := make([]byte, 1500)
	for range 3 {
		_ = conn.SetDeadline(time.Now().Add(time.Second))
		if _, err := conn.Write(dnswire.AppendQuery(nil, n, dnswire.TypeA, subnet)); err != nil {
			return netip.Addr{}, err
		}
		if k, err := conn.Read(b); err == nil {
			return addressOf(b[:k])
		}
	}
	return netip.Addr{}, errors.New("no answer")
}

// sitePools are the pools of the sites, an endpoint each; those that are measured
// have a check, on an address and a port of their own.
func sitePools(measured []netip.AddrPort) string {
	pools, checks := "pools:\n", ""
	for i, country := range sites {
		addr, check := endpoint(i, 0), ""
		if measured != nil {
			addr, check = measured[i].Addr().String(), fmt.Sprintf("checks: [c%d], ", i)
			checks += fmt.Sprintf("  c%d: {type: tcp, port: %d, interval: 1s, timeout: 500ms}\n", i, measured[i].Port())
		}
		pools += fmt.Sprintf("  p%d: {place: {country: %s}, %sendpoints: [{address: %s, weight: %d}]}\n", i, country, check, addr, weights[i])
	}
	if checks != "" {
		checks = "checks:\n" + checks
	}
	return checks + pools
}

func siteNames() string {
	return joined(len(sites), ", ", func(i int) string { return fmt.Sprintf("p%d", i) })
}

// gdnsd is gdnsd's map: the list for each country, in its continent.
func (w *world) gdnsd() string {
	var b strings.Builder
	continent := func(c string) string { return geo.Countries[c].Continent }
	countries := slices.SortedFunc(maps.Keys(w.answers), func(x, y string) int {
		return cmp.Or(cmp.Compare(continent(x), continent(y)), cmp.Compare(x, y))
	})
	last := ""
	for _, c := range countries {
		if continent(c) != last {
			if last != "" {
				b.WriteString("        }\n")
			}
			last = continent(c)
			fmt.Fprintf(&b, "        %s => {\n", last)
		}
		fmt.Fprintf(&b, "          %s => [ d%d ]\n", c, w.answers[c])
	}
	if last != "" {
		b.WriteString("        }\n")
	}
	return fmt.Sprintf(`  geoip => {
    maps => { m => {
      geoip2_db => %q
      datacenters => [ %s ]
      map => {
        default => [ d0 ]
%s      }
    } }
    resources => { g => { map => m, dcmap => { %s } } }
  }
`, w.path, joined(len(sites), ", ", func(i int) string { return fmt.Sprintf("d%d", i) }), b.String(),
		joined(len(sites), ", ", func(i int) string { return fmt.Sprintf("d%d => %s", i, endpoint(i, 0)) }))
}

// knot is what Knot's module reads for each name; what it does not have is in the
// zone.
func (w *world) knot(names int) string {
	each := ""
	for _, c := range slices.Sorted(maps.Keys(w.answers)) {
		each += fmt.Sprintf("  - geo: %q\n    A: %s\n", c, endpoint(w.answers[c], 0))
	}
	var b strings.Builder
	for i := range names {
		fmt.Fprintf(&b, "%s\n%s", strings.TrimSuffix(serviceName(i), ".")+":", each)
	}
	return b.String()
}
