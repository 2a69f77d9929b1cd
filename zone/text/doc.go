// Package text reads zone files: RFC 1035 section 5, with $TTL (RFC 2308),
// unknown types (RFC 3597) and $GENERATE.
//
//	file -> entries -> owner, TTL, type -> data -> Record, in wire form
//
// A file that was read before is read by parts: those that stand where they mean
// the same as they did are recognised, and only the others give records.
//
// It guarantees that an error ends no more than the entry that it is in, so that
// all of them are reported, each with its file and line; that what text can ask
// for is bounded; and that a Record is sound by itself. Whether the records of a
// zone agree with each other is for zone.
package text
