package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
)

// The bounds of how long a report of a load counts. Reports come again and again;
// one that counts for longer than a day would be a setting.
const (
	defaultValid = time.Minute
	minValid     = time.Second
	maxValid     = 24 * time.Hour
)

func load(l health.Load) api.Load {
	return api.Load{
		Address: l.Endpoint, Load: l.Load, Source: l.Source, ReportedAt: l.At.UTC(), ValidUntil: l.Until.UTC(),
	}
}

func (a *Admin) loads(w http.ResponseWriter, _ *http.Request) {
	now := time.Now().UTC()
	out := api.Loads{Loads: []api.Load{}, InUse: a.engine.GoesByLoad(), GeneratedAt: now}
	for _, l := range a.engine.Loads() {
		out.Loads = append(out.Loads, load(l))
	}
	out.Total = len(out.Loads)
	respond(w, http.StatusOK, out)
}

func (a *Admin) load(w http.ResponseWriter, r *http.Request) {
	address, err := endpoint(r.PathValue("address"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	for _, l := range a.engine.Loads() {
		if l.Endpoint == address {
			respond(w, http.StatusOK, load(l))
			return
		}
	}
	refuse(w, http.StatusNotFound, "no load of %s is known", address)
}

func (a *Admin) setLoad(w http.ResponseWriter, r *http.Request) {
	address, err := endpoint(r.PathValue("address"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	var req api.LoadRequest
	if code, err := body(r, &req); err != nil {
		refuse(w, code, "%s", err)
		return
	}
	l, err := report(address, req, time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, "body: %s", err)
		return
	}
	if unknown := a.engine.SetLoads([]health.Load{l}); len(unknown) > 0 {
		refuse(w, http.StatusNotFound, "no service has an endpoint %s", address)
		return
	}
	respond(w, http.StatusOK, load(l))
}

// setLoads takes all reports or, when one of them cannot be one, none. An endpoint
// that is gone from the configuration does not make the others wrong.
func (a *Admin) setLoads(w http.ResponseWriter, r *http.Request) {
	var req api.LoadsRequest
	if code, err := body(r, &req); err != nil {
		refuse(w, code, "%s", err)
		return
	}
	now := time.Now()
	var all []health.Load
	there := map[string]bool{}
	for i, each := range req.Loads {
		address, err := endpoint(each.Address)
		if err == nil && there[address] {
			err = errors.New("it is there twice")
		}
		var l health.Load
		if err == nil {
			l, err = report(address, each.LoadRequest, now)
		}
		if err != nil {
			refuse(w, http.StatusBadRequest, "body: loads: item %d (%.80q): %s", i+1, each.Address, err)
			return
		}
		there[address] = true
		all = append(all, l)
	}
	if len(all) == 0 {
		refuse(w, http.StatusBadRequest, "body: loads: at least one is required")
		return
	}
	unknown := a.engine.SetLoads(all)
	respond(w, http.StatusOK, api.LoadsReported{
		Accepted: len(all) - len(unknown), Unknown: orEmpty(unknown), InUse: a.engine.GoesByLoad(),
	})
}

func (a *Admin) clearLoad(w http.ResponseWriter, r *http.Request) {
	address, err := endpoint(r.PathValue("address"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	if err := a.engine.ClearLoad(address); err != nil {
		refuse(w, http.StatusNotFound, "no load of %s is known", address)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// report is a request as a report.
func report(address string, req api.LoadRequest, now time.Time) (health.Load, error) {
	valid := defaultValid
	if req.ValidFor != "" {
		var err error
		if valid, err = time.ParseDuration(req.ValidFor); err != nil || valid < minValid || valid > maxValid {
			return health.Load{}, fmt.Errorf("valid_for: %.40q is not a duration from %v to %v, such as 60s", req.ValidFor, minValid, maxValid)
		}
	}
	switch {
	case req.Load == nil:
		return health.Load{}, errors.New("load: a number is required")
	case *req.Load < 0 || *req.Load > health.MaxLoad:
		return health.Load{}, fmt.Errorf("load: %s is not a number from 0 to %d", strconv.FormatFloat(*req.Load, 'f', -1, 64), health.MaxLoad)
	}
	return health.Load{Endpoint: address, Load: *req.Load, Source: req.Source, At: now, Until: now.Add(valid)}, oneLine("source", req.Source, maxSource)
}

// endpoint is the endpoint that a text names, as a pool states it: an address in
// its shortest form, or a host name without its dot.
func endpoint(text string) (string, error) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().WithZone("").String(), nil
	}
	host, err := dnswire.ParseName(text)
	if err != nil || host.IsRoot() {
		return "", fmt.Errorf("address: %q is neither an IP address nor a host name", text)
	}
	return strings.TrimSuffix(host.String(), "."), nil
}
