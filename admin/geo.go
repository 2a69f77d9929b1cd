package admin

import (
	"net/http"
	"net/netip"
)

func (a *Admin) geo(w http.ResponseWriter, _ *http.Request) {
	respond(w, http.StatusOK, a.engine.Geo())
}

func (a *Admin) geoLookup(w http.ResponseWriter, r *http.Request) {
	q, err := parameters(r, "ip")
	if err != nil {
		refuse(w, http.StatusBadRequest, "%s", err)
		return
	}
	if q("ip") == "" {
		refuse(w, http.StatusBadRequest, "ip: the parameter is missing")
		return
	}
	addr, err := netip.ParseAddr(q("ip"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "ip: %q is not an IP address", q("ip"))
		return
	}
	found, err := a.engine.Locate(addr)
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "%s", err)
		return
	}
	respond(w, http.StatusOK, found)
}
