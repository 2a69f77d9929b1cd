// Package elchi is the CoreDNS plugin elchi: a zone whose records a controller
// states, as https://github.com/CloudNativeWorks/elchi-gslb has it.
//
//	Corefile --> statement --> site: an engine, fed by an edge for each zone
//	query    --> mouth.Draft (resolve decides) --> sent, or left to the next plugin
//
// The package parses its block, attaches an engine, and writes answers. How records
// come from the controller is in package edge; what an answer is, in resolve. What
// is here is who answers when the records have nothing: fallthrough, and a zone file
// beside them.
package elchi
