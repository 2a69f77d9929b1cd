package gslb

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/probe"
	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
)

// The metrics have the names and labels of CoreDNS-GSLB's documents, where its
// dashboard looks for them. They are registered where CoreDNS's plugin prometheus
// looks.

func counters(name, help string, labels ...string) *prometheus.CounterVec {
	return promauto.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func histograms(name, help string, labels ...string) *prometheus.HistogramVec {
	return promauto.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.DefBuckets}, labels)
}

var (
	checked    = counters("gslb_healthcheck_total", "Total number of healthchecks performed.", "name", "type", "address", "result")
	checkedIn  = histograms("gslb_healthcheck_duration_seconds", "Duration of healthchecks in seconds.", "type", "address")
	failures   = counters("gslb_healthcheck_failures_total", "Total number of healthcheck failures, labeled by type, address and reason.", "type", "address", "reason")
	resolved   = counters("gslb_record_resolution_total", "Total number of GSLB record resolutions, labeled by record name and result.", "name", "result")
	resolvedIn = histograms("gslb_record_resolution_duration_seconds", "Duration of GSLB record resolution in seconds, labeled by record name and result.", "name", "result")
	reloads    = counters("gslb_config_reload_total", "Total number of config reloads, labeled by result.", "result")
	selected   = counters("gslb_backend_selected_total", "Total number of times a backend was selected for a record.", "name", "address")
)

// reloaded are the results of reading files again.
var reloaded = [2]string{"success", "failure"}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	activeBackends = desc("gslb_backend_active", "Number of active (healthy) backends per record.", "name")
	recordHealth   = desc("gslb_record_health_status", "Health status per record (1 = healthy, 0 = unhealthy).", "name")
	backendHealth  = desc("gslb_backend_health_status", "Health status per backend (2 = disabled, 1 = healthy, 0 = unhealthy).", "name", "address")
	checkHealth    = desc("gslb_backend_healthcheck_status", "Healthcheck status per backend and type (2 = disabled, 1 = success, 0 = fail).", "name", "address", "type")
	checksTotal    = desc("gslb_healthchecks_total", "Number of healthchecks configured (total for all records/backends).")
	backendsTotal  = desc("gslb_backends_total", "Total number of backends configured (all records).")
	recordsTotal   = desc("gslb_records_total", "Total number of GSLB records configured.")
	zonesTotal     = desc("gslb_zones_total", "Total number of DNS zones configured.")
	versionInfo    = desc("gslb_version_info", "GSLB build version info (label: version).", "version")
)

// version is that of the interface: what the metric says is for people.
const version = "rhumb"

// roster are the sites that there are, for metrics, which are read when somebody
// asks: they cost nothing meanwhile and are never behind.
type roster struct {
	mu    sync.Mutex
	sites map[*site]bool
}

var everybody = &roster{sites: map[*site]bool{}}

func init() { prometheus.MustRegister(everybody) }

func enroll(s *site) {
	everybody.mu.Lock()
	defer everybody.mu.Unlock()
	everybody.sites[s] = true
}

func dismiss(s *site) {
	everybody.mu.Lock()
	defer everybody.mu.Unlock()
	delete(everybody.sites, s)
}

// Describe implements prometheus.Collector.
func (r *roster) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		activeBackends, recordHealth, backendHealth, checkHealth, checksTotal, backendsTotal, recordsTotal, zonesTotal, versionInfo,
	} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. A record that several server blocks have is
// told once.
func (r *roster) Collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	sites := slices.Collect(maps.Keys(r.sites))
	r.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	yes := func(b bool) float64 {
		if b {
			return 1
		}
		return 0
	}
	if len(sites) == 0 {
		return // no block: to somebody else's dashboard this CoreDNS has nothing to say
	}
	told := map[string]bool{}
	zones := map[string]bool{}
	records, backends, checks := 0, 0, 0
	for _, s := range sites {
		now, snap := s.served.Load(), s.snapshot()
		if now == nil || snap == nil || snap.Table != now.table {
			continue
		}
		var failing map[of]bool // made for the first backend that wants it
		for _, rec := range now.order {
			if told[rec.Name] {
				continue
			}
			told[rec.Name], zones[rec.Zone] = true, true
			records++
			up := 0
			for i := range rec.backends {
				b := &rec.backends[i]
				is := yes(b.up(snap.Health))
				up += int(is)
				if !b.Enabled {
					is = 2
				}
				gauge(backendHealth, is, rec.Name, b.Address)
				labels := b.labels()
				if is == 0 && len(labels) > 1 && failing == nil {
					failing = s.failing()
				}
				for _, l := range labels {
					// Of several checks of a backend that is down some may pass.
					v := is
					if is == 0 && len(labels) > 1 {
						v = yes(!failing[of{rec.Name, b.Address, l}])
					}
					gauge(checkHealth, v, rec.Name, b.Address, l)
				}
				checks += len(b.Checks)
			}
			backends += len(rec.backends)
			gauge(activeBackends, float64(up), rec.Name)
			gauge(recordHealth, yes(up > 0), rec.Name)
		}
	}
	gauge(checksTotal, float64(checks))
	gauge(backendsTotal, float64(backends))
	gauge(recordsTotal, float64(records))
	gauge(zonesTotal, float64(len(zones)))
	gauge(versionInfo, 1, version)
}

