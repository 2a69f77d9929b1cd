package edge

import "runtime/debug"

// manyRecords is from how many DNS records on what a snapshot leaves behind is worth a
// collection.
const manyRecords = 10_000

// spare gives the memory back to the system that a snapshot took while it came in, and
// that of the records before it: several times what the zone is. Of itself it would
// stay with the process until something else needs it, and an edge that answers
// needs nothing. Records are how many there were or are, whichever is more.
func spare(records int) {
	if records >= manyRecords {
		debug.FreeOSMemory()
	}
}
