// Package steer holds the filters that pick endpoints for a query. A policy is
// a chain of them: each takes the candidates the one before it kept, and keeps
// or reorders some.
//
//	healthy endpoints -> tier -> weighted -> limit -> the answer
//
// Filters are pure: what they return depends on the candidates, the query and
// its random numbers, never on a clock, a lock or memory of their own. They
// work in place on the slice they are given and do not allocate. Health is not
// theirs: the candidates they see are the ones that may serve.
package steer
