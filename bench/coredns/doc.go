// Command coredns is CoreDNS with the plugins that the benchmark asks for, and
// nothing else: `make bench` builds it, in a module of its own so that its
// dependencies stay out of Rhumb's.
package main
