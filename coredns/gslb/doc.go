// Package gslb is the CoreDNS plugin gslb: records with health checks and steering,
// as https://github.com/dmachard/coredns-gslb has it, from the same zone files.
//
//	Corefile --> statement --\
//	zone files, profiles, ----+--> spec/corednsgslb --> spec.Spec --> an engine
//	subnets, databases ------/     (again when a file has become another)
//	query --> mouth.Draft (resolve decides) --> sent, or left to the next plugin
//
// The package parses its block, attaches an engine, writes answers and serves the
// HTTP API. How the files are read is in spec/corednsgslb, what an answer is in
// resolve. It never writes to a file of the user: what the API disables is kept
// elsewhere.
package gslb
