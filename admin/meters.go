package admin

import (
	"net/http"
	"runtime"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

type meters struct {
	requests *prometheus.CounterVec
	refused  *prometheus.CounterVec
	lost     prometheus.Counter
}

func newMeters(reg prometheus.Registerer, version string) *meters {
	m := &meters{requests: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rhumb_admin_requests_total",
		Help: "Requests to the admin surface, by path as the API documents it, method and status code. Anything else is the path \"other\".",
	}, []string{"path", "method", "code"})}
	m.lost = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "rhumb_event_streams_lost_total",
		Help: "Events that followers of /api/v1/events were too slow for: they were told how many.",
	})
	m.refused = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rhumb_admin_tokens_refused_total",
		Help: "Requests to the admin surface whose token did not do, by reason: missing, wrong, limited (not looked at, after too many wrong ones), role (a right one whose role is not enough).",
	}, []string{"reason"})
	for _, why := range []failure{tokenMissing, tokenWrong, tokenLimited, tokenTooLow} {
		m.refused.WithLabelValues(string(why))
	}
	if reg == nil {
		return m
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "rhumb_build_info",
		Help:        "Always 1; the labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	})
	build.Set(1)
	reg.MustRegister(build, m.requests, m.refused, m.lost)
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

// failed counts a request whose token did not do.
func (m *meters) failed(why failure) { m.refused.WithLabelValues(string(why)).Inc() }
