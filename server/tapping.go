package server

import (
	"context"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/server/tap"
)

// tapping is what a worker needs for dnstap.
type tapping struct {
	tap   *tap.Recorder // nil: off; good for one batch
	lane  int
	local netip.AddrPort // of the connection
	x     tap.Exchange   // working memory
}

// runTap starts the goroutine that writes what is recorded. end lets it write
// what is left, and waits for it.
func (s *Server) runTap() (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = s.tap.Run(ctx) // it is always nil
	}()
	return func() {
		cancel()
		<-ended
	}
}

// record tells dnstap, if the sample wants it, of the query msg that came to
// local, and of the answer to it, which is empty when none is given.
func (w *worker) record(msg, answer []byte, client, local netip.AddrPort) {
	if len(answer) == 0 && !isQuery(msg) || !w.tap.Sampled() {
		return
	}
	w.x = tap.Exchange{
		Protocol: tap.UDP,
		Client:   client, Server: local,
		Query: msg, Answer: answer,
		Asked: w.watch.time(),
	}
	switch w.q.Transport {
	case dnswire.TCP:
		w.x.Protocol = tap.TCP
	case dnswire.TLS:
		w.x.Protocol = tap.TLS
	}
	if i := w.scratch.Outcome.Zone; i >= 0 && len(answer) > 0 {
		w.x.Zone = string(w.snap.Table.Zones[i].Name)
	}
	w.tap.Record(w.lane, &w.x)
}

// isQuery is whether msg may be a query: with a header, whose QR bit is 0 (RFC
// 1035 section 4.1.1). What is not would only be noise, and it is counted.
func isQuery(msg []byte) bool { return len(msg) >= dnswire.HeaderLen && msg[2]&0x80 == 0 }
