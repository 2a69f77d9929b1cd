package app

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type reloadMeters struct {
	total *prometheus.CounterVec
	good  prometheus.Gauge
	last  prometheus.Gauge
}

func newReloadMeters(reg prometheus.Registerer) *reloadMeters {
	m := &reloadMeters{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_config_reloads_total",
			Help: "Reloads of the configuration, by result: ok or error.",
		}, []string{"result"}),
		good: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rhumb_config_last_reload_successful",
			Help: "1 while the configuration files are what is in force, 0 from a refused reload until the files are mended.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rhumb_config_last_reload_success_timestamp_seconds",
			Help: "When the configuration in force was put in force, as Unix time.",
		}),
	}
	reg.MustRegister(m.total, m.good, m.last)
	m.total.WithLabelValues("ok")
	m.total.WithLabelValues("error")
	m.good.Set(1)
	m.last.SetToCurrentTime()
	return m
}

func (m *reloadMeters) done(err error, at time.Time) {
	if err != nil {
		m.total.WithLabelValues("error").Inc()
		m.good.Set(0)
		return
	}
	m.total.WithLabelValues("ok").Inc()
	m.good.Set(1)
	m.last.Set(float64(at.Unix()))
}
