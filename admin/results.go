package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/health"
)

// maxDetail is the length of what is said of a result, that of a probe's.
const maxDetail = 200

func result(r health.Report) api.CheckResult {
	return api.CheckResult{
		Check: r.Check, Address: r.Endpoint, OK: r.OK, Degraded: r.Degraded, Detail: r.Detail, Source: r.Source,
		ReportedAt: r.At.UTC(), ValidUntil: r.Until.UTC(),
	}
}

func (a *Admin) results(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "check")
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	out := api.CheckResults{Results: []api.CheckResult{}, GeneratedAt: time.Now().UTC()}
	for _, rep := range a.engine.Reports() {
		if check := q("check"); check == "" || check == rep.Check {
			out.Results = append(out.Results, result(rep))
		}
	}
	out.Total = len(out.Results)
	respond(w, http.StatusOK, out)
}

func (a *Admin) result(w http.ResponseWriter, r *http.Request) {
	address, err := endpoint(r.PathValue("address"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	check := r.PathValue("check")
	for _, rep := range a.engine.Reports() {
		if rep.Check == check && rep.Endpoint == address {
			respond(w, http.StatusOK, result(rep))
			return
		}
	}
	refuse(w, http.StatusNotFound, "no result of %s for %s counts", check, address)
}

func (a *Admin) setResult(w http.ResponseWriter, r *http.Request) {
	address, err := endpoint(r.PathValue("address"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	var req api.CheckResultRequest
	if code, err := body(r, &req); err != nil {
		refuse(w, code, "%s", err)
		return
	}
	rep, err := reported(req)
	if err != nil {
		refuse(w, http.StatusBadRequest, "body: %s", err)
		return
	}
	rep.Check, rep.Endpoint, rep.At = r.PathValue("check"), address, time.Now()
	if rep, err = a.engine.Report(rep); err != nil {
		refuseResult(w, err)
		return
	}
	respond(w, http.StatusOK, result(rep))
}

func (a *Admin) clearResult(w http.ResponseWriter, r *http.Request) {
	address, err := endpoint(r.PathValue("address"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	if err := a.engine.ClearReport(r.PathValue("check"), address); err != nil {
		refuseResult(w, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func refuseResult(w http.ResponseWriter, err error) {
	code := http.StatusNotFound
	switch {
	case errors.Is(err, health.ErrNotExternal):
		code = http.StatusConflict
	case errors.Is(err, health.ErrTooLong):
		code = http.StatusBadRequest
		err = fmt.Errorf("body: valid_for: %w", err)
	}
	refuse(w, code, "%s", err)
}

// reported is the result that a request reports, but for what it is of.
func reported(req api.CheckResultRequest) (health.Report, error) {
	rep := health.Report{Degraded: req.Degraded, Detail: req.Detail, Source: req.Source}
	switch {
	case req.OK == nil:
		return rep, errors.New("ok: true or false is required")
	case !*req.OK && req.Degraded:
		return rep, errors.New("degraded: an endpoint that is degraded serves: it goes with ok true")
	}
	rep.OK = *req.OK
	if req.ValidFor != "" {
		var err error
		if rep.For, err = time.ParseDuration(req.ValidFor); err != nil || rep.For < minValid {
			return rep, fmt.Errorf("valid_for: %.40q is not a duration from %v to the check's ttl, such as 60s", req.ValidFor, minValid)
		}
	}
	return rep, cmp.Or(oneLine("detail", req.Detail, maxDetail), oneLine("source", req.Source, maxSource))
}
