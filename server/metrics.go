package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/server/meter"
)

// The metrics. Every label is from the configuration or from a fixed list.
var (
	descQueries = prometheus.NewDesc("rhumb_dns_queries_total",
		"Queries answered, by zone (- is none of ours), query type, response code and transport (udp, tcp, tls).",
		[]string{"zone", "type", "rcode", "transport"}, nil)
	descAnswers = prometheus.NewDesc("rhumb_answers_total",
		"Records given as answers, by service and by the pool that the endpoint is from.",
		[]string{"service", "pool"}, nil)
	descEndpoints = prometheus.NewDesc("rhumb_endpoint_answers_total",
		"Queries answered with an endpoint of a service, by its address or host name.",
		[]string{"endpoint"}, nil)
	descLatency = prometheus.NewDesc("rhumb_dns_latency_seconds",
		"Time from when the server had read a query to when it had sent the answer, by transport: its own part of what a client waits for. Queries that come together leave together.",
		[]string{"transport"}, nil)
	descSizes = prometheus.NewDesc("rhumb_dns_response_size_bytes",
		"Size of answers in octets, by transport.",
		[]string{"transport"}, nil)
	descDropped = prometheus.NewDesc("rhumb_dns_dropped_total",
		"Packets without an answer, by reason: not_a_query, not_ready, source_port (it was 0), panic, send (the answer was refused by the kernel), proxy_header (a proxy's, without a header that can be read), access (of who may not ask), rate_limit (the answer was beyond a limit), receive_buffer (it was full).",
		[]string{"reason"}, nil)
	descLimited = prometheus.NewDesc("rhumb_dns_rate_limited_total",
		"Answers over UDP beyond the limits of dns.rate_limit, by kind (answer, nodata, nxdomain, referral, error) and by what became of them: dropped, slipped (sent truncated), dry_run (sent all the same).",
		[]string{"kind", "action"}, nil)
	descDenied = prometheus.NewDesc("rhumb_dns_denied_total",
		"Queries of clients that dns.access does not allow, by what became of them: refused, or dropped, as their connections are.",
		[]string{"action"}, nil)
	descPanics = prometheus.NewDesc("rhumb_dns_panics_total",
		"Queries that made the server panic. Each cost one answer; the first one is in the log.", nil, nil)
	descConns = prometheus.NewDesc("rhumb_tcp_connections",
		"TCP connections that are open, those of TLS among them.", nil, nil)
	descAccepted = prometheus.NewDesc("rhumb_tcp_accepted_total",
		"TCP connections accepted.", nil, nil)
	descRefused = prometheus.NewDesc("rhumb_tcp_closed_total",
		"TCP connections closed early, by reason: client_limit and limit (refused), idle_for_new (waiting for its client, to make room), timeout (no whole query or handshake in time, or answers not taken), client_rate (more new ones a second than a client may open), access (of who may not ask).",
		[]string{"reason"}, nil)
	descHeld = prometheus.NewDesc("rhumb_tcp_queries_held_total",
		"Queries over TCP and TLS that had to wait, since their client asks more than dns.tcp.queries_per_second.", nil, nil)
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
		descQueries, descAnswers, descEndpoints, descLatency, descSizes, descDropped, descLimited, descDenied, descPanics,
		descConns, descAccepted, descRefused, descHeld, descAcceptErrors, descHandshakes, descExpiry,
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
	r := s.Reading()
	for _, q := range r.Queries {
		counter(descQueries, q.N, q.Zone, q.Type, q.RCode, q.Transport)
	}
	for _, a := range r.Services {
		counter(descAnswers, a.Records, a.Service, a.Pool)
	}
	for _, e := range r.Endpoints {
		counter(descEndpoints, e.N, e.Name)
	}
	for _, d := range r.Dropped {
		counter(descDropped, d.N, d.Name)
	}
	for i, name := range meter.Transports {
		ch <- latency(&r.Latency[i], name)
		ch <- sizes(&r.Sizes[i], name)
	}
	for _, l := range r.Limited {
		counter(descLimited, l.N, l.Kind, l.Action)
	}
	for _, d := range r.Denied {
		counter(descDenied, d.N, d.Name)
	}
	counter(descPanics, r.Panics)

	t := &s.tcp
	ch <- prometheus.MustNewConstMetric(descConns, prometheus.GaugeValue, float64(r.Connections))
	counter(descAccepted, t.accepted.Load())
	for i, name := range closeNames {
		counter(descRefused, t.closed[i].Load(), name)
	}
	counter(descHeld, t.held.Load())
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

// latencyBounds are the bounds of the exported histogram, as powers of two of a
// microsecond, which are bounds of buckets of ours: 2 microseconds to 1.05 s.
var latencyBounds = [...]int{1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 17, 20}

// latency is the durations as a metric.
func latency(d *meter.Durations, transport string) prometheus.Metric {
	up := make(map[float64]uint64, len(latencyBounds))
	for _, k := range latencyBounds {
		bound := time.Microsecond << k
		up[bound.Seconds()] = d.UpTo(bound)
	}
	return prometheus.MustNewConstHistogram(descLatency, d.Count(), d.Sum.Seconds(), up, transport)
}

// sizes is the sizes of answers as a metric.
func sizes(o *meter.Octets, transport string) prometheus.Metric {
	up := make(map[float64]uint64, len(meter.SizeBounds))
	n := uint64(0)
	for i, bound := range meter.SizeBounds {
		n += o.Counts[i]
		up[float64(bound)] = n
	}
	return prometheus.MustNewConstHistogram(descSizes, n+o.Counts[len(meter.SizeBounds)], float64(o.Sum), up, transport)
}
