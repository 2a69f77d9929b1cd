package lane

import (
	"errors"
	"runtime"
	"sync"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/server/datagram"
)

var log = mouth.Logger("lane")

// Answerer is a plugin whose answers can be given on a lane.
type Answerer interface {
	plugin.Handler
	// Lane is whether the Corefile lets it.
	Lane() bool
	// Answer decides the answer to the plain query that d has read. It reports whether
	// ServeDNS would send just that, whoever comes after the plugin; then it has
	// counted what ServeDNS counts. If not it has counted nothing, and CoreDNS is asked.
	Answer(d *mouth.Draft) bool
}

// Off reads the argument of the directive lane, and reports whether it is off.
func Off(c *caddy.Controller, said string) (bool, error) {
	switch said {
	case "on", "off":
		return said == "off", nil
	}
	return false, c.Errf("lane is on or off, and not '%s'", said)
}

// decorator is what CoreDNS asks when a server begins to serve UDP.
type decorator = func(*dnsserver.Server) dns.DecorateWriter

// Offer has the UDP sockets of a server block be served by lanes, where that can be. It
// is called by the setup of a plugin that is an Answerer.
func Offer(c *caddy.Controller) {
	k, ok := c.Get(keeperKey{}).(*keeper)
	if !ok {
		k = &keeper{generation: mouth.InstanceOf(c).Number(), instance: instanceOf(c)}
		c.Set(keeperKey{}, k)
		c.OnShutdown(k.end)
	}
	config := dnsserver.GetConfig(c)
	if before := config.UDPDecorateWriterFunc; before == nil || !ours(before) {
		hook := k.hook(before)
		hooks.Store(codeOf(hook), nil)
		config.UDPDecorateWriterFunc = hook
	}
}

type keeperKey struct{}

// keeper has the lanes of one instance of CoreDNS.
type keeper struct {
	generation uint64
	instance   *caddy.Instance // nil: this CoreDNS does not say

	opening sync.WaitGroup
	mu      sync.Mutex
	ended   bool
	lanes   []*lane
}

// hook is what is called once for each UDP socket, when all sockets are bound. It
// decorates nothing.
func (k *keeper) hook(before decorator) decorator {
	return func(s *dnsserver.Server) dns.DecorateWriter {
		other := before
		if other == nil {
			other = foreign(s)
		}
		if other != nil {
			log.Info("CoreDNS answers itself", "server", s.Addr, "because", errDecorated)
			return other(s)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		if !k.ended {
			// CoreDNS serves meanwhile.
			k.opening.Go(func() { k.open(s) })
		}
		return nil
	}
}

// foreign is what another server block of the same address has set, which CoreDNS would
// have asked if ours had not come later.
func foreign(s *dnsserver.Server) decorator {
	configs, _ := configsOf(s)
	for _, all := range configs {
		for _, c := range all {
			if f := c.UDPDecorateWriterFunc; f != nil && !ours(f) {
				return f
			}
		}
	}
	return nil
}

// open opens a lane before a server, or says why there is none.
func (k *keeper) open(s *dnsserver.Server) {
	l, v, err := k.try(s)
	if err != nil {
		log.Info("CoreDNS answers itself", "server", s.Addr, "because", err)
		return
	}
	for _, why := range v.without {
		log.Info("CoreDNS answers itself", "server", s.Addr, "because", why)
	}
	log.Info("open", "server", s.Addr)
	k.mu.Lock()
	defer k.mu.Unlock()
	l.totals.open.Add(1)
	k.lanes = append(k.lanes, l)
}

func (k *keeper) try(s *dnsserver.Server) (*lane, *survey, error) {
	if runtime.GOOS != "linux" {
		return nil, nil, errors.New("lanes are there on Linux only")
	}
	v, err := surveyOf(s)
	if err != nil {
		return nil, v, err
	}
	bound, ok := boundOf(k.instance, s)
	if !ok {
		return nil, v, errUnknownCoreDNS
	}
	sock, err := datagram.Join(bound)
	if err != nil {
		return nil, v, err
	}
	l := begin(v, k.generation, sock)
	if err := enter(l); err != nil {
		l.end()
		return nil, v, err
	}
	return l, v, nil
}

// end ends the lanes, which is when the next instance of CoreDNS serves already, or
// none is to.
func (k *keeper) end() error {
	k.mu.Lock()
	k.ended = true
	k.mu.Unlock()
	k.opening.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	var ending sync.WaitGroup
	for _, l := range k.lanes {
		ending.Go(func() {
			settle := leave(l)
			l.end()
			settle()
			l.totals.open.Add(-1)
		})
	}
	ending.Wait()
	k.lanes = nil
	return nil
}
