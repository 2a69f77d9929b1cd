// Package conduct decides how pools and endpoints change, so that no change
// does harm: a pool gives way only after a delay and stands again only after
// another one or when an operator says so, an endpoint that comes up starts with
// a small share of its traffic, one that flaps is held down, and no more than a
// part of a pool is taken out at once.
//
//	health.View --Follow--> courses --View--> resolve
//	               time ------^
//
// A course is a pool with the conduct that is stated for it. It is a state
// machine without goroutines: what health says of the endpoints and the time go
// in, what answers go by comes out, with the next instant at which that changes
// by itself. A Director owns the courses, keeps one timer for the earliest of
// these instants, and publishes an immutable View.
//
// It guarantees that a View never changes, that a course depends on what health
// said and when but not on how often it was looked at, and that what a course
// has gone through survives a reload and, with a Keeper, a restart. It never
// says what an answer is: an operator's override stands above it, and a service
// none of whose pools stands ignores it.
package conduct
