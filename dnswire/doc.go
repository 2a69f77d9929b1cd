// Package dnswire parses DNS queries and appends DNS answers, without
// allocating on the way.
//
// It knows the shape of a packet and nothing of what is in a zone: Parse turns
// the bytes of a packet into a Query, the Append functions lay down a header,
// records and an OPT record, and Name is a domain name in wire form.
//
//	packet -> Parse -> Query -> (resolve decides) -> Append... -> packet
//
// It guarantees that Parse never panics, does work bounded by the packet's
// length, and keeps no reference to anything but the packet. Parse and the
// Append functions allocate nothing but room in dst; reading and writing text
// may. It never logs and never decides what an answer is.
package dnswire
