package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/health"
)

// maxSelected is how many items each list of a selection may have.
const maxSelected = 1000

func maintenance(p health.Planned, now time.Time) api.Maintenance {
	m := api.Maintenance{
		ID: p.ID, Select: api.Selection(p.Select), At: p.From.UTC(), Until: p.Until.UTC(), Drain: p.Drain.String(),
		Reason: p.Reason, Source: p.Source, SetAt: p.Set.UTC(), Share: float64(p.Share(now)) / health.Whole, Endpoints: orEmpty(p.Endpoints),
	}
	switch {
	case p.From.After(now):
		m.State = api.MaintenancePlanned
	case m.Share > 0:
		m.State = api.MaintenanceDraining
	default:
		m.State = api.MaintenanceInForce
	}
	return m
}

func (a *Admin) maintenances(w http.ResponseWriter, _ *http.Request) {
	out := api.Maintenances{Maintenance: []api.Maintenance{}, GeneratedAt: time.Now().UTC()}
	for _, p := range a.engine.Maintenance() {
		out.Maintenance = append(out.Maintenance, maintenance(p, out.GeneratedAt))
	}
	out.Total = len(out.Maintenance)
	respond(w, http.StatusOK, out)
}

// planned is one maintenance, or nil.
func (a *Admin) planned(id string) *api.Maintenance {
	for _, p := range a.engine.Maintenance() {
		if p.ID == id {
			m := maintenance(p, time.Now())
			return &m
		}
	}
	return nil
}

func (a *Admin) maintenanceOf(w http.ResponseWriter, r *http.Request) {
	m := a.planned(r.PathValue("id"))
	if m == nil {
		refuse(w, http.StatusNotFound, "no maintenance %.40q", r.PathValue("id"))
		return
	}
	respond(w, http.StatusOK, m)
}

func (a *Admin) addMaintenance(w http.ResponseWriter, r *http.Request) {
	var req api.MaintenanceRequest
	if code, err := body(r, &req); err != nil {
		refuse(w, code, "%s", err)
		return
	}
	m, err := wanted(&req, time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, "body: %s", err)
		return
	}
	m, err = a.engine.AddMaintenance(m, by(w, req.Source, req.Reason))
	switch {
	case errors.Is(err, health.ErrNotFound):
		refuse(w, http.StatusNotFound, "%s", err)
		return
	case errors.Is(err, health.ErrTooMany):
		refuse(w, http.StatusConflict, "%s", err)
		return
	case errors.Is(err, health.ErrInvalid):
		refuse(w, http.StatusBadRequest, "body: %s", err)
		return
	case err != nil:
		a.log.Error("maintenance not added", "error", err)
		refuse(w, http.StatusInternalServerError, "the maintenance could not be kept, so it is not in force: %s", err)
		return
	}
	if m := a.planned(m.ID); m != nil {
		respond(w, http.StatusOK, m)
		return
	}
	refuse(w, http.StatusConflict, "the maintenance was cancelled by somebody else in the same moment")
}

// wanted is the maintenance that a request asks for.
func wanted(req *api.MaintenanceRequest, now time.Time) (m health.Maintenance, err error) {
	m.Select = health.Selection(req.Select)
	for _, list := range [][]string{
		m.Select.Endpoints, m.Select.Pools, m.Select.Tags, m.Select.Regions, m.Select.Continents, m.Select.Countries,
		m.Select.Subdivisions, m.Select.Cities,
	} {
		if len(list) > maxSelected {
			return m, fmt.Errorf("select: a list has more than %d items", maxSelected)
		}
		for _, item := range list {
			if err := oneLine("select", item, maxSource); err != nil {
				return m, err
			}
			if item == "" {
				return m, errors.New("select: an item is empty")
			}
		}
	}
	for i, e := range m.Select.Endpoints {
		if m.Select.Endpoints[i], err = endpoint(e); err != nil {
			return m, fmt.Errorf("select: endpoints: %w", err)
		}
	}
	begin := now
	if req.At != "" {
		if m.From, err = moment("at", req.At); err != nil {
			return m, err
		}
		begin = m.From
	}
	switch {
	case req.For == "" && req.Until == "":
		return m, errors.New("for: how long it takes is required, or until")
	case req.For != "":
		m.Until, err = end(begin, req.For, req.Until)
	default:
		m.Until, err = moment("until", req.Until) // how far ahead it may be goes by when it begins
	}
	if err != nil {
		return m, err
	}
	if req.Drain != "" {
		if m.Drain, err = time.ParseDuration(req.Drain); err != nil || m.Drain < 0 || m.Drain > health.MaxDrain {
			return m, fmt.Errorf("drain: %.40q is not a duration from 0s to %s, such as 10m", req.Drain, health.Hours(health.MaxDrain))
		}
	}
	if strings.TrimSpace(req.Reason) == "" {
		return m, errors.New("reason: why is required")
	}
	return m, cmp.Or(oneLine("reason", req.Reason, maxReason), oneLine("source", req.Source, maxSource))
}

func (a *Admin) cancelMaintenance(w http.ResponseWriter, r *http.Request) {
	because, ok := why(w, r)
	if !ok {
		return
	}
	id := r.PathValue("id")
	err := a.engine.CancelMaintenance(id, because)
	switch {
	case errors.Is(err, health.ErrNotFound):
		refuse(w, http.StatusNotFound, "no maintenance %.40q", id)
	case err != nil:
		a.log.Error("maintenance not cancelled", "id", id, "error", err)
		refuse(w, http.StatusInternalServerError, "the change could not be kept, so the maintenance stays: %s", err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}
