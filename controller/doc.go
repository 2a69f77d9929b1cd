// Package controller tells edges what the zones of a node answer: name servers that
// answer with what others decide, such as CoreDNS with the plugin elchi.
//
//	snapshot of the engine -> resolve.Standing of each service, for each region asked for
//	    -> State: records with a hash of what they say
//	    -> who asks (admin), who follows (admin), edges that are pushed to
//
// A view is the records of a zone for some regions. It is computed in the background
// while somebody asks for it, follows it, or an edge is told of it, no oftener than every
// 50 ms, and of what has changed alone: services with one plan are decided once, and of
// the static records of a zone that is fed those names are asked that were amended. All
// of its names are asked when it is not known which those are, or when what hides other
// names is among them. States are immutable, and share what they have in common.
//
// The hash of a state is one of what its records say, whatever their order: nodes with
// the same state of the world have the same, and so has a node after a restart.
//
// Memory is bounded: of a zone there are so many views at most beside those that the
// configuration wants, and each remembers so many of its last changes. Who is behind those
// is told to begin anew. What an edge has is compared as it comes in.
//
// It never decides what an answer is (resolve does), answers no query, opens no
// listening socket, and neither logs nor shows a secret.
package controller
