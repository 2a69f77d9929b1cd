// Package loop makes many TCP connections at once without a goroutine for each, and
// holds a short conversation over those that are to have one. It knows no protocol.
//
//	Start ──> inbox ──> socket, connect ──> connected ──> sent ──> heard ──> Ended
//	                        │                  │           │         │         ▲
//	                        └───── an error, or the time is over ────┴─────────┘
//
// One goroutine runs a Loop. The sockets are in an epoll set of its own, which is, by
// way of another one, in that of Go's runtime: while nothing happens the goroutine is
// parked as any other is, and no thread of the process waits for it. What is between
// the two is shut while the goroutine is at work.
//
// What it guarantees:
//
//   - Every job that was started ends, with its callback, once: when it is done, when
//     it failed, when its time is over, or when the Loop's context is.
//   - A job's time counts from when its connection is begun, and events that have
//     come are looked at before the clock: a process that has been kept from its
//     processor for a while takes no peer for dead that has answered meanwhile.
//   - No more descriptors are open than there are jobs under way, and a few idle
//     sockets besides, until Run returns; after that none is.
//
// It is for Linux. Elsewhere New returns errors.ErrUnsupported.
package loop
