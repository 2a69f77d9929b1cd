package simulate_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/simulate"
)

// TestPopulation holds that each country has its share of the clients, that these
// are in it, and that a seed decides which they are.
func TestPopulation(t *testing.T) {
	v := places(t)
	m, err := simulate.Population(v, simulate.DefaultNetworks, 1)
	if err != nil {
		t.Fatal(err)
	}
	total := m.Total()
	if total+m.Left.Users < 5000 || total+m.Left.Users > 5700 || m.Left.Users > 1 {
		t.Errorf("%v million users, %v in countries without networks", total, m.Left.Users)
	}
	by := map[string]float64{}
	for _, c := range m.Clients {
		place, _ := v.Lookup(c.Subnet.Addr())
		by[place.Country] += c.Weight
		if place, _ := v.Lookup(c.Source); place.Country == "" || !c.Subnet.Contains(c.Source) || c.Source.IsPrivate() {
			t.Fatalf("%+v is in %q", c, place.Country)
		}
	}
	for country, share := range map[string]float64{"CN": 0.2, "IN": 0.15, "US": 0.06, "DE": 0.0145, "IS": 0.00007} {
		if got := by[country] / total; math.Abs(got-share) > 0.1*share {
			t.Errorf("%s has %v of the users, expected about %v", country, got, share)
		}
	}
	if len(by) < 220 || len(m.Clients) < simulate.DefaultNetworks || len(m.Clients) > 1.1*simulate.DefaultNetworks {
		t.Errorf("%d networks of %d countries", len(m.Clients), len(by))
	}
	again, err := simulate.Population(v, simulate.DefaultNetworks, 1)
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Errorf("another mix with the same seed: %v", err)
	}
	if other, _ := simulate.Population(v, simulate.DefaultNetworks, 2); reflect.DeepEqual(m, other) {
		t.Error("the same mix with another seed")
	}
}

// TestCountries holds that every country with users is one that geo knows, and
// that hardly any of those is without.
func TestCountries(t *testing.T) {
	for c := range simulate.Users {
		if _, known := geo.Countries[c]; !known {
			t.Errorf("users in %s, which is no country", c)
		}
	}
	var without []string
	for c := range geo.Countries {
		if simulate.Users[c] == 0 {
			without = append(without, c)
		}
	}
	if len(without) > 15 {
		t.Errorf("no users in %v", without)
	}
}

// nowhere knows no country.
type nowhere struct{}

func (nowhere) Find4(uint32) (uint32, uint8)         { return 0, 0 }
func (nowhere) Find6(uint64, uint64) (uint32, uint8) { return 0, 0 }
func (nowhere) Place(uint32) geo.Place               { return geo.Place{} }

func TestPopulationErrors(t *testing.T) {
	_, err := simulate.Population(nowhere{}, 10, 1)
	if err == nil || err.Error() != "population: the geography knows no country: name the clients with a file of prefixes" {
		t.Error(err)
	}
}

// halves has two countries: one of all IPv4 addresses below 128.0.0.0, and one of
// the rest and of IPv6.
type halves struct{}

func (halves) Find4(a uint32) (uint32, uint8)       { return 1 + a>>31, 1 }
func (halves) Find6(uint64, uint64) (uint32, uint8) { return 2, 0 }
func (halves) Place(id uint32) geo.Place {
	return []geo.Place{{}, {Country: "IE", Lat: 53.35, Lon: -6.26, Located: true}, {Country: "US"}}[id]
}

// TestDistances holds how far clients are, before and after.
func TestDistances(t *testing.T) {
	m, err := simulate.Prefixes("x", strings.NewReader("1.0.0.0/24,3\n129.0.0.0/24\n2001:db8::/48"), 1)
	if err != nil {
		t.Fatal(err)
	}
	before, after := world(t, two), world(t, two, suppose(t, simulate.Down, "pool=eu"))
	before.Places, after.Places = halves{}, halves{}
	r := run(t, simulate.Options{Before: before, After: after, Mix: m, Services: []dnswire.Name{name(t, "api.a.test")}})
	// Of Dublin to itself 0, to Ashburn 5450; of the middle of the USA to Dublin
	// some 6300, to Ashburn some 1500.
	about := func(got, want float64) bool { return math.Abs(got-want) <= 0.15*want }
	if r.Distance == nil || !about(r.Distance.Before, 0.4*6300) || !about(r.Distance.After, 0.6*5450+0.4*1500) || r.Measured.After != 1 {
		t.Errorf("distances %+v, of %+v", r.Distance, r.Measured)
	}
	if len(r.Moves) != 1 || *r.Moves[0].Distance != *r.Distance || r.Moved != 1 {
		t.Errorf("moves %+v", r.Moves)
	}
	if len(r.Countries) != 2 || r.Countries[0].Code != "IE" || !near(r.Countries[0].Share, 0.6) || r.Countries[0].Distance.Before != 0 ||
		!about(r.Countries[0].Distance.After, 5450) || r.Countries[1].Code != "US" || r.Mix.Countries != 2 {
		t.Errorf("countries %+v", r.Countries)
	}
	if len(r.Networks) != 3 || r.Networks[0].Prefix != "1.0.0.0/24" || r.Networks[0].Country != "IE" || !near(r.Networks[0].Moved, 0.6) {
		t.Errorf("networks %+v", r.Networks)
	}
}

