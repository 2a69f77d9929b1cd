package admin

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/table"
)

// servers lists the endpoints. Overrides are for one endpoint of one service,
// so the state of a row is that of its checks unless the row is of a service.
func (a *Admin) servers(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "pool", "region", "state", "service", "results")
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	state := q("state")
	switch state {
	case "healthy":
		state = health.Up.String()
	case "unhealthy":
		state = health.Down.String()
	case "", degraded, health.Up.String(), health.Down.String(), health.Unknown.String():
	default:
		refuse(w, http.StatusBadRequest, "state: %q is not up, degraded, down or unknown", state)
		return
	}
	list := a.engine.Endpoints
	switch q("results") {
	case "true":
		list = a.engine.Evidence
	case "", "false":
	default:
		refuse(w, http.StatusBadRequest, "results: %q is not true or false", q("results"))
		return
	}
	var service dnswire.Name
	if text := q("service"); text != "" {
		if service, err = dnswire.ParseName(text); err != nil {
			refuse(w, http.StatusBadRequest, "service: %s", err)
			return
		}
	}

	loads := map[string]float64{}
	for _, l := range a.engine.Loads() {
		loads[l.Endpoint] = l.Load
	}
	out := api.Servers{Servers: []api.Server{}, GeneratedAt: time.Now().UTC()}
	words := a.wordsOn()
	var only map[*spec.Endpoint]health.Detail
	if service != "" {
		only = endpointsOf(a.engine.Snapshot(), service)
	}
	for _, e := range list() {
		if pool := q("pool"); pool != "" && e.Pool.Name != pool {
			continue
		}
		if region := q("region"); region != "" && e.Pool.Place.Region != region {
			continue
		}
		if service != "" {
			d, used := only[e.Endpoint]
			if !used || e.Service != "" && e.Service != service.String() {
				continue
			}
			e.Detail, e.Service = d, service.String()
		}
		s := server(e)
		if l, ok := loads[s.Address]; ok {
			s.Load = &l
		}
		for _, word := range words[e.Endpoint] {
			if e.Service == "" || e.Service == word.Service {
				s.Overrides = append(s.Overrides, word.Override)
				if e.Service != "" {
					judge(&s, word.detail)
				}
			}
		}
		if state == "" || s.State == state || state == degraded && s.Degraded {
			out.Servers = append(out.Servers, s)
		}
	}
	out.Total = len(out.Servers)
	respond(w, http.StatusOK, out)
}

// degraded stands for a state where endpoints are selected: that of those that are up,
// and get less traffic because of their checks.
const degraded = "degraded"

// word is an override with what it makes of its endpoint.
type word struct {
	api.Override
	detail health.Detail
}

// wordsOn is the overrides on the endpoints that the configuration has.
func (a *Admin) wordsOn() map[*spec.Endpoint][]word {
	set, s := a.engine.Overrides(), a.engine.Snapshot()
	if len(set) == 0 || s == nil {
		return nil
	}
	on := map[*spec.Endpoint][]word{}
	for _, o := range set {
		name, err := dnswire.ParseName(o.Service)
		if err != nil {
			continue // it was parsed when it was set
		}
		for e, d := range endpointsOf(s, name) {
			if e.String() == o.Endpoint {
				on[e] = append(on[e], word{override(o, true), d})
			}
		}
	}
	return on
}

// endpointsOf is the endpoints of a service, with their state for it; nil when
// there is no such service.
func endpointsOf(s *resolve.Snapshot, service dnswire.Name) map[*spec.Endpoint]health.Detail {
	if s == nil {
		return nil
	}
	n := s.Table.Lookup([]byte(service))
	if n == nil || n.Plan == table.NoPlan {
		return nil
	}
	of := map[*spec.Endpoint]health.Detail{}
	p := s.Table.Plans[n.Plan]
	for _, group := range []*[3]table.Members{&p.Members, &p.Spare} {
		for f := range group {
			for i, e := range group[f].Endpoints {
				if _, nested := p.Home(&group[f], i); nested != "" {
					continue // operators speak of it by that service
				}
				of[e] = s.Health.Detail(int(group[f].Targets[i]), []byte(service))
			}
		}
	}
	return of
}

// judge puts in what is said of the endpoint.
func judge(r *api.Server, d health.Detail) {
	r.Healthy = d.State == health.Up
	r.Status = map[health.State]string{health.Up: "healthy", health.Down: "unhealthy"}[d.State]
	if r.Status == "" {
		r.Status = "unknown"
	}
	r.State, r.Authority, r.Reason, r.Since = d.State.String(), d.Authority.String(), d.Reason, d.Since.UTC()
	r.Suspect = d.Suspect
	r.Degraded, r.Share = d.Cause != health.NotDegraded, 0
	switch {
	case r.Degraded:
		r.Share = float64(d.Share) / health.Whole
	case r.Healthy:
		r.Share = 1
	}
}

