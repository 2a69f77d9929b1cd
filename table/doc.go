// Package table compiles a spec into what queries are looked up in.
//
//	spec.Spec -- Compile --> Table
//	                          names   one hash table of lower-cased wire names
//	                          plans   how services pick, shared by services alike
//	                          static  SOA, NS and address records as wire bytes
//	                          targets what health judges; gives endpoints their index
//
// A Table is immutable. Its names live in arrays without pointers, so that a
// million of them cost the garbage collector nothing. What services keep from
// one table to the next (their turn in a rotation, their counters) is found
// again by name in the table before.
//
// Compile does no I/O and fails without a side effect.
package table
