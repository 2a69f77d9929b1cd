// Package tap is dnstap: it records queries and their answers for a program that
// collects them (https://dnstap.info), without keeping an answer waiting.
//
//	worker  --Record-->  ring --+
//	worker  --Record-->  ring --+--> Run: one goroutine --> receiver
//	connections          ring --+    READY ACCEPT START frames STOP FINISH
//
// A worker encodes the messages straight into a ring, of which there is one per
// processor. Nobody is woken for it: the goroutine of Run looks into the rings by
// itself and writes what it finds, as Frame Streams over a unix socket or TCP.
//
// It guarantees that Record neither waits nor allocates nor locks; that a query
// and its answer are recorded together or not at all; that every frame is counted
// as sent or as dropped; that memory is what the configuration says, whatever the
// receiver does; and that a receiver which stalls holds the goroutine of Run for
// no longer than the deadlines say.
//
// It knows no DNS beyond the header's first bits, and decides nothing about an
// answer.
package tap
