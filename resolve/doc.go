// Package resolve decides what an answer is. It is the only place that does:
// the server, the plugins, the publisher and `explain` all come here.
//
//	(Snapshot, query, random numbers) -> the answer, as a message
//	                                  -> the explanation of one, by the same code
//
// A Snapshot is the table, the health of endpoints and the addresses of host
// names. An answer depends on the snapshot, the query and the random numbers, and
// on nothing else. Append takes no lock, allocates nothing and logs nothing.
//
// The road of a query:
//
//	status      malformed, unknown opcode, EDNS version, cookie, class: the error that is due
//	find        the node of the name, or what answers in its place: a wildcard, a
//	            cut, a DNAME record, nothing (zone.Tree.Find)
//	node        static records of the type, as they lie there; a CNAME; a service
//	pick        of a service: health, panic, min_healthy, the chain, all_down
//	follow      a CNAME or a DNAME leads on: find again, 16 times at most
//	negative    SOA, and in a signed zone what proves it
//	additional  addresses that the last record set leads to
//	finish      OPT; what does not fit is left out whole, and TC says so
//
// lookup.go is RFC 1034 section 4.3.2 in its own words, static.go what a node of
// static records answers, service.go what a service does, deny.go the proofs.
package resolve
