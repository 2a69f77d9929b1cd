package admin

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
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
	r := api.Override{
		Service: o.Service, Address: o.Endpoint, Healthy: o.Healthy, State: api.OverrideDown,
		Reason: o.Reason, Source: o.Source, Since: o.Since.UTC(), Until: o.Until.UTC(), InForce: inForce,
	}
	switch {
	case o.Healthy:
		r.State, r.Share = api.OverrideUp, 1
	case o.Drain:
		r.State, r.Share = api.OverrideDrain, float64(o.Share(time.Now()))/health.Whole
		r.Duration, r.OutAt = o.Over.String(), o.Since.Add(o.Over).UTC()
	}
	return r
}

// asked is the override that a request asks for, but for what it is on.
func asked(req api.OverrideRequest, now time.Time) (o health.Overriding, err error) {
	o.Since = now
	switch {
	case req.Healthy == nil && req.State == "":
		return o, errors.New("healthy: true or false is required, or state: up, down or drain")
	case req.Healthy != nil && req.State != "":
		return o, errors.New("healthy and state: one of them says it")
	case req.Healthy != nil:
		o.Healthy = *req.Healthy
	case req.State == api.OverrideUp:
		o.Healthy = true
	case req.State == api.OverrideDrain:
		o.Drain = true
	case req.State != api.OverrideDown:
		return o, fmt.Errorf("state: %.40q is not up, down or drain", req.State)
	}
	if req.Duration != "" {
		if !o.Drain {
			return o, errors.New("duration: it is for state drain")
		}
		if o.Over, err = time.ParseDuration(req.Duration); err != nil || o.Over < 0 || o.Over > health.MaxDrain {
			return o, fmt.Errorf("duration: %.40q is not a duration from 0s to %s, such as 10m", req.Duration, health.Hours(health.MaxDrain))
		}
	}
	if o.Until, err = end(now, req.For, req.Until); err != nil {
		return o, err
	}
	if out := now.Add(o.Over); o.Drain && !o.Until.IsZero() && !o.Until.After(out) {
		return o, fmt.Errorf("until: the drain ends at %s: state a later end", out.UTC().Format(time.RFC3339))
	}
	return o, cmp.Or(oneLine("reason", req.Reason, maxReason), oneLine("source", req.Source, maxSource))
}

// end is when something ends that a request states a time or a duration for; zero
// when it states neither.
func end(now time.Time, lasts, until string) (time.Time, error) {
	switch {
	case lasts != "" && until != "":
		return time.Time{}, errors.New("for and until: one of them says it")
	case lasts != "":
		d, err := time.ParseDuration(lasts)
		if err != nil || d < time.Second || d > health.MaxAhead {
			return time.Time{}, fmt.Errorf("for: %.40q is not a duration from 1s to %s, such as 2h", lasts, health.Hours(health.MaxAhead))
		}
		return now.Add(d), nil
	case until != "":
		at, err := moment("until", until)
		switch {
		case err != nil:
		case !at.After(now):
			err = fmt.Errorf("until: %s is past", until)
		case at.Sub(now) > health.MaxAhead:
			err = fmt.Errorf("until: %s is more than %s ahead", until, health.Hours(health.MaxAhead))
		}
		return at, err
	}
	return time.Time{}, nil
}

// moment reads a time, of which the seconds may be left out.
func moment(what, s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %.40q is not a time such as 2026-11-21T18:00Z (RFC 3339)", what, s)
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
	o, err := asked(req, time.Now())
	if err != nil {
		refuse(w, http.StatusBadRequest, "body: %s", err)
		return
	}
	o.Service, o.Endpoint = service.String(), address
	o.By = by(w, req.Source, req.Reason)
	o.Source, o.Reason = o.By.Who, o.By.Why
	switch err = a.engine.Override(o); {
	case errors.Is(err, health.ErrPast):
		refuse(w, http.StatusBadRequest, "body: until: it is past by now")
		return
	case errors.Is(err, health.ErrNotFound):
		if s := a.engine.Snapshot(); s != nil {
			if endpointsOf(s, service) == nil {
				refuse(w, http.StatusNotFound, "there is no service %s", service)
				return
			}
			if of := s.Table.Guest(service, address); of != "" {
				refuse(w, http.StatusNotFound, "%s is an endpoint of %s, which %s nests: set the override there", address, of, service)
				return
			}
		}
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
	because, ok := why(w, r)
	if !ok {
		return
	}
	err = a.engine.ClearOverride(service.String(), address, because)
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

// subject is the service and the endpoint of a path.
func subject(r *http.Request) (service dnswire.Name, address string, err error) {
	if service, err = dnswire.ParseName(r.PathValue("service")); err != nil {
		return "", "", fmt.Errorf("service: %w", err)
	}
	if address, err = endpoint(r.PathValue("address")); err != nil {
		return "", "", err
	}
	return service, address, nil
}

// oneLine refuses what would not be one line in a log or on a terminal.
func oneLine(what, s string, limit int) error {
	switch {
	case len(s) > limit:
		return fmt.Errorf("%s: longer than %d bytes", what, limit)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, acts):
		return fmt.Errorf("%s: it has control characters", what)
	}
	return nil
}

// acts is whether a character does something to a line rather than stand in it: those
// that turn the direction of writing around, and that end lines, among them.
func acts(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)
}
