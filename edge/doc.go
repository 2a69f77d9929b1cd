// Package edge keeps a zone as a controller states it: it asks for the records over
// HTTP, takes changes as they are pushed, and hands the zone's data on to be answered
// from.
//
//	controller -- /dns/snapshot, /dns/changes --> decode -> gather -> zone.Data --> Put
//	           -- /dns/events, POST /notify ----> decode -> Amend --------^
//	                                   data_dir: the last of it <---------+--> at a start
//
// What a controller says is not trusted to be well-formed, small, quick or about this
// zone: every item that cannot be is refused with a reason and counted, and the others
// are taken; a snapshot that is wrong as a whole is refused, and what was good last
// stays. A text is read as it comes: neither the whole of it nor its records as Go
// values are ever in memory.
//
// The records are in the zone's data and nowhere else, but for what data cannot say:
// see standing. The package answers no query, and decides nothing of an answer.
package edge