// of is what checkHealth is told of: the checks of a backend with one label.
type of struct{ record, address, label string }

// labels are those of the backend's checks, each once.
func (b *backend) labels() (all []string) {
	for _, c := range b.Checks {
		if !slices.Contains(all, c.Label) {
			all = append(all, c.Label)
		}
	}
	return all
}

// failing is where a check does not pass.
func (s *site) failing() map[of]bool {
	type check struct {
		inPool
		name string
	}
	down := map[check]bool{}
	all := s.engine.Endpoints()
	for i := range all {
		for k := range all[i].Checks {
			if c := &all[i].Checks[k]; c.State != health.Up {
				down[check{inPool{all[i].Pool.Name, all[i].Endpoint.String()}, c.Check}] = true
			}
		}
	}
	out := map[of]bool{}
	for _, rec := range s.served.Load().order {
		for i := range rec.backends {
			b := &rec.backends[i]
			for _, c := range b.Checks {
				if down[check{inPool{rec.pool(), b.Address}, c.Name}] {
					out[of{rec.Name, b.Address, c.Label}] = true
				}
			}
		}
	}
	return out
}

// tally counts the results of checks under the names of records.
type tally struct {
	of atomic.Pointer[map[aimed][]*checkMeters]
}

// aimed is a check of an address, which may be that of none of the backends that it is for.
type aimed struct{ check, address string }

// checkMeters are those of one check of a backend of a record.
type checkMeters struct {
	name, label, address string
	passed, failed       prometheus.Counter
	duration             prometheus.Observer // nil where another one's is the same
}

// follow has the checks of these records counted, and gives what was before.
func (t *tally) follow(records []corednsgslb.Record) *map[aimed][]*checkMeters {
	next := map[aimed][]*checkMeters{}
	for i := range records {
		rec := &records[i]
		for k := range rec.Backends {
			b := &rec.Backends[k]
			for _, c := range b.Checks {
				at := aimed{c.Name, cmp.Or(c.Target, b.Address)}
				m := &checkMeters{
					name: rec.Name, label: c.Label, address: b.Address,
					passed: checked.WithLabelValues(rec.Name, c.Label, b.Address, "success"),
					failed: checked.WithLabelValues(rec.Name, c.Label, b.Address, "fail"),
				}
				// One probe may be for several records; it took its time once.
				if !slices.ContainsFunc(next[at], m.sameBackend) {
					m.duration = checkedIn.WithLabelValues(c.Label, b.Address)
				}
				next[at] = append(next[at], m)
			}
		}
	}
	return t.of.Swap(&next)
}

// sameBackend is whether another one's series of what has no name of a record are m's.
func (m *checkMeters) sameBackend(o *checkMeters) bool {
	return o.label == m.label && o.address == m.address
}

// seen counts a result.
func (t *tally) seen(check string, aim probe.Target, res probe.Result) {
	of := t.of.Load()
	if of == nil {
		return
	}
	address := aim.Host
	if aim.Addr.IsValid() {
		address = aim.Addr.String()
	}
	for _, m := range (*of)[aimed{check, address}] {
		if res.OK {
			m.passed.Inc()
		} else {
			m.failed.Inc()
		}
		if m.duration == nil {
			continue
		}
		m.duration.Observe(res.RTT.Seconds())
		if !res.OK {
			failures.WithLabelValues(m.label, m.address, reason(res.Class)).Inc()
		}
	}
}

// reason is how a probe failed, in the words of the documents.
func reason(c probe.Class) string {
	switch c {
	case probe.ClassTimeout, probe.ClassSlow:
		return "timeout"
	case probe.ClassRefused, probe.ClassReset, probe.ClassUnreachable, probe.ClassDNS:
		return "connection"
	case probe.ClassTLS, probe.ClassStatus, probe.ClassBody, probe.ClassValue, probe.ClassProtocol, probe.ClassRedirect, probe.ClassOversize:
		return "protocol"
	}
	return "other"
}
