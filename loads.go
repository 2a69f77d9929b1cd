package rhumb

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/health"
)

// SetLoads takes in what was reported of how busy endpoints are, and gives the
// names of those that no service has. Snapshot has the others within a second.
func (e *Engine) SetLoads(reports []health.Load) (unknown []string) { return e.board.SetLoads(reports) }

// ClearLoad forgets what was reported of an endpoint.
func (e *Engine) ClearLoad(endpoint string) error { return e.board.ClearLoad(endpoint) }

// Loads lists the reports that count at this instant.
func (e *Engine) Loads() []health.Load { return e.board.Loads() }

// GoesByLoad is whether the steering of some service goes by loads.
func (e *Engine) GoesByLoad() bool {
	s := e.Snapshot()
	return s != nil && s.Health.Load() != nil
}

// figures are the metrics of what operators and agents say of endpoints.
type figures struct{ e *Engine }

var (
	endpointLoad = prometheus.NewDesc("rhumb_endpoint_load",
		"Load of an endpoint as last reported, while the report counts.", []string{"endpoint"}, nil)
	endpointShare = prometheus.NewDesc("rhumb_endpoint_share",
		"How much of its usual traffic an endpoint that is drained has left for a service, from 1 to 0.", []string{"service", "endpoint"}, nil)
)

// Describe implements prometheus.Collector.
func (c figures) Describe(ch chan<- *prometheus.Desc) {
	ch <- endpointLoad
	ch <- endpointShare
}

// Collect implements prometheus.Collector.
func (c figures) Collect(ch chan<- prometheus.Metric) {
	for _, l := range c.e.Loads() {
		ch <- prometheus.MustNewConstMetric(endpointLoad, prometheus.GaugeValue, l.Load, l.Endpoint)
	}
	now := time.Now()
	for _, o := range c.e.Overrides() {
		if o.Drain {
			left := float64(o.Share(now)) / health.Whole
			ch <- prometheus.MustNewConstMetric(endpointShare, prometheus.GaugeValue, left, o.Service, o.Endpoint)
		}
	}
}
