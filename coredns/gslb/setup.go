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
	"github.com/rhumb-dns/rhumb/spec"
)

func init() { plugin.Register("gslb", setup) }

var log = mouth.Logger("gslb")

func setup(c *caddy.Controller) error {
	s, err := parse(c)
	if err != nil {
		return plugin.Error("gslb", err)
	}
	b := &block{statement: s}
	if err := b.check(); err != nil {
		return plugin.Error("gslb", misread(c, err))
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
	lane.Offer(c) // first, so that lanes end before what they answer from
	b.Attach(c, "gslb", b.begin)
	dnsserver.GetConfig(c).AddPlugin(func(next plugin.Handler) plugin.Handler {
		return &GSLB{Next: next, block: b}
	})
	return nil
}

// misread is what is wrong with a block in CoreDNS's form: at the line that names a file which
// cannot be read, or else at the block's end.
func misread(c *caddy.Controller, err error) error {
	var all spec.Errors
	if errors.As(err, &all) && len(all) == 1 && all[0].File == c.File() {
		return fmt.Errorf("%s:%d - Error during parsing: %s", all[0].File, all[0].Line, all[0].Msg)
	}
	return c.Err(err.Error())
}

// block is a statement at work in one instance of CoreDNS.
type block struct {
	*statement
	mouth.Life
	tls   *tls.Config // of the API; nil: plain HTTP
	mouth mouth.Mouth
	site  atomic.Pointer[site]
}

// begin is called when all of the Corefile has been read.
func (b *block) begin() error {
	s, err := sites.Live(&b.Life, " "+b.dataDir, b.statement, func() (*site, func(), error) { return found(b.dataDir) })
	if err != nil {
		return err
	}
	b.site.Store(s)
	if b.api.enabled {
		if err := doors.Open(&b.Life, b.api.listen(), b, b.tls); err != nil {
			return fmt.Errorf("API: %w", err)
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
