// Package admin is the HTTP surface of a node: the REST API under /api/v1, the
// metrics, and the description of itself as OpenAPI.
//
//	request -> who may ask -> which host was meant -> no other site's page
//	        -> which role -> route -> enough for it -> handler -> JSON, or a
//	        problem (RFC 9457)
//
// Who may ask is decided by the source address of the connection and by
// admin.allowed_networks of the configuration in force, for every path alike.
// What they may do is decided by the role of the token they state, and every
// route says which role it needs; without admin.tokens, by where they are.
// A node that listens on loopback answers only to names of this machine, so
// that a web page cannot reach it under a name of its own (DNS rebinding).
// Every path, parameter and shape, and the role it needs, is in openapi.json; a
// test holds the two together.
//
// It never trusts a forwarding header, never shows or logs a secret, never
// decides what an answer is, and changes nothing but overrides and, through
// Process, the configuration in force. It opens no socket: whoever runs it
// serves Handler.
package admin
