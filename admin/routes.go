package admin

import (
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/spec"
)

// prefix is where version 1 of the API is.
const prefix = "/api/v1"

// route is one path and what it does by method.
type route struct {
	path    string // as the OpenAPI document spells it
	methods map[string]deed
}

// deed is what one method of a path does.
type deed struct {
	need spec.Role // of whoever asks for it; RoleNone: everybody in admin.allowed_networks may
	do   http.HandlerFunc
}

func get(need spec.Role, h http.HandlerFunc) map[string]deed {
	return map[string]deed{http.MethodGet: {need, h}}
}

func (a *Admin) routes(g prometheus.Gatherer) []route {
	const (
		open     = spec.RoleNone
		viewer   = spec.RoleViewer
		operator = spec.RoleOperator
	)
	metrics := a.metrics(g)
	return append([]route{
		{prefix + "/live", get(open, a.live)},
		{prefix + "/ready", get(open, a.ready)},
		{prefix + "/version", get(viewer, a.version)},
		{prefix + "/status", get(viewer, a.status)},
		{prefix + "/reload", map[string]deed{http.MethodPost: {operator, a.reload}}},
		{prefix + "/health/servers", get(viewer, a.servers)},
		{prefix + "/health/regions", get(viewer, a.regions)},
		{prefix + "/pools", get(viewer, a.pools)},
		{prefix + "/pools/{pool}/failback", map[string]deed{http.MethodPost: {operator, a.failback}}},
		{prefix + "/services", get(viewer, a.services)},
		{prefix + "/explain", get(viewer, a.explain)},
		{prefix + "/geo", get(viewer, a.geo)},
		{prefix + "/geo/lookup", get(viewer, a.geoLookup)},
		{prefix + "/top", get(viewer, a.top)},
		{prefix + "/overrides", get(viewer, a.overrides)},
		{prefix + "/overrides/{service}/{address}", map[string]deed{
			http.MethodGet:    {viewer, a.override},
			http.MethodPut:    {operator, a.setOverride},
			http.MethodDelete: {operator, a.clearOverride},
		}},
		{prefix + "/maintenance", map[string]deed{
			http.MethodGet:  {viewer, a.maintenances},
			http.MethodPost: {operator, a.addMaintenance},
		}},
		{prefix + "/maintenance/{id}", map[string]deed{
			http.MethodGet:    {viewer, a.maintenanceOf},
			http.MethodDelete: {operator, a.cancelMaintenance},
		}},
		{prefix + "/audit", get(viewer, a.auditLog)},
		{prefix + "/history", get(viewer, a.history)},
		{prefix + "/events", get(viewer, a.events)},
		{prefix + "/notify", get(viewer, a.destinations)},
		{prefix + "/notify/{name}/test", map[string]deed{http.MethodPost: {operator, a.testDestination}}},
		{prefix + "/loads", map[string]deed{
			http.MethodGet: {viewer, a.loads},
			http.MethodPut: {operator, a.setLoads},
		}},
		{prefix + "/loads/{address}", map[string]deed{
			http.MethodGet:    {viewer, a.load},
			http.MethodPut:    {operator, a.setLoad},
			http.MethodDelete: {operator, a.clearLoad},
		}},
		{prefix + "/results", get(viewer, a.results)},
		{prefix + "/results/{check}/{address}", map[string]deed{
			http.MethodGet:    {viewer, a.result},
			http.MethodPut:    {operator, a.setResult},
			http.MethodDelete: {operator, a.clearResult},
		}},
		{prefix + "/openapi.json", get(viewer, a.openapi)},
		{prefix + "/metrics", get(viewer, metrics)},
		{"/metrics", get(viewer, metrics)},
		// Edges have a secret of their own.
		{api.SnapshotPath, get(open, a.edgeSnapshot)},
		{api.ChangesPath, get(open, a.edgeChanges)},
		{api.EventsPath, get(open, a.edgeEvents)},
	}, a.profileRoutes()...)
}

// mux sends a request to its route. What has none is a problem, like every
// other refusal.
func (a *Admin) mux(g prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	for _, r := range a.routes(g) {
		handler := a.serve(r)
		mux.HandleFunc(strings.TrimSuffix(r.path, "/"), handler)
		if strings.HasSuffix(r.path, "/") {
			mux.HandleFunc(r.path+"{$}", handler) // and nothing below it
		}
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, req *http.Request) {
		if a.admit(w, spec.RoleViewer) { // which paths there are is not for everybody
			refuse(w, http.StatusNotFound, "nothing is at this path; %s/openapi.json lists what there is", prefix)
		}
	})
	return mux
}

// serve does what a route does by method, for those whose role is enough.
func (a *Admin) serve(r route) http.HandlerFunc {
	allow := r.allow()
	return func(w http.ResponseWriter, req *http.Request) {
		named(w, r.path)
		method := req.Method
		if method == http.MethodHead {
			method = http.MethodGet // net/http leaves the body out
		}
		d, ok := r.methods[method]
		if !ok {
			d.need = spec.RoleViewer
		}
		switch {
		case !a.admit(w, d.need):
		case !ok:
			w.Header().Set("Allow", allow)
			refuse(w, http.StatusMethodNotAllowed, "%s takes %s", r.path, allow)
		default:
			d.do(w, req)
		}
	}
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
