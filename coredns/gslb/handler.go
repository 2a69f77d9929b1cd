package gslb

import (
	"context"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// GSLB answers for records of its zones.
type GSLB struct {
	Next  plugin.Handler
	block *block
}

// Name implements plugin.Handler.
func (g *GSLB) Name() string { return "gslb" }

// Ready implements ready.Readiness: every check has had its first result.
func (g *GSLB) Ready() bool { return g.block.ready() }

// ServeDNS implements plugin.Handler.
func (g *GSLB) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	begun := time.Now()
	s, now := g.block.now()
	d := g.block.mouth.Ours(s, w, r)
	if d == nil {
		return mouth.Leave(ctx, g.Name(), g.Next, w, r)
	}
	defer d.Done()
	rec := now.of(d)
	if !g.settled(d, rec) {
		if yielded, code, err := d.Yield(ctx, g.Name(), g.Next, w, r); yielded {
			return code, err
		}
	}
	g.count(d, rec, begun, now)
	return d.Send(w)
}

// Lane implements lane.Answerer.
func (g *GSLB) Lane() bool { return !g.block.noLane }

// Answer implements lane.Answerer.
func (g *GSLB) Answer(d *mouth.Draft) bool {
	begun := time.Now()
	s, now := g.block.now()
	if !d.Decide(s) {
		return false
	}
	rec := now.of(d)
	if !g.settled(d, rec) {
		return false
	}
	g.count(d, rec, begun, now)
	return true
}

// settled is whether the answer for a name of our zones, which is that of a record or of
// none, is sent whatever the next plugin has. A name that is there by a wildcard alone may
// be one of its own.
func (g *GSLB) settled(d *mouth.Draft, rec *record) bool {
	return g.Next == nil || rec != nil && g.ours(d.Type()) && !d.Wild()
}

// count counts an answer that is ours.
func (g *GSLB) count(d *mouth.Draft, rec *record, begun time.Time, now *served) {
	if rec != nil && g.ours(d.Type()) {
		rec.answered(d, begun, now.table)
	}
}

// ours is whether a type is one that records have here. The others are looked for
// beyond: a zone file beside us may have them.
func (g *GSLB) ours(t dnswire.Type) bool {
	return t == dnswire.TypeA || t == dnswire.TypeAAAA || t == dnswire.TypeTXT && !g.block.noTXT
}
