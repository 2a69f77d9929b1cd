package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"

	"github.com/rhumb-dns/rhumb"
)

func (a *Admin) explain(w http.ResponseWriter, r *http.Request) {
	question, err := questionOf(r)
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	t, err := a.engine.Explain(question)
	switch {
	case errors.Is(err, rhumb.ErrBadQuestion):
		refuse(w, http.StatusBadRequest, "%s", err)
	case err != nil:
		refuse(w, http.StatusServiceUnavailable, "%s", err)
	default:
		respond(w, http.StatusOK, t)
	}
}

func questionOf(r *http.Request) (rhumb.Question, error) {
	var out rhumb.Question
	q, err := parameters(r, "name", "type", "client", "subnet")
	if err != nil {
		return out, err
	}
	out.Name, out.Type = q("name"), q("type")
	if out.Name == "" {
		return out, errors.New("name: the parameter is missing")
	}
	if text := q("client"); text != "" {
		client, err := netip.ParseAddr(text)
		if err != nil {
			return out, fmt.Errorf("client: %q is not an IP address", text)
		}
		out.Client = client.Unmap().WithZone("")
	}
	if text := q("subnet"); text != "" {
		if out.ECS, err = netip.ParsePrefix(text); err != nil || out.ECS.Addr().Is4In6() {
			return out, fmt.Errorf("subnet: %q is not a network, such as 192.0.2.0/24 or 2001:db8::/56", text)
		}
	}
	return out, nil
}
