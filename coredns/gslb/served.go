package gslb

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/health"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/spec/corednsgslb"
	"github.com/rhumb-dns/rhumb/table"
)

// served are the records that are in force, as the files have them.
type served struct {
	table   *table.Table
	records map[string]*record // by the name in wire form
	order   []*record          // as in the files
}

// record is a name that backends serve.
type record struct {
	*corednsgslb.Record
	wire     dnswire.Name
	backends []backend
	meters   *recordMeters
}

// backend is one of a record's, with what judges it.
type backend struct {
	*corednsgslb.Backend
	targets  []int // of the table
	selected prometheus.Counter
}

// serve makes the records of a statement that has just been put in force. Counters
// go on where there were some.
func serve(sp *spec.Spec, s *resolve.Snapshot, was *served) *served {
	out := &served{table: s.Table, records: make(map[string]*record, len(sp.Records))}
	for i := range sp.Records {
		r := &sp.Records[i]
		name, err := dnswire.ParseName(r.Name)
		if err != nil {
			continue // it would not be in force
		}
		rec := &record{Record: r, wire: name, meters: &recordMeters{name: r.Name}}
		if was != nil {
			if old := was.records[string(name)]; old != nil {
				rec.meters = old.meters
			}
		}
		for k := range r.Backends {
			b := &r.Backends[k]
			rec.backends = append(rec.backends, backend{
				Backend: b, targets: s.Table.Locate(name, b.Address), selected: selected.WithLabelValues(r.Name, b.Address),
			})
		}
		out.records[string(name)] = rec
		out.order = append(out.order, rec)
	}
	return out
}

// of is the record that an answer is of: that of the name, or the wildcard that it is
// there by; nil for none.
func (s *served) of(d *mouth.Draft) *record {
	name := d.Name()
	if !d.Wild() {
		return s.records[string(name)]
	}
	var room [256]byte
	room[0], room[1] = 1, '*'
	return s.records[string(room[:2+copy(room[2:], name[len(name)-d.Outcome().Named:])])]
}

// inPool is an endpoint of a pool.
type inPool struct{ pool, address string }

// pool is the name of the record's first pool, which has every backend.
func (r *record) pool() string { return strings.TrimSuffix(r.Name, ".") }

// up is whether a backend is enabled and healthy.
func (b *backend) up(v *health.View) bool {
	if !b.Enabled {
		return false
	}
	for _, t := range b.targets {
		if v.State(t) == health.Up {
			return true
		}
	}
	return false
}

// recordMeters are the counters of a record, each looked up the first time.
type recordMeters struct {
	name string
	of   [2]atomic.Pointer[resolution]
}

// resolution counts the answers of a kind.
type resolution struct {
	count    prometheus.Counter
	duration prometheus.Observer
}

// resolutions are the kinds of answers.
var resolutions = [2]string{"success", "fail"}

// answered counts an answer: a failure is one without records.
func (r *record) answered(d *mouth.Draft, since time.Time, t *table.Table) {
	kind := 0
	if !d.Has() {
		kind = 1
	}
	m := r.meters.of[kind].Load()
	if m == nil {
		m = &resolution{resolved.WithLabelValues(r.meters.name, resolutions[kind]), resolvedIn.WithLabelValues(r.meters.name, resolutions[kind])}
		r.meters.of[kind].Store(m)
	}
	m.count.Inc()
	m.duration.Observe(time.Since(since).Seconds())
	if d.Snapshot().Table != t {
		return // it has other targets
	}
	for _, target := range d.Outcome().Targets {
		if b := r.with(int(target)); b != nil {
			b.selected.Inc()
		}
	}
}

// with is the backend that a target is.
func (r *record) with(target int) *backend {
	for i := range r.backends {
		for _, t := range r.backends[i].targets {
			if t == target {
				return &r.backends[i]
			}
		}
	}
	return nil
}
