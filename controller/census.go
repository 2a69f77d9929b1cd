package controller

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sort"
	"strings"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// census is who is in a zone by one table: its services by the plans that they have, and
// its static records. All views of the zone share it.
type census struct {
	table *table.Table
	data  *zone.Data
	index int // of the zone in the table

	services []service     // by name
	plans    []*table.Plan // that they have, each once
	of       [][]int32     // the services of each of plans
	static   []fixed       // by name
}

// service is a steered name; plan is an index in census.plans.
type service struct {
	name string // without the final dot
	plan int32
}

// fixed is a name with static records.
type fixed struct {
	name string
	says *content
}

// zoneOf is the number of a zone in a table, -1 when it has none.
func zoneOf(t *table.Table, name dnswire.Name) int {
	return slices.IndexFunc(t.Zones, func(z *table.Zone) bool { return z.Name == name })
}

// take takes the census of a zone.
func take(s *resolve.Snapshot, index int, contents *contents) *census {
	t := s.Table
	c := &census{table: t, data: t.Data(index), index: index}
	numbers := map[uint32]int32{}
	asks := &asker{snapshot: s, zone: t.Zones[index].Name, scratch: resolve.NewScratch(1, 2), buf: make([]byte, 0, dnswire.MaxTCP)}
	t.EachService(func(n *table.Node, p *table.Plan) bool {
		if n.Zone() != index {
			return true
		}
		at, known := numbers[n.Plan]
		if !known {
			at = int32(len(c.plans))
			numbers[n.Plan] = at
			c.plans = append(c.plans, p)
		}
		c.services = append(c.services, service{text(t.Name(n)), at})
		return true
	})
	slices.SortFunc(c.services, func(a, b service) int { return strings.Compare(a.name, b.name) })
	c.of = make([][]int32, len(c.plans))
	for i := range c.services {
		at := c.services[i].plan
		c.of[at] = append(c.of[at], int32(i))
	}
	t.Each(func(n *table.Node) bool {
		if n.Zone() == index && n.Plan == table.NoPlan && !n.Empty() {
			name := t.Name(n)
			if says := asks.static(name, contents); says != nil {
				c.static = append(c.static, fixed{text(name), says})
			}
		}
		return true
	})
	slices.SortFunc(c.static, func(a, b fixed) int { return strings.Compare(a.name, b.name) })
	return c
}

// find is the number of a service, -1 when there is none of that name.
func (c *census) find(name string) int32 {
	i := sort.Search(len(c.services), func(i int) bool { return c.services[i].name >= name })
	if i < len(c.services) && c.services[i].name == name {
		return int32(i)
	}
	return -1
}

// text is a name as the protocol writes it.
func text(n dnswire.Name) string {
	if n.IsRoot() {
		return "."
	}
	return strings.TrimSuffix(n.String(), ".")
}

// asker asks a snapshot for static records.
type asker struct {
	snapshot *resolve.Snapshot
	zone     dnswire.Name
	scratch  *resolve.Scratch
	query    dnswire.Query
	buf      []byte
}

// static is the addresses of a name, in the order in which they are answered, or where its
// CNAME leads, or that it is there and has neither. Nil is of what a delegation or a DNAME
// record hides: that is not answered, so it is not there.
func (a *asker) static(name dnswire.Name, contents *contents) *content {
	says := says{fixed: true}
	a.ask(name, dnswire.TypeCNAME, func(ttl uint32, data []byte) {
		says.host, says.ttl[0] = dnswire.Name(data), ttl
	})
	bare := false
	if says.host == "" {
		for f, t := range [...]dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA} {
			bare = a.ask(name, t, func(ttl uint32, data []byte) {
				if addr, ok := netip.AddrFromSlice(data); ok {
					says.addrs[f], says.ttl[f], says.has[f] = append(says.addrs[f], addr), ttl, true
				}
			})
		}
	}
	if says.host == "" && !says.has[0] && !says.has[1] {
		if !bare || name == a.zone {
			return nil
		}
		says.off, says.has[0] = true, true
	}
	return contents.of(&says)
}

// ask calls f with the records of a name and type. Bare is that the answer is that there
// are none.
func (a *asker) ask(name dnswire.Name, t dnswire.Type, f func(ttl uint32, data []byte)) (bare bool) {
	a.query.Transport = dnswire.TCP // of which no answer is cut short
	a.query.Parse(dnswire.AppendQuery(a.buf[:0], name, t, netip.Prefix{}))
	msg := a.snapshot.Append(nil, &a.query, a.scratch)
	resolve.Answers(msg, func(owner dnswire.Name, is dnswire.Type, ttl uint32, data []byte) bool {
		if owner == name && is == t {
			f(ttl, data)
		}
		return owner == name
	})
	flags, answers := binary.BigEndian.Uint16(msg[2:]), binary.BigEndian.Uint16(msg[6:])
	return flags&dnswire.FlagAA != 0 && dnswire.RCode(flags&0xf) == dnswire.NoError && answers == 0
}
