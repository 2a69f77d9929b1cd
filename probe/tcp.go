package probe

import (
	"context"
	"time"
)

// TCP is the check that a port accepts connections. The connection is closed
// at once in the ordinary way, with nothing sent and nothing read; a server
// that greets first, such as SMTP, may find its greeting answered by a reset.
type TCP struct{}

// NewTCP makes the prober of a TCP check.
func NewTCP(TCP) Prober { return &tcpProber{net: &system} }

type tcpProber struct{ net *network }

func (p *tcpProber) Probe(ctx context.Context, t Target) Result {
	start := time.Now()
	l, f := p.net.connect(ctx, t)
	if f.failed() {
		return f.result(start, 0)
	}
	r := f.result(start, l.took)
	l.release()
	return r
}
