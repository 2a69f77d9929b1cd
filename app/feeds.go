package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/api"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/edge"
	"github.com/rhumb-dns/rhumb/notify"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
	"github.com/rhumb-dns/rhumb/zone/text"
)

// maxFirst is how long the node waits at its start for what others say of its zones:
// where there is nothing yet queries are answered SERVFAIL.
const maxFirst = time.Second

// feeds keep the zones whose records controllers hand over.
type feeds struct {
	engine *rhumb.Engine
	log    *slog.Logger

	mu      sync.Mutex
	wanted  []*fed
	all     map[dnswire.Name]*feed
	ctx     context.Context // of begin; nil before
	running sync.WaitGroup
}

// fed is a zone that is to be kept.
type fed struct {
	*spec.Source
	dir  string // where records are kept over a restart; empty: nowhere
	tls  *tls.Config
	apex []text.Record
}

// same is whether a zone is kept by the same as before. The files of TLS may have become
// others.
func (f *fed) same(o *fed) bool {
	return f.tls == nil && o.tls == nil && f.dir == o.dir && reflect.DeepEqual(f.Source, o.Source) && reflect.DeepEqual(f.apex, o.apex)
}

// feed is a zone that is being kept.
type feed struct {
	by   *fed
	edge *edge.Edge
	stop context.CancelFunc
	done chan struct{}
}

func newFeeds(a *App) *feeds {
	f := &feeds{engine: a.engine, log: a.log}
	a.registry.MustRegister(f)
	return f
}

// prepare makes ready what a statement says. It changes nothing.
func (f *feeds) prepare(s *spec.Spec) ([]*fed, error) {
	var all []*fed
	for i, src := range s.Sources {
		one := &fed{Source: src}
		if s.Node.DataDir != "" {
			one.dir = filepath.Join(s.Node.DataDir, "edge")
		}
		if src.TLS != nil {
			var err error
			if one.tls, err = notify.Secured(src.TLS); err != nil {
				return nil, fmt.Errorf("sources[%d].controller: %w", i, err)
			}
		}
		all = append(all, one)
	}
	return all, nil
}

// apply keeps these zones from now on, once the engine has the same statement.
func (f *feeds) apply(all []*fed) {
	for _, one := range all {
		one.apex = f.engine.Apex(one.Zone)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted = all
	f.keep()
}

// keep starts and stops feeds. Callers hold mu.
func (f *feeds) keep() {
	if f.ctx == nil {
		return // begin does
	}
	now := map[dnswire.Name]*feed{}
	for _, one := range f.wanted {
		if old := f.all[one.Zone]; old != nil && old.by.same(one) {
			now[one.Zone] = old
		}
	}
	before := f.all
	for zone, old := range before {
		if now[zone] == nil {
			old.stop()
		}
	}
	f.all = now
	for _, one := range f.wanted {
		if now[one.Zone] != nil {
			continue
		}
		if started := f.start(one, before[one.Zone]); started != nil {
			now[one.Zone] = started
		}
	}
}

// start keeps a zone, once what kept it before has ended.
func (f *feeds) start(one *fed, before *feed) *feed {
	e, err := edge.New(edge.Options{
		Zone: one.Zone, Endpoints: one.Endpoints, Secret: one.Secret, NodeIP: one.NodeIP, TTL: one.TTL,
		SyncInterval: one.SyncInterval, Timeout: one.Timeout, Regions: one.Regions, TLS: one.tls, DataDir: one.dir,
		Logger: f.log, Apex: one.apex,
		Put:   func(d *zone.Data) error { return f.engine.Feed(one.Zone, d) },
		Ahead: func(d *zone.Data) (func(*zone.Data) error, error) { return f.engine.FeedAhead(one.Zone, d) },
	})
	if err != nil {
		f.log.Error("a source cannot be asked", "zone", one.Zone.String(), "error", err)
		return nil
	}
	ctx, stop := context.WithCancel(f.ctx)
	out := &feed{by: one, edge: e, stop: stop, done: make(chan struct{})}
	f.running.Go(func() {
		defer close(out.done)
		if before != nil {
			<-before.done // it may be writing what it has
		}
		if err := e.Run(ctx); err != nil {
			f.log.Error("a source ended", "zone", one.Zone.String(), "error", err)
		}
	})
	return out
}

// begin keeps zones until ctx ends, for which end waits, and for all that keeps them.
func (f *feeds) begin(ctx context.Context) (end func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ctx = ctx
	f.keep()
	return func() error {
		<-ctx.Done()
		f.running.Wait()
		return nil
	}
}

// first waits until there is something to answer with in every zone, or controllers could
// not be asked, or too long.
func (f *feeds) first(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, maxFirst)
	defer cancel()
	f.mu.Lock()
	all := make([]*feed, 0, len(f.all))
	for _, one := range f.all {
		all = append(all, one)
	}
	f.mu.Unlock()
	for _, one := range all {
		if one.edge.Ready() {
			continue // by what was kept on disk
		}
		select {
		case <-ctx.Done():
			return
		case <-one.edge.Tried():
		case <-one.done:
		}
	}
}

var (
	sourceSynced = prometheus.NewDesc("rhumb_source_synced",
		"Whether the last question to the controllers of a zone was answered.", []string{"zone"}, nil)
	sourceRecords = prometheus.NewDesc("rhumb_source_records",
		"Records that the controllers of a zone have stated, one for each address or alias.", []string{"zone"}, nil)
	sourceRefused = prometheus.NewDesc("rhumb_source_refused",
		"Items of the last snapshot of a zone that were not taken.", []string{"zone"}, nil)
	sourceStream = prometheus.NewDesc("rhumb_source_stream",
		"Whether a controller of a zone tells changes as they happen.", []string{"zone"}, nil)
	sourceAge = prometheus.NewDesc("rhumb_source_age_seconds",
		"How long ago a controller last said how the records of a zone are; absent while none ever has.", []string{"zone"}, nil)
)

// Describe implements prometheus.Collector.
func (f *feeds) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{sourceSynced, sourceRecords, sourceRefused, sourceStream, sourceAge} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (f *feeds) Collect(out chan<- prometheus.Metric) {
	f.mu.Lock()
	all := maps.Clone(f.all)
	f.mu.Unlock()
	for zone, one := range all {
		h := one.edge.Health()
		tell := func(d *prometheus.Desc, v float64) {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, zone.String())
		}
		tell(sourceSynced, count(h.LastSyncStatus == api.SyncSuccess))
		tell(sourceRecords, float64(h.RecordsCount))
		tell(sourceRefused, float64(h.Refused))
		tell(sourceStream, count(h.Stream))
		if h.AgeSeconds != nil {
			tell(sourceAge, *h.AgeSeconds)
		}
	}
}

// count is 1 for what is so.
func count(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
