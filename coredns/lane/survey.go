package lane

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/metrics"

	"github.com/rhumb-dns/rhumb/dnswire"
)

// survey is what a lane knows of the CoreDNS server before which it stands.
type survey struct {
	server  *dnsserver.Server
	sockets int  // how many CoreDNS has at this address
	debug   bool // a panic is to end the process
	blocks  suffixes[*block]
	// without are the reasons why blocks of ours have no lane.
	without []string
}

// block is a server block whose queries the lane may answer.
type block struct {
	answerer Answerer
	tally    *tally // nil: nobody counts
}

// silent are the plugins that have no say in an answer to a plain query, wherever they
// stand: any answers ANY, chaos the class CH, transfer AXFR and IXFR; errors logs what
// plugins return for an error, and cancel tells plugins how long to wait for others.
var silent = []string{"any", "cancel", "chaos", "errors", "transfer"}

var (
	errUnknownCoreDNS = errors.New("this CoreDNS is made differently")
	errDecorated      = errors.New("a plugin decorates what is written to the socket")
)

// surveyOf looks at the server blocks of a server. The error says why there can be no
// lane.
func surveyOf(s *dnsserver.Server) (*survey, error) {
	configs, ok := configsOf(s)
	if !ok {
		return nil, errUnknownCoreDNS
	}
	switch n, ok := opcodesOf(s); {
	case !ok:
		return nil, errUnknownCoreDNS
	case n > 0:
		return nil, errors.New("a plugin takes other opcodes")
	}
	v := &survey{server: s, sockets: 1}
	for zone, all := range configs {
		name, err := dnswire.ParseName(zone)
		if err != nil || strings.ContainsRune(zone, '\\') {
			return nil, fmt.Errorf("the zone %s is written in another way", zone)
		}
		var b *block
		for _, c := range all {
			v.debug = v.debug || c.Debug
			v.sockets = max(v.sockets, c.NumSockets)
			switch {
			case c.ProxyProtoConnPolicy != nil:
				return nil, errors.New("clients come by the PROXY protocol")
			case c.UDPDecorateWriterFunc != nil && !ours(c.UDPDecorateWriterFunc):
				return nil, errDecorated
			}
			found, why := blockOf(s, c)
			if found != nil && (len(all) > 1 || len(c.FilterFuncs) > 0) {
				found, why = nil, "there are views of it"
			}
			if why != "" {
				v.without = append(v.without, zone+": "+why)
			}
			b = found
		}
		v.blocks.put(name, b) // nil, where the zone is somebody else's
	}
	slices.Sort(v.without)
	if !v.blocks.any(func(b *block) bool { return b != nil }) {
		return v, errors.New(strings.Join(v.without, ", "))
	}
	return v, nil
}

// blockOf is a server block as the lane sees it: nil when it has no plugin of ours, or
// when there is a reason why CoreDNS must answer.
func blockOf(s *dnsserver.Server, c *dnsserver.Config) (b *block, why string) {
	handlers := c.Handlers()
	at := slices.IndexFunc(handlers, func(h plugin.Handler) bool { _, ok := h.(Answerer); return ok })
	if at < 0 {
		return nil, ""
	}
	b = &block{answerer: handlers[at].(Answerer)}
	if !b.answerer.Lane() {
		return nil, "lane off"
	}
	for _, h := range handlers[:at] {
		m, counts := h.(*metrics.Metrics)
		switch {
		case counts:
			// The name that CoreDNS counts by is that of whom its counter asks.
			b.tally = &tally{metrics: m, server: s.Addr, plugin: m.Next.Name()}
		case !slices.Contains(silent, h.Name()):
			return nil, fmt.Sprintf("%s is ahead of %s", h.Name(), b.answerer.Name())
		}
	}
	if len(handlers) != len(c.Plugin) {
		// CoreDNS names those only that are called as their directives are.
		return nil, "a plugin in it has another name than its directive"
	}
	return b, ""
}

// hooks are the codes of the functions that Offer has set, which are one or a few:
// functions are told apart by nothing else.
var hooks sync.Map

func codeOf(f decorator) uintptr { return reflect.ValueOf(f).Pointer() }

// ours is whether a function that decorates writers is one that Offer has set.
func ours(f decorator) bool {
	_, ok := hooks.Load(codeOf(f))
	return ok
}

// suffixes finds what belongs to the longest of some names that another one ends in.
type suffixes[T any] struct {
	of     map[string]T
	labels []int // of the names, each once, the largest first
}

func (s *suffixes[T]) put(name dnswire.Name, v T) {
	if s.of == nil {
		s.of = map[string]T{}
	}
	s.of[string(name)] = v
	n := 0
	for at := 0; at < len(name) && name[at] != 0; at += 1 + int(name[at]) {
		n++
	}
	if at, found := slices.BinarySearchFunc(s.labels, n, func(a, b int) int { return b - a }); !found {
		s.labels = slices.Insert(s.labels, at, n)
	}
}

// find is what belongs to the name of a query, the zero value when nothing does.
func (s *suffixes[T]) find(q *dnswire.Query) (v T, ok bool) {
	for _, n := range s.labels {
		if cut := q.Labels() - n; cut >= 0 {
			if v, ok = s.of[string(q.Suffix(cut))]; ok {
				return v, true
			}
		}
	}
	return v, false
}

func (s *suffixes[T]) any(f func(T) bool) bool {
	for _, v := range s.of {
		if f(v) {
			return true
		}
	}
	return false
}
