package server

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// BenchmarkAnswer is what a query takes from when its batch has been read to when
// it could be sent, by the length of the batch: parsing, the answer, counting
// it, and a part of what is done once for all.
func BenchmarkAnswer(b *testing.B) {
	for _, batch := range []int{1, 64} {
		for _, name := range []string{"www.x.test.", "big.x.test.", "nope.x.test."} {
			b.Run(fmt.Sprintf("%s-%d", name, batch), func(b *testing.B) {
				w, msg, client := answering(b, name)
				out := make([]byte, 0, dnswire.MaxTCP)
				n := 0
				b.ReportAllocs()
				for b.Loop() {
					if n == 0 {
						w.begin()
					}
					out = w.answer(out[:0], msg, client)
					if n++; n == batch {
						w.sent()
						n = 0
					}
				}
			})
		}
	}
}

// answering is a worker of a server that does not run.
func answering(t testing.TB, name string) (w *worker, msg []byte, client netip.AddrPort) {
	t.Helper()
	snap := snapshot(t, "")
	s := New(Options{Snapshot: snapshotOf(snap)})
	w = s.newWorker(dnswire.TCP, s.newCounters(nil))
	return w, query(t, 1, name), netip.MustParseAddrPort("192.0.2.77:5353")
}

func snapshotOf(snap *resolve.Snapshot) func() *resolve.Snapshot {
	return func() *resolve.Snapshot { return snap }
}
