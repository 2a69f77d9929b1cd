package hosts

import "github.com/prometheus/client_golang/prometheus"

type meters struct {
	queries    *prometheus.CounterVec
	stale      prometheus.Gauge
	unresolved prometheus.Gauge
}

func newMeters(reg prometheus.Registerer) *meters {
	m := &meters{
		queries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_hosts_queries_total",
			Help: "Queries for the addresses of host names, by what came of them: ok, nodata, truncated, timeout, network, malformed, not_recursive, or a response code.",
		}, []string{"result"}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rhumb_hosts_stale",
			Help: "Host names with addresses that are kept beyond their TTL, since no answer confirms them.",
		}),
		unresolved: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rhumb_hosts_unresolved",
			Help: "Host names without any address.",
		}),
	}
	m.queries.WithLabelValues("ok") // so that it is there, at 0, before the first one
	if reg != nil {
		reg.MustRegister(m.queries, m.stale, m.unresolved)
	}
	return m
}
