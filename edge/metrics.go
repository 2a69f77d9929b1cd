package edge

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// Metrics count what edges do, of all zones together. They have the names and labels of
// elchi's documents; refused_total, cache_age_seconds and stream are ours. A nil one
// counts nothing.
type Metrics struct {
	requests, hits, misses *prometheus.CounterVec // zone, type
	duration               *prometheus.HistogramVec
	failures               *prometheus.CounterVec
	webhook                *prometheus.CounterVec
	refused                *prometheus.CounterVec

	mu    sync.Mutex
	edges map[string][]*Edge // by zone, in the order in which they began: the last one speaks
}

var (
	cacheSize = prometheus.NewDesc("coredns_elchi_cache_size", "Number of DNS records currently in cache.", []string{"zone"}, nil)
	cacheAge  = prometheus.NewDesc("coredns_elchi_cache_age_seconds", "How long ago a controller last said how the records are; absent while none ever has.", []string{"zone"}, nil)
	streaming = prometheus.NewDesc("coredns_elchi_stream", "1 while the controller tells changes as they happen, else 0.", []string{"zone"}, nil)
)

// NewMetrics makes metrics and registers them. Where they are registered already, it
// gives those: one set is for all zones.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "coredns", Subsystem: "elchi", Name: name, Help: help}, labels)
	}
	m := &Metrics{
		edges:    map[string][]*Edge{},
		requests: counter("requests_total", "Total number of DNS requests handled by elchi plugin.", "zone", "type"),
		hits:     counter("cache_hits_total", "Total number of cache hits.", "zone", "type"),
		misses:   counter("cache_misses_total", "Total number of cache misses.", "zone", "type"),
		failures: counter("sync_errors_total", "Total number of backend sync errors.", "zone", "type"),
		webhook:  counter("webhook_requests_total", "Total number of webhook requests received.", "endpoint", "status"),
		refused:  counter("refused_total", "Items of controllers that were not taken.", "zone"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "coredns", Subsystem: "elchi", Name: "sync_duration_seconds",
			Help:    "Duration of backend sync operations in seconds.",
			Buckets: prometheus.DefBuckets, // those of the documents
		}, []string{"zone", "type"}),
	}
	err := reg.Register(m)
	if there := (prometheus.AlreadyRegisteredError{}); errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(*Metrics); ok {
			return old, nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("edge: metrics: %w", err)
	}
	return m, nil
}

func (m *Metrics) vectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.hits, m.misses, m.failures, m.webhook, m.refused, m.duration}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, v := range m.vectors() {
		v.Describe(ch)
	}
	ch <- cacheSize
	ch <- cacheAge
	ch <- streaming
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, v := range m.vectors() {
		v.Collect(ch)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	gauge := func(d *prometheus.Desc, zone string, v float64) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, zone)
	}
	for zone, all := range m.edges {
		h := all[len(all)-1].Health()
		gauge(cacheSize, zone, float64(h.RecordsCount))
		if h.AgeSeconds != nil {
			gauge(cacheAge, zone, *h.AgeSeconds)
		}
		on := 0.0
		if h.Stream {
			on = 1
		}
		gauge(streaming, zone, on)
	}
}

// offered has the counters of an edge's own paths begin at 0, so that a rate sees the first
// of each: somebody with a wrong secret, for one.
func (m *Metrics) offered() {
	if m == nil {
		return
	}
	for _, endpoint := range []string{"notify", "health", "records"} {
		for _, status := range []string{succeeded, refusedIt, unauthorized} {
			if endpoint != "health" || status != unauthorized { // which wants no secret
				m.webhook.WithLabelValues(endpoint, status)
			}
		}
	}
}

// requested counts a request at one of an edge's own paths.
func (m *Metrics) requested(endpoint, status string) {
	if m != nil {
		m.webhook.WithLabelValues(endpoint, status).Inc()
	}
}

// zoneMeters are the metrics of one zone.
type zoneMeters struct {
	m        *Metrics
	zone     string
	refused  prometheus.Counter
	duration [2]prometheus.Observer // of snapshots, of changes
	failures [2]prometheus.Counter
	queries  [queryTypes]atomic.Pointer[queryMeters]
}

// queryTypes is how many types of queries have series of their own: those below, if they
// have a name, so that what is asked cannot make series without end.
const queryTypes = int(dnswire.TypeCAA) + 1

type queryMeters struct{ asked, hit, missed prometheus.Counter }

// zone makes the metrics of an edge.
func (m *Metrics) zone(e *Edge) *zoneMeters {
	if m == nil {
		return nil
	}
	name := e.Zone()
	z := &zoneMeters{m: m, zone: name, refused: m.refused.WithLabelValues(name)}
	for i, t := range []string{"snapshot", "changes"} {
		z.duration[i] = m.duration.WithLabelValues(name, t)
		z.failures[i] = m.failures.WithLabelValues(name, t)
	}
	// From 0, so that a rate sees the first of each.
	for _, t := range []dnswire.Type{dnswire.TypeA, dnswire.TypeAAAA} {
		z.of(t)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.edges[name] = append(m.edges[name], e)
	return z
}

// forget ends the gauges of an edge.
func (z *zoneMeters) forget(e *Edge) {
	if z == nil {
		return
	}
	z.m.mu.Lock()
	defer z.m.mu.Unlock()
	left := slices.DeleteFunc(z.m.edges[z.zone], func(o *Edge) bool { return o == e })
	if z.m.edges[z.zone] = left; len(left) == 0 {
		delete(z.m.edges, z.zone)
	}
}

func (z *zoneMeters) synced(changes bool, took time.Duration, err error) {
	if z == nil {
		return
	}
	i := 0
	if changes {
		i = 1
	}
	z.duration[i].Observe(took.Seconds())
	if err != nil {
		z.failures[i].Inc()
	}
}

func (z *zoneMeters) refuse(n int) {
	if z != nil {
		z.refused.Add(float64(n))
	}
}

// Asked counts a query for a name of the zone; hit is that the answer has records of the
// type, or an alias. It allocates only when a type is asked for the first time.
func (e *Edge) Asked(t dnswire.Type, hit bool) {
	if e.meters != nil {
		e.meters.asked(t, hit)
	}
}

// of are the meters of a type of queries.
func (z *zoneMeters) of(t dnswire.Type) *queryMeters {
	i := int(t)
	if i >= queryTypes {
		i = 0
	}
	q := z.queries[i].Load()
	if q == nil {
		label := dnswire.Type(i).String()
		if i == 0 || len(label) > 4 && label[:4] == "TYPE" {
			label = "other"
		}
		q = &queryMeters{
			z.m.requests.WithLabelValues(z.zone, label),
			z.m.hits.WithLabelValues(z.zone, label),
			z.m.misses.WithLabelValues(z.zone, label),
		}
		z.queries[i].Store(q)
	}
	return q
}

func (z *zoneMeters) asked(t dnswire.Type, hit bool) {
	q := z.of(t)
	q.asked.Inc()
	if hit {
		q.hit.Inc()
	} else {
		q.missed.Inc()
	}
}
