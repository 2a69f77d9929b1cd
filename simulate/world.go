package simulate

import (
	"maps"
	"math"
	"net/netip"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/conduct"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/hosts"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// World is a configuration with what is supposed about it, ready to be asked.
type World struct {
	Snapshot *resolve.Snapshot
	// Places says where addresses are; nil: nobody is anywhere.
	Places Places
	// Pools are the pools of the configuration by name.
	Pools map[string]*spec.Pool
	// States are the states of endpoints that are not simply up: down, drained or
	// unknown, by address or host name.
	States map[string]string

	latency map[string]time.Duration
	load    map[string]float64
}

// Facts are what is known of endpoints, by address or host name.
type Facts struct {
	States  map[string]string        // up, down or unknown; not stated: up
	Latency map[string]time.Duration // what the filter latency goes by
	Load    map[string]float64       // what the filter shed goes by, in the unit of the limits
}

// NewWorld puts a configuration in force, without probes: every endpoint is up, and
// its latency and load are not known, but for those of which the facts or a
// supposition say otherwise. It changes the pools of s. An error of a supposition
// says what the configuration has instead.
func NewWorld(s *spec.Spec, suppositions []Supposition, facts Facts) (*World, error) {
	w := &World{States: map[string]string{}, Pools: s.Pools, latency: map[string]time.Duration{}, load: map[string]float64{}}
	maps.Copy(w.latency, facts.Latency)
	maps.Copy(w.load, facts.Load)
	for name, state := range facts.States {
		if state != health.Up.String() {
			w.States[name] = state
		}
	}
	for _, sup := range suppositions {
		if err := w.suppose(s, sup); err != nil {
			return nil, err
		}
	}
	// What is judged differently for each service would otherwise be as many
	// endpoints, and none of it has been judged.
	for _, p := range s.Pools {
		for i := range p.Endpoints {
			p.Endpoints[i].Checks = nil
		}
	}
	engine, err := rhumb.New(rhumb.Options{})
	if err != nil {
		return nil, err
	}
	change, err := engine.Prepare(s)
	if err != nil {
		return nil, err
	}
	if err := engine.Commit(change); err != nil {
		return nil, err
	}
	// Reports name places also where no service goes by them.
	if w.Places, err = engine.Places(); err != nil {
		return nil, err
	}
	now := engine.Snapshot()
	t := now.Table
	snapshot := &resolve.Snapshot{Table: t, Health: w.health(t), Hosts: resolved(t.Hosts), Geo: now.Geo, Hours: now.Hours}
	if len(t.Courses) > 0 {
		snapshot.Conduct = conduct.Begun(t.Courses, snapshot.Health)
	}
	snapshot.Settle(nil)
	w.Snapshot = snapshot
	return w, nil
}

// resolved is a view in which every host name has an address of each family, none
// of them another one's: they are not asked for, and their answers would say no more
// than that it is this host.
func resolved(names []dnswire.Name) *hosts.View {
	details := make([]hosts.Detail, len(names))
	for i, name := range names {
		v4 := [4]byte{240, byte(i >> 16), byte(i >> 8), byte(i)} // reserved (RFC 1112 section 4)
		v6 := [16]byte{0: 1, 12: byte(i >> 24), 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}
		details[i] = hosts.Detail{
			Name: name,
			V4:   hosts.Records{Addrs: []netip.Addr{netip.AddrFrom4(v4)}, TTL: time.Minute},
			V6:   hosts.Records{Addrs: []netip.Addr{netip.AddrFrom16(v6)}, TTL: time.Minute},
		}
	}
	return hosts.Fixed(details...)
}

const drained = "drained"

// health is the view of the table's targets that the states make.
func (w *World) health(t *table.Table) *health.View {
	states := map[int]health.Detail{}
	out := map[int]bool{}
	figures := health.Figures{Latency: make([]uint32, len(t.Targets)), Load: make([]uint32, len(t.Targets))}
	for i := range t.Targets {
		name := t.Targets[i].Host
		if name == "" {
			name = t.Targets[i].Addr.String()
		}
		figures.Load[i] = health.NoLoad
		if load, known := w.load[name]; known {
			figures.Load[i] = health.LoadUnits(load)
		}
		if w.States[name] != health.Down.String() {
			figures.Latency[i] = uint32(min(w.latency[name].Microseconds(), math.MaxUint32))
		}
		switch w.States[name] {
		case health.Down.String():
			states[i] = health.Detail{State: health.Down, Authority: health.Validation}
		case health.Unknown.String():
			states[i] = health.Detail{State: health.Unknown}
		case drained:
			out[i] = true
		}
	}
	if len(out) == 0 {
		return health.Fixed(len(t.Targets), states).With(figures)
	}
	// An operator's word is on an endpoint of a service, so it is given for each.
	words := map[dnswire.Name]map[int]health.State{}
	t.EachService(func(n *table.Node, p *table.Plan) bool {
		name := t.Name(n)
		for _, group := range []*[3]table.Members{&p.Members, &p.Spare} {
			for f := range group {
				for _, target := range group[f].Targets {
					if !out[int(target)] {
						continue
					}
					if words[name] == nil {
						words[name] = map[int]health.State{}
					}
					words[name][int(target)] = health.Down
				}
			}
		}
		return true
	})
	figures.Words = words
	return health.Fixed(len(t.Targets), states).With(figures)
}

// serves is whether a name is a service.
func serves(n *table.Node) bool { return n != nil && n.Plan != table.NoPlan }

// service is the node and the plan of a service that answers for a name; nil
// when it is none.
func (w *World) service(name dnswire.Name, typ dnswire.Type) (*table.Node, *table.Plan) {
	t := w.Snapshot.Table
	m := t.Find([]byte(name), typ)
	if !serves(m.Node) {
		return nil, nil
	}
	return m.Node, t.Plans[m.Node.Plan]
}
