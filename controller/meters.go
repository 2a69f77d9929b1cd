package controller

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/api"
)

type meters struct {
	computed prometheus.Histogram
	changes  *prometheus.CounterVec
	records  prometheus.Counter
	pushes   *prometheus.CounterVec
	pushed   *prometheus.CounterVec
	resyncs  *prometheus.CounterVec
	refused  *prometheus.CounterVec
	edges    map[string]bool // that there are series of
}

// The results of a push.
const (
	pushDelivered = "delivered"
	pushRefused   = "refused"
	pushFailed    = "failed"
)

func newMeters(reg prometheus.Registerer, c *Controller) *meters {
	m := &meters{
		computed: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rhumb_controller_compute_seconds",
			Help:    "How long it took to compute what edges are told, all views that were used together.",
			Buckets: []float64{.0001, .001, .01, .1, 1, 10},
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_controller_changes_total",
			Help: "Changes of what edges are told: change, or reset for one of too many records to be told one by one.",
		}, []string{"kind"}),
		records: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rhumb_controller_changed_records_total",
			Help: "Records in these changes, those that are gone among them.",
		}),
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_controller_pushes_total",
			Help: "Requests to the webhooks of edges, by how they went: delivered, refused (not to be tried again as it is), failed.",
		}, []string{"edge", "result"}),
		pushed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_controller_pushed_records_total",
			Help: "Records that edges were told of, those that are gone among them.",
		}, []string{"edge"}),
		resyncs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_controller_resyncs_total",
			Help: "How often an edge was asked what it has, and told what differs: at the start, after it was away, and when it was too far behind.",
		}, []string{"edge"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_controller_refused_records_total",
			Help: "Records that edges said they do not take.",
		}, []string{"edge"}),
	}
	for _, kind := range []string{"change", "reset"} {
		m.changes.WithLabelValues(kind)
	}
	if reg != nil {
		reg.MustRegister(m.computed, m.changes, m.records, m.pushes, m.pushed, m.resyncs, m.refused, behind{c})
	}
	return m
}

// changed counts a change.
func (m *meters) changed(change *api.Change, lost bool) {
	switch {
	case lost:
		m.changes.WithLabelValues("reset").Inc()
	case change != nil:
		m.changes.WithLabelValues("change").Inc()
		m.records.Add(float64(sizeOf(change)))
	}
}

// know makes the series of edges, so that there is something before the first failure, and
// ends those of others. Calls do not overlap.
func (m *meters) know(edges map[string]bool) {
	for edge := range m.edges {
		if !edges[edge] {
			for _, v := range []*prometheus.CounterVec{m.pushes, m.pushed, m.resyncs, m.refused} {
				v.DeletePartialMatch(prometheus.Labels{"edge": edge})
			}
		}
	}
	for edge := range edges {
		for _, result := range []string{pushDelivered, pushRefused, pushFailed} {
			m.pushes.WithLabelValues(edge, result)
		}
		m.pushed.WithLabelValues(edge)
		m.resyncs.WithLabelValues(edge)
		m.refused.WithLabelValues(edge)
	}
	m.edges = edges
}

// behind tells how edges stand, when it is asked.
type behind struct{ c *Controller }

var (
	behindDesc = prometheus.NewDesc("rhumb_controller_edge_behind",
		"Whether an edge that is pushed to lacks something of a zone.", []string{"edge", "zone"}, nil)
	viewsDesc = prometheus.NewDesc("rhumb_controller_views",
		"Lists of regions, by zone, of which the records are kept ready.", nil, nil)
	recordsDesc = prometheus.NewDesc("rhumb_controller_records",
		"Records that edges are told of a zone: of the view that has most.", []string{"zone"}, nil)
)

// Describe implements prometheus.Collector.
func (b behind) Describe(out chan<- *prometheus.Desc) {
	out <- behindDesc
	out <- viewsDesc
	out <- recordsDesc
}

// Collect implements prometheus.Collector.
func (b behind) Collect(out chan<- prometheus.Metric) {
	c := b.c
	c.mu.Lock()
	views := len(c.views)
	most := map[string]int{}
	for _, v := range c.views {
		if v.latest != nil {
			zone := text(v.zone)
			most[zone] = max(most[zone], v.latest.Len())
		}
	}
	lacks := map[pushKey]float64{}
	for key, p := range c.pushes {
		lacks[key] = max(lacks[key], p.behind())
	}
	c.mu.Unlock()
	out <- prometheus.MustNewConstMetric(viewsDesc, prometheus.GaugeValue, float64(views))
	for zone, n := range most {
		out <- prometheus.MustNewConstMetric(recordsDesc, prometheus.GaugeValue, float64(n), zone)
	}
	for key, is := range lacks {
		out <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, is, key.edge, text(key.zone))
	}
}
