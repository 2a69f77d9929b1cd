package admin

import (
	"errors"
	"math"
	"net/http"
	"time"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/audit"
	"github.com/rhumb-dns/rhumb/spec"
)

// pools lists the pools with how they stand.
func (a *Admin) pools(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "pool")
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	all := a.poolsNamed(q("pool"))
	respond(w, http.StatusOK, api.Pools{Pools: all, Total: len(all), GeneratedAt: time.Now().UTC()})
}

// poolsNamed are the pools of a name, or all.
func (a *Admin) poolsNamed(name string) []api.Pool {
	all := []api.Pool{}
	for _, st := range a.engine.Pools() {
		if name == "" || st.Pool.Name == name {
			all = append(all, pool(&st))
		}
	}
	return all
}

func pool(st *rhumb.PoolStatus) api.Pool {
	p := api.Pool{
		Name: st.Pool.Name, Service: st.Service, Standing: st.Stands, Moving: st.Moving, Since: st.Since.UTC(), Why: st.Why,
		MinHealthy: st.Pool.MinHealthy, Conduct: conduct(st.Conduct), Endpoints: []api.PoolEndpoint{},
	}
	for i, e := range st.Endpoints {
		p.Endpoints = append(p.Endpoints, api.PoolEndpoint{
			Address: st.Pool.Endpoints[i].String(), State: e.State.String(), Judged: e.Judged.String(),
			Share: math.Round(1000*e.Share) / 1000, Why: e.Why,
		})
	}
	return p
}

func conduct(c *spec.Conduct) *api.PoolConduct {
	if c == nil {
		return nil
	}
	out := &api.PoolConduct{
		FailoverDelaySeconds: c.FailoverDelay.Seconds(), FailbackDelaySeconds: c.FailbackDelay.Seconds(), Failback: "automatic",
		SlowStartSeconds: c.SlowStart.Seconds(), MaxEjected: c.MaxEjected,
	}
	if c.FailbackManual {
		out.Failback = "manual"
	}
	if d := c.Damping; d != nil {
		out.Damping = &api.PoolDamping{
			Changes: d.Changes, WithinSeconds: d.Within.Seconds(), HoldSeconds: d.Hold.Seconds(), MaxSeconds: d.Max.Seconds(),
		}
	}
	return out
}

// failback has a pool stand again.
func (a *Admin) failback(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("pool")
	because, ok := why(w, r)
	if !ok {
		return
	}
	var done bool
	fail := func() (err error) {
		done, err = a.engine.Failback(name)
		return err
	}
	var err error
	if len(a.poolsNamed(name)) == 0 {
		err = fail() // it says so, and nobody did anything
	} else {
		err = a.engine.Audit().Announce(because.Entry(audit.Failback, name, ""), fail)
	}
	switch {
	case errors.Is(err, rhumb.ErrNoPool):
		refuse(w, http.StatusNotFound, "%s", err)
	case err != nil:
		refuse(w, http.StatusConflict, "%s", err)
	default:
		respond(w, http.StatusOK, api.Failback{Changed: done, Pools: a.poolsNamed(name)})
	}
}
