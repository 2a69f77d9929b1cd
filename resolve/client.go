package resolve

import (
	"encoding/binary"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/geo"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// client is whom an answer is for: the network that the client subnet option
// (RFC 7871) names, or else where the query came from.
type client struct {
	known  bool // the rest has been found out
	told   bool // by the option, so that the scope of the answer means something
	v4     bool
	valid  bool   // there is an address
	hi, lo uint64 // the address; IPv4 in the lower half of hi
	scope  uint8  // how many bits of it have mattered so far
}

// listens is whether the client subnet option of a query, which has one, counts
// and is answered.
func (s *Snapshot) listens(q *dnswire.Query) bool {
	if !s.Table.ECS {
		return false
	}
	trusted := s.Table.ECSTrusted
	if len(trusted) == 0 {
		return true
	}
	from := q.Client.Addr().Unmap()
	for _, n := range trusted {
		if n.Contains(from) {
			return true
		}
	}
	return false
}

// whom finds out who the client is. An option of no bits asks that nothing be
// told of the client: the answer is for whoever asks (RFC 7871 section 7.1.2).
func (c *Scratch) whom() *client {
	cl := &c.client
	if cl.known {
		return cl
	}
	*cl = client{known: true}
	q := c.asked
	if c.opt.ECS != nil && q.ECS.SourceBits > 0 {
		cl.told, cl.valid = true, true
		if q.ECS.Family == 1 {
			cl.v4, cl.hi = true, uint64(binary.BigEndian.Uint32(q.ECS.Addr[:4]))
		} else {
			cl.hi, cl.lo = binary.BigEndian.Uint64(q.ECS.Addr[:8]), binary.BigEndian.Uint64(q.ECS.Addr[8:])
		}
		return cl
	}
	cl.from(q.Client.Addr())
	return cl
}

func (cl *client) from(a netip.Addr) {
	switch a = a.Unmap(); {
	case !a.IsValid():
	case a.Is4():
		b := a.As4()
		cl.v4, cl.valid, cl.hi = true, true, uint64(binary.BigEndian.Uint32(b[:]))
	default:
		b := a.As16()
		cl.valid, cl.hi, cl.lo = true, binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	}
}

// addr is the client's address, or the first one of its network.
func (cl *client) addr() netip.Addr {
	switch {
	case !cl.valid:
		return netip.Addr{}
	case cl.v4:
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, uint32(cl.hi))))
	}
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, cl.hi), cl.lo)))
}

// matters notes that so many bits of the client's address decided.
func (cl *client) matters(bits uint8) { cl.scope = max(cl.scope, bits) }

// The length of the networks whose clients stay together: what resolvers send
// at most (RFC 7871 section 11.1).
const (
	subnet4 = 24
	subnet6 = 56
)

// subnetBits is the length of the network that Query.Subnet stands for.
func (cl *client) subnetBits() uint8 {
	if cl.v4 {
		return subnet4
	}
	return subnet6
}

// subnet is Query.Subnet of the client's network, or of one at a distance from it.
func (cl *client) subnet(distance uint64) uint64 {
	n := cl.hi >> (64 - subnet6)
	if cl.v4 {
		n = cl.hi>>(32-subnet4) | 1<<63
	}
	return mix(n ^ distance)
}

// locate finds out where the client is, for the filters, and how many bits of its
// address say so. Without any geography nobody is anywhere.
func (s *Snapshot) locate(c *Scratch) (bits uint8) {
	cl := c.whom()
	if s.Geo == nil || !cl.valid {
		c.place = geo.Place{}
		return 0
	}
	var id uint32
	if cl.v4 {
		id, bits = s.Geo.Find4(uint32(cl.hi))
	} else {
		id, bits = s.Geo.Find6(cl.hi, cl.lo)
	}
	c.place = s.Geo.Place(id)
	return bits
}

// find is the look-up of the client in a map.
func (cl *client) find(m *geo.Map) (value uint32, bits uint8) {
	if cl.v4 {
		return m.Find4(uint32(cl.hi))
	}
	return m.Find6(cl.hi, cl.lo)
}

// maxNeighbours is how many other subnets are tried to find how far the scope of
// an answer by subnet reaches. With n endpoints of equal weight the next one is
// alike in one case of n, so that two or three settle it nearly always.
const maxNeighbours = 15

// neighbours notes how many bits of the client's subnet mattered: the shortest
// prefix of which every subnet gets what this one got.
func (c *Scratch) neighbours(p *table.Plan, ms *table.Members, got []steer.Candidate) {
	cl := c.whom()
	// Without an option nobody but an explanation asks for the scope.
	if !cl.told && c.trace == nil || len(c.kept) < 2 || c.link.Needs&steer.Subnets == 0 {
		return
	}
	bits := cl.subnetBits()
	if c.link.Needs&steer.Chance == 0 {
		trace := c.trace
		c.trace = nil
		for width := uint64(1); bits > cl.scope && 2*width-1 <= maxNeighbours; width *= 2 {
			if !c.alike(p, ms, got, width) {
				break
			}
			bits--
		}
		c.trace, c.query.Subnet = trace, cl.subnet(0)
	}
	cl.matters(bits)
}

// alike is whether the subnets of the neighbouring block of so many get what the
// client's got.
func (c *Scratch) alike(p *table.Plan, ms *table.Members, got []steer.Candidate, width uint64) bool {
	for distance := width; distance < 2*width; distance++ {
		c.query.Subnet = c.client.subnet(distance)
		c.beside = append(c.beside[:0], c.kept...)
		other := c.first(p, ms, c.draw(c.link, ms, c.beside))
		if len(other) != len(got) {
			return false
		}
		for i := range got {
			if got[i].Index != other[i].Index {
				return false
			}
		}
	}
	return true
}

// mix is the finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable
// pseudorandom number generators, 2014): neighbours have nothing in common.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
