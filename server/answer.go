package server

import (
	"math/rand/v2"
	"net/netip"
	"runtime/debug"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
	"github.com/rhumb-dns/rhumb/server/meter"
)

// worker is the working memory with which one goroutine answers queries.
type worker struct {
	s       *Server
	count   *counters
	scratch *resolve.Scratch
	q       dnswire.Query

	// What begin has found, good for one batch.
	snap *resolve.Snapshot
	view *view
	// proxies are looked at for datagrams; a connection is looked at once.
	proxies networks

	watch watch
	tapping

	guard      *guard // whom to answer
	suppressed uint32 // answers beyond a limit
}

func (s *Server) newWorker(t dnswire.Transport, c *counters) *worker {
	w := &worker{s: s, count: c}
	w.watch.sampler = meter.NewSampler(rand.Uint64(), rand.Uint64())
	w.watch.beyond = meter.NewSampler(rand.Uint64(), rand.Uint64())
	w.q.Transport = t
	w.lane = s.tap.Lane()
	w.reset()
	return w
}

func (w *worker) reset() { w.scratch = resolve.NewScratch(rand.Uint64(), rand.Uint64()) }

// begin takes the snapshot for a batch of queries that have all arrived.
func (w *worker) begin() {
	w.snap = w.s.o.Snapshot()
	set := w.s.settings.Load()
	w.guard, w.proxies = &set.guard, set.proxies
	w.tap = w.s.tap.Recorder()
	w.watch.begin()
	if w.snap != nil {
		w.view = w.count.viewOf(w.snap, w.s.o.Snapshot)
	}
}

// rest lets go of what begin has found: a worker without queries must not keep an
// old table, old rings or old rules alive.
func (w *worker) rest() {
	w.snap, w.view, w.tap, w.guard, w.proxies = nil, nil, nil, nil, nil
}

// answer appends the answer to msg to dst, or nothing when silence is due. It
// counts.
func (w *worker) answer(dst, msg []byte, client netip.AddrPort) []byte {
	if w.snap == nil {
		w.count.drop(dropNotReady)
		return dst
	}
	q := &w.q
	q.Parse(msg)
	q.Client = client
	if !w.guard.admits(client.Addr()) {
		return w.deny(dst)
	}
	if q.Cookie != nil {
		w.checkCookie()
	}
	w.bound()
	out := w.snap.Append(dst, q, w.scratch)
	if len(out) == len(dst) {
		w.count.drop(dropNotQuery)
		return out
	}
	if w.limits() {
		if k, name := w.kind(out[len(dst):]); !w.pass(k, name) {
			if out = w.suppress(dst, out, k, name); len(out) == len(dst) {
				return out
			}
		}
	}
	w.answered(len(out) - len(dst))
	return out
}

// panicked is deferred around answers: a fault in one must not take the node
// down, nor the queries around it. The first one is logged with its stack.
func (w *worker) panicked() {
	v := recover()
	if v == nil {
		return
	}
	w.count.panics.Add(1)
	w.count.drop(dropPanic)
	w.reset() // whatever state it was left in
	if w.s.panicked.CompareAndSwap(false, true) {
		w.s.log.Error("a query made the server panic; further ones are counted only",
			"panic", v, "stack", string(debug.Stack()))
	}
}