func TestPrefixes(t *testing.T) {
	m, err := simulate.Prefixes("x.csv", strings.NewReader("# who asks\n\n192.0.2.0/24,10\n 2001:db8::/56 , 2.5 # v6\r\n198.51.100.7\n10.0.0.0/8,16\n203.0.112.0/23,4\n2001:db8:1::/48\n"), 1)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	seen := map[netip.Prefix]bool{}
	for _, c := range m.Clients {
		if c.Network.Bits() == c.Subnet.Bits() {
			fmt.Fprintf(&b, "%v %v %v\n", c.Source, c.Subnet, c.Weight)
			continue
		}
		if !c.Network.Contains(c.Source) || !c.Subnet.Contains(c.Source) || seen[c.Subnet] {
			t.Errorf("%+v", c)
		}
		seen[c.Subnet] = true
	}
	if want := "192.0.2.0 192.0.2.0/24 10\n2001:db8:: 2001:db8::/56 2.5\n198.51.100.7 198.51.100.7/32 1\n"; b.String() != want {
		t.Errorf("the clients are\n%s", b.String())
	}
	if len(seen) != 16+2+16 || m.Total() != 10+2.5+1+16+4+1 || !seen[netip.MustParsePrefix("203.0.112.0/24")] || !seen[netip.MustParsePrefix("203.0.113.0/24")] {
		t.Errorf("%v, %v in all", seen, m.Total())
	}
}

func TestPrefixErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "x.csv: no prefix is in it",
		"# nothing\n":                     "x.csv: no prefix is in it",
		"192.0.2.0/24\nprefix,x":          `x.csv:2: "prefix" is no network: an address or a prefix is expected, such as 192.0.2.0/24 or 2001:db8::/48`,
		"192.0.2.1/24,1":                  "x.csv:1: 192.0.2.1/24 has bits behind its length: write 192.0.2.0/24",
		"192.0.2.0/24,":                   `x.csv:1: "" is no weight: a number above 0 is expected`,
		"192.0.2.0/24,0":                  `x.csv:1: "0" is no weight: a number above 0 is expected`,
		"192.0.2.0/24,NaN":                `x.csv:1: "NaN" is no weight: a number above 0 is expected`,
		"192.0.2.0/24,1,2":                `x.csv:1: "1,2" is no weight: a number above 0 is expected`,
		"192.0.2.0/24,1e300":              `x.csv:1: "1e300" is no weight: a number above 0 is expected`,
		"::ffff:192.0.2.0/120":            `x.csv:1: "::ffff:192.0.2.0/120" is no network: an address or a prefix is expected, such as 192.0.2.0/24 or 2001:db8::/48`,
		"\n" + strings.Repeat("1", 70000): "x.csv:2: the line is too long: is it a file of prefixes?",
	} {
		if _, err := simulate.Prefixes("x.csv", strings.NewReader(text), 1); err == nil || err.Error() != want {
			t.Errorf("%.30q: the error is %v, not %s", text, err, want)
		}
	}
}

// FuzzPrefixes reads what is no such file, or nearly one: what is taken has
// weights above 0 and networks that contain who asks.
func FuzzPrefixes(f *testing.F) {
	for _, s := range []string{"192.0.2.0/24,10\n2001:db8::/32 # x", "0.0.0.0/0", "::/0,1e-9", "10.0.0.0/22,", "1.2.3.4/33", ",", "fe80::1%eth0"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := simulate.Prefixes("x", bytes.NewReader(text), 1)
		if err != nil {
			return
		}
		for _, c := range m.Clients {
			if !(c.Weight > 0) || !c.Network.Contains(c.Source) || !c.Subnet.Contains(c.Source) || c.Subnet != c.Subnet.Masked() {
				t.Errorf("%+v", c)
			}
		}
	})
}

// recording is a pcap file of queries over UDP from sources.
func recording(packets ...[]byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(nil, 0xa1b2c3d4)
	b = append(b, make([]byte, 16)...)
	b = le.AppendUint32(b, 101)
	for _, p := range packets {
		b = append(b, make([]byte, 8)...)
		b = le.AppendUint32(le.AppendUint32(b, uint32(len(p))), uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

func packet(source string, message []byte) []byte {
	a := netip.MustParseAddr(source).As4()
	b := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(28+len(message)))
	b = append(b, 0, 0, 0, 0, 64, 17, 0, 0)
	b = append(append(b, a[:]...), 192, 0, 2, 53, 0x30, 0x39, 0, 53)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(message)))
	return append(append(b, 0, 0), message...)
}

