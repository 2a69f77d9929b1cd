package admin

import (
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type meters struct {
	requests *prometheus.CounterVec
}

func newMeters(reg prometheus.Registerer, version string) *meters {
	m := &meters{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rhumb_admin_requests_total",
		Help: "Requests to the admin surface, by path as the API documents it, method and status code. Anything else is the path \"other\".",
	}, []string{"path", "method", "code"})}
	if reg == nil {
		return m
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "rhumb_build_info",
		Help:        "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	reg.MustRegister(build, m.requests)
	return m
}

// done counts one request. Labels are fixed words: a client cannot make series.
func (m *meters) done(path, method string, code int) {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(path, method, strconv.Itoa(code)).Inc()
}
