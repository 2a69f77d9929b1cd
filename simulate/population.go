package simulate

import (
	"errors"
	"maps"
	"net/netip"
	"slices"
	"sort"
)

// DefaultNetworks is how many networks stand for the users of the internet.
const DefaultNetworks = 20_000

// leastNetworks is how many of them a country has, however small it is.
const leastNetworks = 4

// Population is the users of the internet, by country. The users of a country
// are spread evenly over the IPv4 address space that places gives it, of which so
// many networks of 24 bits are drawn in proportion to users. Without places it is
// so many public networks drawn evenly, of which nothing is known.
//
// Networks are those of public addresses; what the operator says of private ones
// is for a file of prefixes. The error is that of places that know no country.
func Population(places Places, networks int, seed uint64) (*Mix, error) {
	r := random(seed, forNetworks)
	m := &Mix{Kind: "population", Unit: "million users"}
	if places == nil {
		m.Kind, m.Unit = "anywhere", "networks"
		all := space{}
		public(func(from, to uint32) { all.add(from, to) })
		all.draw(networks, r.Float64(), func(a uint32) { m.add(a, 24, 1) })
		return m, nil
	}
	countries := countrySpaces(places)
	total := 0.0
	for c := range countries {
		total += users[c]
	}
	for _, c := range slices.Sorted(maps.Keys(users)) {
		s, known := countries[c]
		if !known {
			m.Left.Countries++
			m.Left.Users += users[c]
			continue
		}
		n := max(leastNetworks, int(float64(networks)*users[c]/total+0.5))
		weight := users[c] / float64(n)
		s.draw(n, r.Float64(), func(a uint32) {
			_, bits := places.Find4(a)
			m.add(a, max(int(bits), 24), weight)
		})
	}
	if len(m.Clients) == 0 {
		return nil, errors.New("population: the geography knows no country: name the clients with a file of prefixes")
	}
	return m, nil
}

// add adds the network of an address.
func (m *Mix) add(a uint32, bits int, weight float64) {
	addr := addr4(a)
	p, _ := addr.Prefix(bits) // fails for bits that an address has not
	m.Clients = append(m.Clients, Client{Source: addr, Subnet: p, Network: p, Weight: weight})
}

func addr4(a uint32) netip.Addr {
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

// special are the IPv4 networks of which no public client is (RFC 6890), and
// what lies beyond unicast.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"),
	netip.MustParsePrefix("127.0.0.0/8"),
	netip.MustParsePrefix("169.254.0.0/16"),
	netip.MustParsePrefix("172.16.0.0/12"),
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("224.0.0.0/3"),
}

// public calls each with every range of public addresses, both ends in it.
func public(each func(from, to uint32)) {
	next := uint32(0)
	for _, p := range special {
		first := number(p.Addr())
		if first > next {
			each(next, first-1)
		}
		next = first + 1<<(32-p.Bits()) // wraps to 0 behind the last
	}
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// space is a set of addresses: ranges, and how many there are up to the end of
// each.
type space struct {
	from []uint32
	upTo []uint64
}

// add adds a range, both ends in it, behind all others.
func (s *space) add(from, to uint32) {
	n := uint64(to-from) + 1
	if k := len(s.upTo); k > 0 {
		n += s.upTo[k-1]
	}
	s.from, s.upTo = append(s.from, from), append(s.upTo, n)
}

// draw calls each with n addresses at equal distances, the first one at a share
// of the distance.
func (s *space) draw(n int, offset float64, each func(uint32)) {
	size := float64(s.upTo[len(s.upTo)-1])
	for i := range n {
		at := min(uint64((float64(i)+offset)/float64(n)*size), s.upTo[len(s.upTo)-1]-1)
		k := sort.Search(len(s.upTo), func(k int) bool { return s.upTo[k] > at })
		if k > 0 {
			at -= s.upTo[k-1]
		}
		each(s.from[k] + uint32(at))
	}
}

// countrySpaces are the public IPv4 addresses of each country that has users.
func countrySpaces(places Places) map[string]*space {
	spaces := map[string]*space{}
	byPlace := map[uint32]*space{} // of places seen; nil: none of these countries
	public(func(from, to uint32) {
		for at := uint64(from); at <= uint64(to); {
			id, bits := places.Find4(uint32(at))
			size := uint64(1) << (32 - min(bits, 32))
			end := min(at&^(size-1)+size-1, uint64(to))
			s, seen := byPlace[id]
			if !seen {
				if c := places.Place(id).Country; users[c] > 0 {
					if spaces[c] == nil {
						spaces[c] = &space{}
					}
					s = spaces[c]
				}
				byPlace[id] = s
			}
			if s != nil {
				s.add(uint32(at), uint32(end))
			}
			at = end + 1
		}
	})
	return spaces
}
