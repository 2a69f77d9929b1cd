// Package notify tells others what happened: webhooks and programs.
//
//	history.Log -> a place per destination -> hold -> batch -> send -> the place moves on
//	                        ^                                   |
//	                        +------- again, later --------------+
//
// A destination is a place in the history and no queue: what it has not taken yet is
// where it was, in order, for as long as the history has it, and over a restart where
// there is a data directory. Each has one delivery under way at most, so the order
// stays, and one that hangs or fails holds up no other. An event is delivered at least
// once, or counted as given up and said to have been in the next delivery.
//
// It never follows a redirect, and no secret is in its logs, errors or states.
package notify
