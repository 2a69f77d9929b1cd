// Package resolve decides what an answer is. It is the only place that does:
// the server, the plugins, the publisher and `explain` all come here.
//
//	(Snapshot, query, random numbers) -> the answer, as a message
//	                                  -> the explanation of one, by the same code
//
// An answer depends on those three and on nothing else. Append takes no lock,
// allocates nothing and logs nothing.
//
// The road of a query:
//
//	status    malformed, unknown opcode, EDNS version: the error that is due
//	find      the name's node, or the wildcard that covers it, and its zone
//	pick      of a service: health, panic, min_healthy, the chain, all_down
//	append    records, SOA of a negative answer, OPT
//	fit       what does not fit is left out whole, and TC says so
package resolve
