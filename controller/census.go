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

// census is who is in a zone by one table: its services, and its static records. All views
// of the zone share it.
type census struct {
	*roster
	table    *table.Table
	data     *zone.Data
	static   statics
	contents *contents // of static, for what comes; of the worker alone
}

// roster is the services of a zone by the plans that they have. Tables of one serial have
// the same.
type roster struct {
	services []service     // by name
	plans    []*table.Plan // that they have, each once
	of       [][]int32     // the services of each of plans
}

// service is a steered name; plan is an index in roster.plans.
type service struct {
	name string // without the final dot
	plan int32
}

// zoneOf is the number of a zone in a table, -1 when it has none.
func zoneOf(t *table.Table, name dnswire.Name) int {
	return slices.IndexFunc(t.Zones, func(z *table.Zone) bool { return z.Name == name })
}

// take takes the census of a zone, from the beginning.
func take(s *resolve.Snapshot, index int) *census {
	t := s.Table
	c := &census{roster: enrol(t, index), table: t, data: t.Data(index)}
	asks := newAsker(s, index, newContents())
	var all []fixed
	t.Each(func(n *table.Node) bool {
		if says := asks.node(n); says != nil {
			all = append(all, fixed{text(t.Name(n)), says})
		}
		return true
	})
	slices.SortFunc(all, byName)
	c.static, c.contents = newStatics(all), asks.contents.kept(len(all))
	return c
}

// enrol finds the services of a zone.
func enrol(t *table.Table, index int) *roster {
	r := &roster{}
	numbers := map[uint32]int32{}
	t.EachService(func(n *table.Node, p *table.Plan) bool {
		if n.Zone() != index {
			return true
		}
		at, known := numbers[n.Plan]
		if !known {
			at = int32(len(r.plans))
			numbers[n.Plan] = at
			r.plans = append(r.plans, p)
		}
		r.services = append(r.services, service{text(t.Name(n)), at})
		return true
	})
	slices.SortFunc(r.services, func(a, b service) int { return strings.Compare(a.name, b.name) })
	r.of = make([][]int32, len(r.plans))
	for i := range r.services {
		at := r.services[i].plan
		r.of[at] = append(r.of[at], int32(i))
	}
	return r
}

// next is the census by the table of a snapshot. When the two tables differ in nothing but
// records that zones were fed, and it is known which, the names of these are asked alone.
func (c *census) next(s *resolve.Snapshot, index int) *census {
	switch {
	case c == nil || c.table.Serial() != s.Table.Serial():
		return take(s, index)
	case c.table == s.Table:
		return c
	}
	n := &census{roster: c.roster, table: s.Table, data: s.Table.Data(index)}
	names, known := n.data.Since(c.data)
	if !known {
		return take(s, index)
	}
	asks := newAsker(s, index, c.contents)
	changes := map[string]*content{}
	for name := range names {
		owner := dnswire.Name(name)
		if hides(c.data, owner) || hides(n.data, owner) {
			return take(s, index) // who knows which names are there now, and are not any more
		}
		if _, again := changes[text(owner)]; !again {
			changes[text(owner)] = asks.named(owner)
		}
	}
	n.static, n.contents = c.static.with(changes), c.contents.kept(c.static.len())
	return n
}

// hides is whether the records of a name may hide names below it. What a name says depends
// on its own records and on those that hide it, and on nothing else.
func hides(d *zone.Data, owner dnswire.Name) bool {
	sets, _ := d.Owned(owner)
	return slices.ContainsFunc(sets, func(s zone.Records) bool {
		return s.Type == dnswire.TypeDNAME || s.Type == dnswire.TypeNS && owner != d.Name
	})
}

// find is the number of a service, -1 when there is none of that name.
func (r *roster) find(name string) int32 {
	i := sort.Search(len(r.services), func(i int) bool { return r.services[i].name >= name })
	if i < len(r.services) && r.services[i].name == name {
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

// asker asks a snapshot for the static records of a zone.
type asker struct {
	snapshot *resolve.Snapshot
	index    int // of the zone
	contents *contents
	scratch  *resolve.Scratch
	query    dnswire.Query
	buf, msg []byte
}

func newAsker(s *resolve.Snapshot, index int, contents *contents) *asker {
	return &asker{snapshot: s, index: index, contents: contents, scratch: resolve.NewScratch(1, 2)}
}

// named is node for a name.
func (a *asker) named(name dnswire.Name) *content {
	if n := a.snapshot.Table.Lookup([]byte(name)); n != nil {
		return a.node(n)
	}
	return nil
}

// node is what the static records of a name say. Nil: it has none in this zone, is a service, or
// they are not answered.
func (a *asker) node(n *table.Node) *content {
	if n.Zone() != a.index || n.Plan != table.NoPlan || n.Empty() {
		return nil
	}
	return a.static(a.snapshot.Table.Name(n))
}

// static is the addresses of a name, in the order in which they are answered, or where its
// CNAME leads, or that it is there and has neither. Nil is of what a delegation or a DNAME
// record hides: that is not answered, so it is not there.
func (a *asker) static(name dnswire.Name) *content {
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
		if !bare || name == a.snapshot.Table.Zones[a.index].Name {
			return nil
		}
		says.off, says.has[0] = true, true
	}
	return a.contents.of(&says)
}

// ask calls f with the records of a name and type. Bare is that the answer is that there
// are none.
func (a *asker) ask(name dnswire.Name, t dnswire.Type, f func(ttl uint32, data []byte)) (bare bool) {
	a.query.Transport = dnswire.TCP // of which no answer is cut short
	a.buf = dnswire.AppendQuery(a.buf[:0], name, t, netip.Prefix{})
	a.query.Parse(a.buf)
	a.msg = a.snapshot.Append(a.msg[:0], &a.query, a.scratch)
	resolve.Answers(a.msg, func(owner dnswire.Name, is dnswire.Type, ttl uint32, data []byte) bool {
		if owner == name && is == t {
			f(ttl, data)
		}
		return owner == name
	})
	flags, answers := binary.BigEndian.Uint16(a.msg[2:]), binary.BigEndian.Uint16(a.msg[6:])
	return flags&dnswire.FlagAA != 0 && dnswire.RCode(flags&0xf) == dnswire.NoError && answers == 0
}
