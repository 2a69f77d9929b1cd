package notify

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type meters struct {
	n          *Notifier
	deliveries *prometheus.CounterVec
	dropped    *prometheus.CounterVec
}

var (
	waiting = prometheus.NewDesc("rhumb_notify_waiting",
		"Events that a destination has not taken yet.", []string{"destination"}, nil)
	oldest = prometheus.NewDesc("rhumb_notify_oldest_seconds",
		"How long ago the first event was that a destination has not taken yet; 0 when there is none.", []string{"destination"}, nil)
)

func newMeters(reg prometheus.Registerer, n *Notifier) *meters {
	m := &meters{
		n: n,
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_notify_deliveries_total",
			Help: "Deliveries of events that were tried, by destination and result: delivered, failed (it is tried again) or refused (it is not).",
		}, []string{"destination", "result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_notify_dropped_total",
			Help: "Events that a destination is not told, by reason: refused, expired (older than max_age) or lost (newer ones pushed them out of the history).",
		}, []string{"destination", "reason"}),
	}
	if reg != nil {
		reg.MustRegister(m.deliveries, m.dropped, m)
	}
	return m
}

// know makes the series of a destination.
func (m *meters) know(name string) {
	for _, result := range []string{"delivered", "failed", "refused"} {
		m.deliveries.WithLabelValues(name, result)
	}
	for _, reason := range []string{"refused", "expired", "lost"} {
		m.dropped.WithLabelValues(name, reason)
	}
}

func (m *meters) forget(name string) {
	m.deliveries.DeletePartialMatch(prometheus.Labels{"destination": name})
	m.dropped.DeletePartialMatch(prometheus.Labels{"destination": name})
}

// Describe implements prometheus.Collector.
func (m *meters) Describe(ch chan<- *prometheus.Desc) {
	ch <- waiting
	ch <- oldest
}

// Collect implements prometheus.Collector.
func (m *meters) Collect(ch chan<- prometheus.Metric) {
	for _, s := range m.n.Status() {
		age := 0.0
		if s.Waiting > 0 {
			age = max(time.Since(s.Oldest).Seconds(), 0)
		}
		ch <- prometheus.MustNewConstMetric(waiting, prometheus.GaugeValue, float64(s.Waiting), s.Name)
		ch <- prometheus.MustNewConstMetric(oldest, prometheus.GaugeValue, age, s.Name)
	}
}
