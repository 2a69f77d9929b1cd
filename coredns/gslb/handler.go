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
	s, now := g.block.now()
	if s == nil || r.Opcode != dns.OpcodeQuery {
		return mouth.Leave(ctx, g.Name(), g.Next, w, r)
	}
	begun := time.Now()
	d := g.block.mouth.Draft(s, w, r)
	if d == nil {
		return mouth.Leave(ctx, g.Name(), g.Next, w, r)
	}
	defer d.Done()
	if d.Zone() < 0 {
		return mouth.Leave(ctx, g.Name(), g.Next, w, r)
	}
	rec := now.records[string(d.Name())]
	switch {
	case g.settled(rec, d, begun, now):
		return d.Send(w)
	case d.Transfers(), rec == nil && d.RCode() == dnswire.NXDomain:
		return mouth.Leave(ctx, g.Name(), g.Next, w, r) // a zone file has what is no record of ours
	}
	// Also of names that are there for the records below them, such as the zone's own,
	// which the plugin file says do not exist when its file has only SOA and NS records.
	if m := mouth.Beyond(ctx, g.Name(), g.Next, w, r); m != nil {
		return dns.RcodeSuccess, w.WriteMsg(m)
	}
	return d.Send(w)
}

// Lane implements lane.Answerer.
func (g *GSLB) Lane() bool { return !g.block.noLane }

// Answer implements lane.Answerer.
func (g *GSLB) Answer(d *mouth.Draft) bool {
	s, now := g.block.now()
	if s == nil {
		return false
	}
	begun := time.Now()
	d.Decide(s)
	return d.Zone() >= 0 && g.settled(now.records[string(d.Name())], d, begun, now)
}

// settled is whether the answer for a name of our zones, which is that of a record or of
// none, is sent whatever the next plugin has. Then it has been counted.
func (g *GSLB) settled(rec *record, d *mouth.Draft, begun time.Time, now *served) bool {
	if rec != nil && g.ours(d.Type()) {
		rec.answered(d, begun, now.table)
		return true
	}
	return g.Next == nil
}

// ours is whether a type is one that records have here. The others are looked for
// beyond: a zone file beside us may have them.
func (g *GSLB) ours(t dnswire.Type) bool {
	return t == dnswire.TypeA || t == dnswire.TypeAAAA || t == dnswire.TypeTXT && !g.block.noTXT
}