// tcpPacket is a segment of TCP to port 53.
func tcpPacket(source string, payload []byte) []byte {
	a := netip.MustParseAddr(source).As4()
	b := binary.BigEndian.AppendUint16([]byte{0x45, 0}, uint16(40+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, 6, 0, 0)
	b = append(append(b, a[:]...), 192, 0, 2, 53, 0x30, 0x39, 0, 53)
	b = append(b, make([]byte, 8)...)
	b = append(b, 5<<4, 0x18, 1, 0, 0, 0, 0, 0)
	return append(b, payload...)
}

// marked is a query with the mark of an answer.
func marked(query []byte) []byte {
	query[2] |= 0x80
	return query
}

func question(t testing.TB, of string, typ dnswire.Type, subnet string) []byte {
	p, _ := netip.ParsePrefix(subnet)
	return dnswire.AppendQuery(nil, name(t, of), typ, p)
}

// TestRecorded simulates what was recorded, and counts what is left out.
func TestRecorded(t *testing.T) {
	var packets [][]byte
	for range 2 {
		packets = append(packets, packet("192.0.2.1", question(t, "WWW.a.test", dnswire.TypeA, "")))
	}
	over := question(t, "www.a.test", dnswire.TypeA, "")
	over = append(binary.BigEndian.AppendUint16(nil, uint16(len(over))), over...)
	packets = append(packets, tcpPacket("192.0.2.1", over))
	packets = append(packets,
		packet("192.0.2.1", question(t, "no.a.test", dnswire.TypeA, "203.0.113.0/24")),
		packet("192.0.2.1", question(t, "www.a.test", dnswire.TypeHTTPS, "")),
		packet("192.0.2.1", question(t, "www.a.test", dnswire.TypeAAAA, "")),
		packet("192.0.2.2", question(t, "ns1.a.test", dnswire.TypeA, "")),
		packet("192.0.2.2", question(t, "nothing.a.test", dnswire.TypeA, "")),
		packet("192.0.2.2", question(t, "www.b.test", dnswire.TypeA, "")),
		packet("192.0.2.2", []byte("no query")),
		packet("192.0.2.1", marked(question(t, "www.a.test", dnswire.TypeA, ""))),
		tcpPacket("192.0.2.1", over[:2]),
		tcpPacket("192.0.2.1", over[2:]),
		[]byte{0},
	)
	before, after := world(t, two), world(t, two, suppose(t, simulate.Down, "pool=us"))
	m, err := simulate.Clients("q.pcap", bytes.NewReader(recording(packets...)), 1, before, after)
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Clients) != 2 || m.Clients[0].Subnet.IsValid() || m.Clients[0].Network.String() != "192.0.2.0/24" || m.Clients[0].Weight != 5 ||
		m.Clients[1].Subnet.String() != "203.0.113.0/24" || m.Clients[1].Source.String() != "192.0.2.1" {
		t.Errorf("the clients are %+v", m.Clients)
	}
	r := run(t, simulate.Options{Before: before, After: after, Mix: m})
	want := simulate.Left{NotOurs: 1, NoService: 2, NotWanted: 2, NoQuery: 2, Answers: 1, Parts: 2}
	if r.Mix.Left != want || r.Services != 2 {
		t.Errorf("left out: %+v, of %d services", r.Mix.Left, r.Services)
	}
	if s := share(t, r, "eu", ""); !near(s.Before, 0.75*0.8) || !near(s.After, 0.75) || !near(r.Unanswered.After, 0.25) {
		t.Errorf("eu has %+v, unanswered %+v", s, r.Unanswered)
	}
	if len(r.Networks) != 2 || r.Networks[0].Prefix != "203.0.113.0/24" || !near(r.Networks[0].Moved, 0.25) || !near(r.Networks[1].Moved, 0.15) {
		t.Errorf("networks: %+v", r.Networks)
	}
	r = run(t, simulate.Options{Before: before, Mix: m, Services: []dnswire.Name{name(t, "www.a.test")}, Types: []dnswire.Type{dnswire.TypeAAAA}})
	if r.Mix.Left.NotWanted != 5 || r.Unanswered.Before != 1 {
		t.Errorf("AAAA of www alone: %+v", r)
	}
	_, err = simulate.Clients("q.pcap", bytes.NewReader(recording(packets[6:]...)), 1, before)
	if want := "q.pcap: no query for a service is in it: 1 for names that are not ours, 2 for names that are no services, 2 frames that hold no query, 2 segments of TCP with a part of a query, which are not put together, 1 answers: record queries"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, not %s", err, want)
	}
	_, err = simulate.Clients("q.gz", strings.NewReader("\x1f\x8b and so on, more than enough"), 1, before)
	if want := "q.gz: it is compressed: unpack it first"; err == nil || err.Error() != want {
		t.Errorf("the error is %v, not %s", err, want)
	}
}
