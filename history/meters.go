package history

import "github.com/prometheus/client_golang/prometheus"

type meters struct {
	told    *prometheus.CounterVec
	dropped prometheus.Counter
	failed  prometheus.Counter
}

func newMeters(reg prometheus.Registerer, l *Log) *meters {
	m := &meters{
		told: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_events_total",
			Help: "What happened to endpoints, pools and the node, by type of the event.",
		}, []string{"type"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rhumb_events_dropped_total",
			Help: "Events that were not remembered, because too many came at once.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rhumb_history_write_errors_total",
			Help: "Writes of the history to disk that failed. What is in memory is written once it can be.",
		}),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.told, m.dropped, m.failed, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rhumb_history_events",
		Help: "Events that are remembered.",
	}, func() float64 {
		l.mu.RLock()
		defer l.mu.RUnlock()
		return float64(len(l.records))
	}))
	return m
}