func server(e rhumb.EndpointStatus) api.Server {
	r := api.Server{
		Address: e.Endpoint.String(), Region: e.Pool.Place.Region, Pool: e.Pool.Name, Service: e.Service,
		Weight: e.Endpoint.Weight, Priority: e.Endpoint.Priority, Tags: orEmpty(e.Endpoint.Tags),
		Checks: []api.Check{}, Overrides: []api.Override{}, ConnectMS: milliseconds(e.Latency),
	}
	judge(&r, e.Detail)
	r.Idle = len(e.Checks) > 0
	told := -1 // the check that the row's counts are of
	for i, c := range e.Checks {
		r.Checks = append(r.Checks, check(c))
		if c.Type == string(spec.CheckCalculated) {
			continue // its members are there themselves
		}
		r.Idle = r.Idle && (c.Idle || c.Type == string(spec.CheckExternal))
		if c.At.After(r.LastCheck) {
			r.LastCheck = c.At.UTC()
		}
		r.LatencyMS = max(r.LatencyMS, milliseconds(c.RTT))
		if failed := c.Runs > 0 && !c.OK; failed && (told < 0 || c.At.After(e.Checks[told].At)) {
			told = i
			r.LastError = c.Detail
		}
	}
	r.LastHealthy = e.Detail.LastUp.UTC()
	if e.Detail.State == health.Up && r.LastHealthy.Before(r.LastCheck) && told < 0 {
		r.LastHealthy = r.LastCheck
	}
	if len(e.Checks) > 0 {
		r.Port = e.Checks[0].Port
		if told < 0 { // one that is calculated has no results of its own
			told = max(slices.IndexFunc(e.Checks, func(c health.Probed) bool { return c.Type != string(spec.CheckCalculated) }), 0)
		}
		if c := e.Checks[told]; c.OK {
			r.ConsecutiveSuccesses = c.Row
		} else {
			r.ConsecutiveFailures = c.Row
		}
	}
	return r
}

func check(c health.Probed) api.Check {
	r := api.Check{
		Name: c.Check, Type: c.Type, Host: c.Host, Port: c.Port, IntervalSeconds: c.Interval.Seconds(),
		Within: c.Within, State: c.State.String(), Degraded: c.Degraded,
		LastCheck: c.At.UTC(), OK: c.OK, Class: c.Class, Detail: c.Detail,
		LatencyMS: milliseconds(c.RTT), Runs: c.Runs, ValidUntil: c.Until.UTC(), Suspect: c.Held, Idle: c.Idle,
	}
	for _, p := range c.Results {
		r.Results = append(r.Results, api.ProbeResult{
			At: p.At.UTC(), OK: p.OK, Degraded: p.Degraded, Class: p.Class, Detail: p.Detail, LatencyMS: milliseconds(p.RTT),
		})
	}
	return r
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (a *Admin) regions(w http.ResponseWriter, _ *http.Request) {
	by := map[string]*api.Region{}
	for key, is := range census(a.engine.Endpoints()) {
		name := key.pool.Place.Region
		r := by[name]
		if r == nil {
			r = &api.Region{Name: name}
			by[name] = r
		}
		r.TotalServers++
		switch is.state {
		case health.Up:
			r.HealthyCount++
			if is.degraded {
				r.DegradedCount++
			}
		case health.Down:
			r.UnhealthyCount++
		default:
			r.UnknownCount++
		}
	}
	out := api.Regions{Regions: []api.Region{}, GeneratedAt: time.Now().UTC()}
	for _, r := range by {
		r.HealthPercent = 100 * float64(r.HealthyCount) / float64(r.TotalServers)
		out.Regions = append(out.Regions, *r)
	}
	slices.SortFunc(out.Regions, func(x, y api.Region) int { return strings.Compare(x.Name, y.Name) })
	respond(w, http.StatusOK, out)
}

// seat is an endpoint in a pool.
type seat struct {
	pool     *spec.Pool
	endpoint *spec.Endpoint
}

// standing is how an endpoint is by its checks.
type standing struct {
	state    health.State
	degraded bool
}

// census is every endpoint of every pool once, with its state by its checks; of
// those that are judged for each service apart, the worst.
func census(all []rhumb.EndpointStatus) map[seat]standing {
	of := make(map[seat]standing, len(all))
	for _, e := range all {
		key := seat{e.Pool, e.Endpoint}
		is := standing{e.Judged, e.Detail.Cause != health.NotDegraded}
		had, ok := of[key]
		switch {
		case !ok || badness(is.state) > badness(had.state):
			of[key] = is
		case is.state == had.state && is.degraded:
			of[key] = is
		}
	}
	return of
}

func badness(s health.State) int {
	switch s {
	case health.Up:
		return 0
	case health.Down:
		return 2
	}
	return 1
}

func total(of map[seat]standing) api.EndpointCounts {
	c := api.EndpointCounts{Total: len(of)}
	for _, is := range of {
		switch is.state {
		case health.Up:
			c.Up++
			if is.degraded {
				c.Degraded++
			}
		case health.Down:
			c.Down++
		default:
			c.Unknown++
		}
	}
	return c
}
