// Package zone holds the static records of zones and the rules by which a name
// is looked up in them.
//
//	records (package text, or made) -- Builder --> Data  those of one zone, in wire form
//	Data of every zone, names of services      --> Tree  one index of all names
//	Tree.Find(name, type)                      --> Match the node, the wildcard, the cut or the DNAME
//	Data.Amend(edits)                          --> Data  with other records of some names
//	Tree.Branch(other data)                    --> Tree  of the same zones
//
// Builder refuses data that contradict themselves, all of them at once, each
// with its place; what is allowed and probably not meant it doubts. What a Data
// proves of a signed zone, by NSEC or NSEC3, is as the file had it: nothing here
// makes or checks a signature.
//
// Data and Tree are immutable once in use. Names and records lie in arrays
// without pointers, so that a million of them cost the garbage collector
// nothing, and a record set lies there as it goes into a message. A name may be
// stated to exist without records (Builder.AddName, Edit.Exists).
//
// A zone that a source keeps at run time is amended: the new Data share all but a
// few kilobytes with the old ones, and remember which names differ, so that a Tree
// that has any of their recent forebears branches off at the cost of these names, and
// so may who keeps anything else by name (Data.Since).
// What nobody finds any more is at most a quarter of the records' memory; the pieces
// that have most of it are cleaned a piece at a time, by whoever amends. All and
// Owned give the records back as they were stated.
//
// Each zone of ours is searched by itself, as if every other were elsewhere:
// what a parent has at or below the name of a zone of ours is no more than glue,
// and whether that name exists in the parent, for a question about its DS, is for
// the parent to say (Builder.Implies).
//
// Find follows RFC 1034 section 4.3.2 as RFC 4592 and RFC 6672 have it. The
// package never decides what an answer is: that is for resolve.
package zone
