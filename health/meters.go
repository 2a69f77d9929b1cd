package health

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/probe"
)

type meters struct {
	probes   *prometheus.CounterVec
	duration *prometheus.HistogramVec
	late     *prometheus.HistogramVec
	states   *prometheus.GaugeVec
	degraded *prometheus.GaugeVec
	reports  *prometheus.CounterVec
	results  *prometheus.CounterVec

	suspect, suspended prometheus.Gauge
	suspicions         prometheus.Counter
	stalls, stalledFor prometheus.Counter
	jumps              prometheus.Counter
	idle               prometheus.Gauge
}

func newMeters(reg prometheus.Registerer) *meters {
	m := &meters{
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_probes_total",
			Help: "Probes made, by check and by what came of them: ok, or the class of the failure.",
		}, []string{"check", "result"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rhumb_probe_duration_seconds",
			Help:    "Time from a probe's start to its verdict, by check.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"check"}),
		late: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rhumb_probe_lateness_seconds",
			Help:    "Time from when a probe was due to when it was begun, by check. The first probe of each is not in it: all are due at once.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"check"}),
		states: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rhumb_targets",
			Help: "Checked targets (endpoints that are judged alike count once), by state.",
		}, []string{"state"}),
		degraded: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "rhumb_targets_degraded",
			Help: "Checked targets that are up and degraded, by what degrades them most: latency, probe (which says so, or who reports), check (one that only degrades).",
		}, []string{"reason"}),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_check_reports_total",
			Help: "Results that were reported for external checks, by check and result: ok, degraded, failed; lapsed when one counts no longer.",
		}, []string{"check", "result"}),
		reports: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_load_reports_total",
			Help: "Reports of an endpoint's load, by result: ok, or unknown when no service has the endpoint.",
		}, []string{"result"}),
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m.suspect = gauge("rhumb_health_suspect", "1 while this node seems to be cut off itself, so that verdicts of down are held; else 0.")
	m.suspended = gauge("rhumb_health_held", "Verdicts of down that are held, one for each probe.")
	m.suspicions = counter("rhumb_health_suspect_total", "How often verdicts began to be held.")
	m.stalls = counter("rhumb_health_stalls_total", "How often the process woke too late to judge by time.")
	m.stalledFor = counter("rhumb_health_stall_seconds_total", "How long the process stood still then, all together.")
	m.jumps = counter("rhumb_clock_jumps_total", "How often the clock jumped by a second or more, as when it is set or the machine was suspended.")
	m.idle = gauge("rhumb_targets_idle", "Checked targets that no query asks for, which are probed more rarely.")
	if reg != nil {
		reg.MustRegister(m.suspect, m.suspended, m.suspicions, m.stalls, m.stalledFor, m.jumps, m.idle)
		reg.MustRegister(m.probes, m.duration, m.late, m.states, m.degraded, m.reports, m.results)
	}
	return m
}

// checkMeters are those of one check, so that they need not be looked for at each
// probe.
type checkMeters struct {
	ok         prometheus.Counter
	took, late prometheus.Observer
}

// probed counts a result of a probe that was begun so late; the first one is not late.
func (m *meters) probed(a *asking, r probe.Result, late time.Duration, first bool) {
	name := a.check.Name
	if a.meters == nil {
		a.meters = &checkMeters{
			m.probes.WithLabelValues(name, "ok"), m.duration.WithLabelValues(name), m.late.WithLabelValues(name),
		}
	}
	if r.OK {
		a.meters.ok.Inc()
	} else {
		m.probes.WithLabelValues(name, string(r.Class)).Inc()
	}
	a.meters.took.Observe(r.RTT.Seconds())
	if !first {
		a.meters.late.Observe(max(late, 0).Seconds())
	}
}

// forget drops the metrics of a check that the configuration no longer has.
func (m *meters) forget(check string) {
	of := prometheus.Labels{"check": check}
	m.probes.DeletePartialMatch(of)
	m.duration.DeletePartialMatch(of)
	m.late.DeletePartialMatch(of)
	m.results.DeletePartialMatch(of)
}

func (m *meters) told(check, result string) { m.results.WithLabelValues(check, result).Inc() }

func (m *meters) reported(known bool) {
	result := "ok"
	if !known {
		result = "unknown"
	}
	m.reports.WithLabelValues(result).Inc()
}

// doubted says that verdicts begin to be held, or no longer are.
func (m *meters) doubted(yes bool) {
	m.suspect.Set(0)
	if yes {
		m.suspect.Set(1)
		m.suspicions.Inc()
	}
}

func (m *meters) held(n int) { m.suspended.Set(float64(n)) }

func (m *meters) targets(tally [Down + 1]int, degraded [causes]int) {
	for state, n := range tally {
		m.states.WithLabelValues(State(state).String()).Set(float64(n))
	}
	for cause, n := range degraded {
		if cause := Cause(cause); cause != NotDegraded {
			m.degraded.WithLabelValues(cause.String()).Set(float64(n))
		}
	}
}
