// Package server is the sockets: it brings queries to a snapshot and answers
// back to clients, over UDP, TCP and TLS.
//
//	            Bind, Commit                      Snapshot
//	                 |                               |
//	address -> UDP socket -> worker: a batch in, ----+--> Append, count,
//	        -> UDP socket -> worker                  |    the batch out
//	        -> TCP listener -> connections ----------+
//	                  PROXY header, TLS: before it
//
// Every UDP socket has one worker with memory of its own; workers share nothing
// but the pointer to the snapshot. An address has one such pair per core, or as
// many as the Setup says; on Linux each worker is a thread.
//
// It guarantees that opening is all or nothing and precedes every effect; that
// an address which stays is not touched by a change, but for UDP sockets that
// are to be laid out anew; that an address or a socket which goes answers what
// it has received; that a panic costs one answer; that no client can hold
// a goroutine, a connection or memory for longer than the timeouts say; that
// only the proxies of the Setup are believed about their clients; that no answer
// waits for the receiver of dnstap; and that when Run returns, no goroutine of it
// is left.
//
// It never decides what an answer is, never logs a query, and labels no metric
// with anything that a query can choose.
package server
