package server

import (
	"runtime"
	"testing"
	"weak"

	"github.com/rhumb-dns/rhumb/table"
	"github.com/rhumb-dns/rhumb/zone"
)

// TestIdleWorkersKeepNoTable asks over UDP and TCP, changes the table, and asks
// nothing more: the table before is to be collected, which a server of a million
// names with a quiet socket could not do without.
func TestIdleWorkersKeepNoTable(t *testing.T) {
	r := start(t, Options{Workers: 1}, "127.0.0.1:0")
	ask(t, dial(t, "udp", r.Addrs()[0]), 1, "www.x.test.")
	tcp := dial(t, "tcp", r.Addrs()[0])
	send(t, tcp, query(t, 2, "www.x.test."))
	check(t, receive(t, tcp), 2)
	r.Reading()

	old, tree := tables(r)
	r.snap.Store(snapshot(t, ""))
	eventually(t, "tables before that are kept", 0, func(a, b int) bool { return a == b }, func() (kept int) {
		runtime.GC()
		if old.Value() != nil {
			kept++
		}
		if tree.Value() != nil {
			kept++
		}
		return kept
	})
}

func tables(r *node) (weak.Pointer[table.Table], weak.Pointer[zone.Tree]) {
	snap := r.snap.Load()
	return weak.Make(snap.Table), weak.Make(snap.Table.Tree)
}
