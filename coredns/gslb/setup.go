package gslb

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	pkgtls "github.com/coredns/coredns/plugin/pkg/tls"

	"github.com/rhumb-dns/rhumb/coredns/lane"
	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/resolve"
)

func init() { plugin.Register("gslb", setup) }

var log = mouth.Logger("gslb")

func setup(c *caddy.Controller) error {
	s, err := parse(c)
	if err != nil {
		return plugin.Error("gslb", err)
	}
	b := &block{statement: s, key: mouth.BlockOf(c).Key, by: mouth.InstanceOf(c)}
	if err := b.check(); err != nil {
		return plugin.Error("gslb", c.Err(err.Error()))
	}
	if b.api.cert != "" {
		if b.tls, err = pkgtls.NewTLSConfig(b.api.cert, b.api.key, ""); err != nil {
			return plugin.Error("gslb", c.Errf("api_tls_cert: %v", err))
		}
	}
	if b.api.stated && !b.api.enabled {
		log.Warn("the API is described and not enabled: state api_enable", "at", fmt.Sprintf("%s:%d", c.File(), c.Line()))
	}
	if b.api.enabled && b.api.closed() {
		log.Warn("the API lets nobody in: api_basic_user and api_basic_pass go together, and one of them is missing", "at", fmt.Sprintf("%s:%d", c.File(), c.Line()))
	}
	if b.spread {
		log.Info("max_stagger_start and batch_size_start do nothing here: the first checks are made at once, 1,024 together and beyond those 20,000 a second", "at", fmt.Sprintf("%s:%d", c.File(), c.Line()))
	}
	lane.Offer(c) // first, so that lanes end before what they answer from
	c.OnStartup(b.start)
	c.OnShutdown(b.end)
	c.OnRestartFailed(b.reclaim)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		return &GSLB{Next: next, block: b}
	})
	return nil
}

// block is a statement at work in one instance of CoreDNS.
type block struct {
	*statement
	key   func() string // of the server block
	by    *mouth.Instance
	tls   *tls.Config // of the API; nil: plain HTTP
	mouth mouth.Mouth
	site  atomic.Pointer[site]
	hold  *mouth.Hold[*site, *statement]
	door  *mouth.Hold[*mouth.Door, *mouth.Inside[*block]]
}

// start is called when all of the Corefile has been read.
func (b *block) start() error {
	hold, err := sites.Take(b.key()+" "+b.dataDir, b.by, b.statement, func() (*site, func(), error) { return found(b.dataDir) })
	if err != nil {
		return plugin.Error("gslb", err)
	}
	b.hold = hold
	b.site.Store(hold.Thing)
	if b.api.enabled {
		in := &mouth.Inside[*block]{What: b, TLS: b.tls}
		if b.door, err = doors.Open(b.api.listen(), b.by, in); err != nil {
			return plugin.Error("gslb", errors.Join(fmt.Errorf("API: %w", err), b.hold.LetGo()))
		}
	}
	return nil
}

// doors are the listeners of the API, each of one block: an answer is about all of its
// zones, behind one password.
var doors = mouth.NewDoors(log, func(blocks []*block) (http.Handler, error) {
	if len(blocks) > 1 {
		return nil, fmt.Errorf("several blocks state %s: each needs a port of its own", blocks[0].api.listen())
	}
	return blocks[0].handler(), nil
})

// end is called when the instance stops, which may be long after the next began.
func (b *block) end() error {
	var errs []error
	if b.door != nil {
		errs = append(errs, b.door.LetGo())
	}
	if b.hold != nil {
		errs = append(errs, b.hold.LetGo())
	}
	return errors.Join(errs...)
}

// reclaim is called when the next instance could not be started.
func (b *block) reclaim() error {
	var errs []error
	if b.hold != nil {
		errs = append(errs, b.hold.Reclaim())
	}
	if b.door != nil {
		errs = append(errs, b.door.Reclaim())
	}
	return errors.Join(errs...)
}

// now is what queries are answered from, and whose records; nil before the start.
func (b *block) now() (*resolve.Snapshot, *served) {
	s := b.site.Load()
	if s == nil {
		return nil, nil
	}
	records := s.served.Load()
	if records == nil {
		return nil, nil
	}
	return s.snapshot(), records
}

func (b *block) ready() bool {
	s := b.site.Load()
	return s != nil && s.settled()
}
