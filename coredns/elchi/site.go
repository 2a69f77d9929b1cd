package elchi

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rhumb-dns/rhumb"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/edge"
	"github.com/rhumb-dns/rhumb/spec"
	"github.com/rhumb-dns/rhumb/zone"
)

// site is what the zones of a server block are answered from. It outlives a reload:
// edges go on with the records that they have when the Corefile still says the same
// of them, and the records stay in force while another edge fetches its own.
type site struct {
	engine *rhumb.Engine

	ctx     context.Context
	running sync.WaitGroup // the engine, and edges that are ending
	mu      sync.Mutex
	edges   map[dnswire.Name]*running
	current atomic.Pointer[[]*edge.Edge] // in the order of the zones
}

// running is an edge at work.
type running struct {
	edge *edge.Edge
	said wanted
	stop context.CancelFunc
	over chan struct{} // closed when it has ended
}

// wanted is what the Corefile says of an edge, for comparing.
type wanted struct {
	endpoints, regions, tls []string
	files                   [sha256.Size]byte // of tls: they may have become others
	secret, nodeIP, dataDir string
	ttl                     uint32
	interval, timeout       time.Duration
	skipVerify              bool
}

func (s *statement) wanted() wanted {
	return wanted{
		s.endpoints, s.regions, s.client.args, s.client.sum, s.secret, s.nodeIP, s.dataDir, s.ttl, s.interval, s.timeout, s.client.skipVerify,
	}
}

// sites are those of all server blocks, by what tells these apart.
var sites = mouth.Shared[*site, *statement]{Apply: func(s *site, wants []*statement) error { return s.follow(wants[0]) }}

// metrics are registered where CoreDNS's plugin prometheus looks.
var metrics = sync.OnceValue(func() *edge.Metrics {
	m, err := edge.NewMetrics(prometheus.DefaultRegisterer)
	if err != nil {
		log.Error("there will be no metrics", "error", err)
	}
	return m
})

// found makes a site.
func found() (*site, func(), error) {
	e, err := rhumb.New(rhumb.Options{Logger: log})
	if err != nil {
		return nil, nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	s := &site{engine: e, ctx: ctx, edges: map[dnswire.Name]*running{}}
	s.running.Go(func() {
		if err := e.Run(ctx); err != nil {
			log.Error("the engine has ended", "error", err)
		}
	})
	return s, func() {
		stop()
		s.running.Wait()
	}, nil
}

// spec is the statement as Rhumb has it.
func (s *statement) spec() (*spec.Spec, error) {
	sp, err := spec.Parse("Corefile", []byte("{}"))
	if err != nil {
		return nil, err
	}
	for _, z := range s.zones {
		fed, err := spec.FedZone(z, nil, uint32(time.Now().Unix()))
		if err != nil {
			return nil, err
		}
		sp.Zones = append(sp.Zones, fed)
	}
	return sp, nil
}

// options are those of the edge of a zone, whose records go into an engine.
func (s *statement) options(name dnswire.Name, e *rhumb.Engine) edge.Options {
	var config *tls.Config
	if s.client.config != nil {
		config = s.client.config.Clone()
	}
	return edge.Options{
		Zone: name, Endpoints: s.endpoints, Secret: s.secret, NodeIP: s.nodeIP, TTL: s.ttl,
		SyncInterval: s.interval, Timeout: s.timeout, Regions: s.regions, TLS: config, DataDir: s.dataDir,
		Logger: log, Metrics: metrics(), Apex: e.Apex(name),
		Put:   func(d *zone.Data) error { return e.Feed(name, d) },
		Ahead: func(d *zone.Data) (func(*zone.Data) error, error) { return e.FeedAhead(name, d) },
	}
}

// follow puts a statement in force.
func (s *site) follow(want *statement) error {
	sp, err := want.spec()
	if err != nil {
		return err
	}
	change, err := s.engine.Prepare(sp)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.engine.Commit(change); err != nil {
		return err
	}
	var now []*edge.Edge
	kept := map[dnswire.Name]bool{}
	for _, z := range want.zones {
		kept[z] = true
		was := s.edges[z]
		if was != nil && reflect.DeepEqual(was.said, want.wanted()) {
			now = append(now, was.edge)
			continue
		}
		e, err := edge.New(want.options(z, s.engine))
		if err != nil {
			return err
		}
		s.edges[z] = s.run(z, &running{edge: e, said: want.wanted(), over: make(chan struct{})}, was)
		now = append(now, e)
	}
	for z, r := range s.edges {
		if !kept[z] {
			r.stop()
			delete(s.edges, z)
		}
	}
	s.current.Store(&now)
	return nil
}

// run has an edge work as soon as the one before it, if there is one, has ended: what
// that still has on the way must not come after what this one fetches.
func (s *site) run(z dnswire.Name, r, before *running) *running {
	ctx, stop := context.WithCancel(s.ctx)
	r.stop = stop
	if before != nil {
		before.stop()
	}
	s.running.Go(func() {
		defer close(r.over)
		if before != nil {
			<-before.over
		}
		if err := r.edge.Run(ctx); err != nil {
			log.Error("the edge has ended", "zone", z.String(), "error", err)
		}
	})
	return r
}
