package edge

import "runtime/debug"

// What a snapshot leaves behind is worth a collection from so many DNS records on, and of
// one that was refused from so many octets on.
const (
	manyRecords = 10_000
	manyOctets  = 1 << 20
)

// spare gives the memory back to the system that a snapshot took while it came in, and
// that of the records before it: several times what the zone is. Of itself it would
// stay with the process until something else needs it, and an edge that answers
// needs nothing.
func spare(worth bool) {
	if worth {
		debug.FreeOSMemory()
	}
}
