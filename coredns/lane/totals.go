package lane

import (
	"sync"
	"sync/atomic"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
)

// totals count the datagrams of all lanes that a server has had.
type totals struct {
	answered, handed, dropped atomic.Uint64
	open                      atomic.Int64
}

// add adds a batch.
func (t *totals) add(b *batch) {
	for _, c := range []struct {
		to *atomic.Uint64
		n  uint64
	}{{&t.answered, b.answered}, {&t.handed, b.handed}, {&t.dropped, b.dropped}} {
		if c.n > 0 {
			c.to.Add(c.n)
		}
	}
}

// all are the totals of all servers, by their addresses.
var all struct {
	sync.Mutex
	of map[string]*totals
}

// totalsOf are those of a server. They are registered with the first.
func totalsOf(server string) *totals {
	all.Lock()
	defer all.Unlock()
	if all.of == nil {
		all.of = map[string]*totals{}
		if err := prometheus.Register(collector{}); err != nil {
			log.Error("there will be no metrics of lanes", "error", err)
		}
	}
	t := all.of[server]
	if t == nil {
		t = &totals{}
		all.of[server] = t
	}
	return t
}

var (
	sockets = prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, "lane", "sockets"),
		"Number of UDP sockets that are served by a lane.", []string{"server"}, nil)
	datagrams = prometheus.NewDesc(prometheus.BuildFQName(plugin.Namespace, "lane", "datagrams_total"),
		"Counter of datagrams that came to a lane, by who got them: the lane, coredns, or nobody.", []string{"server", "to"}, nil)
)

// collector tells Prometheus of the totals.
type collector struct{}

// Describe implements prometheus.Collector.
func (collector) Describe(ch chan<- *prometheus.Desc) { ch <- sockets; ch <- datagrams }

// Collect implements prometheus.Collector.
func (collector) Collect(ch chan<- prometheus.Metric) {
	all.Lock()
	defer all.Unlock()
	for server, t := range all.of {
		ch <- prometheus.MustNewConstMetric(sockets, prometheus.GaugeValue, float64(t.open.Load()), server)
		for _, c := range []struct {
			to string
			n  *atomic.Uint64
		}{{"lane", &t.answered}, {"coredns", &t.handed}, {"nobody", &t.dropped}} {
			ch <- prometheus.MustNewConstMetric(datagrams, prometheus.CounterValue, float64(c.n.Load()), server, c.to)
		}
	}
}
