package simulate

import (
	"fmt"
	"iter"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/spec"
)

// Act is what a supposition does.
type Act uint8

// The acts.
const (
	Down    Act = iota // the endpoints have failed
	Drain              // an operator has taken them out, and nobody is left on them
	Weight             // they have another weight
	Latency            // connections to them take so long
	Loaded             // so much load is reported of each
)

// Supposition is something that is not so, or not yet.
type Supposition struct {
	Act    Act
	Of     string        // "pool", "endpoint", "region" or "service"
	Name   string        // of the pool, region or service; the endpoint's address or host name
	Weight uint32        // for Weight
	Time   time.Duration // for Latency
	Load   float64       // for Loaded, in the unit of the endpoints' limits
}

// maxWeightOfEndpoint is the highest weight that a configuration may state.
const maxWeightOfEndpoint = 65535

// maxLatency is longer than any probe waits.
const maxLatency = time.Minute

// examples are what is expected behind the flag of each act.
var examples = [...]string{
	Down:    "pool=eu, region=eu-west, service=www.example.com or endpoint=192.0.2.10",
	Drain:   "pool=eu, region=eu-west, service=www.example.com or endpoint=192.0.2.10",
	Weight:  "pool=eu=50 or endpoint=192.0.2.10=50",
	Latency: "pool=eu=40ms or endpoint=192.0.2.10=40ms",
	Loaded:  "pool=eu=0.9 or endpoint=192.0.2.10=0.9",
}

// ParseSupposition reads what an act is about: "pool=eu", "region=eu-west",
// "service=www.example.com" or "endpoint=192.0.2.10", and behind it the weight, the
// latency or the load of those that have one: "pool=eu=50".
func ParseSupposition(act Act, text string) (Supposition, error) {
	s := Supposition{Act: act}
	example := examples[act]
	if act >= Weight {
		at := strings.LastIndexByte(text, '=')
		if at < 0 || strings.Count(text, "=") < 2 {
			return s, fmt.Errorf("%q: %s is expected", text, example)
		}
		if err := s.measure(text[at+1:]); err != nil {
			return s, fmt.Errorf("%q: %w", text, err)
		}
		text = text[:at]
	}
	var ok bool
	s.Of, s.Name, ok = strings.Cut(text, "=")
	if !ok || s.Name == "" || !slices.Contains([]string{"pool", "region", "service", "endpoint"}, s.Of) {
		return s, fmt.Errorf("%q: %s is expected", text, example)
	}
	if s.Of == "endpoint" || s.Of == "service" {
		s.Name = canonical(s.Name)
	}
	return s, nil
}

// measure reads what stands behind the second "=".
func (s *Supposition) measure(text string) error {
	switch s.Act {
	case Weight:
		w, err := strconv.ParseUint(text, 10, 32)
		if err != nil || w > maxWeightOfEndpoint {
			return fmt.Errorf("a weight is a number from 0 to %d", maxWeightOfEndpoint)
		}
		s.Weight = uint32(w)
	case Latency:
		d, err := time.ParseDuration(text)
		if err != nil || d < time.Microsecond || d > maxLatency {
			return fmt.Errorf("a latency is a time from 1us to %s, such as 40ms", maxLatency)
		}
		s.Time = d
	case Loaded:
		v, _, err := amount(text)
		if err != nil || !(v >= 0) || v > health.MaxLoad {
			return fmt.Errorf("a load is a number from 0 to %d in the unit of the limits, such as 0.9 or 12k", health.MaxLoad)
		}
		s.Load = v
	}
	return nil
}

// canonical is an endpoint as spec.Endpoint.String has it, or the name of a service
// alike.
func canonical(name string) string {
	if a, err := netip.ParseAddr(name); err == nil {
		return a.String()
	}
	return strings.ToLower(strings.TrimSuffix(name, "."))
}

// String is the supposition in words.
func (s Supposition) String() string {
	what := s.Of + " " + s.Name
	switch s.Act {
	case Down:
		return what + " is down"
	case Drain:
		return what + " is drained"
	case Latency:
		return fmt.Sprintf("%s has a latency of %s", what, s.Time)
	case Loaded:
		return fmt.Sprintf("%s has a load of %s", what, strconv.FormatFloat(s.Load, 'f', -1, 64))
	}
	return fmt.Sprintf("%s has weight %d", what, s.Weight)
}

// suppose notes a supposition.
func (w *World) suppose(s *spec.Spec, sup Supposition) error {
	found := false
	names := map[string]bool{}
	var of map[*spec.Pool]bool // nil: of all
	if sup.Of == "service" {
		if of = poolsBehind(s, sup.Name); of == nil {
			for name := range services(s) {
				names[name] = true
			}
		}
		found = of != nil
	}
	for _, p := range s.Pools {
		if sup.Of == "service" && !of[p] {
			continue
		}
		for _, e := range endpointsOf(p) {
			is := e.String()
			switch sup.Of {
			case "pool":
				is = p.Name
			case "region":
				if is = ""; e.Place != nil {
					is = e.Place.Region
				}
			case "service":
				is = sup.Name
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
			case Latency:
				w.latency[e.String()] = sup.Time
			case Loaded:
				w.load[e.String()] = sup.Load
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

// services yields the names of the services, and their policies.
func services(s *spec.Spec) iter.Seq2[string, *spec.Policy] {
	return func(yield func(string, *spec.Policy) bool) {
		for _, z := range s.Zones {
			zone := canonical(z.Name.String())
			for sv := range z.Services.All() {
				name := zone
				if sv.Label != "@" {
					name = sv.Label + "." + zone
				}
				if !yield(name, sv.Policy) {
					return
				}
			}
		}
	}
}

// poolsBehind are the pools that a service chooses from, those of what is nested in
// it as well, but not the one for when all are down; nil when there is no such
// service.
func poolsBehind(s *spec.Spec, service string) map[*spec.Pool]bool {
	for name, policy := range services(s) {
		if name == service {
			of := map[*spec.Pool]bool{}
			chosen(of, policy)
			return of
		}
	}
	return nil
}

func chosen(of map[*spec.Pool]bool, p *spec.Policy) {
	for _, pool := range p.Pools {
		if pool.Nested != nil {
			chosen(of, pool.Nested)
		} else {
			of[pool] = true
		}
	}
}

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
