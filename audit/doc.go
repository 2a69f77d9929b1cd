// Package audit writes down who did what to a node, when, and why.
//
//	operators, by the API --+
//	the clock --------------+-> Append -> audit.jsonl -> audit.jsonl.1 -> ... (oldest goes)
//	                                 \--> the last entries, in memory -> After
//
// An entry that Append has taken is on disk, where the node has a data directory.
// The files are bounded, and so is the memory. It knows nothing of what is done.
package audit
