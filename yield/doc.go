// Package yield lets go of a processor in the midst of long work, so that a thread
// that answers queries and has just woken up there need not wait for the end of it.
//
// The kernel lets such a thread wait for what runs, for milliseconds when that does
// not wait itself, and the Go runtime, which has a place for each of them, knows of
// no queue. Where nobody waits, Thread costs a system call, which is less than a
// microsecond (BenchmarkThread): it belongs between pieces of ten and more of them.
package yield
