package admin

import (
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// prefix is where version 1 of the API is.
const prefix = "/api/v1"

// route is one path and what it does by method.
type route struct {
	path    string // as the OpenAPI document spells it
	methods map[string]http.HandlerFunc
}

func get(h http.HandlerFunc) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{http.MethodGet: h}
}

func (a *Admin) routes(g prometheus.Gatherer) []route {
	metrics := promhttp.HandlerFor(g, promhttp.HandlerOpts{
		ErrorLog:          slog.NewLogLogger(a.log.Handler(), slog.LevelError),
		ErrorHandling:     promhttp.ContinueOnError,
		EnableOpenMetrics: true,
	}).ServeHTTP
	return []route{
		{prefix + "/live", get(a.live)},
		{prefix + "/ready", get(a.ready)},
		{prefix + "/version", get(a.version)},
		{prefix + "/status", get(a.status)},
		{prefix + "/reload", map[string]http.HandlerFunc{http.MethodPost: a.reload}},
		{prefix + "/health/servers", get(a.servers)},
		{prefix + "/health/regions", get(a.regions)},
		{prefix + "/services", get(a.services)},
		{prefix + "/explain", get(a.explain)},
		{prefix + "/overrides", get(a.overrides)},
		{prefix + "/overrides/{service}/{address}", map[string]http.HandlerFunc{
			http.MethodGet: a.override, http.MethodPut: a.setOverride, http.MethodDelete: a.clearOverride,
		}},
		{prefix + "/openapi.json", get(a.openapi)},
		{prefix + "/metrics", get(metrics)},
		{"/metrics", get(metrics)},
	}
}

// mux sends a request to its route. What has none is a problem, like every
// other refusal.
func (a *Admin) mux(g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes(g) {
		allow := r.allow()
		mux.HandleFunc(r.path, func(w http.ResponseWriter, req *http.Request) {
			named(w, r.path)
			method := req.Method
			if method == http.MethodHead {
				method = http.MethodGet // net/http leaves the body out
			}
			h, ok := r.methods[method]
			if !ok {
				w.Header().Set("Allow", allow)
				refuse(w, http.StatusMethodNotAllowed, "%s takes %s", r.path, allow)
				return
			}
			h(w, req)
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		refuse(w, http.StatusNotFound, "nothing is at this path; %s/openapi.json lists what there is", prefix)
	})
	return mux
}

// allow is the Allow header of the route.
func (r *route) allow() string {
	var all []string
	for m := range r.methods {
		all = append(all, m)
		if m == http.MethodGet {
			all = append(all, http.MethodHead)
		}
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}
