package probe

import (
	"context"
	"time"
)

// TCP is the check that a port accepts connections and, where it says so, holds a
// short conversation. Without one the connection is closed at once in the ordinary
// way, with nothing sent and nothing read; a server that greets first, such as SMTP,
// may find its greeting answered by a reset.
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
	if f.failed() {
		return f.result(start, 0)
	}
	if p.talk.any() {
		f = p.talk.over(ctx, l.Conn)
	}
	r := f.result(start, l.took)
	l.release()
	return r
}
