package simulate

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/steer"
	"github.com/rhumb-dns/rhumb/table"
)

// groups are the clients by what makes a difference to their answers. The clients
// of one group have the same chances with every endpoint, before and after, so
// that their answers may be counted together: the share of them that moves is
// known from many answers, and not from the few that a single network got, which
// chance alone makes differ.
//
// What makes a difference is the plan that the service has on each side, the type,
// and the class of the client's place for the filters that go by it. Where the
// client's subnet matters, its answers are the difference: they are no matter of
// chance then.
type groups struct {
	number map[string]int
	// What all clients that ask the question at hand have in common.
	common  []byte
	placed  bool
	subnets bool
	byPlace map[uint64]int
	filters [2][]steer.Placed
	plans   map[*table.Plan]uint32
	key     []byte
}

// ask notes what is asked.
func (g *groups) ask(typ dnswire.Type, sides ...*side) {
	if g.number == nil {
		g.number, g.plans = map[string]int{}, map[*table.Plan]uint32{}
	}
	g.common = binary.BigEndian.AppendUint16(g.common[:0], uint16(typ))
	g.placed, g.subnets = false, false
	g.byPlace = map[uint64]int{}
	g.filters = [2][]steer.Placed{}
	for i, s := range sides {
		if s == nil {
			continue
		}
		n, known := g.plans[s.plan]
		if !known {
			n = uint32(len(g.plans))
			g.plans[s.plan] = n
		}
		g.common = binary.BigEndian.AppendUint32(g.common, n)
		if s.plan == nil {
			continue
		}
		g.placed = g.placed || s.plan.Needs&steer.Places != 0
		g.subnets = g.subnets || s.plan.Needs&steer.Subnets != 0
		g.filters[i] = s.plan.Placed()
	}
}

// of is the group of a client that has just been answered.
func (g *groups) of(r *run, client int) int {
	if g.subnets {
		g.key = g.class(append(g.key[:0], g.common...), r, client)
		for _, s := range []*side{r.before, r.after} {
			if s == nil {
				continue
			}
			slices.Sort(s.touched)
			g.key = binary.AppendUvarint(g.key, uint64(len(s.touched)))
			for _, at := range s.touched {
				g.key = binary.AppendUvarint(g.key, uint64(at))
			}
		}
		return g.named(g.key)
	}
	places := uint64(0)
	if g.placed {
		places = uint64(r.seen[0][client])<<32 | uint64(r.seen[1][client])
	}
	n, known := g.byPlace[places]
	if !known {
		g.key = g.class(append(g.key[:0], g.common...), r, client)
		n = g.named(g.key)
		g.byPlace[places] = n
	}
	return n
}

func (g *groups) named(key []byte) int {
	n, known := g.number[string(key)]
	if !known {
		n = len(g.number)
		g.number[string(key)] = n
	}
	return n
}

// class appends the class of a client's places.
func (g *groups) class(key []byte, r *run, client int) []byte {
	for i, w := range []*World{r.o.Before, r.o.After} {
		if w == nil || w.Places == nil {
			continue
		}
		place := w.Places.Place(r.seen[i][client])
		for _, f := range g.filters[i] {
			start := len(key)
			key = f.Class(key, &place)
			key = binary.BigEndian.AppendUint32(key, uint32(len(key)-start))
		}
	}
	return key
}

// see finds out where each side sees the clients.
func (r *run) see() {
	for i, w := range []*World{r.o.Before, r.o.After} {
		if w == nil {
			continue
		}
		r.seen[i] = make([]uint32, len(r.o.Mix.Clients))
		for k := range r.o.Mix.Clients {
			r.seen[i][k] = w.find(w.sees(&r.o.Mix.Clients[k]))
		}
	}
	if r.o.After == nil {
		r.seen[1] = r.seen[0]
	}
}

// sees is the address that the filters go by.
func (w *World) sees(c *Client) netip.Addr {
	t := w.Snapshot.Table
	trusts := func(n netip.Prefix) bool { return n.Contains(c.Source) }
	if !t.ECS || len(t.ECSTrusted) > 0 && !slices.ContainsFunc(t.ECSTrusted, trusts) {
		return c.Source
	}
	return c.addr()
}

// find is the number of an address's place; 0: nothing is known of it.
func (w *World) find(a netip.Addr) uint32 {
	if w.Places == nil || !a.IsValid() {
		return 0
	}
	var id uint32
	if a = a.Unmap(); a.Is4() {
		id, _ = w.Places.Find4(number(a))
	} else {
		b := a.As16()
		id, _ = w.Places.Find6(binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:]))
	}
	return id
}
