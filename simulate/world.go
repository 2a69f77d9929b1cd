package simulate

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
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

// Act is what a supposition does.
type Act uint8

// The acts.
const (
	Down   Act = iota // the endpoints have failed
	Drain             // an operator has taken them out, and nobody is left on them
	Weight            // they have another weight
)

// Supposition is something that is not so, or not yet.
type Supposition struct {
	Act    Act
	Of     string // "pool", "endpoint" or "region"
	Name   string // of the pool or region; the endpoint's address or host name
	Weight uint32 // for Weight
}

// maxWeightOfEndpoint is the highest weight that a configuration may state.
const maxWeightOfEndpoint = 65535

// ParseSupposition reads what an act is about: "pool=eu", "region=eu-west" or
// "endpoint=192.0.2.10", and for Weight behind it the weight, "pool=eu=50".
func ParseSupposition(act Act, text string) (Supposition, error) {
	s := Supposition{Act: act}
	example := "pool=eu, region=eu-west or endpoint=192.0.2.10"
	if act == Weight {
		example = "pool=eu=50 or endpoint=192.0.2.10=50"
		at := strings.LastIndexByte(text, '=')
		if at < 0 || strings.Count(text, "=") < 2 {
			return s, fmt.Errorf("%q: %s is expected", text, example)
		}
		w, err := strconv.ParseUint(text[at+1:], 10, 32)
		if err != nil || w > maxWeightOfEndpoint {
			return s, fmt.Errorf("%q: a weight is a number from 0 to %d", text, maxWeightOfEndpoint)
		}
		text, s.Weight = text[:at], uint32(w)
	}
	var ok bool
	s.Of, s.Name, ok = strings.Cut(text, "=")
	if !ok || s.Name == "" || !slices.Contains([]string{"pool", "region", "endpoint"}, s.Of) {
		return s, fmt.Errorf("%q: %s is expected", text, example)
	}
	if s.Of == "endpoint" {
		s.Name = canonical(s.Name)
	}
	return s, nil
}

// canonical is an endpoint as spec.Endpoint.String has it.
func canonical(endpoint string) string {
	if a, err := netip.ParseAddr(endpoint); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(endpoint, "."))
}

// String is the supposition in words.
func (s Supposition) String() string {
	what := s.Of + " " + s.Name
	switch s.Act {
	case Down:
		return what + " is down"
	case Drain:
		return what + " is drained"
	}
	return fmt.Sprintf("%s has weight %d", what, s.Weight)
}

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
}

// NewWorld puts a configuration in force, without probes: every endpoint is up
// but those of which states, by address or host name, or a supposition says
// otherwise. It changes the pools of s. An error of a supposition says what the
// configuration has instead.
func NewWorld(s *spec.Spec, suppositions []Supposition, states map[string]string) (*World, error) {
	w := &World{States: map[string]string{}, Pools: s.Pools}
	for name, state := range states {
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

// suppose notes a supposition.
func (w *World) suppose(s *spec.Spec, sup Supposition) error {
	found := false
	names := map[string]bool{}
	for _, p := range s.Pools {
		for _, e := range endpointsOf(p) {
			is := e.String()
			switch sup.Of {
			case "pool":
				is = p.Name
			case "region":
				if is = ""; e.Place != nil {
					is = e.Place.Region
				}
			}
			if is != "" {
				names[is] = true
			}
			if is != sup.Name {
				continue
			}
			found = true
			switch sup.Act {
			case Down:
				w.States[e.String()] = health.Down.String()
			case Drain:
				w.States[e.String()] = drained
			case Weight:
				e.Weight = sup.Weight
			}
		}
	}
	if found {
		return nil
	}
	return fmt.Errorf("%s: there is no %s %s: %s", sup, sup.Of, sup.Name, choice(names))
}

// endpointsOf are the endpoints of a pool; of a composed one those of the pools
// that it is made of, since its own are copies.
func endpointsOf(p *spec.Pool) (all []*spec.Endpoint) {
	plain := []*spec.Pool{p}
	if p.Nested != nil {
		plain = plainPools(nil, p.Nested)
	}
	for _, p := range plain {
		for i := range p.Endpoints {
			all = append(all, &p.Endpoints[i])
		}
	}
	return all
}

const drained = "drained"

// shownNames is how many names a message lists.
const shownNames = 12

func choice(names map[string]bool) string {
	all := slices.Sorted(maps.Keys(names))
	switch n := len(all); {
	case n == 0:
		return "the configuration has none"
	case n > shownNames:
		return "there are " + strings.Join(all[:shownNames], ", ") + fmt.Sprintf(" and %d more", n-shownNames)
	}
	return "there are " + strings.Join(all, ", ")
}

// health is the view of the table's targets that the states make.
func (w *World) health(t *table.Table) *health.View {
	states := map[int]health.Detail{}
	out := map[int]bool{}
	for i := range t.Targets {
		name := t.Targets[i].Host
		if name == "" {
			name = t.Targets[i].Addr.String()
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
		return health.Fixed(len(t.Targets), states)
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
	return health.Fixed(len(t.Targets), states).With(health.Figures{Words: words})
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
