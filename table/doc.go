// Package table compiles a spec into what queries are looked up in.
//
//	spec.Spec -- Compile --> Table
//	                          tree    the index of all names (package zone): static
//	                                  records, as spec has read them, and services
//	                          plans   how services pick, shared by services alike
//	                          targets what health judges; gives endpoints their index
//	                          hosts   host names whose addresses are answered
//
// A Table is immutable; sequences alone move. Its names live in arrays without
// pointers, so that a million of them cost the garbage collector nothing. What
// services keep from one table to the next (their turn in a rotation, their
// counters) is found again by name in the table before.
//
// Compile does no I/O and fails without a side effect.
package table
