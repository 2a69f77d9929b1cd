package rhumb

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/rhumb-dns/rhumb/spec"
)

// whereabouts is which pools have an endpoint, by a statement: the endpoints of all
// pools but composed ones, whose endpoints are those of their pools, in the order of
// their addresses and then of their host names. It is eight octets an endpoint; a map
// would be ten times that.
type whereabouts struct {
	of    *spec.Spec
	pools []*spec.Pool
	order []whereabout
}

// whereabout is an endpoint by its pool and its place there.
type whereabout struct{ pool, at uint32 }

func newWhereabouts(s *spec.Spec) *whereabouts {
	w := &whereabouts{of: s}
	n := 0
	for _, p := range s.Pools {
		if p.Nested == nil {
			w.pools = append(w.pools, p)
			n += len(p.Endpoints)
		}
	}
	w.order = make([]whereabout, 0, n)
	for i, p := range w.pools {
		for k := range p.Endpoints {
			w.order = append(w.order, whereabout{uint32(i), uint32(k)})
		}
	}
	slices.SortFunc(w.order, func(x, y whereabout) int {
		a, b := w.endpoint(x), w.endpoint(y)
		return cmp.Or(compareEndpoints(a, b.Address, string(b.Host)), cmp.Compare(x.pool, y.pool), cmp.Compare(x.at, y.at))
	})
	return w
}

func (w *whereabouts) endpoint(at whereabout) *spec.Endpoint {
	return &w.pools[at.pool].Endpoints[at.at]
}

// compareEndpoints has an endpoint before or after one with an address, which is not
// valid, and so before all others, of a host name.
func compareEndpoints(e *spec.Endpoint, address netip.Addr, host string) int {
	return cmp.Or(e.Address.Compare(address), strings.Compare(string(e.Host), host))
}

// each yields the endpoints of an address, or of a host name in wire form, with their
// pools.
func (w *whereabouts) each(address netip.Addr, host string, f func(p *spec.Pool, e *spec.Endpoint)) {
	i, _ := slices.BinarySearchFunc(w.order, 0, func(at whereabout, _ int) int {
		return compareEndpoints(w.endpoint(at), address, host)
	})
	for ; i < len(w.order); i++ {
		e := w.endpoint(w.order[i])
		if compareEndpoints(e, address, host) != 0 {
			return
		}
		f(w.pools[w.order[i].pool], e)
	}
}
