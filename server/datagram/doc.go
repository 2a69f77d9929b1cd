// Package datagram moves UDP datagrams between a socket and memory, in batches
// and without allocating.
//
// A Socket has one owner, who takes turns of four steps:
//
//	Receive -> Message(i) ... -> Reply(i, b) ... -> Send
//
// On Linux a turn is one recvmmsg and one sendmmsg, whatever the number of
// datagrams; elsewhere it is one datagram. A batch waits for nobody: Receive
// returns as soon as there is one datagram, with as many as there are by then.
// On Linux the owner's thread waits in recvmmsg, which the scheduler knows to be
// a system call; the socket is in no network poller. So each idle Socket holds a
// thread, and GOMAXPROCS should leave room for them beside whatever computes: a
// thread that returns from its wait needs a P to go on. Elsewhere an idle Socket
// is parked in the runtime's poller.
//
// It guarantees that a reply leaves from the address its query came to, also on
// a wildcard socket; that Send ends whatever the kernel says about single
// datagrams; and that after Stop the kernel hands no further datagram to the
// socket (Linux), so that what is in its buffer can be answered to the last one
// before Close.
//
// It knows nothing of DNS, keeps nothing from turn to turn, and never logs.
package datagram
