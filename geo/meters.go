package geo

import "github.com/prometheus/client_golang/prometheus"

type meters struct {
	built, entries, loaded, took, failing *prometheus.GaugeVec
	failures                              *prometheus.CounterVec
	places                                prometheus.Gauge
	shown                                 map[string]bool
}

func newMeters(reg prometheus.Registerer) *meters {
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"database"})
	}
	m := &meters{
		built:   gauge("rhumb_geo_database_built_timestamp_seconds", "When the vendor made the geo database in use; 0 if it does not say."),
		entries: gauge("rhumb_geo_database_entries", "Ranges of addresses in the geo database in use."),
		loaded:  gauge("rhumb_geo_database_loaded_timestamp_seconds", "When the geo database in use was read."),
		took:    gauge("rhumb_geo_database_load_seconds", "How long it took to read the geo database in use."),
		failing: gauge("rhumb_geo_database_failing", "1 while the geo database's file cannot be used and the one loaded before stays."),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "rhumb_geo_database_load_failures_total",
			Help: "Changed files of geo databases that could not be used.",
		}, []string{"database"}),
		places: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rhumb_geo_places",
			Help: "Different places that clients may be at.",
		}),
		shown: map[string]bool{},
	}
	if reg != nil {
		reg.MustRegister(m.built, m.entries, m.loaded, m.took, m.failing, m.failures, m.places)
	}
	return m
}

func (m *meters) failed(database string) { m.failures.WithLabelValues(database).Inc() }

// show sets what is in use. It is called under the atlas's lock.
func (m *meters) show(set *setting, v *View, failures map[string]failure) {
	old := m.shown
	m.shown = map[string]bool{}
	m.places.Set(float64(v.Places()))
	for _, l := range set.loaded {
		m.shown[l.path] = true
		built := 0.0
		if !l.about.built.IsZero() {
			built = float64(l.about.built.Unix())
		}
		m.built.WithLabelValues(l.path).Set(built)
		m.entries.WithLabelValues(l.path).Set(float64(l.entries()))
		m.loaded.WithLabelValues(l.path).Set(float64(l.at.UnixMilli()) / 1000)
		m.took.WithLabelValues(l.path).Set(l.took.Seconds())
		m.failures.WithLabelValues(l.path).Add(0)
		failing := 0.0
		if _, ok := failures[l.path]; ok {
			failing = 1
		}
		m.failing.WithLabelValues(l.path).Set(failing)
	}
	for path := range old {
		if !m.shown[path] {
			of := prometheus.Labels{"database": path}
			for _, g := range []*prometheus.GaugeVec{m.built, m.entries, m.loaded, m.took, m.failing} {
				g.Delete(of)
			}
			m.failures.Delete(of)
		}
	}
}
