// Package rhumb is the library: an Engine that takes statements of intent,
// judges endpoints, and keeps the Snapshot that queries are answered from.
//
//	spec.Spec --Prepare--> Change --Commit--> table + health + places --> Snapshot
//	                                      probes ------^       ^--- databases
//	zone.Data --Feed--> the records of a zone that a source keeps, beneath its statement
//
// All that can fail happens in Prepare, which changes nothing; Commit cannot
// fail. A Snapshot is replaced whole, by one store of one pointer, whenever the
// table or the health of an endpoint changes, or a zone is fed. Live state (verdicts, overrides,
// rotations) is keyed by identity and outlives every Commit.
//
// The engine opens no socket and reads no file of the configuration but the
// databases of places, when somebody needs them.
package rhumb
