// Package packed is the form in which a country database is built into the
// program: about a byte for each range of addresses.
//
//	magic, then DEFLATE (RFC 1951) of:
//	built   uvarint, seconds since 1970
//	codes   uvarint, then two letters each; code 0 is "not known"
//	IPv4    uvarint ranges, then a column of starts and a column of codes
//	IPv6    uvarint ranges, then columns of upper halves, of lower halves, of codes
//
// Starts and upper halves are uvarint differences to the one before, lower halves
// are uvarints, codes are octets. A column of one kind of number shrinks better
// than rows do.
package packed
