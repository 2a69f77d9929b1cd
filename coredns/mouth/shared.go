package mouth

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/coredns/caddy"
)

// Instance is one start of CoreDNS: a reload makes another.
type Instance struct{ number uint64 }

// Number is greater than those of the instances before it.
func (i *Instance) Number() uint64 { return i.number }

var instances atomic.Uint64

type instanceKey struct{}

// InstanceOf is the instance that a plugin is being set up for.
func InstanceOf(c *caddy.Controller) *Instance {
	if i, ok := c.Get(instanceKey{}).(*Instance); ok {
		return i
	}
	i := &Instance{instances.Add(1)}
	c.Set(instanceKey{}, i)
	return i
}

// Shared are things that outlive a reload of CoreDNS, by what tells them apart.
// CoreDNS starts the new instance before it stops the old one, so the thing goes
// over without a gap: what the newest instance wants of it is in force.
type Shared[Thing, Want any] struct {
	// Apply puts in force what the newest instance wants, in the order in which its
	// plugins took the thing. When it fails nothing has changed.
	Apply func(Thing, []Want) error

	mu   sync.Mutex
	held map[string]*holding[Thing, Want]
}

type holding[Thing, Want any] struct {
	thing Thing
	holds []*Hold[Thing, Want]
	end   func()
}

// Hold is that somebody holds a thing.
type Hold[Thing, Want any] struct {
	Thing  Thing
	want   Want
	by     *Instance
	key    string
	shared *Shared[Thing, Want]
}

// Take takes the thing of a key, which begin makes when nobody holds one, with
// what ends it. It ends when nobody holds it any more.
func (s *Shared[Thing, Want]) Take(key string, by *Instance, want Want, begin func() (thing Thing, end func(), err error)) (*Hold[Thing, Want], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.held[key]
	if g == nil {
		thing, end, err := begin()
		if err != nil {
			return nil, err
		}
		g = &holding[Thing, Want]{thing: thing, end: end}
	}
	h := &Hold[Thing, Want]{Thing: g.thing, want: want, by: by, key: key, shared: s}
	g.holds = append(g.holds, h)
	if err := s.apply(g); err != nil {
		if g.holds = g.holds[:len(g.holds)-1]; len(g.holds) == 0 {
			g.end()
		}
		return nil, err
	}
	if s.held == nil {
		s.held = map[string]*holding[Thing, Want]{}
	}
	s.held[key] = g
	return h, nil
}

// newest are the holds of the newest instance.
func (g *holding[Thing, Want]) newest() (last []*Hold[Thing, Want]) {
	for _, h := range g.holds {
		if len(last) > 0 && h.by.number > last[0].by.number {
			last = nil
		}
		if len(last) == 0 || h.by == last[0].by {
			last = append(last, h)
		}
	}
	return last
}

// apply puts in force what the newest instance wants.
func (s *Shared[Thing, Want]) apply(g *holding[Thing, Want]) error {
	var wants []Want
	for _, h := range g.newest() {
		wants = append(wants, h.want)
	}
	return s.Apply(g.thing, wants)
}

// keep drops the holds that f does not keep, and puts in force what then counts.
func (s *Shared[Thing, Want]) keep(key string, f func(*Hold[Thing, Want]) bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.held[key]
	if g == nil {
		return nil
	}
	before := g.newest()
	g.holds = slices.DeleteFunc(g.holds, func(h *Hold[Thing, Want]) bool { return !f(h) })
	if len(g.holds) == 0 {
		delete(s.held, key)
		g.end() // under the lock: who takes the key next finds its socket free
		return nil
	}
	if slices.Equal(before, g.newest()) {
		return nil // an older instance has ended, as after each reload
	}
	return s.apply(g)
}

// LetGo gives the thing up. Done a second time it does nothing.
func (h *Hold[Thing, Want]) LetGo() error {
	return h.shared.keep(h.key, func(o *Hold[Thing, Want]) bool { return o != h })
}

// Reclaim takes the thing back from instances that came later: they have failed
// to start, and nobody tells them.
func (h *Hold[Thing, Want]) Reclaim() error {
	return h.shared.keep(h.key, func(o *Hold[Thing, Want]) bool { return o.by.number <= h.by.number })
}
