// Package history remembers what happened to endpoints, pools and the node, and
// hands it out in order.
//
//	health, conduct, app -> Tell -> pending -> Run -> history.jsonl
//	                       (appends)            \--> memory -> Read    (the API)
//	                                                       \-> Reader  (subscribers, notifications)
//
// To tell costs an append to a bounded list: it waits for no disk and for no reader.
// An event has an ID that is higher than those of all before it, and is in memory and
// on disk until newer ones push it out. A Reader is a place in the list and no queue:
// one that is slow costs nothing, and is told how many it has lost.
//
// It knows nothing of what the events say, and judges nothing.
package history
