// Package simulate answers "where will the traffic go?" before it goes there. It
// asks snapshots the questions of a mix of clients and compares what they answer.
//
//	population, prefixes, capture -> Mix --+
//	                                       +--> Run --> Result --> conditions
//	configuration + suppositions -> World --+
//
// The answers are those of package resolve, the same code that a node answers
// with: nothing is estimated from the configuration. What is random is drawn with
// a stated seed, so that a simulation gives the same result each time, and the
// snapshots that are compared are asked the same questions with the same random
// numbers, so that what is not different does not look so.
//
// It makes no probe and asks no node: which endpoints are up is for the caller to
// say. Delays and slow starts have passed: it shows where traffic settles.
package simulate
