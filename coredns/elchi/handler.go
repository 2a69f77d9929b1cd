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
	d := e.block.mouth.Ours(e.block.snapshot(), w, r)
	if d == nil {
		return mouth.Leave(ctx, e.Name(), e.Next, w, r)
	}
	defer d.Done()
	e.block.asked(d.Zone(), d.Type(), d.Has())
	switch {
	case e.settled(d), ours(d.Type()) && !e.falls(d, w, r):
		return d.Send(w)
	case ours(d.Type()) && d.Dangles():
		return d.SendOpen(w)
	}
	if yielded, code, err := d.Yield(ctx, e.Name(), e.Next, w, r); yielded {
		return code, err
	}
	return d.Send(w)
}

// Lane implements lane.Answerer.
func (e *Elchi) Lane() bool { return !e.block.noLane }

// Answer implements lane.Answerer.
func (e *Elchi) Answer(d *mouth.Draft) bool {
	if !d.Decide(e.block.snapshot()) || !e.settled(d) {
		return false
	}
	e.block.asked(d.Zone(), d.Type(), d.Has())
	return true
}

// settled is whether the answer for a name of ours is sent whatever the next plugin
// has. Where it is not, it may yet be.
func (e *Elchi) settled(d *mouth.Draft) bool {
	return e.Next == nil || ours(d.Type()) && (d.Has() && !d.Dangles() || len(e.block.fall.Zones) == 0)
}

// falls is whether what we do not have is looked for beyond.
func (e *Elchi) falls(d *mouth.Draft, w dns.ResponseWriter, r *dns.Msg) bool {
	if d.Dangles() {
		return e.block.fall.Through(d.Target())
	}
	state := request.Request{W: w, Req: r}
	return e.block.fall.Through(state.Name())
}

// ours is whether a type is one that records of a controller have. The others are
// looked for beyond: a zone file beside us may have them.
func ours(t dnswire.Type) bool {
	return t == dnswire.TypeA || t == dnswire.TypeAAAA || t == dnswire.TypeCNAME
}
