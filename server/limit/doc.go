// Package limit says how much of which client is taken on: who may ask at all,
// and how often it is answered. It knows networks, rates and hashes, and no DNS
// beyond the kinds of answers.
//
//	client ─┬─ Networks ──── allowed, denied, exempt
//	        └─ Responses ─── network, kind and name ─── Accounts ─── pass or not
//
// Accounts is a table of fixed size without pointers, made once: however many
// clients there are, or seem to be, it takes no more memory, and nothing of it
// is for the garbage collector to follow. All workers share it, so a limit is
// one of the node and not of a socket. Whoever asks reads the clock, once for
// many.
//
// Nothing here allocates, locks or waits once it has been made. Nothing here is
// exact where exactness would cost: two accounts in the same line of the table
// may be taken for one (one pair in 16 million), and where a line is full of
// accounts in use, the one that is used least is forgotten, which gives it back
// what it had used.
package limit
