// Package demo is the demonstration: three small HTTP endpoints of its own, a
// real node that steers a zone to them, and a live view of both.
//
//	keys or bytes on the input -> endpoint breaks or mends
//	endpoint <- probes - node - DNS -> the demo asks it, and shows the answers
//
// Nothing in it is pretended: the node is the one that `rhumb serve` runs, its
// probes are real, and the answers on the screen came over UDP. It listens on
// loopback only and ends with its context.
package demo
