// Package geo says where an address is: from databases in MaxMind's format,
// from the operator's own networks, which come before them, and without either
// from a country database that is built in.
//
//	networks (longest prefix) -> databases, in their order -> place
//
// All of it is flattened into one list of address ranges, so that one look-up
// serves a query, whatever number of databases there is.
//
// A View is immutable. Whoever makes decisions by place turns it into a Map of
// its own, from address to decision, in which neighbours that are decided alike
// are one: what is left of the prefixes is what the decision depends on.
package geo
