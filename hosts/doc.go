// Package hosts knows the addresses of host names: it asks for them in the
// background and publishes them as an immutable View, so that a service whose
// endpoint is a host name can be answered with addresses.
//
//	names (from the table) -> A and AAAA, each on a schedule of its own
//	the system's resolver or configured servers -> readings of their answers
//	readings + what was known before -> View, one pointer
//
// A Resolver holds the live state. It is keyed by name, so that it outlives
// configuration. Servers are asked for names as they are stated, without search
// domains, and are expected to follow aliases (to recurse).
//
// It guarantees that a View never changes; that addresses which were good once
// stay until there are others, however long resolution fails; that "no such
// name" and "no such data" take away addresses only when they are said again and
// again, and only while the other family still has some; and that the number of
// queries under way is bounded. It never decides what an answer is.
package hosts
