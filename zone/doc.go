// Package zone holds the static records of zones and the rules by which a name
// is looked up in them.
//
//	text (RFC 1035) or records -- Builder --> Data  the records of one zone, in wire form
//	Data of every zone, names of services  --> Tree  one index of all names
//	Tree.Find(name, type)                  --> Match the node, the wildcard, the cut or the DNAME
//
// Data and Tree are immutable once made. Names and records lie in arrays
// without pointers, so that a million of them cost the garbage collector
// nothing, and a record set lies there as it goes into a message.
//
// Find follows RFC 1034 section 4.3.2 as RFC 4592 and RFC 6672 have it. The
// package never decides what an answer is: that is for resolve.
package zone
