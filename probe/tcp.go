package probe

import (
	"context"
	"time"
)

// TCP is the check that a port accepts connections and, where it says so, holds a
// short conversation. Without one the connection is reset at once, with nothing sent
// and nothing read: what the peer's kernel sees is SYN, ACK, RST. A close in the
// ordinary way would keep each connection for a minute more on one side or the other,
// and tell the server no more than a reset does. A server that resets it first has
// accepted it: which of the two comes first is a matter of luck, and no verdict.
type TCP struct{ Talk }

// NewTCP makes the prober of a TCP check.
func NewTCP(o TCP) Prober { return &tcpProber{net: &system, talk: o.Talk} }

type tcpProber struct {
	net  *network
	talk Talk
}

func (p *tcpProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	l, f := p.net.connect(ctx, t)
	if f.class == ClassReset && !p.talk.any() {
		// What refuses a connection is of another class.
		return failure{}.result(start, time.Since(start))
	}
	if f.failed() {
		return f.result(start, 0)
	}
	if !p.talk.any() {
		r := f.result(start, l.took)
		l.reset()
		return r
	}
	f = p.talk.over(ctx, l.Conn)
	r := f.result(start, l.took)
	l.release()
	return r
}

// Start implements Starter.
func (p *tcpProber) Start(l *Loop, t Target, timeout time.Duration, tag any) bool {
	if p.talk.any() || !p.net.direct(t) {
		return false
	}
	l.add(t, timeout, tag)
	return true
}
