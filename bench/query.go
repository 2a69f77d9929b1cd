package main

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
)

const (
	zoneName = "bench.test"
	// digits in a service's name. All names are of one length, so that all
	// queries are, and the kernel can cut them from one piece (UDP_SEGMENT).
	digits = 7
	// digitsAt is where they are in a query: behind the header, the length of
	// the label and its letter.
	digitsAt = dnswire.HeaderLen + 2
)

func serviceName(i int) string { return fmt.Sprintf("n%0*d.%s.", digits, i, zoneName) }

// shape is what kind of queries a client asks. Its words are those of the
// command line.
type shape struct {
	// Kind is "plain" (no EDNS), "edns", "ecs" (a random /24 of 10.0.0.0/8), "world"
	// (one of all of IPv4), "sources" (plain, from random networks of 127.0.0.0/8) or
	// "nxdomain" (plain, names that the zone does not have).
	Kind string
	// Names is how many names there are to draw from.
	Names int
	// Echo: the server echoes, so that there is nothing to see in an answer.
	Echo bool
}

// asker makes queries and knows what was asked. Queries are told apart by
// their ID.
type asker struct {
	shape
	template []byte
	asked    [1 << 16]uint32 // number of the name, by ID
	ids      uint16
	random   *rand.Rand
	ecsAt    int // where the middle two bytes of the subnet are
}

func newAsker(s shape, seed uint64) (*asker, error) {
	a := &asker{shape: s, random: rand.New(rand.NewPCG(seed, 0))}
	if s.Names < 1 {
		return nil, fmt.Errorf("names: %d: at least one is needed", s.Names)
	}
	text := serviceName(0)
	if s.Kind == "nxdomain" {
		text = "x" + text[1:]
	}
	name, err := dnswire.ParseName(text)
	if err != nil {
		return nil, err
	}
	switch s.Kind {
	case "plain", "sources", "nxdomain":
		a.template = dnswire.AppendQuery(nil, name, dnswire.TypeA, netip.Prefix{})
		// Without the OPT record, which is the last 11 bytes.
		a.template = a.template[:len(a.template)-11]
		binary.BigEndian.PutUint16(a.template[10:], 0)
	case "edns":
		a.template = dnswire.AppendQuery(nil, name, dnswire.TypeA, netip.Prefix{})
	case "ecs", "world":
		a.template = dnswire.AppendQuery(nil, name, dnswire.TypeA, netip.MustParsePrefix("10.0.0.0/24"))
		a.ecsAt = len(a.template) - 2
	default:
		return nil, fmt.Errorf("queries: %q: want plain, edns, ecs, world, sources or nxdomain", s.Kind)
	}
	return a, nil
}

// size is the length of every query.
func (a *asker) size() int { return len(a.template) }

// put writes the next query to b, which has room for it, and returns its ID.
func (a *asker) put(b []byte) uint16 {
	copy(b, a.template)
	a.ids++
	r := a.random.Uint64()
	// Multiplying instead of dividing: a draw to within 1 part in 4,000.
	n := uint32(uint64(uint32(r)) * uint64(a.Names) >> 32)
	a.asked[a.ids] = n
	binary.BigEndian.PutUint16(b, a.ids)
	for i, v := digitsAt+digits-1, n; v > 0; i, v = i-1, v/10 {
		b[i] = '0' + byte(v%10)
	}
	if a.ecsAt > 0 {
		binary.BigEndian.PutUint16(b[a.ecsAt:], uint16(r>>32))
		if a.Kind == "world" {
			b[a.ecsAt-1] = byte(r >> 48)
		}
	}
	return a.ids
}

// right is whether b is an answer to the query with its ID: the same name, and
// records, or the denial that was to be expected.
func (a *asker) right(b []byte) bool {
	if len(b) < a.size()-a.options() {
		return false
	}
	n := uint32(0)
	for _, c := range b[digitsAt : digitsAt+digits] {
		n = n*10 + uint32(c-'0')
	}
	if n != a.asked[binary.BigEndian.Uint16(b)] {
		return false
	}
	if a.Echo {
		return true
	}
	rcode, answers := b[3]&0xf, binary.BigEndian.Uint16(b[6:])
	const qr, aa, tc = 0x80, 0x04, 0x02
	if b[2]&(qr|aa|tc) != qr|aa {
		return false
	}
	if a.Kind == "nxdomain" {
		return rcode == 3 && answers == 0 && binary.BigEndian.Uint16(b[8:]) > 0
	}
	return rcode == 0 && answers > 0
}

// options is what of a query an answer need not have: its OPT record.
func (a *asker) options() int {
	switch a.Kind {
	case "edns":
		return 11
	case "ecs", "world":
		return 11 + 4 + 4 + 3
	}
	return 0
}
