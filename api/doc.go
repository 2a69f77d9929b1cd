// Package api is the REST API seen from outside: the shapes of its requests and
// responses, and a client.
//
//	Client --HTTP--> admin surface of a node
//	   values of this package, as JSON
//
// It imports the standard library only, so that a program that talks to a node
// takes nothing else of Rhumb in. The shapes are those of the OpenAPI document
// that a node serves at /api/v1/openapi.json; within version 1 fields are added
// and never renamed.
//
// An error of the client is a *Problem when the node refused, and an
// *Unreachable when no node answered. The client never retries and never
// follows a redirect.
package api
