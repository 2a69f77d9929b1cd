package elchi

import (
	"context"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/request"
	"github.com/miekg/dns"

	"github.com/rhumb-dns/rhumb/coredns/mouth"
	"github.com/rhumb-dns/rhumb/dnswire"
)

// Elchi answers for the zones of a server block.
type Elchi struct {
	Next  plugin.Handler
	block *block
}

// Name implements plugin.Handler.
func (e *Elchi) Name() string { return "elchi" }

// Ready implements ready.Readiness: every zone has records, be they those that were
// on disk.
func (e *Elchi) Ready() bool { return e.block.ready() }

// ServeDNS implements plugin.Handler.
func (e *Elchi) ServeDNS(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
	s := e.block.snapshot()
	if s == nil || r.Opcode != dns.OpcodeQuery {
		return mouth.Leave(ctx, e.Name(), e.Next, w, r)
	}
	d := e.block.mouth.Draft(s, w, r)
	if d == nil {
		return mouth.Leave(ctx, e.Name(), e.Next, w, r)
	}
	defer d.Done()
	zone := d.Zone()
	if zone < 0 {
		return mouth.Leave(ctx, e.Name(), e.Next, w, r)
	}
	e.block.asked(zone, d.Type(), d.Has())
	switch {
	case e.settled(d), ours(d.Type()) && !e.falls(w, r):
		return d.Send(w)
	case d.Transfers(), d.RCode() == dnswire.NXDomain:
		return mouth.Leave(ctx, e.Name(), e.Next, w, r)
	}
	if m := mouth.Beyond(ctx, e.Name(), e.Next, w, r); m != nil {
		return dns.RcodeSuccess, w.WriteMsg(m)
	}
	return d.Send(w)
}

// Lane implements lane.Answerer.
func (e *Elchi) Lane() bool { return !e.block.noLane }

// Answer implements lane.Answerer.
func (e *Elchi) Answer(d *mouth.Draft) bool {
	s := e.block.snapshot()
	if s == nil {
		return false
	}
	d.Decide(s)
	zone := d.Zone()
	if zone < 0 || !e.settled(d) {
		return false
	}
	e.block.asked(zone, d.Type(), d.Has())
	return true
}

// settled is whether the answer for a name of ours is sent whatever the next plugin
// has. Where it is not, it may yet be.
func (e *Elchi) settled(d *mouth.Draft) bool {
	return e.Next == nil || ours(d.Type()) && (d.Has() || len(e.block.fall.Zones) == 0)
}

// falls is whether what we do not have is looked for beyond.
func (e *Elchi) falls(w dns.ResponseWriter, r *dns.Msg) bool {
	state := request.Request{W: w, Req: r}
	return e.block.fall.Through(state.Name())
}

// ours is whether a type is one that records of a controller have. The others are
// looked for beyond: a zone file beside us may have them.
func ours(t dnswire.Type) bool {
	return t == dnswire.TypeA || t == dnswire.TypeAAAA || t == dnswire.TypeCNAME
}
