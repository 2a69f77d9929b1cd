package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/server/datagram"
)

// The metrics. Every label is from the configuration or from a fixed list.
var (
	descQueries = prometheus.NewDesc("rhumb_dns_queries_total",
		"Queries answered, by zone (- is none of ours), query type, response code and transport (udp, tcp, tls).",
		[]string{"zone", "type", "rcode", "transport"}, nil)
	descAnswers = prometheus.NewDesc("rhumb_answers_total",
		"Records given as answers, by service and by the pool that the endpoint is from.",
		[]string{"service", "pool"}, nil)
	descDropped = prometheus.NewDesc("rhumb_dns_dropped_total",
		"Packets without an answer, by reason: not_a_query, not_ready, source_port (it was 0), panic, send (the answer was refused by the kernel), proxy_header (a proxy's, without a header that can be read), receive_buffer (it was full).",
		[]string{"reason"}, nil)
	descPanics = prometheus.NewDesc("rhumb_dns_panics_total",
		"Queries that made the server panic. Each cost one answer; the first one is in the log.", nil, nil)
	descConns = prometheus.NewDesc("rhumb_tcp_connections",
		"TCP connections that are open, those of TLS among them.", nil, nil)
	descAccepted = prometheus.NewDesc("rhumb_tcp_accepted_total",
		"TCP connections accepted.", nil, nil)
	descRefused = prometheus.NewDesc("rhumb_tcp_closed_total",
		"TCP connections closed early, by reason: client_limit and limit (refused), idle_for_new (waiting for its client, to make room), timeout (no whole query or handshake in time, or answers not taken).",
		[]string{"reason"}, nil)
	descAcceptErrors = prometheus.NewDesc("rhumb_tcp_accept_errors_total",
		"Failures to accept a TCP connection, such as too many open files.", nil, nil)
	descHandshakes = prometheus.NewDesc("rhumb_tls_handshakes_total",
		"TLS handshakes, by result: full, resumed (with a session ticket), failed (nothing in common, not TLS, or not done in time).",
		[]string{"result"}, nil)
	descExpiry = prometheus.NewDesc("rhumb_tls_certificate_expiry_timestamp_seconds",
		"Until when the certificate of DNS over TLS is valid, as Unix time.", nil, nil)
)

// Describe implements prometheus.Collector.
func (s *Server) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		descQueries, descAnswers, descDropped, descPanics,
		descConns, descAccepted, descRefused, descAcceptErrors, descHandshakes, descExpiry,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. Only series that are not zero are
// sent, but for those without labels of the configuration.
func (s *Server) Collect(ch chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(n), labels...)
	}
	udp, all := s.totals()
	udp.eachQuery(func(zone, qtype, rcode string, n uint64) {
		counter(descQueries, n, zone, qtype, rcode, "udp")
	})
	s.tcpCount.eachQuery(func(zone, qtype, rcode string, n uint64) {
		counter(descQueries, n, zone, qtype, rcode, "tcp")
	})
	s.tlsCount.eachQuery(func(zone, qtype, rcode string, n uint64) {
		counter(descQueries, n, zone, qtype, rcode, "tls")
	})
	if v := all.view.Load(); v != nil {
		v.snap.Table.EachCounter(
			func(i uint32) bool { return v.answers(i) > 0 },
			func(i uint32, service, pool string) { counter(descAnswers, v.answers(i), service, pool) })
	}
	for i, name := range dropNames {
		counter(descDropped, all.dropped[i].Load(), name)
	}
	counter(descDropped, all.kernel.Load(), "receive_buffer")
	counter(descPanics, all.panics.Load())

	t := &s.tcp
	ch <- prometheus.MustNewConstMetric(descConns, prometheus.GaugeValue, float64(t.count.Load()))
	counter(descAccepted, t.accepted.Load())
	for i, name := range closeNames {
		counter(descRefused, t.closed[i].Load(), name)
	}
	counter(descAcceptErrors, t.acceptErrors.Load())
	if c := s.settings.Load().certificate; c != nil {
		for i, name := range handshakeNames {
			counter(descHandshakes, s.handshakes[i].Load(), name)
		}
		if c.Leaf != nil {
			ch <- prometheus.MustNewConstMetric(descExpiry, prometheus.GaugeValue, float64(c.Leaf.NotAfter.Unix()))
		}
	}
}

// totals adds up the UDP workers, and these, TCP and TLS, at the current table.
func (s *Server) totals() (udp, all *counters) {
	udp, all = s.sum(), s.sum()
	s.countMu.Lock()
	udp.add(s.gone)
	for c := range s.live {
		udp.add(c)
	}
	s.countMu.Unlock()
	all.add(udp)
	all.add(s.tcpCount)
	all.add(s.tlsCount)
	return udp, all
}

// sum makes counters to add others to.
func (s *Server) sum() *counters {
	c := &counters{}
	if snap := s.o.Snapshot(); snap != nil {
		c.viewOf(snap, s.o.Snapshot)
	}
	return c
}

// newCounters makes the counters of a UDP worker.
func (s *Server) newCounters(sock *datagram.Socket) *counters {
	c := &counters{socket: sock}
	s.countMu.Lock()
	defer s.countMu.Unlock()
	s.live[c] = struct{}{}
	return c
}

// retire moves what c has counted to s.gone, since a counter never goes back.
// The worker has ended, and its socket can still be asked.
func (s *Server) retire(c *counters) {
	s.countMu.Lock()
	defer s.countMu.Unlock()
	delete(s.live, c)
	if snap := s.o.Snapshot(); snap != nil {
		s.gone.viewOf(snap, s.o.Snapshot)
	}
	s.gone.add(c)
}

// eachQuery calls f for every count of queries that is not zero.
func (c *counters) eachQuery(f func(zone, qtype, rcode string, n uint64)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, z := range c.zones {
		for t := range z {
			for r := range z[t] {
				if n := z[t][r].Load(); n > 0 {
					f(name, typeNames[t], rcodeNames[r], n)
				}
			}
		}
	}
}

// answers is how often the counter i of this table was counted.
func (v *view) answers(i uint32) uint64 {
	if k := int(i / pageSize); k < len(v.pages) {
		if p := v.pages[k].Load(); p != nil {
			return p[i%pageSize].Load()
		}
	}
	return 0
}
