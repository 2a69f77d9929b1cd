package admin

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// Sizes of a page of services, of which there may be a million.
const (
	defaultPage = 1000
	maxPage     = 10_000
)

// services lists services, a page at a time. A page is a look at the snapshot
// of its instant; names are the cursor, so that pages fit together although
// the configuration changes between them.
func (a *Admin) services(w http.ResponseWriter, r *http.Request) {
	page, err := pageOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	out := api.Services{Services: []api.Service{}}
	if s := a.engine.Snapshot(); s != nil {
		nodes, next := page.pick(s.Table, &out.Total)
		if next != nil {
			out.Next = s.Table.Name(next).String()
		}
		for _, n := range nodes {
			out.Services = append(out.Services, service(s, n))
		}
	}
	respond(w, http.StatusOK, out)
}

// page is which services are asked for.
type page struct {
	name  dnswire.Name // empty: any
	zone  dnswire.Name // empty: any
	after dnswire.Name // empty: from the first
	limit int
}

func pageOf(r *http.Request) (page, error) {
	p := page{limit: defaultPage}
	q, err := parameters(r, "zone", "name", "after", "limit")
	if err != nil {
		return p, err
	}
	for _, f := range []struct {
		name string
		into *dnswire.Name
	}{{"zone", &p.zone}, {"name", &p.name}, {"after", &p.after}} {
		if text := q(f.name); text != "" {
			if *f.into, err = dnswire.ParseName(text); err != nil {
				return p, fmt.Errorf("%s: %w", f.name, err)
			}
		}
	}
	if text := q("limit"); text != "" {
		if p.limit, err = strconv.Atoi(text); err != nil || p.limit < 1 || p.limit > maxPage {
			return p, fmt.Errorf("limit: %q is not a number from 1 to %d", text, maxPage)
		}
	}
	return p, nil
}

// pick is the services of the page in order, and the last of them when others
// follow. Total counts those on all pages.
func (p page) pick(t *table.Table, total *int) (nodes []*table.Node, next *table.Node) {
	zone := -1
	if p.zone != "" {
		zone = slices.IndexFunc(t.Zones, func(z *table.Zone) bool { return z.Name == p.zone })
		if zone < 0 {
			return nil, nil
		}
	}
	compare := func(x, y *table.Node) int { return canonical(t.Text(x), t.Text(y)) }
	consider := func(n *table.Node) {
		if n == nil || n.Plan == table.NoPlan || zone >= 0 && n.Zone() != zone {
			return
		}
		*total++
		if p.after != "" && canonical(t.Text(n), []byte(p.after)) <= 0 {
			return
		}
		// The smallest limit+1 are kept: the one too many tells that others follow.
		// Sorting only when twice as many have come makes it cheap for each.
		if nodes = append(nodes, n); len(nodes) >= 2*(p.limit+1) {
			slices.SortFunc(nodes, compare)
			nodes = nodes[:p.limit+1]
		}
	}
	if p.name != "" {
		consider(t.Lookup([]byte(p.name)))
	} else {
		t.EachService(func(n *table.Node, _ *table.Plan) bool { consider(n); return true })
	}
	slices.SortFunc(nodes, compare)
	if len(nodes) > p.limit {
		return nodes[:p.limit], nodes[p.limit-1]
	}
	return nodes, nil
}

// canonical is the order of names in lower-case wire form: label by label from
// the root (RFC 4034 section 6.1).
func canonical(x, y []byte) int {
	var xs, ys [128]uint8
	i, j := labels(x, &xs), labels(y, &ys)
	for i > 0 && j > 0 {
		i, j = i-1, j-1
		a, b := x[xs[i]:], y[ys[j]:]
		if c := bytes.Compare(a[1:1+a[0]], b[1:1+b[0]]); c != 0 {
			return c
		}
	}
	return i - j
}

// labels writes down where the labels of a name begin, and counts them.
func labels(name []byte, at *[128]uint8) int {
	n := 0
	for i := 0; i < len(name) && name[i] != 0; i += 1 + int(name[i]) {
		at[n] = uint8(i)
		n++
	}
	return n
}

func service(s *resolve.Snapshot, n *table.Node) api.Service {
	p := s.Table.Plans[n.Plan]
	out := api.Service{
		Name: s.Table.Name(n).String(), Zone: s.Table.Zones[n.Zone()].Text,
		TTL: p.Policy.TTL, Answers: p.Policy.Answers, AllDown: allDown(p.Policy.AllDown), Panic: p.Policy.Panic,
	}
	var chain []string
	for _, f := range p.Chain {
		chain = append(chain, f.String())
	}
	out.Steer = strings.Join(chain, ", ")
	for _, pool := range p.Policy.Pools {
		out.Pools = append(out.Pools, api.ServicePool{Name: pool.Name, MinHealthy: pool.MinHealthy})
	}
	text := s.Table.Text(n)
	for f := range p.Members {
		ms := &p.Members[f]
		for i, c := range ms.Candidates {
			if ms.Family == table.V6 && ms.Flat(i) {
				continue // it stands among the IPv4 endpoints as well
			}
			in := &out.Pools[c.Pool]
			in.Endpoints++
			judged := text
			if _, nested := p.Home(ms, i); nested != "" {
				judged = []byte(nested)
			}
			if state, _ := s.Health.Of(int(ms.Targets[i]), judged); state == health.Up {
				in.Healthy++
			}
		}
	}
	return out
}

// allDown is the rule as the configuration writes it.
func allDown(d spec.AllDown) string {
	switch d.Rule {
	case spec.LastHealthy:
		return "last-healthy"
	case spec.NoData:
		return "nodata"
	case spec.ServFail:
		return "servfail"
	case spec.OtherPool:
		return d.Pool.Name
	case spec.ServeEvery:
		return "serve-every"
	}
	return "serve-all"
}
