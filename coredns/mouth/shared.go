package mouth

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
)

// Instance is one start of CoreDNS: a reload makes another.
type Instance struct {
	number uint64
	blocks []*Block
	// takes are how often the instance takes a thing, where that is known before.
	takes map[announced]int
}

// announced is a thing of some Shared.
type announced struct {
	shared any
	key    string
}

// Number is greater than those of the instances before it.
func (i *Instance) Number() uint64 { return i.number }

var instances atomic.Uint64

type instanceKey struct{}

// InstanceOf is the instance that a plugin is being set up for.
func InstanceOf(c *caddy.Controller) *Instance {
	if i, ok := c.Get(instanceKey{}).(*Instance); ok {
		return i
	}
	i := &Instance{number: instances.Add(1)}
	c.Set(instanceKey{}, i)
	return i
}

// Block is the server block that a plugin is set up in.
type Block struct {
	by     *Instance
	index  int    // in the Corefile
	keys   string // its zones and ports
	config *dnsserver.Config
}

// BlockOf is the server block that a plugin is being set up in.
func BlockOf(c *caddy.Controller) *Block {
	b := &Block{InstanceOf(c), c.ServerBlockIndex, strings.Join(c.ServerBlockKeys, " "), dnsserver.GetConfig(c)}
	b.by.blocks = append(b.by.blocks, b)
	return b
}

// Key tells the block from the others of its instance, and is the same for the one that
// has its place after a reload. It is known once all of the Corefile has been read. Zones
// and ports alone may be those of several: of one for each view, or for each address that
// the plugin bind states.
func (b *Block) Key() string {
	same, before := false, map[int]bool{}
	for _, o := range b.by.blocks {
		if o.index == b.index || o.keys != b.keys || o.config.ViewName != b.config.ViewName {
			continue
		}
		same = true
		if o.index < b.index && slices.Equal(o.config.ListenHosts, b.config.ListenHosts) {
			before[o.index] = true
		}
	}
	key := b.keys + " " + b.config.ViewName
	if same {
		key += fmt.Sprint(" ", b.config.ListenHosts, len(before))
	}
	return key
}

// Origins are the zones that a plugin's arguments state, or else its server block, each
// once: a block may have a zone at several ports, or for several transports.
func Origins(args, blockKeys []string) (zones []string) {
	for _, z := range plugin.OriginsFromArgsOrServerBlock(args, blockKeys) {
		if !slices.Contains(zones, z) {
			zones = append(zones, z)
		}
	}
	return zones
}

// Shared are things that outlive a reload of CoreDNS, by what tells them apart.
// CoreDNS starts the new instance before it stops the old one, so the thing goes
// over without a gap: what the newest instance wants of it is in force.
type Shared[Thing, Want any] struct {
	// Apply puts in force what the newest instance wants, in the order in which its
	// plugins took the thing. When it fails nothing has changed.
	Apply func(Thing, []Want) error
	// Leans is that what is wanted leans on other things, which the blocks of an instance
	// take back one after the other: with each of them it is put in force again.
	Leans bool

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

// Announce says that an instance is going to take the thing of a key, once more each time.
// What it wants is in force when it has: with a part of it those that are yet to come would
// be without the thing that they had.
func (s *Shared[Thing, Want]) Announce(key string, by *Instance) {
	if by.takes == nil {
		by.takes = map[announced]int{}
	}
	by.takes[announced{s, key}]++
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
	if len(g.newest()) >= by.takes[announced{s, key}] {
		if err := s.apply(g); err != nil {
			if g.holds = g.holds[:len(g.holds)-1]; len(g.holds) == 0 {
				g.end()
			}
			return nil, err
		}
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

// keep drops the holds that f does not keep, and puts in force what then counts; with
// again also when that is what has counted.
func (s *Shared[Thing, Want]) keep(key string, again bool, f func(*Hold[Thing, Want]) bool) error {
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
	if !again && slices.Equal(before, g.newest()) {
		return nil // an older instance has ended, as after each reload
	}
	return s.apply(g)
}

// LetGo gives the thing up. Done a second time it does nothing.
func (h *Hold[Thing, Want]) LetGo() error {
	return h.shared.keep(h.key, false, func(o *Hold[Thing, Want]) bool { return o != h })
}

// Reclaim takes the thing back from instances that came later: they have failed
// to start, and nobody tells them.
func (h *Hold[Thing, Want]) Reclaim() error {
	return h.shared.keep(h.key, h.shared.Leans, func(o *Hold[Thing, Want]) bool { return o.by.number <= h.by.number })
}
