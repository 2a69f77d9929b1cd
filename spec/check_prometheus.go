package spec

import (
	"slices"
	"strings"
)

// PrometheusCheck is what prometheus checks ask.
type PrometheusCheck struct {
	Path      string
	Headers   map[string]string
	Metric    string
	Labels    map[string]string
	Aggregate string // one, sum, max, min, any, all
	Expect    []Condition
}

var prometheusKind = &checkKind{
	types: []CheckType{CheckPrometheus}, section: &prometheusSection,
	decode: (*decoder).prometheusCheck,
}

var prometheusSection = section{
	title: "checks: prometheus",
	intro: "A metric that the endpoint exposes for Prometheus is within limits. See [Metrics](health.md#metrics).",
	example: `checks:
  queue:
    type: prometheus
    port: 9100
    metric: jobs_waiting
    labels: {queue: mail}
    expect: "< 1000"
    aggregate: sum
`,
	fields: slices.Concat([]field{
		{name: "port", typ: "integer", need: true, lo: 1, hi: 65535, doc: "Where the endpoint exposes its metrics."},
		{name: "path", typ: "text", def: "/metrics", doc: "With the query, if any."},
		{name: "headers", typ: "map of text", def: "{}", doc: "Sent with the request."},
		{name: "metric", typ: "text", need: true, doc: "The name of the series, such as `node_load1` or `latency_seconds_bucket`."},
		{name: "labels", typ: "map of text", def: "{}", doc: "Labels that a series must have, with these values; an empty value is for series without the label. At most 32."},
		{name: "aggregate", typ: "word", def: "one", words: []string{"one", "sum", "max", "min", "any", "all"}, doc: "How several series that match are judged: there must be no more than one, by their sum, by the largest or the smallest, or `expect` must hold for one or for each of them."},
		{name: "expect", typ: conditionShape, need: true, doc: "What the value must be: `= 1` or `1`, `!= 1`, `< 30`, `<= 30`, `> 30`, `>= 30`. Of a list all must hold."},
		{name: "tls", typ: "true or false", def: "false", doc: "Whether the metrics are asked for over https."},
		{name: "host", typ: "host name", prose: "the endpoint's address or host name", doc: "The Host header, and with `tls` what the certificate must be for."},
	}, needTLS(secureFields)),
}

const maxMetricLabels = 32

func (d *decoder) prometheusCheck(c *Check, o *object) {
	a := &PrometheusCheck{
		Path: o.text("path"), Metric: o.text("metric"), Aggregate: o.word("aggregate"),
		Expect: d.conditions(o, "expect", true),
	}
	c.Ask, c.Host = a, d.checkHost(o)
	if o.boolean("tls") {
		c.TLS = d.secure(o)
	} else {
		for _, f := range secureFields {
			if e := o.get(f.name); e != nil {
				d.fail(e.key, o.path.dot(f.name), "only with TLS: state tls: true as well")
			}
		}
	}
	d.checkPath(o, a.Path)
	if e := o.get("headers"); e != nil {
		a.Headers = d.headers(e, o.path.dot("headers"))
	}
	if e := o.get("metric"); e != nil && (a.Metric == "" || strings.ContainsAny(a.Metric, "{}\n\"")) {
		d.fail(e.val(), o.path.dot("metric"), "%q is not the name of a metric: labels have a key of their own", a.Metric)
	}
	e := o.get("labels")
	if e == nil {
		return
	}
	a.Labels = map[string]string{}
	for _, l := range d.entries(o.path.dot("labels"), e.vals, func(string) bool { return false }) {
		if v, ok := d.text(l.val(), o.path.dot("labels").dot(l.name)); ok {
			a.Labels[l.name] = v
		}
	}
	if len(a.Labels) > maxMetricLabels {
		d.fail(e.key, o.path.dot("labels"), "%d labels are more than %d", len(a.Labels), maxMetricLabels)
	}
}
