package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
)

const (
	maxReason = 500
	maxSource = 200
)

func override(o health.Overriding, inForce bool) api.Override {
	return api.Override{
		Service: o.Service, Address: o.Endpoint, Healthy: o.Healthy,
		Reason: o.Reason, Source: o.Source, Since: o.Since.UTC(), InForce: inForce,
	}
}

// words is the overrides of all services, also of those that the configuration
// does not have at present.
func (a *Admin) words() []api.Override {
	all := []api.Override{}
	s := a.engine.Snapshot()
	for _, o := range a.engine.Overrides() {
		inForce := false
		if name, err := dnswire.ParseName(o.Service); err == nil && s != nil {
			inForce = len(s.Table.Locate(name, o.Endpoint)) > 0
		}
		all = append(all, override(o, inForce))
	}
	return all
}

func (a *Admin) overrides(w http.ResponseWriter, _ *http.Request) {
	all := a.words()
	respond(w, http.StatusOK, api.Overrides{Overrides: all, Total: len(all), GeneratedAt: time.Now().UTC()})
}

func (a *Admin) override(w http.ResponseWriter, r *http.Request) {
	service, address, err := subject(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	o := a.word(service, address)
	if o == nil {
		refuse(w, http.StatusNotFound, "no override on %s of %s", address, service)
		return
	}
	respond(w, http.StatusOK, o)
}

// word is one override, or nil.
func (a *Admin) word(service dnswire.Name, address string) *api.Override {
	for _, o := range a.words() {
		if o.Service == service.String() && o.Address == address {
			return &o
		}
	}
	return nil
}

func (a *Admin) setOverride(w http.ResponseWriter, r *http.Request) {
	service, address, err := subject(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	var req api.OverrideRequest
	if code, err := body(r, &req); err != nil {
		refuse(w, code, "%s", err)
		return
	}
	switch {
	case req.Healthy == nil:
		err = errors.New("healthy: true or false is required")
	case req.Source == "":
		err = errors.New("source: who or what sets it is required")
	default:
		err = cmp.Or(oneLine("reason", req.Reason, maxReason), oneLine("source", req.Source, maxSource))
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "body: %s", err)
		return
	}
	err = a.engine.Override(health.Overriding{
		Service: service.String(), Endpoint: address, Healthy: *req.Healthy, Reason: req.Reason, Source: req.Source,
	})
	switch {
	case errors.Is(err, health.ErrNotFound):
		refuse(w, http.StatusNotFound, "%s has no endpoint %s", service, address)
		return
	case err != nil:
		a.log.Error("override not set", "service", service.String(), "endpoint", address, "error", err)
		refuse(w, http.StatusInternalServerError, "the override could not be kept, so it is not in force: %s", err)
		return
	}
	if o := a.word(service, address); o != nil {
		respond(w, http.StatusOK, o)
		return
	}
	refuse(w, http.StatusConflict, "the override was cleared by somebody else in the same moment")
}

func (a *Admin) clearOverride(w http.ResponseWriter, r *http.Request) {
	service, address, err := subject(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	err = a.engine.ClearOverride(service.String(), address)
	switch {
	case errors.Is(err, health.ErrNotFound):
		refuse(w, http.StatusNotFound, "no override on %s of %s", address, service)
	case err != nil:
		a.log.Error("override not cleared", "service", service.String(), "endpoint", address, "error", err)
		refuse(w, http.StatusInternalServerError, "the change could not be kept, so the override stays: %s", err)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
}

// subject is the service and the endpoint of a path, the endpoint as a pool
// states it: an address in its shortest form, or a host name without its dot.
func subject(r *http.Request) (service dnswire.Name, address string, err error) {
	if service, err = dnswire.ParseName(r.PathValue("service")); err != nil {
		return "", "", fmt.Errorf("service: %w", err)
	}
	text := r.PathValue("address")
	if a, err := netip.ParseAddr(text); err == nil {
		return service, a.Unmap().WithZone("").String(), nil
	}
	host, err := dnswire.ParseName(text)
	if err != nil || host.IsRoot() {
		return "", "", fmt.Errorf("address: %q is neither an IP address nor a host name", text)
	}
	return service, strings.TrimSuffix(host.String(), "."), nil
}

// oneLine refuses what would not be one line in a log or on a terminal.
func oneLine(what, s string, limit int) error {
	switch {
	case len(s) > limit:
		return fmt.Errorf("%s: longer than %d bytes", what, limit)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return fmt.Errorf("%s: it has control characters", what)
	}
	return nil
}
