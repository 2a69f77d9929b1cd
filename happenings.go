package rhumb

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/history"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/yield"
)

// History is what happened to endpoints, pools and the node; nil when Options had
// none. Its Run is the caller's to run.
func (e *Engine) History() *history.Log { return e.history }

// poolsOf says which pools events of endpoints concern: of a verdict those in which the
// endpoint has the checks that made it, of an operator's word on a service those of the
// service. It is called by one goroutine at a time.
func (e *Engine) poolsOf(events []*history.Event) {
	s := e.Spec()
	if s == nil {
		return
	}
	places := e.whereabouts.Load()
	if places == nil || places.of != s {
		places = newWhereabouts(s)
		e.whereabouts.Store(places)
	}
	services := map[string]*concern{}
	for _, ev := range events {
		c, ok := services[ev.Service]
		if !ok && ev.Service != "" {
			c = e.uses(ev.Service)
			services[ev.Service] = c
		}
		address, err := netip.ParseAddr(ev.Endpoint)
		var host dnswire.Name
		if err != nil {
			if host, err = dnswire.ParseName(ev.Endpoint); err != nil {
				continue
			}
		}
		places.each(address, string(host), func(p *spec.Pool, at *spec.Endpoint) {
			switch {
			case ev.Judged != "" && ev.Judged != health.JudgedBy(at.Checks), c != nil && !c.pools[p.Name], slices.Contains(ev.Pools, p.Name):
			default:
				ev.Pools = append(ev.Pools, p.Name)
			}
		})
		slices.Sort(ev.Pools)
		yield.Thread()
	}
}

// uses is what a service uses, nil when there is no such service.
func (e *Engine) uses(service string) *concern {
	name, err := dnswire.ParseName(service)
	s := e.Snapshot()
	if err != nil || s == nil {
		return nil
	}
	c := &concern{e: e, service: name}
	c.find(s.Table)
	if len(c.endpoints) == 0 {
		return nil
	}
	return c
}

// Concerns is whether an event is about a service: an operator's word on it, or what
// happened to an endpoint or pool that it uses by the configuration in force. What
// is returned is safe for concurrent use.
func (e *Engine) Concerns(service dnswire.Name) func(*history.Event) bool {
	c := &concern{e: e, service: service}
	return c.holds
}

// concern is what a service uses, found anew whenever the table is another.
type concern struct {
	e       *Engine
	service dnswire.Name

	mu        sync.Mutex
	of        *table.Table
	endpoints map[string]bool
	pools     map[string]bool
}

func (c *concern) holds(e *history.Event) bool {
	name := c.service.String()
	switch {
	case e.Service != "":
		return e.Service == name
	case e.Host != "" && e.Host+"." != name:
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.e.Snapshot(); s != nil && s.Table != c.of {
		c.find(s.Table)
	}
	ours := slices.ContainsFunc(e.Pools, func(pool string) bool { return c.pools[pool] })
	if e.Endpoint == "" || ours {
		return ours && (e.Endpoint == "" || c.endpoints[e.Endpoint])
	}
	// In pools of others alone it is judged by their checks, unless the pools it was in are gone.
	s := c.e.Spec()
	return c.endpoints[e.Endpoint] && !slices.ContainsFunc(e.Pools, func(pool string) bool { return s.Pools[pool] != nil })
}

func (c *concern) find(t *table.Table) {
	c.of, c.endpoints, c.pools = t, map[string]bool{}, map[string]bool{}
	n := t.Lookup([]byte(c.service))
	if n == nil || n.Plan == table.NoPlan {
		return
	}
	p := t.Plans[n.Plan]
	for f := range p.Members {
		for _, ms := range []*table.Members{&p.Members[f], &p.Spare[f]} {
			for _, e := range ms.Endpoints {
				c.endpoints[e.String()] = true
			}
		}
	}
	c.use(p.Policy)
}

// use adds the pools of a policy and of all that is nested in it.
func (c *concern) use(p *spec.Policy) {
	for _, pool := range p.Pools {
		if c.pools[pool.Name] {
			continue
		}
		c.pools[pool.Name] = true
		if pool.Nested != nil {
			c.use(pool.Nested)
		}
	}
}
