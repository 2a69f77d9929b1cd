package mouth

import (
	"math/rand/v2"
	"net/netip"

	"github.com/rhumb-dns/rhumb/dnswire"
	"github.com/rhumb-dns/rhumb/resolve"
)

// OwnDraft makes a draft for a goroutine that stays, and decides one answer after the
// other on its own stack:
//
//	Read(query) -> Decide(snapshot) -> Bytes()
//
// Nobody calls Done.
func OwnDraft() *Draft {
	return &Draft{&desk{scratch: resolve.NewScratch(rand.Uint64(), rand.Uint64())}, nil}
}

// Read takes a query as it came by UDP, and where the answer goes: dst is empty, with
// room.
func (d *Draft) Read(query []byte, client netip.AddrPort, dst []byte) {
	d.q.Transport = dnswire.UDP
	d.q.Parse(query)
	d.q.Client = client
	d.out = dst
}

// Decide decides the answer to what has been read. It reports whether a zone of ours has
// it; without a snapshot none has.
func (d *Draft) Decide(s *resolve.Snapshot) bool {
	if s == nil {
		return false
	}
	d.snap = s
	d.out = s.Append(d.out[:0], &d.q, d.scratch)
	return d.Zone() >= 0
}

// Bytes is the answer, empty when silence is due.
func (d *Draft) Bytes() []byte { return d.out }

// Query is what has been read, good until the next Read.
func (d *Draft) Query() *dnswire.Query { return &d.q }

// Rest lets go of what the last answer was decided from: who has no queries must not
// keep an old table alive.
func (d *Draft) Rest() { d.snap, d.out = nil, nil }
