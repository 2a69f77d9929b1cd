package elchi

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"

	"github.com/rhumb-dns/rhumb/coredns/lane"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/edge"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/zone"
)

func init() { plugin.Register("elchi", setup) }

var log = mouth.Logger("elchi")

func setup(c *caddy.Controller) error {
	s, err := parse(c)
	if err != nil {
		return plugin.Error("elchi", err)
	}
	b := &block{statement: s, all: blocksOf(c)}
	if err := errors.Join(b.check(), s.alone(c)); err != nil {
		return plugin.Error("elchi", c.Err(err.Error()))
	}
	if b.webhook != "" {
		doors.Announce(b.webhook, mouth.InstanceOf(c))
	}
	b.all.n++
	lane.Offer(c) // first, so that lanes end before what they answer from
	b.Attach(c, "elchi", b.begin)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		return &Elchi{Next: next, block: b}
	})
	return nil
}

// kept is a zone on disk.
type kept struct {
	dir  string
	zone dnswire.Name
}

type keptKey struct{}

// alone says so when another block of the Corefile keeps records of the same zone in the
// same directory, and not the same records, as with views: each would start with those of
// the other.
func (s *statement) alone(c *caddy.Controller) error {
	if s.dataDir == "" {
		return nil
	}
	all, ok := c.Get(keptKey{}).(map[kept]wanted)
	if !ok {
		all = map[kept]wanted{}
		c.Set(keptKey{}, all)
	}
	for _, z := range s.zones {
		at := kept{filepath.Clean(s.dataDir), z}
		if other, ok := all[at]; ok && !reflect.DeepEqual(other, s.wanted()) {
			return fmt.Errorf("several blocks keep the zone %s in %s: each needs a data_dir of its own", z, s.dataDir)
		}
		all[at] = s.wanted()
	}
	return nil
}

// blocks are those of an instance of CoreDNS, which starts them one after the other.
type blocks struct {
	n       int // that there are
	started []started
}

// started is a block that has been started, and when.
type started struct {
	*block
	at time.Time
}

type blocksKey struct{}

func blocksOf(c *caddy.Controller) *blocks {
	all, ok := c.Get(blocksKey{}).(*blocks)
	if !ok {
		all = &blocks{}
		c.Set(blocksKey{}, all)
	}
	return all
}

// await gives the controllers of all blocks, once these have been started, the time of one
// request, so that the first queries are answered with records. Without it they come
// later. They are awaited together: one that does not answer must not keep the others from
// their webhook, nor CoreDNS from its start for as often as it is stated.
func (all *blocks) await() {
	if len(all.started) < all.n {
		return
	}
	for _, b := range all.started {
		late := time.NewTimer(b.timeout - time.Since(b.at))
		for _, e := range b.edges() {
			if e.Ready() {
				continue // from before, or from the disk
			}
			select {
			case <-e.Tried():
			case <-late.C:
				late.Reset(0) // the next ones have as little time
			}
		}
		late.Stop()
	}
}

// block is a statement at work in one instance of CoreDNS.
type block struct {
	*statement
	mouth.Life
	all   *blocks
	mouth mouth.Mouth
	site  atomic.Pointer[site]
}

// check says what is wrong with a statement without anything being begun.
func (b *block) check() error {
	if _, err := b.spec(); err != nil {
		return err
	}
	for _, z := range b.zones {
		o := edge.Options{
			Zone: z, Endpoints: b.endpoints, Secret: b.secret, NodeIP: b.nodeIP, TTL: b.ttl,
			SyncInterval: b.interval, Timeout: b.timeout, Regions: b.regions,
			Put: func(*zone.Data) error { return nil },
		}
		if _, err := edge.New(o); err != nil {
			return err
		}
	}
	return nil
}

// begin is called when all of the Corefile has been read.
func (b *block) begin() error {
	begun := time.Now()
	s, err := sites.Live(&b.Life, "", b.statement, found)
	if err != nil {
		return err
	}
	b.site.Store(s)
	if b.webhook != "" {
		if err := doors.Open(&b.Life, b.webhook, b, b.server.config); err != nil {
			return fmt.Errorf("webhook: %w", err)
		}
	}
	b.all.started = append(b.all.started, started{b, begun})
	b.all.await()
	return nil
}

// snapshot is what queries are answered from; nil before the start.
func (b *block) snapshot() *resolve.Snapshot {
	if s := b.site.Load(); s != nil {
		return s.engine.Snapshot()
	}
	return nil
}

// edges are those of the zones, in their order.
func (b *block) edges() []*edge.Edge {
	if s := b.site.Load(); s != nil {
		if now := s.current.Load(); now != nil {
			return *now
		}
	}
	return nil
}

// asked counts a query for a zone, by its place among the zones.
func (b *block) asked(zone int, t dnswire.Type, found bool) {
	if edges := b.edges(); zone < len(edges) {
		edges[zone].Asked(t, found)
	}
}

func (b *block) ready() bool {
	edges := b.edges()
	for _, e := range edges {
		if !e.Ready() {
			return false
		}
	}
	return len(edges) > 0
}

// doors are the listeners of webhooks. Several blocks may state the same address, for one
// zone too where they say the same of it, as with a block for each transport.
var doors = mouth.NewDoors(log, func(blocks []*block) (http.Handler, error) {
	var all []*edge.Edge
	zones := map[string]wanted{}
	for _, b := range blocks {
		for _, e := range b.edges() {
			if other, ok := zones[e.Zone()]; ok && !reflect.DeepEqual(other, b.wanted()) {
				return nil, fmt.Errorf("several blocks have the zone %s and do not say the same of it: each needs an address of its own", e.Zone())
			}
			zones[e.Zone()] = b.wanted()
			all = append(all, e)
		}
	}
	return edge.NewWebhook(all...), nil
})
